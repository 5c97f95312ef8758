//! What is asked of caches, sessions, limits and the configuration, and what is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::running::ReloadReport;

/// `POST /api/v1/cache/purge`: one of `url`, `prefix`, `tag`, `key` and `all`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PurgeRequest {
    /// The cache; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// The responses of one URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Everything whose URL begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Every response with this tag in `Cache-Tag` or `Surrogate-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What a request handler keeps under this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Everything, if `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// What a purge came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Purged {
    /// The cache.
    pub cache: String,
    /// Responses removed from this instance.
    pub purged: u64,
}

/// `GET /api/v1/rate-limits/{policy}/{key}`: what is counted of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RateLimitKeyStatus {
    /// The rate limit.
    pub policy: String,
    /// What is counted by, in the order of the configuration: `client-ip`, `route`, `header:NAME`, `cookie:NAME`.
    pub counted_by: Vec<String>,
    /// Requests per window, in units of cost.
    pub limit: u32,
    /// The window.
    pub window_seconds: f64,
    /// What one request costs.
    pub cost: u32,
    /// What is left at this moment.
    pub remaining: u32,
    /// Whether a request would be let pass now.
    pub would_admit: bool,
    /// After which time one would be.
    pub retry_after_seconds: Option<f64>,
}

/// `GET /api/v1/sessions`: some of the sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionList {
    /// The sessions, in no order.
    pub sessions: Vec<SessionStatus>,
    /// `?cursor=` of the next page; `null` after the last one.
    pub next: Option<String>,
}

/// A session. Its id, which opens it, and its values are told to nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Its public name, which opens nothing: `DELETE /api/v1/sessions/{handle}` takes it.
    pub handle: String,
    /// Whether its id has been rotated, as at a login.
    pub is_logged_in: bool,
    /// The time since its login, or since its creation.
    pub age_seconds: f64,
    /// The time since it was last used.
    pub idle_seconds: f64,
    /// The bytes of its keys and values.
    pub bytes: u64,
}

/// What a reload has changed, or with `?dry_run=true` would: paths in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ReloadChanges {
    /// What was, or would be, changed.
    #[serde(flatten)]
    pub report: ReloadReport,
    /// Whether nothing was changed because only this was asked for.
    pub dry_run: bool,
}

/// `POST /api/v1/drain`: the end has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DrainStarted {
    /// How long it serves on before it takes nothing new.
    pub shutdown_delay_seconds: u64,
    /// How long running exchanges may take to finish after that.
    pub shutdown_timeout_seconds: u64,
}
