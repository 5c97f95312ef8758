//! `[metrics]`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Duration;
use super::convert::duration;
use super::resilience::OrOff;
use crate::config::model::MetricsConfig;
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Metrics {
    /// Where monitoring systems read, on the admin listener.
    #[schemars(regex(pattern = r"^/[!-~]*$"))]
    path: String,
    /// Upper bounds of the buckets of all durations, in seconds, ascending.
    #[schemars(length(min = 1, max = 32))]
    duration_buckets: Vec<f64>,
    /// How often the log gets a summary.
    report: OrOff<Duration>,
}

impl From<&MetricsConfig> for Metrics {
    fn from(config: &MetricsConfig) -> Self {
        Self {
            path: escape(&config.path),
            duration_buckets: config.duration_buckets.clone(),
            report: OrOff::of(config.report.map(duration)),
        }
    }
}
