//! The one place that reads time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock. It is tokio's, so that under a paused runtime all time is virtual.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Wall time, for dates and identifiers only.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970 at a moment of the monotonic clock, as far as the wall clock was not set since.
pub(crate) fn unix_seconds(at: Instant) -> f64 {
    let since_1970 = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = now();
    let seconds = match now.checked_duration_since(at) {
        Some(ago) => since_1970.as_secs_f64() - ago.as_secs_f64(),
        None => since_1970.as_secs_f64() + at.saturating_duration_since(now).as_secs_f64(),
    };
    // Milliseconds are all that the two clocks agree on.
    (seconds * 1e3).round() / 1e3
}
