//! What is counted, each by what it is counted of. All of it is state: held in an `Arc` by what has the same name in the
//! next snapshot, so that counting goes on, and gone with the last of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hdrhistogram::Histogram;
use http::StatusCode;
use lb_core::EjectionCause;

use super::durations::{Bounds, Durations, Fine};
use super::labels::{CodeLabel, MethodLabel, REASONS, reason};
use super::stripes::{Striped, Worker};
use super::{BackendMetrics, Percentiles, RouteMetrics};

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A counter for each reason.
#[derive(Debug)]
pub(crate) struct Reasons([AtomicU64; REASONS.len()]);

impl Default for Reasons {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; REASONS.len()])
    }
}

impl Reasons {
    pub(crate) fn count(&self, word: &str) {
        add(&self.0[reason(word)], 1);
    }

    /// Those that have been counted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = REASONS.iter().zip(&self.0);
        counts
            .map(|(reason, count)| (*reason, read(count)))
            .filter(|(_, count)| *count > 0)
    }
}

/// A counter for each status code.
#[derive(Debug)]
struct Codes([AtomicU64; CodeLabel::COUNT]);

impl Default for Codes {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; CodeLabel::COUNT])
    }
}

impl Codes {
    fn count(&self, code: CodeLabel) {
        add(&self.0[code.index()], 1);
    }

    fn add_to(&self, sums: &mut [u64; CodeLabel::COUNT]) {
        for (sum, count) in sums.iter_mut().zip(&self.0) {
            *sum += read(count);
        }
    }
}

/// Sums by status code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeSums([u64; CodeLabel::COUNT]);

impl CodeSums {
    fn of<'a>(all: impl Iterator<Item = &'a Codes>) -> Self {
        let mut sums = [0; CodeLabel::COUNT];
        all.for_each(|codes| codes.add_to(&mut sums));
        Self(sums)
    }

    /// Those that have been counted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = self.0.iter().enumerate().filter(|(_, sum)| **sum > 0);
        counted.map(|(code, sum)| (CodeLabel::name(code), *sum))
    }

    fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those of 500 and above, or with no code.
    fn errors(&self) -> u64 {
        let errors = self.0.iter().enumerate();
        let errors = errors.filter(|(code, _)| CodeLabel::is_error(*code));
        errors.map(|(_, sum)| sum).sum()
    }
}

/// An exchange that has ended, as far as it is counted.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) listener: &'a str,
    pub(crate) method: MethodLabel,
    pub(crate) code: CodeLabel,
    pub(crate) reason: Option<&'static str>,
    pub(crate) total: Duration,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Counters of the whole server.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    stripes: Striped<ServerStripe>,
    /// Connections that were given up, and whatever else belongs to no exchange.
    reasons: Reasons,
}

#[derive(Debug, Default)]
struct ServerStripe {
    answered: AtomicU64,
    errors: AtomicU64,
    /// From the request's head to the reply's head.
    total_micros: AtomicU64,
    latency: Fine,
    /// Replies by the hundreds of their status, 1 to 5.
    classes: [AtomicU64; 5],
    begun: AtomicU64,
    ended: AtomicU64,
    reasons: Reasons,
}

/// What the whole server has counted.
#[derive(Debug, Default)]
pub(crate) struct ServerSums {
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    pub(crate) total_micros: u64,
    pub(crate) active: u64,
    pub(crate) reasons: BTreeMap<&'static str, u64>,
}

impl ServerCounters {
    /// Counts an exchange in.
    pub(crate) fn began(&self, worker: Worker) {
        add(&self.stripes.of(worker).begun, 1);
    }

    /// Counts a reply whose head is known `elapsed` after the request's.
    pub(crate) fn answered(&self, worker: Worker, status: StatusCode, elapsed: Duration) {
        let stripe = self.stripes.of(worker);
        add(&stripe.answered, 1);
        if status.is_server_error() {
            add(&stripe.errors, 1);
        }
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        add(&stripe.total_micros, micros);
        stripe.latency.count(micros);
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(class) = class.and_then(|class| stripe.classes.get(class)) {
            add(class, 1);
        }
    }

    /// Counts an exchange out.
    pub(crate) fn ended(&self, worker: Worker, reason: Option<&'static str>) {
        let stripe = self.stripes.of(worker);
        add(&stripe.ended, 1);
        if let Some(reason) = reason {
            stripe.reasons.count(reason);
        }
    }

    /// Counts what happens to a connection.
    pub(crate) fn reason(&self, reason: &'static str) {
        self.reasons.count(reason);
    }

