//! `[caches.x]`: what is kept of responses.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderName;

use super::StoreKind;

/// `[caches.x]`: responses kept in memory, by the rules of RFC 9111 for shared caches.
///
/// [`CacheConfig::default`] stores what responses allow in so many words, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// Bytes of all entries and of what is being stored (256 MiB); 0 is no cache.
    pub max_size: u64,
    /// The largest body stored, in bytes (4 MiB); larger ones pass through.
    pub max_object: u64,
    /// Responses kept of one URL that differ by `Vary` (16).
    pub max_variants: NonZeroU32,
    /// Which entries leave for others (S3-FIFO).
    pub policy: CachePolicy,
    /// Lifetime of responses that say nothing of their freshness (0 s: they are not stored).
    pub default_ttl: Duration,
    /// How long a stale response is sent while it is validated, if it does not say (0 s).
    pub stale_while_revalidate: Duration,
    /// How long a stale response is sent in place of a backend's error, if it does not say (0 s).
    pub stale_if_error: Duration,
    /// How long a stale response is sent while no backend can be reached, if it does not say (10 min).
    pub stale_if_unreachable: Duration,
    /// How long a request waits for another's response to the same (5 s); 0 forwards each at once.
    pub collapse_timeout: Duration,
    /// Whether responses with `Set-Cookie` are stored (no): what is meant for one client reaches all.
    pub store_set_cookie: bool,
    /// Whether `Cache-Control` of requests counts (yes); where it does, a client can ask past the cache.
    pub obey_requests: bool,
    /// Which parameters of the query tell responses apart (all).
    pub query: CacheQuery,
    /// Request fields by which responses are kept apart, whether they say so in `Vary` or not; none
    /// by default. At most 8.
    pub vary: Vec<HeaderName>,
    /// Whether `[redis]` keeps responses for all instances behind the memory of each (`Redis`), or nobody
    /// does (`Memory`). Without an answer of Redis each goes on by itself.
    pub store: StoreKind,
}

/// Which entries leave for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CachePolicy {
    /// What was used once goes before what was used again; scans do no harm (`"s3-fifo"`).
    #[default]
    S3Fifo,
    /// What was used last stays (`"lru"`).
    Lru,
}

/// Which parameters of the query tell responses apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CacheQuery {
    /// All, in the order they come in (`"all"`).
    #[default]
    All,
    /// None (`"none"`): for backends that read no query.
    None,
    /// These, in the order they come in; what others say must not change the response.
    Only(Vec<String>),
}
