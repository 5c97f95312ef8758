//! What one value says about another, and what no single value's form can exclude.

mod access_log;
mod admin;
mod cache;
mod limits;
mod listener;
mod metrics;
mod pool;
mod redis;
mod resilience;
mod route;
mod sessions;
mod tracing;
mod warning;

use std::time::Duration;

use super::error::Finding;
use super::model::{Config, RedisUrl};
pub(super) use warning::warnings;

/// Whether this can name a pool, listener or route: it becomes a metric label, a path and part of
/// an environment variable.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

pub(super) const NAME_HELP: &str = "use 1 to 64 letters, digits, `-` and `_`";

/// The findings of one walk over a configuration.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(Finding::new(path, message, help));
    }

    fn name(&mut self, path: String, name: &str) {
        if !is_name(name) {
            self.add(path, format!("`{name}` is no name"), NAME_HELP);
        }
    }

    /// A timeout of zero would end everything before it began.
    fn timeout(&mut self, path: String, value: Duration) {
        if value.is_zero() {
            let key = path.rsplit('.').next().unwrap_or_default().to_owned();
            self.add(
                path,
                format!("timeout `{key}` must be longer than 0, got 0s"),
                "remove it for the default, or write a long one like \"1h\"",
            );
        }
    }

    /// tokio's timers and `Instant` arithmetic end far beyond this.
    fn not_forever(&mut self, path: String, value: Duration) {
        if value > Duration::from_secs(10 * 365 * 24 * 3600) {
            let text = super::units::print_duration(value);
            self.add(
                path,
                format!("{text} is longer than ten years"),
                "write at most \"87600h\"",
            );
        }
    }
}

/// Everything that is wrong with a configuration.
pub(super) fn errors(config: &Config) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    process(config, &mut findings);
    if config.listeners.is_empty() {
        findings.add(
            "",
            "no listener: nothing to connect to",
            "add `listen = \"127.0.0.1:8443\"`",
        );
    }
    for (name, listener) in &config.listeners {
        listener::check(name, listener, &mut findings);
    }
    listener::addresses(config, &mut findings);
    let only_redirects = !config.listeners.is_empty()
        && config
            .listeners
            .values()
            .all(|listener| listener.redirect_to.is_some());
    if config.pools.is_empty() && config.routes.is_empty() && !only_redirects {
        findings.add(
            "",
            "no pools and no routes: nothing to answer with",
            "add `backends = [\"http://127.0.0.1:3000\"]`",
        );
    }
    for (name, pool) in &config.pools {
        pool::check(name, pool, &mut findings);
    }
    for (name, limit) in &config.rate_limits {
        limits::check(name, limit, config, &mut findings);
    }
    if let Some(redis) = &config.redis {
        redis::check(redis, &mut findings);
    }
    metrics::check(&config.metrics, &mut findings);
    cache::check(config, &mut findings);
    route::check(config, &mut findings);
    sessions::check(config, &mut findings);
    access_log::check(&config.access_log, &mut findings);
    if let Some(admin) = &config.admin {
        admin::check(admin, config, &mut findings);
    }
    if let Some(tracing) = &config.tracing {
        tracing::check(tracing, &mut findings);
    }
    findings.0
}

/// Fields of the protocol: whoever could write them would desynchronise the two sides.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Less would not hold the bodies of a handful of requests.
const MEMORY_LEAST: u64 = 1 << 20;

fn process(config: &Config, findings: &mut Findings) {
    let server = &config.server;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if server.pseudonym.is_empty() || !server.pseudonym.bytes().all(token) {
        findings.add(
            "server.pseudonym",
            format!("pseudonym {:?} is no token", server.pseudonym),
            "use letters, digits, `-`, `.` and `_`: \"lb\"",
        );
    }
    if server.threads.is_some_and(|threads| threads.get() > 1024) {
        findings.add(
            "server.threads",
            "more than 1024 threads",
            "write \"auto\" for one for each core",
        );
    }
    if server.memory_limit < MEMORY_LEAST {
        let text = super::units::print_size(server.memory_limit);
        findings.add(
            "server.memory_limit",
            format!("`memory_limit` must be at least 1MiB, got {text}"),
            "write one like \"1GiB\"",
        );
    }
    findings.timeout(
        "server.shutdown_timeout".to_owned(),
        server.shutdown_timeout,
    );
    findings.not_forever(
        "server.shutdown_timeout".to_owned(),
        server.shutdown_timeout,
    );
    findings.not_forever("server.shutdown_delay".to_owned(), server.shutdown_delay);
}
