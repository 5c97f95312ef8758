//! What is known of a backend's latency: a peak-sensitive moving average and the age of what still waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Outcome;

/// How latencies are estimated, for `least-response-time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyParameters {
    /// The estimate of a backend that was never measured; default 30 ms. A larger one sends new backends fewer
    /// requests at first.
    pub default_rtt: Duration,
    /// The time in which an estimate without new samples falls to 37 %; default 10 s. A longer one remembers a slow
    /// answer, and keeps a backend unused after it, for longer.
    pub decay: Duration,
    /// The least latency that a failure counts as; default 1 s. A larger one keeps requests away from a failing backend
    /// for longer: it takes part again about `decay × ln(failure_penalty ÷ usual latency)` later.
    pub failure_penalty: Duration,
}

impl Default for LatencyParameters {
    fn default() -> Self {
        Self {
            default_rtt: Duration::from_millis(30),
            decay: Duration::from_secs(10),
            failure_penalty: Duration::from_secs(1),
        }
    }
}

impl LatencyParameters {
    /// Sets [`LatencyParameters::default_rtt`].
    #[must_use]
    pub fn default_rtt(mut self, default_rtt: Duration) -> Self {
        self.default_rtt = default_rtt;
        self
    }

    /// Sets [`LatencyParameters::decay`].
    #[must_use]
    pub fn decay(mut self, decay: Duration) -> Self {
        self.decay = decay;
        self
    }

    /// Sets [`LatencyParameters::failure_penalty`].
    #[must_use]
    pub fn failure_penalty(mut self, failure_penalty: Duration) -> Self {
        self.failure_penalty = failure_penalty;
        self
    }
}

/// [`LatencyParameters`] as they are calculated with, small enough to be in every guard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LatencyRule {
    /// The exponent of decay per stamp.
    rate: f32,
    penalty_millis: f32,
}

impl LatencyRule {
    pub(crate) fn of(parameters: &LatencyParameters) -> Self {
        let stamps = parameters.decay.as_secs_f32() * STAMPS_PER_SECOND;
        Self {
            rate: -1.0 / stamps.max(f32::MIN_POSITIVE),
            penalty_millis: millis(parameters.failure_penalty),
        }
    }

    /// How much is left of an estimate.
    #[inline]
    fn kept(self, since: u32) -> f32 {
        if since == 0 {
            1.0
        } else {
            (since as f32 * self.rate).exp()
        }
    }
}

/// Time since the pool began, in units of 1/4096 s: fine enough for ages, coarse enough to be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    #[inline]
    pub(crate) fn at(epoch: Instant, now: Instant) -> Self {
        let elapsed = now.saturating_duration_since(epoch);
        Self((elapsed.as_secs() << 12) + u64::from(elapsed.subsec_nanos()) * 4096 / 1_000_000_000)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// In units of 1/1024 s. Wraps after 48 days, where an estimate unused for just so long looks fresh for a moment.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "differences are taken modulo 2^32"
    )]
    const fn stamp(self) -> u32 {
        (self.0 >> 2) as u32
    }
}

const STAMPS_PER_SECOND: f32 = 1024.0;
const MILLIS_PER_TICK: f64 = 1000.0 / 4096.0;
/// The low bits of `awaiting` count requests, those above sum up their ticks; overflow leaves at the top.
const COUNT_BITS: u32 = 22;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SUM_MASK: u64 = u64::MAX >> COUNT_BITS;

/// The latency of one backend. Each word is changed and read as a whole, so that a reader never sees a new count
/// beside an old sum and takes the difference for a request that is hours old.
#[derive(Debug)]
pub(crate) struct Latency {
    /// The estimate in milliseconds (upper half, an `f32`; negative while it is only the seed) and its stamp.
    estimate: AtomicU64,
    /// Requests without a response head: how many, and the sum of their start ticks.
    awaiting: AtomicU64,
}

