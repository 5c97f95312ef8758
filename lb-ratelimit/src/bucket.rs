//! Token bucket as the generic cell rate algorithm: one timestamp, integers only.
//!
//! The state is the theoretical arrival time, the moment at which the bucket is full again. How far it lies ahead is what
//! has been taken out. A request moves it by its cost; it is refused if that would be further than the bucket is deep.

use std::time::Instant;

use crate::decision::{Decision, Level};
use crate::policy::Quota;
use crate::time::{SKEW_NANOS, since};

/// One token bucket, of 16 bytes and an epoch.
///
/// For a single limit; [`KeyedLimiter`](crate::KeyedLimiter) keeps one per key. The quota is an argument of each check,
/// so it may change between them: the bucket keeps how long it takes to fill, up to the depth of the new quota.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::{Duration, Instant};
/// use lb_ratelimit::{Outcome, Quota, TokenBucket};
///
/// let now = Instant::now();
/// let quota = Quota::try_new(NonZeroU32::new(2).unwrap(), Duration::from_secs(1))?;
/// let mut bucket = TokenBucket::new(now);
/// assert!(bucket.check(&quota, 2, now).is_admitted());
/// let half = Duration::from_millis(500);
/// assert_eq!(bucket.check(&quota, 1, now).outcome(), Outcome::RetryAfter(half));
/// assert!(bucket.check(&quota, 1, now + half).is_admitted());
/// # Ok::<(), lb_ratelimit::QuotaError>(())
/// ```
///
/// # References
/// ITU-T I.371, annex A (virtual scheduling); decides as `governor` 0.10 does.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    epoch: Instant,
    arrival: u64,
}

impl TokenBucket {
    /// Makes a full bucket; instants before `epoch` count as `epoch`.
    pub const fn new(epoch: Instant) -> Self {
        Self { epoch, arrival: 0 }
    }

    /// Takes `cost` tokens if there are as many.
    pub fn check(&mut self, quota: &Quota, cost: u32, now: Instant) -> Decision {
        let now = since(self.epoch, now);
        let (arrival, decision) = decide(quota, self.arrival, cost, now);
        self.arrival = arrival;
        decision
    }

    /// Decides as [`check`](Self::check) would, and takes nothing.
    pub fn peek(&self, quota: &Quota, cost: u32, now: Instant) -> Decision {
        preview(quota, self.arrival, cost, since(self.epoch, now))
    }

    /// Gives `cost` tokens back, of a request that was admitted but not served.
    pub fn refund(&mut self, quota: &Quota, cost: u32) {
        self.arrival = refunded(quota, self.arrival, cost);
    }
}

/// How empty a bucket is, in the units of its quota.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BucketLevel {
    pub(crate) burst: u32,
    pub(crate) interval: u64,
    /// Time until it is full.
    pub(crate) debt: u64,
}

impl BucketLevel {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is left of a bucket is at most its burst"
    )]
    pub(crate) const fn remaining(&self) -> u32 {
        let capacity = self.interval * self.burst as u64;
        (capacity.saturating_sub(self.debt) / self.interval) as u32
    }

    pub(crate) const fn more_in(&self) -> Option<u64> {
        let capacity = self.interval * self.burst as u64;
        match self.debt {
            0 => None,
            // Deeper than empty, after the quota was cut: the first token is one interval above the bottom.
            debt if debt > capacity => Some(debt - capacity + self.interval),
            debt => Some((debt - 1) % self.interval + 1),
        }
    }
}

/// The arrival time a state stands for: what no monotonic clock could have left is an empty bucket.
#[inline]
pub(crate) const fn believed(quota: &Quota, arrival: u64, now: u64) -> u64 {
    let empty = now.saturating_add(quota.capacity_nanos());
    if arrival > empty.saturating_add(SKEW_NANOS) {
        empty
    } else {
        arrival
    }
}

/// The state after `cost` was asked for, with the decision.
#[inline]
pub(crate) fn decide(quota: &Quota, arrival: u64, cost: u32, now: u64) -> (u64, Decision) {
    let arrival = believed(quota, arrival, now);
    let debt = arrival.saturating_sub(now);
    // A cost above the burst could pass 64 bits, so the product is taken only below.
    if cost > quota.burst() {
        return (arrival, Decision::never(level(quota, debt)));
    }
    let wanted = debt.saturating_add(quota.interval_nanos() * u64::from(cost));
    if wanted > quota.capacity_nanos() && cost > 0 {
        let wait = wanted - quota.capacity_nanos();
        return (arrival, Decision::refused(wait, level(quota, debt)));
    }
    let arrival = if cost == 0 {
        arrival
    } else {
        now.saturating_add(wanted)
    };
    (arrival, Decision::admitted(level(quota, wanted)))
}

/// The decision on `cost` with the level as it is, not as it would be.
pub(crate) fn preview(quota: &Quota, arrival: u64, cost: u32, now: u64) -> Decision {
    let (_, decided) = decide(quota, arrival, cost, now);
    let debt = believed(quota, arrival, now).saturating_sub(now);
    decided.at(level(quota, debt))
}

#[inline]
pub(crate) const fn refunded(quota: &Quota, arrival: u64, cost: u32) -> u64 {
    arrival.saturating_sub(quota.interval_nanos().saturating_mul(cost as u64))
}

#[inline]
const fn level(quota: &Quota, debt: u64) -> Level {
    Level::Bucket(BucketLevel {
        burst: quota.burst(),
        interval: quota.interval_nanos(),
        debt,
    })
}

#[cfg(test)]
mod tests;
