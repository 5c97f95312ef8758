//! What was counted: plain counters, written where things happen, read when somebody asks.

mod counters;
mod durations;
mod exposition;
mod families;
mod labels;
mod listener;
mod process;
mod report;
mod stripes;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

pub(crate) use counters::{
    BackendCounters, Ended, OpenConnection, PoolCounters, RouteCounters, ServerCounters,
};
pub(crate) use durations::{BOUNDS_MAX, Bounds, Durations};
pub use exposition::MetricsFormat;
pub(crate) use exposition::exposition;
pub(crate) use labels::{CodeLabel, MethodLabel};
pub(crate) use listener::{HandshakeResult, ListenerCounters};
pub(crate) use process::descriptor_limit;
pub(crate) use report::report;
pub(crate) use stripes::Worker;

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
    /// Requests that are being answered now.
    pub active_requests: u64,
    /// Answers of ours and broken exchanges, by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Each route by its name; what no route took is under the empty name.
    pub routes: BTreeMap<String, RouteMetrics>,
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
    /// Exchanges and spans that no collector has got: its buffers were full, or it refused them.
    pub traces_dropped: u64,
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
    /// Responses found in `[redis]`, where the cache is shared there.
    pub store_hits: u64,
    /// Lookups there that found nothing of use.
    pub store_misses: u64,
    /// Lookups and writes there that failed, and what was found and could not be read.
    pub store_errors: u64,
    /// Responses written there.
    pub store_writes: u64,
    /// Responses not written there, because too much was on its way already.
    pub store_skipped: u64,
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
    /// Half of the response heads came within this time; to two digits, as the other percentiles.
    pub p50: Duration,
    /// 90 % of the response heads came within this time.
    pub p90: Duration,
    /// 99 % of the response heads came within this time.
    pub p99: Duration,
    /// 99.9 % of the response heads came within this time.
    pub p999: Duration,
}

/// What a server counted of the requests of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteMetrics {
    /// Requests whose exchange has ended, in whichever way.
    pub request_count: u64,
    /// Those answered with a status of 500 or above.
    pub error_count: u64,
    /// Bytes of requests' bodies, as far as they were read.
    pub bytes_in: u64,
    /// Bytes of replies' bodies, as far as they were sent.
    pub bytes_out: u64,
    /// Answers of ours and broken exchanges, by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// From the request's head to the reply's last byte.
    pub average_duration: Duration,
    /// The same, in percentiles.
    pub durations: Percentiles,
}

/// The times within which so many were done, to two digits; zero where there was nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Percentiles {
    /// Half of them.
    pub p50: Duration,
    /// 90 % of them.
    pub p90: Duration,
    /// 99 % of them.
    pub p99: Duration,
    /// 99.9 % of them.
    pub p999: Duration,
}

impl Percentiles {
    /// Of microseconds.
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}
