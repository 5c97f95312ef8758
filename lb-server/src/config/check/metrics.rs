//! `[metrics]`.

use std::time::Duration;

use super::Findings;
use crate::config::model::MetricsConfig;
use crate::metrics::BOUNDS_MAX;

/// A summary more often than that is noise.
const REPORT_LEAST: Duration = Duration::from_secs(1);

pub(super) fn check(metrics: &MetricsConfig, findings: &mut Findings) {
    let path = metrics.path.as_bytes();
    if path.first() != Some(&b'/') || !path.iter().all(u8::is_ascii_graphic) {
        findings.add(
            "metrics.path",
            format!("`{}` is no path", metrics.path),
            "write `path = \"/metrics\"`",
        );
    }
    let buckets = &metrics.duration_buckets;
    if buckets.is_empty() || buckets.len() > BOUNDS_MAX {
        findings.add(
            "metrics.duration_buckets",
            format!(
                "there must be 1 to {BOUNDS_MAX} buckets, got {}",
                buckets.len()
            ),
            "write bounds in seconds, as `[0.01, 0.1, 1.0]`",
        );
    }
    let mut before = 0.0;
    for (index, bound) in buckets.iter().enumerate() {
        if !(bound.is_finite() && *bound > before) {
            findings.add(
                format!("metrics.duration_buckets[{index}]"),
                format!("bounds must be seconds above 0 and ascend, got {bound} after {before}"),
                "sort them, and leave out what stands twice",
            );
            return;
        }
        before = *bound;
    }
    if let Some(report) = metrics.report.filter(|report| *report < REPORT_LEAST) {
        findings.add(
            "metrics.report",
            format!("a report every {report:?} is too often"),
            "write \"1m\", or \"off\"",
        );
    }
}
