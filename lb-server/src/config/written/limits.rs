//! `[rate_limits.x]`.

use schemars::JsonSchema;
use serde::Serialize;

use super::convert::{duration, texts};
use super::redis::{on_store_error, store, word};
use super::{Duration, OneOrMore};
use crate::config::model::RateLimitConfig;
use crate::config::read::{ALGORITHMS, MODES};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RateLimit {
    /// Requests per window, in units of `cost`.
    #[schemars(range(min = 1))]
    limit: u32,
    /// The time over which `limit` counts.
    window: Duration,
    /// How requests are counted.
    #[schemars(schema_with = "algorithms")]
    algorithm: &'static str,
    /// Requests that one instant may let pass, for token-bucket; by default `limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    burst: Option<u32>,
    /// "client-ip", "route", "header:NAME" or "cookie:NAME", or several of them.
    key: OneOrMore,
    /// Leading bits of an IPv4 client address that count.
    #[schemars(range(min = 1, max = 32))]
    ipv4_prefix: u8,
    /// Leading bits of an IPv6 client address that count.
    #[schemars(range(min = 1, max = 128))]
    ipv6_prefix: u8,
    /// What a request counts.
    #[schemars(range(min = 1))]
    cost: u32,
    /// Whether what is beyond the limit is refused.
    #[schemars(schema_with = "modes")]
    mode: &'static str,
    /// Clients counted at a time.
    #[schemars(range(min = 1))]
    max_keys: u32,
    /// Whether responses tell of the limit.
    headers: bool,
    /// Where it is counted.
    #[schemars(schema_with = "stores")]
    store: &'static str,
    /// What happens while the store gives no answer; by default what `[redis]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "errors")]
    on_store_error: Option<&'static str>,
}

impl From<&RateLimitConfig> for RateLimit {
    fn from(config: &RateLimitConfig) -> Self {
        Self {
            limit: config.limit,
            window: duration(config.window),
            algorithm: word(&ALGORITHMS, config.algorithm),
            burst: config.burst.map(Into::into),
            key: texts(&config.key),
            ipv4_prefix: config.ipv4_prefix,
            ipv6_prefix: config.ipv6_prefix,
            cost: config.cost.into(),
            mode: word(&MODES, config.mode),
            max_keys: config.max_keys,
            headers: config.headers,
            store: store(config.store),
            on_store_error: config.on_store_error.map(on_store_error),
        }
    }
}

schemas! {
    algorithms => { "enum": ["token-bucket", "sliding-window"] },
    modes => { "enum": ["enforce", "observe"] },
    stores => { "enum": ["memory", "redis"] },
    errors => { "enum": ["allow", "deny", "local"] },
}
