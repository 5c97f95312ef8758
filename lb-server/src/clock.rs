//! The one place that reads time.

use std::time::{Instant, SystemTime};

/// The monotonic clock. It is tokio's, so that under a paused runtime all time is virtual.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Wall time, for dates and identifiers only.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
