//! What a pool does about backends that fail: probes, ejection, breaking, retries, waiting.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

/// `[pools.x.health_check]`: how the health of backends is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheckConfig {
    /// What is asked (`tcp`).
    pub probe: ProbeConfig,
    /// From one probe of a backend to the next (10 s); longer finds out later, shorter costs more.
    pub interval: Duration,
    /// The same while the backend is unhealthy; `None` is a fifth of `interval`.
    pub unhealthy_interval: Option<Duration>,
    /// How long a probe may take from its connection to its last byte (2 s).
    pub timeout: Duration,
    /// Failed probes in a row that make a backend unhealthy (3).
    pub unhealthy_after: NonZeroU32,
    /// Passed probes in a row that make it healthy again (2).
    pub healthy_after: NonZeroU32,
    /// How far an interval may be off, in percent (10), so that probes of many instances spread.
    pub jitter: u8,
}

/// What a probe asks of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeConfig {
    /// That it takes a connection; over TLS, that the handshake succeeds (`"tcp"`).
    Tcp,
    /// That it answers a request, over the protocol of its URL (`"http"`).
    Http(HttpProbeConfig),
    /// That it says `SERVING` over the gRPC health checking protocol, version 1 (`"grpc"`).
    Grpc {
        /// The service asked for (the empty name: the whole server).
        service: String,
    },
}

/// The request of an HTTP probe, and the answers that pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpProbeConfig {
    /// Path and query (`/`).
    pub path: String,
    /// Method (`GET`).
    pub method: Method,
    /// `Host`, or `:authority`; `None` is the host of the backend's URL.
    pub host: Option<String>,
    /// Further fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Statuses that pass (200–399).
    pub expect_status: Vec<StatusRange>,
    /// Text that has to be in the first 64 KiB of the body; `None` reads no body.
    pub expect_body: Option<String>,
}

/// Statuses from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusRange {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
}

/// `[pools.x.outlier_detection]`: which backends their own answers single out, and for how long.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OutlierDetectionConfig {
    /// Failures in a row that eject a backend (5): no response head, or a status of 500 and above.
    pub consecutive_errors: NonZeroU32,
    /// The same for 502, 503, 504 and attempts without a response head alone; `None` (`"off"`) is the
    /// default.
    pub consecutive_gateway_errors: Option<NonZeroU32>,
    /// Ejects who succeeds less often than the others; off by default.
    pub success_rate: Option<SuccessRateConfig>,
    /// How often success rates are compared, and after how long without an ejection the next one is
    /// shorter by `eject_for` (10 s).
    pub interval: Duration,
    /// The first ejection (30 s); each one that follows is longer by this.
    pub eject_for: Duration,
    /// No ejection is longer (5 min).
    pub max_eject_for: Duration,
    /// Share of the pool that may be ejected at once, in percent (50).
    pub max_ejected_percent: u8,
    /// Below this share of usable backends, in percent, ejections are disregarded (50): nobody can
    /// tell good from bad any more. 0 never does so. Probes and breakers are heeded all the same.
    pub panic_below_percent: u8,
}

/// `[pools.x.outlier_detection] success_rate`: whose share of successes is far below the pool's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SuccessRateConfig {
    /// Requests in an interval without which a backend has no rate (100).
    pub min_requests: NonZeroU32,
    /// Backends with a rate without which nobody is ejected (5).
    pub min_backends: NonZeroU32,
    /// How many standard deviations below the mean ejects (1.9).
    pub deviations: f64,
}

/// `[pools.x.circuit_breaker]`: when a backend that fails is given a pause.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CircuitBreakerConfig {
    /// Share of failures within the window that opens it (0.5); above 0, at most 1.
    pub failure_ratio: f64,
    /// Requests within the window without which it never opens (20).
    pub min_requests: NonZeroU32,
    /// Time over which failures are counted (10 s).
    pub window: Duration,
    /// The first pause (10 s); each that follows a failed trial is twice as long.
    pub open_for: Duration,
    /// No pause is longer (2 min).
    pub max_open_for: Duration,
    /// Requests let through as a trial after a pause; all have to succeed (5).
    pub half_open_requests: NonZeroU32,
}

/// `[pools.x.retry]`: which requests are sent again, how often and when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// The first attempt and those after it together (3); 1 is no retry.
    pub attempts: NonZeroU32,
    /// After what (all but `"500"`, `"502"`, `"504"` and the like).
    pub on: RetryOn,
    /// How long an attempt may wait for its response head before another backend is tried; off by
    /// default.
    pub per_try_timeout: Option<Duration>,
    /// Retries allowed in proportion to requests, in percent (20).
    pub budget_percent: u32,
    /// Retries allowed besides in each second (10), for pools with few requests.
    pub budget_min_per_second: u32,
    /// Pause before the retry of what a backend may have worked on; what none has begun with goes to
    /// another at once.
    pub backoff: BackoffConfig,
    /// A second attempt beside the first after this time without a response head, for idempotent
    /// requests; off by default.
    pub hedge: Option<Duration>,
}

/// `[pools.x.retry] on`: after what a request is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryOn {
    /// No connection could be had (`"connect-error"`); true by default.
    pub connect_error: bool,
    /// The backend's word that it did not process the request (`"refused-stream"`); true by default.
    pub refused_stream: bool,
    /// Broken off before the response head (`"reset-before-headers"`); true by default, only if
    /// idempotent.
    pub reset_before_headers: bool,
    /// `per_try_timeout` passed (`"timeout"`); true by default, only if idempotent.
    pub timeout: bool,
    /// Statuses (`"503"`), only if idempotent; 503 by default.
    pub statuses: Vec<u16>,
}

/// `[pools.x.retry] backoff`: a random pause up to a bound that doubles with each retry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// Bound of the first pause (25 ms).
    pub base: Duration,
    /// No bound is larger (250 ms).
    pub max: Duration,
}

/// `[pools.x] slow_start`: how a new or recovered backend comes to its full share.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SlowStartConfig {
    /// Time until the full share.
    pub window: Duration,
    /// The share it begins with, in percent (10).
    pub min_percent: u8,
    /// 1 grows evenly (1.0), more begins faster.
    pub aggression: f64,
}