impl Latency {
    pub(crate) fn new(parameters: &LatencyParameters, now: Tick) -> Self {
        let seed = -millis(parameters.default_rtt).max(f32::MIN_POSITIVE);
        Self {
            estimate: AtomicU64::new(pack(seed, now.stamp())),
            awaiting: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn begin(&self, start: Tick) {
        self.awaiting
            .fetch_add((start.0 << COUNT_BITS) | 1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn end(&self, start: Tick) {
        self.awaiting
            .fetch_sub((start.0 << COUNT_BITS) | 1, Ordering::Relaxed);
    }

    /// Takes in what a request showed: a latency above the estimate replaces it, a lower one is blended in.
    pub(crate) fn record(&self, outcome: Outcome, age: Duration, rule: LatencyRule, now: Tick) {
        let (sample, only_peak) = match outcome {
            Outcome::Success { latency } => (millis(latency), false),
            Outcome::Failure { latency, .. } => (millis(latency).max(rule.penalty_millis), false),
            // The answer would have taken at least this long; that it took no longer is not known.
            Outcome::Cancelled => (millis(age), true),
        };
        let sample = sample.max(f32::MIN_POSITIVE);
        let update = |word| {
            let (estimate, stamp) = unpack(word);
            let kept = rule.kept(since(stamp, now));
            if only_peak {
                (sample > estimate.abs() * kept).then(|| pack(sample, now.stamp()))
            } else if sample >= estimate {
                // Also the first sample, since a seed is negative.
                Some(pack(sample, now.stamp()))
            } else {
                Some(pack(sample + (estimate - sample) * kept, now.stamp()))
            }
        };
        // Fails only where there is nothing to change.
        let _ = self
            .estimate
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// The latency to expect in milliseconds: the estimate as it decayed, or the mean age of the requests that wait for
    /// their response head if they are older, so that a backend that hangs is seen before it answers.
    #[inline]
    pub(crate) fn expected_millis(&self, rule: LatencyRule, now: Tick) -> f64 {
        f64::from(self.estimate_millis(rule, now)).max(self.mean_age_millis(now))
    }

    #[inline]
    fn estimate_millis(&self, rule: LatencyRule, now: Tick) -> f32 {
        let (estimate, stamp) = unpack(self.estimate.load(Ordering::Relaxed));
        estimate.abs() * rule.kept(since(stamp, now))
    }

    #[inline]
    fn mean_age_millis(&self, now: Tick) -> f64 {
        let word = self.awaiting.load(Ordering::Relaxed);
        let count = word & COUNT_MASK;
        if count == 0 {
            return 0.0;
        }
        let ages = now.0.wrapping_mul(count).wrapping_sub(word >> COUNT_BITS) & SUM_MASK;
        // Another thread's request may have begun after this thread's `now`: a small negative sum, not a huge age.
        if ages > SUM_MASK / 2 {
            return 0.0;
        }
        // Both ends are rounded down to ticks, so an age is known to within one tick.
        (ages as f64 / count as f64 - 1.0).max(0.0) * MILLIS_PER_TICK
    }

    pub(crate) fn is_measured(&self) -> bool {
        unpack(self.estimate.load(Ordering::Relaxed)).0 > 0.0
    }

    /// The estimate without the age of what waits; `None` before the first sample.
    pub(crate) fn measured(&self, rule: LatencyRule, now: Tick) -> Option<Duration> {
        let (estimate, _) = unpack(self.estimate.load(Ordering::Relaxed));
        let seconds = self.estimate_millis(rule, now) / 1000.0;
        (estimate > 0.0).then(|| Duration::try_from_secs_f32(seconds).unwrap_or(Duration::MAX))
    }
}

#[inline]
fn pack(estimate: f32, stamp: u32) -> u64 {
    (u64::from(estimate.to_bits()) << 32) | u64::from(stamp)
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the two halves of the word"
)]
fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

/// Stamps since a stamp. One from another thread may be a little later than `now`: that is no time at all.
#[inline]
fn since(stamp: u32, now: Tick) -> u32 {
    let elapsed = now.stamp().wrapping_sub(stamp);
    if elapsed > u32::MAX - 4096 {
        0
    } else {
        elapsed
    }
}

fn millis(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1000.0
}

#[cfg(test)]
mod tests;