    /// Microseconds from the request's head to the reply's head, to two digits.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        Fine::histogram(self.stripes.iter().map(|stripe| &stripe.latency))
    }

    /// Replies by the hundreds of their status, 1 to 5.
    pub(crate) fn classes(&self) -> [u64; 5] {
        std::array::from_fn(|class| {
            let stripes = self.stripes.iter();
            stripes.map(|stripe| read(&stripe.classes[class])).sum()
        })
    }

    pub(crate) fn read(&self) -> ServerSums {
        let mut sums = ServerSums::default();
        let (mut begun, mut ended) = (0, 0);
        for stripe in self.stripes.iter() {
            sums.answered += read(&stripe.answered);
            sums.errors += read(&stripe.errors);
            sums.total_micros += read(&stripe.total_micros);
            // In this order, so that the difference is never below what is running.
            ended += read(&stripe.ended);
            begun += read(&stripe.begun);
            for (reason, count) in stripe.reasons.iter() {
                *sums.reasons.entry(reason).or_insert(0) += count;
            }
        }
        for (reason, count) in self.reasons.iter() {
            *sums.reasons.entry(reason).or_insert(0) += count;
        }
        sums.active = begun.saturating_sub(ended);
        sums
    }
}

/// Counters of one route; those of the requests that no route takes as well.
#[derive(Debug)]
pub(crate) struct RouteCounters {
    sums: Arc<RouteSums>,
    listeners: Box<[(Arc<str>, Arc<RequestCounters>)]>,
}

#[derive(Debug)]
struct RouteSums {
    stripes: Striped<RouteStripe>,
    durations: Durations,
}

#[derive(Debug, Default)]
struct RouteStripe {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    reasons: Reasons,
}

/// The requests that came to a route by one listener.
#[derive(Debug, Default)]
pub(crate) struct RequestCounters(Striped<ByMethod>);

/// Few of the methods are ever used on a route.
#[derive(Debug, Default)]
struct ByMethod([OnceLock<Box<Codes>>; MethodLabel::COUNT]);

impl RouteCounters {
    /// Goes on with what was counted under the same name, by the listeners that there still are.
    pub(crate) fn build<'a>(
        listeners: impl Iterator<Item = &'a String>,
        bounds: &Arc<Bounds>,
        previous: Option<&Self>,
    ) -> Self {
        let before = |name: &str| {
            let mut listeners = previous?.listeners.iter();
            let found = listeners.find(|(listener, _)| **listener == *name)?;
            Some(Arc::clone(&found.1))
        };
        Self {
            sums: previous.map_or_else(
                || {
                    Arc::new(RouteSums {
                        stripes: Striped::default(),
                        durations: Durations::new(Arc::clone(bounds)),
                    })
                },
                |previous| Arc::clone(&previous.sums),
            ),
            listeners: listeners
                .map(|name| (name.as_str().into(), before(name).unwrap_or_default()))
                .collect(),
        }
    }

    pub(crate) fn ended(&self, worker: Worker, ended: &Ended<'_>) {
        let stripe = self.sums.stripes.of(worker);
        if ended.bytes_in > 0 {
            add(&stripe.bytes_in, ended.bytes_in);
        }
        if ended.bytes_out > 0 {
            add(&stripe.bytes_out, ended.bytes_out);
        }
        if let Some(reason) = ended.reason {
            stripe.reasons.count(reason);
        }
        self.sums.durations.observe(worker, ended.total);
        let mut listeners = self.listeners.iter();
        // A listener that is gone has no series, though its last connections may be here still.
        if let Some((_, requests)) = listeners.find(|(name, _)| **name == *ended.listener) {
            let by_method = requests.0.of(worker);
            let codes = by_method.0[ended.method.index()].get_or_init(Box::default);
            codes.count(ended.code);
        }
    }

    /// By listener and method.
    pub(crate) fn requests(&self) -> Vec<(&str, &'static str, CodeSums)> {
        let mut found = Vec::new();
        for (listener, requests) in &self.listeners {
            for method in 0..MethodLabel::COUNT {
                let codes = requests.0.iter();
                let codes = codes.filter_map(|stripe| Some(&**stripe.0[method].get()?));
                let sums = CodeSums::of(codes);
                if sums.total() > 0 {
                    found.push((&**listener, MethodLabel::name(method), sums));
                }
            }
        }
        found
    }

    pub(crate) fn durations(&self) -> &Durations {
        &self.sums.durations
    }

    pub(crate) fn bytes(&self) -> (u64, u64) {
        let stripes = self.sums.stripes.iter();
        stripes.fold((0, 0), |(bytes_in, bytes_out), stripe| {
            (
                bytes_in + read(&stripe.bytes_in),
                bytes_out + read(&stripe.bytes_out),
            )
        })
    }

    pub(crate) fn reasons(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for stripe in self.sums.stripes.iter() {
            for (reason, count) in stripe.reasons.iter() {
                *sums.entry(reason).or_insert(0) += count;
            }
        }
        sums
    }

    pub(crate) fn read(&self) -> RouteMetrics {
        let histogram = self.sums.durations.histogram();
        let (bytes_in, bytes_out) = self.bytes();
        let requests = self.requests();
        RouteMetrics {
            request_count: histogram.len(),
            error_count: requests.iter().map(|(_, _, codes)| codes.errors()).sum(),
            bytes_in,
            bytes_out,
            reasons: self.reasons(),
            average_duration: self.sums.durations.average(),
            durations: Percentiles::of(&histogram),
        }
    }
}

