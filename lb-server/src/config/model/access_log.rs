//! `[access_log]`: a line for each exchange.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

/// `[access_log]`: a line for each exchange that has ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AccessLogConfig {
    /// Where lines go (standard output; of a program's own server nowhere).
    pub output: AccessLogOutput,
    /// How they are written (JSON).
    pub format: AccessLogFormat,
    /// Parameters of the query and of the referer whose values are left out.
    pub redact_query: Vec<String>,
    /// Fields of the request that are logged, beside user agent and referer; never those that hold secrets.
    pub headers: Vec<HeaderName>,
    /// Which exchanges are logged (all).
    pub sample: SampleConfig,
    /// Bytes of lines that may wait for each worker thread (1 MiB); what comes beyond is dropped and counted.
    pub buffer: u32,
}

/// Where the lines of the access log go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLogOutput {
    /// Nowhere (`"off"`).
    Off,
    /// Standard output (`"stdout"`).
    Stdout,
    /// Standard error (`"stderr"`).
    Stderr,
    /// The end of a file (`"/var/log/lb/access.log"`), which is made where there is none.
    File(PathBuf),
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLogFormat {
    /// One JSON object (`"json"`).
    Json,
    /// The common log format (`"common"`).
    Common,
    /// The same with referer and user agent (`"combined"`).
    Combined,
    /// `key=value` pairs (`"logfmt"`).
    Logfmt,
    /// HAProxy's HTTP log format (`"haproxy"`).
    Haproxy,
    /// For people at a terminal (`"pretty"`).
    Pretty,
}

/// `[access_log] sample`: which exchanges are logged.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SampleConfig {
    /// Share of the exchanges that went well (1).
    pub success: f64,
    /// Share of those with a status of 400 or above, refused or broken off (1).
    pub errors: f64,
    /// Those that took so long are all logged; `None` (`"off"`) is the default.
    pub slower_than: Option<Duration>,
}
