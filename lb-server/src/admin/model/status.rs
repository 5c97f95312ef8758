//! The server as a whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CacheStatus, CertificateStatus, ListenerStatus, PoolStatus, RateLimitStatus, SessionsStatus,
    StoreStatus,
};

/// `GET /api/v1/status`, and the data of the event `status`: everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// When this was read.
    pub now: f64,
    /// When the server was started.
    pub started: f64,
    /// How long it has been running.
    pub uptime_seconds: f64,
    /// What it is doing.
    pub state: ServerState,
    /// The configuration in force.
    pub config: ConfigStatus,
    /// Requests and replies of all routes.
    pub totals: Totals,
    /// Client connections.
    pub connections: ConnectionsStatus,
    /// The byte budget.
    pub memory: MemoryStatus,
    /// Each pool, by name.
    pub pools: Vec<PoolStatus>,
    /// Each cache, by name.
    pub caches: Vec<CacheStatus>,
    /// Each rate limit, by name.
    pub rate_limits: Vec<RateLimitStatus>,
    /// Sessions; `null` where there are none.
    pub sessions: Option<SessionsStatus>,
    /// The store that instances share; `null` where there is none.
    pub store: Option<StoreStatus>,
    /// The certificates that listeners show.
    pub certificates: Vec<CertificateStatus>,
    /// Where clients connect.
    pub listeners: Vec<ListenerStatus>,
}

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerState {
    /// Not every backend that is probed has been probed once; requests are served already.
    Starting,
    /// It serves.
    Serving,
    /// A shutdown was asked for; it serves on for `shutdown_delay`.
    Stopping,
    /// It takes nothing new and finishes what it began.
    Draining,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigStatus {
    /// The file it came from; `null` where there is none.
    pub path: Option<String>,
    /// The entity tag of `GET /api/v1/config`, with its quotes.
    pub etag: String,
    /// How many configurations have been in force, this one included.
    pub revision: u64,
    /// The last attempt to put another one in force; `null` before the first.
    pub last_reload: Option<ReloadResult>,
    /// How many run-time changes are in force that the configuration does not say: `GET /api/v1/config/drift`.
    pub drift: u64,
}

/// How an attempt to put a configuration in force ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ReloadResult {
    /// When.
    pub at: f64,
    /// Whether it is in force.
    pub ok: bool,
    /// What changed, or why nothing did.
    pub details: String,
}

/// What was counted of requests and replies since the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Of those, with a status of 500 or above.
    pub errors: u64,
    /// Requests that are being answered.
    pub in_flight: u64,
    /// Answered in the last second.
    pub rate_1s: f64,
    /// Answered a second, over the last 10 s.
    pub rate_10s: f64,
    /// Errors a second, over the last 10 s.
    pub error_rate_10s: f64,
    /// By class of status.
    pub classes: StatusClasses,
    /// From a request's head to its reply's head.
    pub latency: Latencies,
    /// Answers of ours and broken exchanges, by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// Replies by class of status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StatusClasses {
    /// 100 to 199.
    #[serde(rename = "1xx")]
    pub informational: u64,
    /// 200 to 299.
    #[serde(rename = "2xx")]
    pub success: u64,
    /// 300 to 399.
    #[serde(rename = "3xx")]
    pub redirection: u64,
    /// 400 to 499.
    #[serde(rename = "4xx")]
    pub client_error: u64,
    /// 500 to 599.
    #[serde(rename = "5xx")]
    pub server_error: u64,
}

/// Latencies over three times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Latencies {
    /// Of the replies of the last second.
    pub last_1s: Percentiles,
    /// Of the replies of the last 10 s.
    pub last_10s: Percentiles,
    /// Of all replies.
    pub since_start: Percentiles,
}

/// Percentiles of latencies in milliseconds, exact to two digits; all 0 where nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Percentiles {
    /// How many replies.
    pub count: u64,
    /// Their average.
    pub mean_ms: f64,
    /// Half were as fast as this.
    pub p50_ms: f64,
    /// 90 % were.
    pub p90_ms: f64,
    /// 99 % were.
    pub p99_ms: f64,
    /// 99.9 % were.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// Client connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ConnectionsStatus {
    /// Open now.
    pub active: u64,
    /// How many may be.
    pub max: u64,
}

/// The byte budget of `[server] memory_limit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MemoryStatus {
    /// Bytes that running exchanges may hold at most.
    pub held_bytes: u64,
    /// The limit.
    pub limit_bytes: u64,
}
