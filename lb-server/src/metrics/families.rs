//! Every metric with its name, its help and, when somebody reads, its samples.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use lb_core::{BackendStatus, BreakerState, Health};

use super::durations::{Buckets, Durations};
use super::process;
use crate::clock;
use crate::running::Handle;
use crate::snapshot::{BackendTarget, PoolEntry, Snapshot};

/// One metric with all its series.
#[derive(Debug)]
pub(super) struct Family {
    /// Without the `_total` of counters and the `_info` of facts.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// Facts in labels.
    Info,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
    Buckets(Buckets),
    Nothing,
}

impl Family {
    fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind,
            samples: Vec::new(),
        }
    }

    fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Histogram, name, help)
    }

    fn add(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let labels = labels
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        self.samples.push(Sample {
            labels: labels.collect(),
            value,
        });
    }

    fn count(&mut self, labels: &[(&'static str, &str)], value: u64) {
        self.add(labels, Value::Whole(value));
    }

    fn durations(&mut self, labels: &[(&'static str, &str)], durations: &Durations) {
        self.add(labels, Value::Buckets(durations.buckets()));
    }

    fn only(mut self, value: Value) -> Self {
        self.add(&[], value);
        self
    }
}

/// Reads everything, O(series).
pub(super) fn all(handle: &Handle) -> Vec<Family> {
    let snapshot = handle.snapshot();
    let mut families = process::families();
    let mut build = Family::new(Kind::Info, "lb_build", "What is running");
    build.add(&[("version", env!("CARGO_PKG_VERSION"))], Value::Nothing);
    families.push(build);
    families.extend(reloads(handle));
    families.extend(listeners(&snapshot));
    families.push(certificates(handle));
    families.extend(requests(handle, &snapshot));
    families.extend(backends(handle, &snapshot));
    families.extend(pools(&snapshot));
    families.extend(limits_and_caches(&snapshot));
    families.extend(sessions_and_store(handle));
    families.extend(dropped(&snapshot));
    families
}

fn dropped(snapshot: &Snapshot) -> [Family; 2] {
    let mut lines = Family::counter(
        "lb_access_log_dropped",
        "Lines of the access log that could not be written",
    );
    if let Some(log) = &snapshot.access_log {
        lines.count(&[], log.dropped());
    }
    let mut spans = Family::counter("lb_spans_dropped", "Spans that could not be sent");
    if let Some(tracer) = &snapshot.tracer {
        spans.count(&[], tracer.dropped());
    }
    [lines, spans]
}

fn reloads(handle: &Handle) -> [Family; 3] {
    let status = handle.reloads();
    let mut reloads = Family::counter(
        "lb_config_reloads",
        "Reloads of the configuration by result",
    );
    reloads.count(&[("result", "ok")], status.succeeded);
    reloads.count(&[("result", "failed")], status.failed);
    let last = Family::gauge(
        "lb_config_last_reload_success",
        "Whether the last reload succeeded; 1 before the first one",
    );
    let failed = status.last_failure.map(|(at, _)| at);
    let is_good = failed.is_none() || failed < status.last_success;
    let mut at = Family::gauge(
        "lb_config_last_reload_timestamp_seconds",
        "When the last reload succeeded, since unix epoch",
    );
    let since_epoch = |at: SystemTime| at.duration_since(UNIX_EPOCH).ok();
    if let Some(since) = status.last_success.and_then(since_epoch) {
        at.add(&[], Value::Real(since.as_secs_f64()));
    }
    [reloads, last.only(Value::Whole(u64::from(is_good))), at]
}

fn certificates(handle: &Handle) -> Family {
    let mut family = Family::gauge(
        "lb_tls_certificate_not_after_seconds",
        "When a certificate ends to be valid, since unix epoch",
    );
    // Of a chain the first to end counts.
    let mut ends = BTreeMap::new();
    for certificate in handle.certificates() {
        let end = ends.entry(certificate.name).or_insert(f64::INFINITY);
        *end = certificate.not_after.min(*end);
    }
    for (name, end) in ends {
        family.add(&[("name", name.as_str())], Value::Real(end));
    }
    family
}

fn listeners(snapshot: &Snapshot) -> [Family; 4] {
    let mut opened = Family::counter("lb_connections", "Connections of clients accepted");
    let mut active = Family::gauge(
        "lb_connections_active",
        "Connections of clients that are open",
    );
    let mut handshakes = Family::counter(
        "lb_tls_handshakes",
        "TLS handshakes with clients by version and result",
    );
    let mut glitches = Family::counter(
        "lb_http2_glitches",
        "HTTP/2 connections given up for what their clients sent too much of",
    );
    for (listener, counters) in &snapshot.listeners {
        let listener = listener.as_str();
        for (protocol, all, open) in counters.connections() {
            let labels = [("listener", listener), ("protocol", protocol)];
            opened.count(&labels, all);
            active.count(&labels, open);
        }
        for (version, result, count) in counters.handshakes() {
            if count > 0 {
                let labels = [
                    ("listener", listener),
                    ("version", version),
                    ("result", result),
                ];
                handshakes.count(&labels, count);
            }
        }
        for (kind, count) in counters.glitches() {
            glitches.count(&[("listener", listener), ("kind", kind)], count);
        }
    }
    [opened, active, handshakes, glitches]
}

fn requests(handle: &Handle, snapshot: &Snapshot) -> [Family; 7] {
    let mut requests = Family::counter(
        "lb_requests",
        "Requests whose exchange has ended, 499 where the client left before the reply",
    );
    let mut durations = Family::histogram(
        "lb_request_duration_seconds",
        "From the head of a request to the last byte of its reply",
    );
    let mut bytes_in = Family::counter("lb_request_bytes", "Bytes of bodies of requests");
    let mut bytes_out = Family::counter("lb_response_bytes", "Bytes of bodies of replies");
    let mut errors = Family::counter(
        "lb_errors",
        "Answers of ours in place of a target's, and replies that broke off, by reason",
    );
    for (route, counters) in snapshot.route_counters() {
        for (listener, method, codes) in counters.requests() {
            for (code, count) in codes.iter() {
                let labels = [
                    ("listener", listener),
                    ("route", route),
                    ("method", method),
                    ("code", code),
                ];
                requests.count(&labels, count);
            }
        }
        let labels = [("route", route)];
        durations.durations(&labels, counters.durations());
        let (received, sent) = counters.bytes();
        bytes_in.count(&labels, received);
        bytes_out.count(&labels, sent);
        for (reason, count) in counters.reasons() {
            errors.count(&[("route", route), ("reason", reason)], count);
        }
    }
    let active = Family::gauge("lb_requests_active", "Requests that are being answered");
    let held = Family::gauge(
        "lb_memory_held_bytes",
        "Bytes that running exchanges may hold at most, which memory_limit bounds",
    );
    [
        requests,
        active.only(Value::Whole(handle.counters().read().active)),
        durations,
        bytes_in,
        bytes_out,
        errors,
        held.only(Value::Whole(handle.memory().held())),
    ]
}

/// The backends of a pool that can be counted: those whose address is known.
fn members(pool: &PoolEntry) -> Vec<(BackendStatus, std::sync::Arc<BackendTarget>)> {
    let statuses = pool.balancer.backends(clock::now()).into_iter();
    let with_target = |status: BackendStatus| {
        let target = pool.target(&status.backend.id)?;
        Some((status, target))
    };
    statuses.filter_map(with_target).collect()
}

fn backends(handle: &Handle, snapshot: &Snapshot) -> [Family; 9] {
    let mut requests = Family::counter(
        "lb_backend_requests",
        "Attempts at a backend by status, none where no response head came",
    );
    let mut durations = Family::histogram(
        "lb_backend_response_duration_seconds",
        "From the start of an attempt to the response head",
    );
    let mut in_flight = Family::gauge("lb_backend_inflight", "Requests a backend is working on");
    let mut connections = Family::gauge(
        "lb_backend_connections",
        "Open connections to a backend, by whether they serve a request",
    );
    let mut up = Family::gauge(
        "lb_backend_up",
        "Whether a backend may be picked as far as its health goes: neither failing its probes, nor ejected, nor behind an open breaker",
    );
    let mut weight = Family::gauge("lb_backend_weight", "The configured share of a backend");
    let mut probes = Family::counter("lb_health_checks", "Probes of a backend by result");
    let mut ejections = Family::counter(
        "lb_backend_ejections",
        "How often outlier detection took a backend out",
    );
    let mut connects = Family::histogram(
        "lb_backend_connect_duration_seconds",
        "Opening a connection to a backend, TLS included",
    );
    let unused = handle.unused_connections();
    for (name, pool) in &snapshot.pools {
        connects.durations(&[("pool", name)], &pool.counters.connects);
        for (status, target) in members(pool) {
            let backend = target.label();
            let labels = [("pool", name.as_str()), ("backend", backend)];
            let with = |key, value| [labels[0], labels[1], (key, value)];
            let counters = &target.counters;
            for (code, count) in counters.requests().iter() {
                requests.count(&with("code", code), count);
            }
            durations.durations(&labels, counters.durations());
            in_flight.count(&labels, status.in_flight.into());
            let open = counters.connections();
            let idle = unused.get(&target.id).copied().unwrap_or(0).min(open);
            connections.count(&with("state", "active"), open - idle);
            connections.count(&with("state", "idle"), idle);
            up.count(&labels, u64::from(is_up(&status)));
            weight.count(&labels, status.backend.weight.get().into());
            let (passed, failed) = counters.probes();
            probes.count(&with("result", "passed"), passed);
            probes.count(&with("result", "failed"), failed);
            for (cause, count) in counters.ejections() {
                ejections.count(&with("cause", cause), count);
            }
        }
    }
    [
        requests,
        durations,
        connects,
        in_flight,
        connections,
        up,
        weight,
        probes,
        ejections,
    ]
}

fn is_up(status: &BackendStatus) -> bool {
    status.health != Health::Unhealthy
        && status.ejected.is_none()
        && !matches!(status.breaker, BreakerState::Open { .. })
}

fn pools(snapshot: &Snapshot) -> [Family; 5] {
    let mut circuits = Family::gauge(
        "lb_circuit_state",
        "How many backends of a pool have their circuit breaker in this state",
    );
    let mut retries = Family::counter(
        "lb_retries",
        "Attempts after the first one, by what the one before came to",
    );
    let mut exhausted = Family::counter(
        "lb_retry_budget_exhausted",
        "Retries that were wanted and not made because the budget was used up",
    );
    let mut queue = Family::gauge("lb_queue_length", "Requests that wait for a place");
    let mut queued = Family::histogram(
        "lb_queue_duration_seconds",
        "How long requests waited for a place, of those that had to",
    );
    for (name, pool) in &snapshot.pools {
        let labels = [("pool", name.as_str())];
        let mut states = [("closed", 0), ("open", 0), ("half_open", 0)];
        for status in pool.balancer.backends(clock::now()) {
            let state = match status.breaker {
                BreakerState::Closed => 0,
                BreakerState::Open { .. } => 1,
                BreakerState::HalfOpen => 2,
            };
            states[state].1 += 1;
        }
        for (state, count) in states {
            circuits.count(&[labels[0], ("state", state)], count);
        }
        for (reason, count) in pool.counters.retries.iter() {
            retries.count(&[labels[0], ("reason", reason)], count);
        }
        exhausted.count(&labels, pool.counters.exhausted());
        queue.count(&labels, pool.queue.len() as u64);
        queued.durations(&labels, &pool.counters.queued);
    }
    [circuits, retries, exhausted, queue, queued]
}

fn limits_and_caches(snapshot: &Snapshot) -> [Family; 6] {
    let mut decisions = Family::counter(
        "lb_rate_limit_decisions",
        "What was decided about requests under a rate limit",
    );
    for (policy, counts) in snapshot.limits.metrics() {
        for (decision, count) in [
            ("admitted", counts.admitted),
            ("refused", counts.refused),
            ("observed", counts.observed),
            ("store_error", counts.store_errors),
        ] {
            decisions.count(&[("policy", &policy), ("decision", decision)], count);
        }
    }
    let mut requests = Family::counter(
        "lb_cache_requests",
        "How requests were answered where a cache stands before the target",
    );
    let mut bytes = Family::gauge("lb_cache_bytes", "Bytes held by a cache");
    let mut entries = Family::gauge("lb_cache_entries", "URLs and keys with something stored");
    let mut evictions = Family::counter("lb_cache_evictions", "Entries that left for others");
    let mut shared = Family::counter(
        "lb_cache_store",
        "What happened to responses of caches that instances share",
    );
    for (name, cache) in &snapshot.caches {
        let counts = cache.metrics();
        let stored = [
            ("hit", counts.store_hits),
            ("miss", counts.store_misses),
            ("error", counts.store_errors),
            ("written", counts.store_writes),
            ("skipped", counts.store_skipped),
        ];
        for (result, count) in stored.into_iter().filter(|_| cache.is_shared()) {
            shared.count(&[("cache", name), ("result", result)], count);
        }
        for (result, count) in [
            ("hit", counts.hits),
            ("stale", counts.stale),
            ("validated", counts.validated),
            ("collapsed", counts.collapsed),
            ("miss", counts.misses),
            ("bypass", counts.bypassed),
        ] {
            requests.count(&[("cache", name), ("result", result)], count);
        }
        let labels = [("cache", name.as_str())];
        bytes.count(&labels, counts.bytes);
        entries.count(&labels, counts.entries as u64);
        evictions.count(&labels, counts.evicted);
    }
    [decisions, requests, bytes, entries, evictions, shared]
}

fn sessions_and_store(handle: &Handle) -> [Family; 5] {
    let mut active = Family::gauge(
        "lb_sessions_active",
        "Sessions in memory that hold a place now",
    );
    let mut events = Family::counter("lb_session_events", "What happened to sessions in memory");
    if let Some(stats) = handle.sessions().and_then(|sessions| sessions.stats()) {
        active.count(&[], stats.active as u64);
        for (event, count) in [
            ("stored", stats.stored),
            ("expired", stats.expired),
            ("ended", stats.ended),
            ("evicted", stats.evicted),
            ("refused", stats.refused),
        ] {
            events.count(&[("event", event)], count);
        }
    }
    let mut operations = Family::counter(
        "lb_store_operations",
        "Commands and scripts run on a store that instances share, by result",
    );
    let mut durations = Family::histogram(
        "lb_store_duration_seconds",
        "How long the answers of a shared store took, those that did not come included",
    );
    let mut up = Family::gauge(
        "lb_store_up",
        "Whether every worker that has tried has a connection to the shared store",
    );
    if let Some(report) = handle.store_report() {
        let store = ("store", "redis");
        up.count(&[store], u64::from(report.is_up()));
        for (op, result, count) in report.operations() {
            operations.count(&[store, ("op", op), ("result", result)], count);
        }
        durations.durations(&[store], report.durations());
    }
    [active, events, operations, durations, up]
}
