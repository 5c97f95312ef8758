//! `[rate_limits.x]`, and the routes that name them.

use std::num::NonZeroU32;

use lb_ratelimit::Policy;

use super::{Findings, redis};
use crate::config::model::{
    Config, RateLimitAlgorithm, RateLimitConfig, RateLimitKey, RouteConfig, StoreKind,
};
use crate::config::suggest::{enumerate, nearest};

/// Rate limits of one route: each costs every request.
const LIMITS_MOST: usize = 8;

/// 24 bytes each, taken at the start: 2.4 GB.
const KEYS_MOST: u32 = 100_000_000;

pub(super) fn check(name: &str, limit: &RateLimitConfig, config: &Config, findings: &mut Findings) {
    let path = format!("rate_limits.{name}");
    findings.name(path.clone(), name);
    match limit.policy() {
        Err(message) => findings.add(
            format!("{path}.window"),
            message,
            "write `limit = 100` and `window = \"1m\"`",
        ),
        Ok(policy) if limit.cost.get() > policy.burst() => findings.add(
            format!("{path}.cost"),
            format!(
                "a request costs {}, more than the {} that can ever be let pass at once",
                limit.cost,
                policy.burst()
            ),
            "raise `burst` or `limit`, or lower `cost`",
        ),
        Ok(_) => {}
    }
    if limit.burst.is_some() && limit.algorithm == RateLimitAlgorithm::SlidingWindow {
        findings.add(
            format!("{path}.burst"),
            "`burst` has no effect on a sliding window",
            "write `algorithm = \"token-bucket\"`, or remove `burst`",
        );
    }
    if limit.key.is_empty() {
        findings.add(
            format!("{path}.key"),
            "nothing to count by",
            "write `key = \"client-ip\"`",
        );
    }
    for (index, key) in limit.key.iter().enumerate() {
        if limit.key[..index].contains(key) {
            findings.add(
                format!("{path}.key[{index}]"),
                format!("key `{key}` stands here twice"),
                "remove one",
            );
        }
        if let RateLimitKey::Cookie(name) = key
            && http::HeaderName::from_bytes(name.as_bytes()).is_err()
        {
            findings.add(
                format!("{path}.key[{index}]"),
                format!("`{name}` is no cookie name"),
                "use letters, digits, `-` and `_`",
            );
        }
    }
    for (key, most, value) in [
        ("ipv4_prefix", 32, limit.ipv4_prefix),
        ("ipv6_prefix", 128, limit.ipv6_prefix),
    ] {
        if value == 0 || value > most {
            findings.add(
                format!("{path}.{key}"),
                format!("`{key}` must be from 1 to {most} bits, got {value}"),
                format!("write `{most}` for the whole address"),
            );
        }
    }
    if !(1..=KEYS_MOST).contains(&limit.max_keys) {
        findings.add(
            format!("{path}.max_keys"),
            format!(
                "`max_keys` must be from 1 to {KEYS_MOST}, got {}",
                limit.max_keys
            ),
            "write `100000` for 2.4 MB",
        );
    }
    redis::needed(&path, limit.store, config, findings);
    if limit.on_store_error.is_some() && limit.store == StoreKind::Memory {
        findings.add(
            format!("{path}.on_store_error"),
            "`on_store_error` has no effect in memory",
            "write `store = \"redis\"`, or remove `on_store_error`",
        );
    }
}

/// The names that a route has under `rate_limits`.
pub(super) fn of_route(path: &str, route: &RouteConfig, config: &Config, findings: &mut Findings) {
    for (index, name) in route.rate_limits.iter().enumerate() {
        let path = format!("{path}.rate_limits[{index}]");
        if !config.rate_limits.contains_key(name) {
            let known = || config.rate_limits.keys().map(String::as_str);
            let help = match nearest(name, known()) {
                Some(name) => format!("did you mean `{name}`?"),
                None if config.rate_limits.is_empty() => {
                    format!("add `[rate_limits.{name}]` with `limit = 100`")
                }
                None => format!("known rate limits: {}", enumerate(known())),
            };
            findings.add(
                path,
                format!(
                    "route `{}` names the unknown rate limit `{name}`",
                    route.name
                ),
                help,
            );
        } else if route.rate_limits[..index].contains(name) {
            findings.add(
                path,
                format!("route `{}` names rate limit `{name}` twice", route.name),
                "remove one",
            );
        }
    }
    if route.rate_limits.len() > LIMITS_MOST {
        findings.add(
            format!("{path}.rate_limits"),
            format!(
                "a route has at most {LIMITS_MOST} rate limits, got {}",
                route.rate_limits.len()
            ),
            "keep those that matter",
        );
    }
}

impl RateLimitConfig {
    /// The numbers as the limiter takes them; the error says what is wrong with them.
    pub(crate) fn policy(&self) -> Result<Policy, String> {
        let limit = NonZeroU32::new(self.limit).ok_or("`limit` must be at least 1, got 0")?;
        let policy = match self.algorithm {
            RateLimitAlgorithm::TokenBucket => lb_ratelimit::Quota::try_new(limit, self.window)
                .and_then(|quota| match self.burst {
                    Some(burst) => quota.with_burst(burst),
                    None => Ok(quota),
                })
                .map(Policy::from),
            RateLimitAlgorithm::SlidingWindow => {
                lb_ratelimit::Window::try_new(limit, self.window).map(Policy::from)
            }
        };
        policy.map_err(|error| error.to_string())
    }
}
