//! `[tracing]`: spans of exchanges, for a collector of OpenTelemetry.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::BackendUrl;

/// `[tracing]`: spans of exchanges, sent by OTLP over HTTP in Protocol Buffers.
///
/// The context of W3C is passed on with it and without.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TracingConfig {
    /// Where spans are sent.
    pub endpoint: OtlpEndpoint,
    /// Share of the traces whose spans are kept (1); of what trusted peers send their word counts.
    pub sample_ratio: f64,
    /// What the spans say they are of, `service.name` (`lb`).
    pub service_name: String,
    /// Further attributes of the service, such as `deployment.environment.name`.
    pub attributes: Vec<(String, String)>,
    /// Fields of each request to the collector, such as a key to it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long the collector may take for a request (10 s).
    pub timeout: Duration,
    /// PEM file with the only authorities believed on `https://`; `None` is the system's store.
    pub ca: Option<PathBuf>,
    /// Bytes of spans that may wait for each worker thread (1 MiB); what comes beyond is dropped and counted.
    pub buffer: u32,
}

/// Where a collector takes spans: `http://host:port` (then below `/v1/traces`), or with the whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpEndpoint {
    pub(crate) url: BackendUrl,
    pub(crate) path: String,
}
