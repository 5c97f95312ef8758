//! Where a request would go and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/routes/explain`: a request that is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExplainRequest {
    /// Its method; `GET` where it is absent.
    #[serde(default = "get")]
    pub method: String,
    /// Its whole URL: `https://example.com/api/users?page=2`.
    pub url: String,
    /// Its fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, FieldValues>,
    /// The address that it comes from; `192.0.2.1`, of nobody, where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// One value of a field, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FieldValues {
    /// One.
    One(String),
    /// One field line for each.
    Several(Vec<String>),
}

/// Where a request would go at this moment, and why. Nothing is sent or counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Explained {
    /// Its method.
    pub method: String,
    /// The host as routes see it.
    pub host: String,
    /// The path as routes see it: escapes and dot segments resolved.
    pub path: String,
    /// Who the client is to limits and hashing, after what trusted proxies say.
    pub client: String,
    /// Why it would be refused, as the log has it; `null` where it would not be.
    pub refused: Option<String>,
    /// The route that takes it.
    pub route: Option<String>,
    /// The routes in their order up to that one.
    pub considered: Vec<ConsideredRoute>,
    /// What answers it.
    pub target: Option<TargetStatus>,
    /// The rate limits it has to pass.
    pub rate_limits: Vec<ExplainedLimit>,
    /// The cache before the target.
    pub cache: Option<ExplainedCache>,
    /// What its cookie says of a backend, where the pool has affinity.
    pub affinity: Option<ExplainedAffinity>,
    /// The pool that it would be forwarded to, also by a request handler that names none.
    pub pool: Option<ExplainedPool>,
}

/// A route that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ConsideredRoute {
    /// Its name.
    pub name: String,
    /// Whether it takes the request.
    pub matches: bool,
    /// Why it does not: all parts that do not match.
    pub why: Vec<String>,
}

/// A route, of `GET /api/v1/routes`, in the order in which they are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// Hosts; none is any.
    pub hosts: Vec<String>,
    /// The path, or what it begins with; `null` is any.
    pub path: Option<String>,
    /// Methods; none is any.
    pub methods: Vec<String>,
    /// Fields that must be there, with this value or with any for `null`.
    pub headers: BTreeMap<String, Option<String>>,
    /// What answers.
    pub target: TargetStatus,
    /// The names of its rate limits.
    pub rate_limits: Vec<String>,
    /// The name of its cache.
    pub cache: Option<String>,
}

/// What answers the requests of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetStatus {
    /// A pool.
    Pool {
        /// Its name.
        pool: String,
    },
    /// The program's request handler.
    Handler {
        /// Where it forwards to without naming a pool.
        pool: Option<String>,
    },
    /// A redirect.
    Redirect {
        /// Where to; in an explanation with its placeholders filled.
        to: String,
        /// Its status.
        status: u16,
    },
    /// A fixed reply.
    Respond {
        /// Its status.
        status: u16,
    },
}

/// A rate limit that a request would have to pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ExplainedLimit {
    /// Its name.
    pub name: String,
    /// Whether it would let the request pass; `null` where a shared store decides, which is not asked.
    pub admits: Option<bool>,
    /// Whether what it refuses is refused, and not only counted.
    pub enforces: bool,
    /// What is left for this client.
    pub remaining: Option<u32>,
    /// After which time a request would be let pass.
    pub retry_after_seconds: Option<f64>,
}

/// The cache that a request would meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ExplainedCache {
    /// Its name.
    pub name: String,
    /// `hit`, `stale`, `miss`, `validate`, `bypass` or `refused` (only what is stored was asked for, and nothing is).
    pub result: String,
    /// What the request is stored under; `null` where it is not.
    pub key: Option<String>,
    /// Why it passes by the cache.
    pub why: Option<String>,
}

/// What a request's cookie says of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ExplainedAffinity {
    /// The name of the cookie.
    pub cookie: String,
    /// The backend that it binds the client to; `null` where there is none or it is not genuine.
    pub backend: Option<String>,
    /// Whether another backend may serve it while that one cannot.
    pub strict: bool,
}

/// How a pool would pick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ExplainedPool {
    /// Its name.
    pub name: String,
    /// Its algorithm.
    pub algorithm: String,
    /// `picked`, `affinity`, `all_full` or `none_eligible`.
    pub verdict: String,
    /// The backend that is picked.
    pub backend: Option<String>,
    /// What the algorithm prefers and what a score means.
    pub rule: String,
    /// What was drawn, looked up or skipped.
    pub draw: String,
    /// The hash of the key, in hexadecimal, where the algorithm has one.
    pub key: Option<String>,
    /// Each backend with the reason why it is none to pick.
    pub candidates: Vec<ExplainedCandidate>,
}

/// A backend as a pick sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ExplainedCandidate {
    /// Its name within the pool.
    pub id: String,
    /// Its weight; while a backend is warmed up, all are finer.
    pub weight: u32,
    /// The percentage of its share that it gets.
    pub percent: u8,
    /// Whether it is a backup.
    pub backup: bool,
    /// Its requests in flight.
    pub in_flight: u32,
    /// Its score, if it has one.
    pub score: Option<f64>,
    /// Why it is out, in a word; `null` for a true candidate.
    pub excluded: Option<String>,
    /// Since when it is out.
    pub since: Option<f64>,
    /// What that was found by.
    pub why: Option<String>,
}
