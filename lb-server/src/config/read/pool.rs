//! `[pools.x]`.

use std::path::PathBuf;

use lb_core::Algorithm;

use super::resilience::{self, unless_off};
use super::{Cursor, discovery, server::count, sessions};
use crate::config::model::{
    BackendConfig, BackendTlsConfig, HashConfig, LoadBalancerConfig, PoolTimeouts,
};
use crate::config::suggest::nearest;
use crate::config::tree::Value;

pub(super) fn pool(cursor: &Cursor<'_>) -> Option<LoadBalancerConfig> {
    let mut config = LoadBalancerConfig::new(Algorithm::RoundRobin);
    cursor.table(|fields| {
        fields.read("algorithm", &mut config.algorithm, algorithm);
        fields.read("backends", &mut config.backends, backends);
        fields.read("hash", &mut config.hash, hash);
        fields.read("tls", &mut config.tls, tls);
        fields.read("timeouts", &mut config.timeouts, timeouts);
        fields.read(
            "max_connections",
            &mut config.max_connections,
            resilience::optional_count,
        );
        fields.read("queue", &mut config.queue, |cursor| {
            resilience::number_or_off(cursor, 1_000_000)
        });
        fields.read("health_check", &mut config.health_check, |cursor| {
            unless_off(cursor, resilience::health_check)
        });
        fields.read(
            "outlier_detection",
            &mut config.outlier_detection,
            |cursor| unless_off(cursor, resilience::outlier_detection),
        );
        fields.read("circuit_breaker", &mut config.circuit_breaker, |cursor| {
            unless_off(cursor, resilience::circuit_breaker)
        });
        fields.read("retry", &mut config.retry, resilience::retry);
        fields.read("slow_start", &mut config.slow_start, |cursor| {
            unless_off(cursor, resilience::slow_start)
        });
        fields.read_some("affinity", &mut config.affinity, sessions::affinity);
        if fields.get("backends").is_none() {
            cursor.report(
                "a pool needs backends",
                "write `backends = [\"http://127.0.0.1:3000\"]`",
            );
        }
    })?;
    Some(config)
}

pub(super) fn algorithm(cursor: &Cursor<'_>) -> Option<Algorithm> {
    let text = cursor.text()?;
    let names = || Algorithm::ALL.into_iter().map(Algorithm::as_str);
    match text.parse::<Algorithm>() {
        Ok(algorithm) => Some(algorithm),
        Err(error) => {
            let help = error
                .nearest()
                .map(Algorithm::as_str)
                .or_else(|| nearest(text, names()))
                .map_or_else(
                    || format!("write one of {}", super::one_of(names())),
                    |name| format!("did you mean \"{name}\"?"),
                );
            cursor.report(format!("unknown algorithm `{text}`"), help);
            None
        }
    }
}

pub(super) fn backends(cursor: &Cursor<'_>) -> Option<Vec<BackendConfig>> {
    Some(cursor.list().iter().filter_map(backend).collect())
}

fn backend(cursor: &Cursor<'_>) -> Option<BackendConfig> {
    match &cursor.node.value {
        Value::Text(_) => return cursor.parse().map(BackendConfig::at),
        Value::Table(_) => {}
        _ => {
            cursor.expected(
                "a URL or a table",
                "write \"http://127.0.0.1:3000\" or `{ url = \"http://127.0.0.1:3000\", weight = 2 }`",
            );
            return None;
        }
    }
    let mut url = None;
    let (mut name, mut server_name) = (None, None);
    let (mut discover, mut refresh) = (None, None);
    let (mut weight, mut max_connections, mut backup) = (1, None, false);
    cursor.table(|fields| {
        fields.read_some("url", &mut url, Cursor::parse);
        fields.read_some("name", &mut name, Cursor::filled_text);
        // The range is checked with the model, where the backend can be named.
        fields.read("weight", &mut weight, |cursor| {
            cursor.integer(0, u32::MAX.into())
        });
        fields.read_some("max_connections", &mut max_connections, count);
        fields.read("backup", &mut backup, Cursor::boolean);
        fields.read_some("server_name", &mut server_name, Cursor::filled_text);
        fields.read_some("discover", &mut discover, discovery::discover);
        fields.read_some("refresh", &mut refresh, Cursor::duration);
        if fields.get("refresh").is_some() && fields.get("discover").is_none() {
            cursor.report(
                "`refresh` is of no use without `discover`",
                "write `discover = \"dns\"`, or remove it",
            );
        }
        if fields.get("url").is_none() {
            cursor.report(
                "a backend needs a URL",
                "write `{ url = \"http://127.0.0.1:3000\" }`",
            );
        }
    })?;
    let mut config = BackendConfig::at(url?);
    (config.name, config.server_name) = (name, server_name);
    (config.weight, config.max_connections, config.backup) = (weight, max_connections, backup);
    config.discover = discover;
    if let (Some(discover), Some(refresh)) = (&mut config.discover, refresh) {
        discover.refresh = refresh;
    }
    Some(config)
}

fn hash(cursor: &Cursor<'_>) -> Option<HashConfig> {
    let mut config = HashConfig::default();
    let prefix = |cursor: &Cursor<'_>| cursor.integer(0, u8::MAX.into());
    cursor.table(|fields| {
        fields.read("key", &mut config.key, Cursor::parse);
        fields.read_some("balance_factor", &mut config.balance_factor, Cursor::float);
        fields.read("ipv4_prefix", &mut config.ipv4_prefix, prefix);
        fields.read("ipv6_prefix", &mut config.ipv6_prefix, prefix);
    })?;
    Some(config)
}

fn tls(cursor: &Cursor<'_>) -> Option<BackendTlsConfig> {
    let mut config = BackendTlsConfig::default();
    cursor.table(|fields| {
        fields.read_some("ca", &mut config.ca, |cursor| {
            cursor.filled_text().map(PathBuf::from)
        });
        fields.read_some("server_name", &mut config.server_name, Cursor::filled_text);
    })?;
    Some(config)
}

fn timeouts(cursor: &Cursor<'_>) -> Option<PoolTimeouts> {
    let mut config = PoolTimeouts::default();
    cursor.table(|fields| {
        fields.read("connect", &mut config.connect, Cursor::duration);
        fields.read(
            "response_headers",
            &mut config.response_headers,
            Cursor::duration,
        );
        fields.read("queue", &mut config.queue, Cursor::duration);
        fields.read(
            "request",
            &mut config.request,
            resilience::optional_duration,
        );
        fields.read("idle", &mut config.idle, Cursor::duration);
    })?;
    Some(config)
}
