//! `[rate_limits.x]`.

use super::Cursor;
use super::redis::{on_store_error, store};
use super::server::count;
use crate::config::model::{RateLimitAlgorithm, RateLimitConfig, RateLimitMode};

pub(in crate::config) const ALGORITHMS: [(&str, RateLimitAlgorithm); 2] = [
    ("token-bucket", RateLimitAlgorithm::TokenBucket),
    ("sliding-window", RateLimitAlgorithm::SlidingWindow),
];

pub(in crate::config) const MODES: [(&str, RateLimitMode); 2] = [
    ("enforce", RateLimitMode::Enforce),
    ("observe", RateLimitMode::Observe),
];

pub(super) fn rate_limit(cursor: &Cursor<'_>) -> Option<RateLimitConfig> {
    let mut config = RateLimitConfig::default();
    cursor.table(|fields| {
        fields.read("limit", &mut config.limit, |cursor| {
            cursor.integer(1, u32::MAX.into())
        });
        fields.read("window", &mut config.window, Cursor::duration);
        fields.read("algorithm", &mut config.algorithm, |cursor| {
            cursor.choice(&ALGORITHMS)
        });
        fields.read_some("burst", &mut config.burst, count);
        fields.read("key", &mut config.key, |cursor| cursor.each(Cursor::parse));
        fields.read("ipv4_prefix", &mut config.ipv4_prefix, |cursor| {
            cursor.integer(1, 32)
        });
        fields.read("ipv6_prefix", &mut config.ipv6_prefix, |cursor| {
            cursor.integer(1, 128)
        });
        fields.read("cost", &mut config.cost, count);
        fields.read("mode", &mut config.mode, |cursor| cursor.choice(&MODES));
        fields.read("max_keys", &mut config.max_keys, |cursor| {
            cursor.integer(1, u32::MAX.into())
        });
        fields.read("headers", &mut config.headers, Cursor::boolean);
        fields.read("store", &mut config.store, store);
        fields.read_some("on_store_error", &mut config.on_store_error, on_store_error);
        if fields.get("limit").is_none() {
            cursor.report(
                "a rate limit needs a `limit`",
                "write `limit = 100` and `window = \"1m\"`",
            );
        }
    })?;
    Some(config)
}
