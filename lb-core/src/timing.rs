//! Waits: made irregular, so that many do not act at once, and never beyond what an instant can hold.

use std::time::{Duration, Instant};

use crate::hash::mix;

/// A number from 0 to below 1.
pub(crate) fn unit(random: u64) -> f64 {
    (mix(random) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A duration made longer or shorter by up to `percent`, evenly spread.
pub(crate) fn jittered(duration: Duration, percent: u32, random: u64) -> Duration {
    let part = f64::from(percent.min(100)) / 100.0;
    let factor = 1.0 + part * (2.0 * unit(random) - 1.0);
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
}

/// The end of a wait; one that no instant can express lasts a year.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    now.checked_add(wait).unwrap_or_else(|| now + YEAR)
}
