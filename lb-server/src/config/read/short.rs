//! The short form: `listen`, `tls`, `algorithm` and `backends` at the top, for one listener and one pool.

use lb_core::Algorithm;

use super::{Cursor, Fields, listener, pool};
use crate::config::model::{Config, ListenerConfig, ListenerTls, LoadBalancerConfig};

/// The name of what the short form describes.
pub(in crate::config) const NAME: &str = "default";

/// The listener and the pool of the short form, where they are written.
pub(super) struct Short {
    listener: Option<ListenerConfig>,
    pool: Option<LoadBalancerConfig>,
}

impl Short {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let (mut listen, mut tls) = (None, None);
        let (mut algorithm, mut backends) = (Algorithm::RoundRobin, None);
        fields.read_some("listen", &mut listen, listener::addresses);
        fields.read_some("tls", &mut tls, listener::listener_tls);
        fields.read("algorithm", &mut algorithm, pool::algorithm);
        fields.read_some("backends", &mut backends, pool::backends);
        exclude(fields, "listeners", ["listen", "tls"]);
        exclude(fields, "pools", ["algorithm", "backends"]);
        need(fields, "tls", "listen", "\"127.0.0.1:8443\"");
        need(
            fields,
            "algorithm",
            "backends",
            "[\"http://127.0.0.1:3000\"]",
        );
        Self {
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
    path.to_owned()
}
