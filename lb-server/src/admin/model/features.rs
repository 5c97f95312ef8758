//! Caches, limits, sessions, the shared store, certificates and listeners.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cache. A request that it could answer counts as one of the first six.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Its name.
    pub name: String,
    /// Answered with what was stored and fresh.
    pub hits: u64,
    /// Answered with what was stale.
    pub stale: u64,
    /// Answered with what a backend said is still right.
    pub validated: u64,
    /// Answered with the response to another request.
    pub collapsed: u64,
    /// Forwarded, because nothing stored was of use.
    pub misses: u64,
    /// Forwarded past the cache.
    pub bypassed: u64,
    /// The share of the first five that was answered without a whole response of a backend; 0 to 1.
    pub hit_ratio: f64,
    /// Responses stored.
    pub stored: u64,
    /// Responses purged.
    pub purged: u64,
    /// Entries that left for others.
    pub evicted: u64,
    /// URLs and keys with something stored.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// How many it may hold.
    pub max_bytes: u64,
}

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RateLimitStatus {
    /// Its name.
    pub name: String,
    /// Requests let pass and counted.
    pub admitted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests let pass beyond the limit, because it only observes.
    pub observed: u64,
    /// Requests for which the shared store gave no answer.
    pub store_errors: u64,
    /// Clients and other keys that are counted.
    pub keys: u64,
    /// How many there is room for.
    pub max_keys: u64,
}

/// Sessions, also of `GET /api/v1/sessions/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionsStatus {
    /// Where they are: `memory` or `redis`. What is in Redis is not counted here: all numbers are 0.
    pub store: String,
    /// Sessions that hold a place now.
    pub active: u64,
    /// Those of them that are logged in.
    pub logged_in: u64,
    /// New sessions and rotated ones.
    pub stored: u64,
    /// Those whose lifetime was over when somebody looked.
    pub expired: u64,
    /// Those that a client or the operator ended.
    pub ended: u64,
    /// Those that lost their place to others.
    pub evicted: u64,
    /// Those that got no place.
    pub refused: u64,
}

/// The store of `[redis]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StoreStatus {
    /// Whether every worker that has tried has a connection.
    pub is_up: bool,
    /// Commands that were answered.
    pub answered: u64,
    /// Commands that were not, by cause.
    pub errors: BTreeMap<String, u64>,
}

/// A certificate that a listener shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CertificateStatus {
    /// The listener's name, and the file where there is one.
    pub name: String,
    /// The names and addresses it is good for.
    pub names: Vec<String>,
    /// When it ends to be valid.
    pub not_after: f64,
    /// The time until then in whole days; negative when it is over.
    pub days_left: i64,
    /// Whether it was made at the start, in memory.
    pub is_self_signed: bool,
}

/// An address where clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The address, with the port that was taken: `127.0.0.1:8443` or `unix:/run/lb.sock`.
    pub address: String,
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// The protocols offered: `h2`, `http/1.1`.
    pub protocols: Vec<String>,
}
