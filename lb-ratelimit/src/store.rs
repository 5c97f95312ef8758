//! The numbers of a policy as a script in a shared store computes with them, and its answer as a decision.
//!
//! A store has one clock for all who ask it, in microseconds, and its scripts may compute in doubles, exact up to 2^53:
//! microseconds since 1970 fit until the year 2255, nanoseconds do not fit at all.

use crate::bucket::BucketLevel;
use crate::decision::{Decision, Level};
use crate::policy::{Quota, Window};
use crate::window::WindowLevel;

/// A [`Quota`] for an atomic script: integers, in microseconds.
///
/// The script keeps one number per key, the arrival time, and decides as follows, all times in microseconds:
///
/// ```text
/// full  = max(arrival or 0, now)
/// next  = full + cost × emission_interval
/// if next − now > burst_tolerance: refused; answers (0, full, now), changes nothing
/// else: stores next, to expire after next − now; answers (1, next, now)
/// ```
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use lb_ratelimit::{Quota, StoreQuota};
///
/// let quota = Quota::try_new(NonZeroU32::new(100).unwrap(), Duration::from_secs(60))?;
/// let numbers = StoreQuota::from(&quota);
/// assert_eq!(numbers.emission_interval_micros(), 600_000);
/// assert_eq!(numbers.burst_tolerance_micros(), 60_000_000);
/// let decision = numbers.decision(1, true, 1_000_600_000, 1_000_000_000);
/// assert_eq!(decision.remaining(), 99);
/// # Ok::<(), lb_ratelimit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreQuota {
    interval_micros: u64,
    burst: u32,
}

impl From<&Quota> for StoreQuota {
    /// Rounds the emission interval up to a microsecond: up to 1,000 per second the rate is at most 0.1 % too low.
    fn from(quota: &Quota) -> Self {
        Self {
            interval_micros: quota.interval_nanos().div_ceil(1_000),
            burst: quota.burst(),
        }
    }
}

impl StoreQuota {
    /// Returns the time in which one token returns, in microseconds.
    pub const fn emission_interval_micros(&self) -> u64 {
        self.interval_micros
    }

    /// Returns the time in which an empty bucket fills, in microseconds.
    pub const fn burst_tolerance_micros(&self) -> u64 {
        self.interval_micros.saturating_mul(self.burst as u64)
    }

    /// Turns the answer of the script into a decision on a request that cost `cost`.
    ///
    /// `arrival_micros` and `now_micros` are what it answered, whatever they are: nothing is assumed of a store.
    pub fn decision(
        &self,
        cost: u32,
        admitted: bool,
        arrival_micros: u64,
        now_micros: u64,
    ) -> Decision {
        let tolerance = self.burst_tolerance_micros();
        let debt = arrival_micros.saturating_sub(now_micros).min(tolerance);
        let wanted = debt.saturating_add(self.interval_micros.saturating_mul(u64::from(cost)));
        let level = Level::Bucket(BucketLevel {
            burst: self.burst,
            interval: self.interval_micros.saturating_mul(1_000),
            debt: debt.saturating_mul(1_000),
        });
        if admitted {
            Decision::admitted(level)
        } else if cost > self.burst {
            Decision::never(level)
        } else {
            Decision::refused(
                wanted.saturating_sub(tolerance).saturating_mul(1_000),
                level,
            )
        }
    }

    /// Decides as the script does: the arrival time to store, if any, and the decision.
    ///
    /// For tests of a script, and for what stands in for a store.
    pub fn decide(
        &self,
        arrival_micros: u64,
        cost: u32,
        now_micros: u64,
    ) -> (Option<u64>, Decision) {
        let full = arrival_micros.max(now_micros);
        let next = full.saturating_add(self.interval_micros.saturating_mul(u64::from(cost)));
        let admitted = next - now_micros <= self.burst_tolerance_micros();
        let arrival = if admitted { next } else { full };
        let decision = self.decision(cost, admitted, arrival, now_micros);
        (admitted.then_some(next), decision)
    }
}

/// A [`Window`] for an atomic script: integers, in microseconds.
///
/// The script keeps a counter per key and window, which expires after two windows, and decides as follows:
///
/// ```text
/// index    = floor(now ÷ window)
/// elapsed  = now − index × window
/// previous = counter of index − 1, or 0;  current = counter of index, or 0
/// if previous × (window − elapsed) > (limit − current − cost) × window: refused, (0, previous, current, elapsed)
/// else: adds cost to the counter of index; answers (1, previous, current + cost, elapsed)
/// ```
///
/// A product stays exact in a double up to 2^53, 150,000 per minute for instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreWindow {
    limit: u32,
    window_micros: u64,
}

impl From<&Window> for StoreWindow {
    /// Rounds the window up to a microsecond.
    fn from(window: &Window) -> Self {
        Self {
            limit: window.limit(),
            window_micros: window.nanos().div_ceil(1_000),
        }
    }
}

impl StoreWindow {
    /// Returns the maximum per window.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns the length of the window, in microseconds.
    pub const fn window_micros(&self) -> u64 {
        self.window_micros
    }

    /// Turns the answer of the script into a decision on a request that cost `cost`.
    pub fn decision(
        &self,
        cost: u32,
        admitted: bool,
        (previous, current): (u32, u32),
        elapsed_micros: u64,
    ) -> Decision {
        let level = WindowLevel::stored(
            self.limit,
            self.window_micros.saturating_mul(1_000),
            elapsed_micros.saturating_mul(1_000),
            (previous, current),
        );
        if admitted {
            Decision::admitted(Level::Window(level))
        } else {
            level.refusal(cost)
        }
    }

    /// Decides as the script does: the current counter to store, if any, and the decision.
    pub fn decide(
        &self,
        (previous, current): (u32, u32),
        cost: u32,
        elapsed_micros: u64,
    ) -> (Option<u32>, Decision) {
        let left = self.window_micros.saturating_sub(elapsed_micros);
        let faded = u128::from(previous) * u128::from(left);
        let wanted = u64::from(current) + u64::from(cost);
        let room = u64::from(self.limit).checked_sub(wanted);
        let fits = |room| faded <= u128::from(room) * u128::from(self.window_micros);
        let admitted = cost == 0 || room.is_some_and(fits);
        let counted = if admitted {
            current.saturating_add(cost)
        } else {
            current
        };
        let decision = self.decision(cost, admitted, (previous, counted), elapsed_micros);
        ((admitted && cost > 0).then_some(counted), decision)
    }
}

#[cfg(test)]
mod tests;
