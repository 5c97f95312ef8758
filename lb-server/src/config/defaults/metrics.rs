//! Defaults of `[metrics]`.

use crate::config::model::MetricsConfig;

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            path: "/metrics".to_owned(),
            // OpenTelemetry's semantic conventions advise them for HTTP, but for 0, 0.075, 0.75 and 7.5.
            duration_buckets: vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ],
            report: None,
        }
    }
}