/// Counters of one backend, shared by all workers.
#[derive(Debug)]
pub(crate) struct BackendCounters {
    stripes: Striped<Codes>,
    /// From the attempt's start to the response's head.
    durations: Durations,
    probes_passed: AtomicU64,
    probes_failed: AtomicU64,
    ejections: [AtomicU64; EJECTION_CAUSES.len()],
    /// Attempts that came here after another, or beside one.
    retries: AtomicU64,
    /// Connections that are open.
    connections: AtomicU64,
}

const EJECTION_CAUSES: [EjectionCause; 3] = [
    EjectionCause::ConsecutiveErrors,
    EjectionCause::ConsecutiveGatewayErrors,
    EjectionCause::SuccessRate,
];

impl BackendCounters {
    pub(crate) fn new(bounds: Arc<Bounds>) -> Self {
        Self {
            stripes: Striped::default(),
            durations: Durations::new(bounds),
            probes_passed: AtomicU64::new(0),
            probes_failed: AtomicU64::new(0),
            ejections: Default::default(),
            retries: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    /// Counts a response head that came after `latency`.
    pub(crate) fn answered(&self, worker: Worker, status: StatusCode, latency: Duration) {
        self.stripes.of(worker).count(CodeLabel::of(status));
        self.durations.observe(worker, latency);
    }

    /// Counts an attempt that got no response head.
    pub(crate) fn failed(&self, worker: Worker) {
        self.stripes.of(worker).count(CodeLabel::NONE);
    }

    /// Counts an attempt that comes here after another, or beside one.
    pub(crate) fn retried(&self) {
        add(&self.retries, 1);
    }

    pub(crate) fn retries(&self) -> u64 {
        read(&self.retries)
    }

    pub(crate) fn probed(&self, passed: bool) {
        let counter = match passed {
            true => &self.probes_passed,
            false => &self.probes_failed,
        };
        add(counter, 1);
    }

    pub(crate) fn ejected(&self, cause: EjectionCause) {
        let causes = EJECTION_CAUSES.iter().zip(&self.ejections);
        for (_, counter) in causes.filter(|(known, _)| **known == cause) {
            add(counter, 1);
        }
    }

    pub(crate) fn requests(&self) -> CodeSums {
        CodeSums::of(self.stripes.iter())
    }

    pub(crate) fn durations(&self) -> &Durations {
        &self.durations
    }

    /// Passed and failed.
    pub(crate) fn probes(&self) -> (u64, u64) {
        (read(&self.probes_passed), read(&self.probes_failed))
    }

    pub(crate) fn ejections(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let causes = EJECTION_CAUSES.iter().zip(&self.ejections);
        causes.map(|(cause, count)| (cause.as_str(), read(count)))
    }

    pub(crate) fn connections(&self) -> u64 {
        read(&self.connections)
    }

    pub(crate) fn read(&self, in_flight: u32) -> BackendMetrics {
        let requests = self.requests();
        let durations = Percentiles::of(&self.durations.histogram());
        BackendMetrics {
            request_count: requests.total(),
            error_count: requests.errors(),
            in_flight,
            average_response_time: self.durations.average(),
            p50: durations.p50,
            p90: durations.p90,
            p99: durations.p99,
            p999: durations.p999,
        }
    }
}

/// A connection to a backend, counted as long as it is open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<BackendCounters>);

impl OpenConnection {
    pub(crate) fn to(counters: &Arc<BackendCounters>) -> Self {
        add(&counters.connections, 1);
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counters of one pool beside those of its backends.
#[derive(Debug)]
pub(crate) struct PoolCounters {
    pub(crate) retries: Reasons,
    budget_exhausted: AtomicU64,
    /// Of the requests that had to wait for a place.
    pub(crate) queued: Durations,
    /// Until a connection was there, where one had to be opened.
    pub(crate) connects: Durations,
}

impl PoolCounters {
    pub(crate) fn new(bounds: &Arc<Bounds>) -> Self {
        Self {
            retries: Reasons::default(),
            budget_exhausted: AtomicU64::new(0),
            queued: Durations::new(Arc::clone(bounds)),
            connects: Durations::new(Arc::clone(bounds)),
        }
    }

    /// Counts a retry that was not to be had.
    pub(crate) fn exhaust(&self) {
        add(&self.budget_exhausted, 1);
    }

    pub(crate) fn exhausted(&self) -> u64 {
        read(&self.budget_exhausted)
    }
}
