//! `[rate_limits.x]`: how many requests a client may make.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderName;

use super::redis::{OnStoreError, StoreKind};

/// `[rate_limits.x]`: how many requests are let pass; a route names those that hold for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitConfig {
    /// Requests per window, in units of `cost`; 0 is no limit, as [`RateLimitConfig::off`] makes it.
    pub limit: u32,
    /// The time over which `limit` counts (1 min).
    pub window: Duration,
    /// How requests are counted (token-bucket).
    pub algorithm: RateLimitAlgorithm,
    /// Requests that one instant may let pass, for token-bucket; `None` is `limit`.
    pub burst: Option<NonZeroU32>,
    /// What requests are counted by, at least one (client-ip); several count by all of them together.
    pub key: Vec<RateLimitKey>,
    /// Leading bits of an IPv4 client address that count (32).
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 client address that count (64).
    pub ipv6_prefix: u8,
    /// What a request counts (1).
    pub cost: NonZeroU32,
    /// Whether what is beyond the limit is refused (enforce).
    pub mode: RateLimitMode,
    /// Clients counted at a time (100,000), at 24 bytes each, taken at the start. With more, newcomers are
    /// counted more strictly, never less.
    pub max_keys: u32,
    /// Whether responses tell of the limit in `RateLimit-Policy` and `RateLimit` (true).
    pub headers: bool,
    /// Where it is counted (memory).
    pub store: StoreKind,
    /// What happens while the store gives no answer; `None` is what `[redis]` says.
    pub on_store_error: Option<OnStoreError>,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RateLimitAlgorithm {
    /// `limit` per `window` on average, at most `burst` at once (`"token-bucket"`).
    #[default]
    TokenBucket,
    /// At most `limit` in the last `window` (`"sliding-window"`).
    SlidingWindow,
}

/// What requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitKey {
    /// The client's address under the prefixes (`"client-ip"`).
    ClientIp,
    /// One header field (`"header:name"`); the client's address where it is absent.
    Header(HeaderName),
    /// One cookie (`"cookie:name"`); the client's address where it is absent.
    Cookie(String),
    /// The route (`"route"`): alone, all clients of a route count together.
    Route,
}

/// Whether what is beyond the limit is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RateLimitMode {
    /// It is answered with 429 (`"enforce"`).
    #[default]
    Enforce,
    /// It passes and is counted as what would have been refused (`"observe"`).
    Observe,
}
