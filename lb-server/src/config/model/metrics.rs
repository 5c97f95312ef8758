//! `[metrics]`: how what is counted is told.

use std::time::Duration;

/// `[metrics]`: how what is counted is told. Counting itself goes on all the time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// Where monitoring systems read, on the admin listener (`/metrics`).
    pub path: String,
    /// Upper bounds of the buckets of all durations, in seconds, ascending, at most 32 (OpenTelemetry's: 5 ms to 10 s).
    /// Each of them is a series for each route and each backend.
    ///
    /// They are read at the start; a reload does not change them.
    pub duration_buckets: Vec<f64>,
    /// How often the log gets a summary; `None` (`"off"`) is never, the default.
    pub report: Option<Duration>,
}
