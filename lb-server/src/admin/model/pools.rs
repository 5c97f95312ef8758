//! Pools and their backends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pool, as `GET /api/v1/pools` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// How it picks, as the configuration names it.
    pub algorithm: String,
    /// Requests that its backends are working on.
    pub in_flight: u64,
    /// How many it may have in flight; `null` is no limit.
    pub max_connections: Option<u32>,
    /// Requests that wait for a place.
    pub queue: u64,
    /// How many may wait.
    pub queue_max: u64,
    /// How many of its backends would be picked now, full ones included.
    pub eligible: u64,
    /// Since when ejections are disregarded because too few backends are usable; `null` if they are not.
    pub panic_since: Option<f64>,
    /// Its circuit breakers.
    pub breaker: BreakerStatus,
    /// What it may spend on retries.
    pub retry_budget: RetryBudgetStatus,
    /// Attempts after the first, hedges included.
    pub retries: u64,
    /// Its backends in the order of the configuration, those added since at the end.
    pub backends: Vec<BackendStatus>,
}

/// The circuit breakers of a pool's backends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// Whether the pool has any.
    pub is_on: bool,
    /// How many are open.
    pub open: u64,
    /// How many let a few trials pass.
    pub half_open: u64,
}

/// What a pool may spend on retries at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RetryBudgetStatus {
    /// Whether the pool retries at all.
    pub is_on: bool,
    /// Retries granted after a backend has answered, and for hedges.
    pub after_answer: u32,
    /// Retries granted where no answer came.
    pub after_failure: u32,
}

/// A backend, as `GET /api/v1/pools/{pool}/backends` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct BackendStatus {
    /// Its name within the pool, which paths of this API take: the configured name, else the URL.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// What it is doing.
    pub state: BackendState,
    /// Since when.
    pub since: f64,
    /// Why it is in this state, for people; `null` where there is nothing to say.
    pub why: Option<String>,
    /// The text of the last probe; `null` where it was not probed yet.
    pub last_check: Option<String>,
    /// When the last probe ended.
    pub last_check_at: Option<f64>,
    /// Its share of the requests relative to the others.
    pub weight: u32,
    /// The percentage of its share that it gets, below 100 while it is warmed up.
    pub percent: u8,
    /// Whether it serves only while no other can.
    pub backup: bool,
    /// Requests it is working on.
    pub in_flight: u32,
    /// How many it may have; `null` is no limit.
    pub max_connections: Option<u32>,
    /// Attempts sent to it.
    pub requests: u64,
    /// Attempts without a response head, or with a status of 500 or above.
    pub errors: u64,
    /// Attempts a second, over the last 10 s.
    pub rate: f64,
    /// Errors a second, over the last 10 s.
    pub error_rate: f64,
    /// Attempts that came here after another had failed.
    pub retries: u64,
    /// Half of its response heads came within this time.
    pub p50_ms: f64,
    /// 99 % of them did.
    pub p99_ms: f64,
    /// How often it was ejected.
    pub ejections: u64,
    /// Its circuit breaker: `closed`, `open` or `half_open`; `null` where there is none.
    pub breaker: Option<String>,
}

/// What a backend is doing; the gravest, where several words fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackendState {
    /// It takes requests.
    Ready,
    /// The operator keeps new requests away, but of clients that are bound to it.
    Draining,
    /// The operator keeps all new requests and the probes away.
    Maintenance,
    /// Its probes fail.
    Unhealthy,
    /// Outlier detection has ejected it.
    Ejected,
    /// Its circuit breaker is open.
    CircuitOpen,
    /// It has as many requests as it may.
    Full,
    /// It takes a growing share of its requests.
    SlowStart,
}

impl BackendState {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::CircuitOpen => "circuit_open",
            Self::Full => "full",
            Self::SlowStart => "slow_start",
        }
    }
}
