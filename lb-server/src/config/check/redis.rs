//! `[redis]`.

use super::Findings;
use crate::config::model::{Config, RedisAddress, RedisConfig, StoreKind};

/// Longer ones cost memory with every key.
const PREFIX_MOST: usize = 64;

pub(super) fn check(redis: &RedisConfig, findings: &mut Findings) {
    if redis.url.is_empty() {
        findings.add(
            "redis.url",
            "`[redis]` has no address",
            "write `url = \"redis://127.0.0.1:6379\"`",
        );
    }
    if redis.cluster && redis.sentinel.is_some() {
        findings.add(
            "redis.sentinel",
            "`cluster` and `sentinel` exclude each other: a cluster has no sentinels",
            "remove one of them",
        );
    }
    if redis.url.len() > 1 && !redis.cluster && redis.sentinel.is_none() {
        findings.add(
            "redis.url[1]",
            "more than one address of a single server",
            "keep one, or write `cluster = true` or `sentinel = \"NAME\"`",
        );
    }
    for (index, url) in redis.url.iter().enumerate() {
        if redis.cluster && url.database != 0 {
            findings.add(
                format!("redis.url[{index}]"),
                format!("a cluster has only database 0, got {}", url.database),
                "remove the number",
            );
        }
        if redis.cluster && matches!(url.address, RedisAddress::Unix(_)) {
            findings.add(
                format!("redis.url[{index}]"),
                "a cluster cannot be reached over a unix socket",
                "write `redis://host:port`",
            );
        }
        if url.is_tls() != redis.url[0].is_tls() {
            findings.add(
                format!("redis.url[{index}]"),
                "some addresses speak TLS and others do not",
                "write `rediss://` in all of them",
            );
        }
    }
    if redis.ca.is_some() && !redis.url.iter().any(super::RedisUrl::is_tls) {
        findings.add(
            "redis.ca",
            "`ca` has no effect without TLS",
            "write the URL with `rediss://`, or remove `ca`",
        );
    }
    if redis.username.is_some() && redis.password_file.is_none() {
        findings.add(
            "redis.username",
            "`username` without `password_file`",
            "add `password_file = \"/run/secrets/redis\"`",
        );
    }
    let plain = |b: u8| b.is_ascii_graphic() && b != b'{' && b != b'}';
    if redis.prefix.len() > PREFIX_MOST || !redis.prefix.bytes().all(plain) {
        findings.add(
            "redis.prefix",
            format!("`{}` is no prefix", redis.prefix.escape_debug()),
            format!("use at most {PREFIX_MOST} printable characters other than braces and space: \"lb:\""),
        );
    }
    findings.timeout("redis.timeout".to_owned(), redis.timeout);
    findings.not_forever("redis.timeout".to_owned(), redis.timeout);
}

/// A feature that keeps its state in the store needs one.
pub(super) fn needed(path: &str, store: StoreKind, config: &Config, findings: &mut Findings) {
    if store == StoreKind::Redis && config.redis.is_none() {
        findings.add(
            format!("{path}.store"),
            "`store = \"redis\"` without `[redis]`",
            "add `[redis]` with `url = \"redis://127.0.0.1:6379\"`, or write `store = \"memory\"`",
        );
    }
}
