//! The short form: `listen`, `tls`, `algorithm`, `backends` and `rate_limit` at the top, for one listener,
//! one pool and one route.

use lb_core::Algorithm;

use super::{Cursor, Fields, limits, listener, pool};
use crate::config::model::{
    Config, ListenerConfig, ListenerTls, LoadBalancerConfig, RateLimitConfig,
};

/// The name of what the short form describes.
pub(in crate::config) const NAME: &str = "default";

/// The listener, the pool and the rate limit of the short form, where they are written.
pub(super) struct Short {
    listener: Option<ListenerConfig>,
    pool: Option<LoadBalancerConfig>,
    limit: Option<RateLimitConfig>,
}

impl Short {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let (mut listen, mut tls) = (None, None);
        let (mut algorithm, mut backends) = (Algorithm::RoundRobin, None);
        fields.read_some("listen", &mut listen, listener::addresses);
        fields.read_some("tls", &mut tls, listener::listener_tls);
        fields.read("algorithm", &mut algorithm, pool::algorithm);
        fields.read_some("backends", &mut backends, pool::backends);
        let mut limit = None;
        fields.read_some("rate_limit", &mut limit, limits::rate_limit);
        exclude(fields, "listeners", ["listen", "tls"]);
        exclude(fields, "pools", ["algorithm", "backends"]);
        exclude_limit(fields);
        need(fields, "tls", "listen", "\"127.0.0.1:8443\"");
        need(
            fields,
            "algorithm",
            "backends",
            "[\"http://127.0.0.1:3000\"]",
        );
        Self {
            limit,
            listener: listen.map(|address| {
                let unwritten = ListenerTls::unwritten(&address);
                let mut listener = ListenerConfig::at(address);
                listener.tls = tls.unwrap_or(unwritten);
                listener
            }),
            pool: backends.map(|backends| {
                let mut pool = LoadBalancerConfig::new(algorithm);
                pool.backends = backends;
                pool
            }),
        }
    }

    pub(super) fn add_to(self, config: &mut Config) {
        if let Some(listener) = self.listener {
            config.listeners.insert(NAME.to_owned(), listener);
        }
        if let Some(pool) = self.pool {
            config.pools.insert(NAME.to_owned(), pool);
        }
        if let Some(limit) = self.limit {
            config.rate_limits.insert(NAME.to_owned(), limit);
        }
    }
}

fn exclude(fields: &mut Fields<'_>, long: &'static str, short: [&'static str; 2]) {
    if fields.get(long).is_none() {
        return;
    }
    for key in short {
        if let Some(cursor) = fields.get(key) {
            let written = if key == "listen" { "address" } else { key };
            cursor.report(
                format!(
                    "`{key}` is the short form of `[{long}.{NAME}]`, and `{long}` is written too"
                ),
                format!("move it there: `{written}` in `[{long}.{NAME}]`"),
            );
        }
    }
}

/// The short form of a limit holds for the one route that a file without routes has.
fn exclude_limit(fields: &mut Fields<'_>) {
    let Some(cursor) = fields.get("rate_limit") else {
        return;
    };
    for long in ["rate_limits", "routes"] {
        if fields.get(long).is_some() {
            cursor.report(
                format!("`rate_limit` is the short form of `[rate_limits.{NAME}]`, and `{long}` is written too"),
                format!("write `[rate_limits.{NAME}]`, and `rate_limits = [\"{NAME}\"]` in its routes"),
            );
        }
    }
}

/// Reports `part` without the `whole` that it belongs to.
fn need(fields: &mut Fields<'_>, part: &'static str, whole: &'static str, example: &str) {
    let long = if whole == "listen" {
        "listeners"
    } else {
        "pools"
    };
    if fields.get(whole).is_some() || fields.get(long).is_some() {
        return;
    }
    if let Some(cursor) = fields.get(part) {
        let cursor: Cursor<'_> = cursor;
        cursor.report(
            format!("`{part}` without `{whole}`"),
            format!("add `{whole} = {example}`"),
        );
    }
}

/// Where something of the long form stands in a file that uses the short form.
pub(in crate::config) fn written_path(path: &str, is_written: impl Fn(&str) -> bool) -> String {
    let short = |rest: &str| {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let key = if key == "address" || (key == "tls" && !is_written("tls")) {
            "listen"
        } else {
            key
        };
        let key = if key == "algorithm" && !is_written("algorithm") {
            "backends"
        } else {
            key
        };
        format!("{key}{tail}")
    };
    for (long, key) in [
        ("listeners.default", "listen"),
        ("pools.default", "backends"),
    ] {
        if let Some(rest) = path.strip_prefix(long)
            && is_written(key)
        {
            return match rest.strip_prefix('.') {
                Some(rest) => short(rest),
                None if rest.is_empty() => key.to_owned(),
                None => path.to_owned(),
            };
        }
    }
    if let Some(rest) = path.strip_prefix("rate_limits.default")
        && is_written("rate_limit")
    {
        return format!("rate_limit{rest}");
    }
    path.to_owned()
}
