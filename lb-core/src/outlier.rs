//! Outlier detection: which backends their own responses single out, and for how long they are ejected.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::Cause;
use crate::timing::{jittered, later};

mod policy;

pub use policy::{OutlierPolicy, SuccessRatePolicy};

/// What a backend was ejected for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EjectionCause {
    /// [`OutlierPolicy::consecutive_errors`].
    ConsecutiveErrors,
    /// [`OutlierPolicy::consecutive_gateway_errors`].
    ConsecutiveGatewayErrors,
    /// [`OutlierPolicy::success_rate`].
    SuccessRate,
}

impl EjectionCause {
    /// The cause in one word, for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveErrors => "consecutive_errors",
            Self::ConsecutiveGatewayErrors => "consecutive_gateway_errors",
            Self::SuccessRate => "success_rate",
        }
    }
}

impl fmt::Display for EjectionCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Failures in a row: of any cause in the upper half, gateway errors in the lower. One word, so that requests in several
/// threads count in it without a lock, and a success that finds nothing to forget only reads.
#[derive(Debug, Default)]
pub(crate) struct Streaks(AtomicU32);

/// Streaks that a response head has ended, up to 255 each. The response may still break off, and then they had not ended.
/// In two bytes, since it is in the guard of each request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ended {
    errors: u8,
    gateway: u8,
}

impl Ended {
    fn of(word: u32) -> Self {
        let part = |count: u32| u8::try_from(count & 0xffff).unwrap_or(u8::MAX);
        Self {
            errors: part(word >> 16),
            gateway: part(word),
        }
    }
}

impl Streaks {
    /// Ends the streaks.
    #[inline]
    pub(crate) fn succeeded(&self) -> Ended {
        if self.0.load(Ordering::Relaxed) == 0 {
            return Ended::default();
        }
        Ended::of(self.0.swap(0, Ordering::Relaxed))
    }

    /// Counts a failure, after the streaks that this request itself had ended. A streak long enough to eject begins anew.
    pub(crate) fn failed(
        &self,
        policy: &OutlierPolicy,
        cause: Cause,
        ended: Ended,
    ) -> Option<EjectionCause> {
        let reached = |count: u32, needed: u32| needed > 0 && count >= needed.min(0xffff);
        let count = |word: u32| {
            let errors = (word >> 16)
                .max(ended.errors.into())
                .saturating_add(1)
                .min(0xffff);
            let gateway = if cause.is_gateway_error() {
                (word & 0xffff)
                    .max(ended.gateway.into())
                    .saturating_add(1)
                    .min(0xffff)
            } else {
                0
            };
            let ejects = if reached(gateway, policy.consecutive_gateway_errors) {
                Some(EjectionCause::ConsecutiveGatewayErrors)
            } else if reached(errors, policy.consecutive_errors) {
                Some(EjectionCause::ConsecutiveErrors)
            } else {
                None
            };
            (
                if ejects.is_some() {
                    0
                } else {
                    errors << 16 | gateway
                },
                ejects,
            )
        };
        let update = |word| Some(count(word).0);
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
        {
            Ok(word) | Err(word) => count(word).1,
        }
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Failures in a row.
    pub(crate) fn errors(&self) -> u32 {
        self.0.load(Ordering::Relaxed) >> 16
    }
}

/// Requests (upper half) and failures of an interval.
#[derive(Debug, Default)]
pub(crate) struct Rate(AtomicU64);

impl Rate {
    #[inline]
    pub(crate) fn count(&self, is_failure: bool) {
        self.0
            .fetch_add((1 << 32) | u64::from(is_failure), Ordering::Relaxed);
    }

    /// A response that was counted as a success broke off.
    pub(crate) fn correct(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The success rate of the interval that ends here, if there were enough requests.
    pub(crate) fn take(&self, min_requests: u32) -> Option<f64> {
        let word = self.0.swap(0, Ordering::Relaxed);
        let requests = (word >> 32) as f64;
        // A correction may belong to a request of the interval before.
        let failures = ((word & 0xffff_ffff) as f64).min(requests);
        (requests > 0.0 && requests >= f64::from(min_requests)).then(|| 1.0 - failures / requests)
    }
}

/// Below which success rate a backend is an outlier among these; `None` if they are too few.
pub(crate) fn least_success_rate(policy: &SuccessRatePolicy, rates: &[f64]) -> Option<f64> {
    if rates.is_empty() || (rates.len() as u64) < u64::from(policy.min_hosts) {
        return None;
    }
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    // Equal rates must not differ by what is rounded.
    let threshold = mean - policy.stdev_factor * variance.sqrt() - 1e-9;
    threshold.is_finite().then_some(threshold)
}

/// The ejections of one backend.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ejection {
    current: Option<Ejected>,
    /// Ejections in a row when the last one ended.
    row: u32,
    ended_at: Option<Instant>,
    count: u64,
}

/// An ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ejected {
    /// When it began.
    pub since: Instant,
    /// When it ends by itself.
    pub until: Instant,
    /// What for.
    pub cause: EjectionCause,
    /// The how manieth in a row it is, from 1.
    pub in_a_row: u32,
}

impl fmt::Display for Ejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.until.saturating_duration_since(self.since);
        write!(f, "{} for {:.1} s", self.cause, time.as_secs_f64())?;
        if self.in_a_row > 1 {
            write!(f, ", {} times in a row", self.in_a_row)?;
        }
        Ok(())
    }
}

impl Ejection {
    pub(crate) fn current(&self) -> Option<Ejected> {
        self.current
    }

    /// How often the backend was ejected.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Ejects for a time that grows with the ejections in a row, each healthy interval being one fewer.
    pub(crate) fn begin(
        &mut self,
        policy: &OutlierPolicy,
        cause: EjectionCause,
        random: u64,
        now: Instant,
    ) -> Ejected {
        let row = self.row_at(policy, now).saturating_add(1);
        let longest = policy.max_eject_for.max(policy.eject_for);
        let time = jittered(
            policy.eject_for.saturating_mul(row),
            policy.jitter_percent,
            random,
        );
        let ejected = Ejected {
            since: now,
            until: later(now, time.min(longest)),
            cause,
            in_a_row: row,
        };
        // No more than it takes to reach the longest, or a backend that was sick for a day would pay for another one.
        let most = longest
            .as_nanos()
            .div_ceil(policy.eject_for.as_nanos().max(1));
        self.row = row.min(u32::try_from(most).unwrap_or(u32::MAX));
        self.current = Some(ejected);
        self.count += 1;
        ejected
    }

    /// Ends the ejection whose time is over, or any if `is_over` says so.
    pub(crate) fn end(&mut self, now: Instant, is_over: bool) -> bool {
        let ends = self
            .current
            .is_some_and(|ejected| is_over || ejected.until <= now);
        if ends {
            self.current = None;
            self.ended_at = Some(now);
        }
        ends
    }

    fn row_at(&self, policy: &OutlierPolicy, now: Instant) -> u32 {
        let healthy = self
            .ended_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let intervals = healthy.as_nanos() / policy.interval.as_nanos().max(1);
        self.row
            .saturating_sub(u32::try_from(intervals).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
