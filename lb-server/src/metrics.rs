//! What was counted: plain counters, written where things happen, read when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Counters of one backend, shared by all workers.
#[derive(Debug)]
pub(crate) struct BackendCounters {
    requests: AtomicU64,
    errors: AtomicU64,
    total_micros: AtomicU64,
    micros: Mutex<Histogram<u64>>,
}

impl Default for BackendCounters {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            total_micros: AtomicU64::new(0),
            // Two digits are enough to act on; the histogram grows by itself up to the slowest.
            micros: Mutex::new(Histogram::new(2).expect("two significant digits are valid")),
        }
    }
}

impl BackendCounters {
    /// Counts a response head that came after `latency`.
    pub(crate) fn answered(&self, latency: Duration, is_error: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if is_error {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        self.micros.lock().saturating_record(micros);
    }

    /// Counts an attempt that got no response head.
    pub(crate) fn failed(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, in_flight: u32) -> BackendMetrics {
        let histogram = self.micros.lock();
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        let answered = histogram.len();
        BackendMetrics {
            request_count: self.requests.load(Ordering::Relaxed),
            error_count: self.errors.load(Ordering::Relaxed),
            in_flight,
            average_response_time: average(self.total_micros.load(Ordering::Relaxed), answered),
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

/// Counters of the whole server.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    requests: AtomicU64,
    errors: AtomicU64,
    total_micros: AtomicU64,
    /// Exchanges that have begun and not ended.
    active: AtomicU64,
    reasons: Mutex<BTreeMap<&'static str, u64>>,
}

impl ServerCounters {
    /// Counts an exchange whose reply head went out after `elapsed`.
    pub(crate) fn finished(&self, elapsed: Duration, is_error: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if is_error {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts an exchange in.
    pub(crate) fn began(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an exchange out.
    pub(crate) fn ended(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a refusal or a broken exchange under its reason.
    pub(crate) fn reason(&self, reason: &'static str) {
        *self.reasons.lock().entry(reason).or_insert(0) += 1;
    }

    pub(crate) fn read(&self, backends: BTreeMap<String, BackendMetrics>) -> Metrics {
        let request_count = self.requests.load(Ordering::Relaxed);
        Metrics {
            request_count,
            error_count: self.errors.load(Ordering::Relaxed),
            average_response_time: average(
                self.total_micros.load(Ordering::Relaxed),
                request_count,
            ),
            reasons: self.reasons.lock().clone(),
            held_bytes: 0,
            access_log_dropped: 0,
            backends,
            rate_limits: BTreeMap::new(),
            redis: None,
            caches: BTreeMap::new(),
        }
    }
}

fn average(total_micros: u64, count: u64) -> Duration {
    Duration::from_micros(total_micros.checked_div(count).unwrap_or(0))
}

/// What a server counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Requests answered.
    pub request_count: u64,
    /// Requests answered with a status of 500 or above.
    pub error_count: u64,
    /// From the request's head to the reply's head.
    pub average_response_time: Duration,
    /// Answers of ours and broken exchanges, by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Bytes that running exchanges may hold at most, which `memory_limit` bounds.
    pub held_bytes: u64,
    /// Each backend by its identity, `pool/url` or `pool/name`.
    pub backends: BTreeMap<String, BackendMetrics>,
    /// Each rate limit by its name.
    pub rate_limits: BTreeMap<String, RateLimitMetrics>,
    /// The store of `[redis]`, where there is one.
    pub redis: Option<StoreMetrics>,
    /// Lines of the access log that were dropped because its buffers were full, or could not be written.
    pub access_log_dropped: u64,
    /// Each cache by its name.
    pub caches: BTreeMap<String, CacheMetrics>,
}

/// What a server decided under one rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitMetrics {
    /// Requests let pass and counted.
    pub admitted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Of those, how many were known to be refused and cost no round trip to the store.
    pub remembered: u64,
    /// Requests let pass though beyond the limit, because it only observes.
    pub observed: u64,
    /// Requests for which the store gave no answer, and `on_store_error` decided.
    pub store_errors: u64,
}

/// What a server asked of the store it shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreMetrics {
    /// Whether every worker that has tried has a connection.
    pub is_up: bool,
    /// Commands that were answered.
    pub answered: u64,
    /// Commands that were not: `down` (not asked), `timeout`, `unusable` (the connection was given up),
    /// `refused`.
    pub errors: BTreeMap<&'static str, u64>,
}

/// What a server counted of one cache. An answered request is one of the first six; what handlers look up counts beside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheMetrics {
    /// Answered with what was stored and fresh.
    pub hits: u64,
    /// Answered with what was stale: while it was validated, or in place of a failure.
    pub stale: u64,
    /// Answered with what a backend said is still right.
    pub validated: u64,
    /// Answered with the response to another request.
    pub collapsed: u64,
    /// Forwarded, because nothing stored was of use.
    pub misses: u64,
    /// Forwarded past the cache: other methods, bodies.
    pub bypassed: u64,
    /// Responses stored.
    pub stored: u64,
    /// Responses purged.
    pub purged: u64,
    /// Entries that left for others.
    pub evicted: u64,
    /// URLs and keys with something stored.
    pub entries: usize,
    /// Bytes held, those of responses that are coming included.
    pub bytes: u64,
}

/// What a server counted of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendMetrics {
    /// Attempts sent to it.
    pub request_count: u64,
    /// Attempts without a response head, or with a status of 500 or above.
    pub error_count: u64,
    /// Requests it is working on now.
    pub in_flight: u32,
    /// From the attempt's start to the response head.
    pub average_response_time: Duration,
    /// Half of the response heads came within this time.
    pub p50: Duration,
    /// 99 % of the response heads came within this time.
    pub p99: Duration,
}
