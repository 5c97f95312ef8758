//! Instants as nanoseconds since an epoch, so that a state fits into one word.

use std::time::{Duration, Instant};

/// What a clock may step back, or the instants of two threads may differ, without any state being touched: 1 second.
///
/// Within it a state that lies in the future is believed. Beyond it the clock was set back, and a state is cut down to
/// what a monotonic clock could have left, so that nobody is locked out for the length of the step.
pub(crate) const SKEW_NANOS: u64 = 1_000_000_000;

/// The longest span a policy may talk about: a hundred years.
pub(crate) const MAX_NANOS: u64 = 100 * 365 * 86_400 * 1_000_000_000;

/// Nanoseconds from `epoch` to `now`; 0 if `now` is earlier, at most 584 years.
#[inline]
pub(crate) fn since(epoch: Instant, now: Instant) -> u64 {
    nanos(now.saturating_duration_since(epoch))
}

/// A duration in nanoseconds, at most 584 years.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}
