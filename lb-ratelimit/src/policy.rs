//! The numbers of a limit, checked once and then immutable.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::bucket::BucketLevel;
use crate::decision::{Decision, Level};
use crate::time::{MAX_NANOS, nanos};
use crate::window::WindowLevel;

/// How much is let pass: the parameters of one limit, whichever algorithm applies it.
///
/// A policy is a parameter and holds no state; it may be replaced while a [`KeyedLimiter`](crate::KeyedLimiter) goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `limit` per `window` on average, at most `burst` at once.
    TokenBucket(Quota),
    /// `limit` within the last `window`, as two counters estimate it.
    SlidingWindow(Window),
}

impl Policy {
    /// Returns what is admitted per window in the long run, in units of cost.
    pub const fn limit(&self) -> u32 {
        match self {
            Self::TokenBucket(quota) => quota.limit.get(),
            Self::SlidingWindow(window) => window.limit.get(),
        }
    }

    /// Returns the most that one instant can admit, in units of cost; a request that costs more is never admitted.
    pub const fn burst(&self) -> u32 {
        match self {
            Self::TokenBucket(quota) => quota.burst.get(),
            Self::SlidingWindow(window) => window.limit.get(),
        }
    }

    /// Returns the time over which [`limit`](Self::limit) counts.
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(match self {
            Self::TokenBucket(quota) => quota.window_nanos,
            Self::SlidingWindow(window) => window.nanos,
        })
    }

    /// Returns the decision for a request that is known to be refused for `wait`, as a [`RefusalMemo`] says it.
    ///
    /// Nothing remains, as far as is known.
    ///
    /// [`RefusalMemo`]: crate::RefusalMemo
    ///
    /// # Examples
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    /// use lb_ratelimit::{Policy, Quota};
    ///
    /// let policy = Policy::from(Quota::try_new(NonZeroU32::MIN, Duration::from_secs(60))?);
    /// let decision = policy.refusal(Duration::from_secs(7));
    /// assert_eq!((decision.retry_after(), decision.remaining()), (Some(Duration::from_secs(7)), 0));
    /// # Ok::<(), lb_ratelimit::QuotaError>(())
    /// ```
    pub fn refusal(&self, wait: Duration) -> Decision {
        let level = match self {
            Self::TokenBucket(quota) => Level::Bucket(BucketLevel {
                burst: quota.burst(),
                interval: quota.interval_nanos(),
                debt: quota.capacity_nanos(),
            }),
            Self::SlidingWindow(window) => {
                let counts = (0, window.limit());
                Level::Window(WindowLevel::stored(
                    window.limit(),
                    window.nanos(),
                    0,
                    counts,
                ))
            }
        };
        // The longest wait would be taken for never.
        Decision::refused(nanos(wait).min(u64::MAX - 1), level)
    }
}

impl From<Quota> for Policy {
    fn from(quota: Quota) -> Self {
        Self::TokenBucket(quota)
    }
}

impl From<Window> for Policy {
    fn from(window: Window) -> Self {
        Self::SlidingWindow(window)
    }
}

/// The parameters of a token bucket: a rate and a burst.
///
/// A token takes `window ÷ limit` to return, rounded up to a nanosecond, so the rate is never above the one asked for
/// and below it by at most `limit` nanoseconds per window.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use lb_ratelimit::Quota;
///
/// let limit = NonZeroU32::new(100).unwrap();
/// let quota = Quota::try_new(limit, Duration::from_secs(60))?;
/// assert_eq!(quota.emission_interval(), Duration::from_millis(600));
/// assert_eq!(quota.burst_tolerance(), Duration::from_secs(60));
/// # Ok::<(), lb_ratelimit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: NonZeroU32,
    burst: NonZeroU32,
    window_nanos: u64,
    interval: u64,
    capacity: u64,
}

impl Quota {
    /// Admits `limit` per `window` on average, and as many at once.
    ///
    /// # Errors
    /// If the window is empty or longer than a hundred years, or the rate above one per nanosecond.
    pub fn try_new(limit: NonZeroU32, window: Duration) -> Result<Self, QuotaError> {
        let window_nanos = checked_window(window)?;
        if window_nanos < u64::from(limit.get()) {
            return Err(QuotaError(Reason::Rate(limit, window)));
        }
        let interval = window_nanos.div_ceil(u64::from(limit.get()));
        let quota = Self {
            limit,
            burst: limit,
            window_nanos,
            interval,
            capacity: 0,
        };
        quota.with_burst(limit)
    }

    /// The same rate with another burst.
    ///
    /// # Errors
    /// If an empty bucket would take more than a hundred years to fill.
    pub fn with_burst(self, burst: NonZeroU32) -> Result<Self, QuotaError> {
        // An interval is rounded up, so a bucket of a hundred years may pass them by `burst` nanoseconds.
        let capacity = self.interval.checked_mul(u64::from(burst.get()));
        match capacity {
            Some(capacity) if capacity <= MAX_NANOS + u64::from(u32::MAX) => Ok(Self {
                burst,
                capacity,
                ..self
            }),
            _ => Err(QuotaError(Reason::Burst(burst, self.emission_interval()))),
        }
    }

    /// Returns the time in which one token returns (the `T` of GCRA).
    pub const fn emission_interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// Returns the time in which an empty bucket fills: `burst` times the emission interval (GCRA's `τ + T`).
    pub const fn burst_tolerance(&self) -> Duration {
        Duration::from_nanos(self.capacity)
    }

    pub(crate) const fn interval_nanos(&self) -> u64 {
        self.interval
    }

    pub(crate) const fn capacity_nanos(&self) -> u64 {
        self.capacity
    }

    pub(crate) const fn burst(&self) -> u32 {
        self.burst.get()
    }
}

/// The parameters of a sliding window: a maximum and a length.
///
/// What the previous window admitted counts by the share of it that the last `window` still covers, as if it had been
/// spread evenly. No interval of that length admits twice the maximum, and evenly spread traffic exactly the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    limit: NonZeroU32,
    nanos: u64,
}

impl Window {
    /// Admits `limit` within the last `window`.
    ///
    /// # Errors
    /// If the window is empty or longer than a hundred years.
    pub fn try_new(limit: NonZeroU32, window: Duration) -> Result<Self, QuotaError> {
        let nanos = checked_window(window)?;
        Ok(Self { limit, nanos })
    }

    pub(crate) const fn limit(&self) -> u32 {
        self.limit.get()
    }

    pub(crate) const fn nanos(&self) -> u64 {
        self.nanos
    }
}

fn checked_window(window: Duration) -> Result<u64, QuotaError> {
    let nanos = nanos(window);
    if nanos == 0 || nanos > MAX_NANOS {
        return Err(QuotaError(Reason::Window(window)));
    }
    Ok(nanos)
}

/// A limit that cannot be kept in whole nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaError(Reason);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Window(Duration),
    Rate(NonZeroU32, Duration),
    Burst(NonZeroU32, Duration),
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reason::Window(window) => {
                write!(f, "window must be from 1 ns to 100 years, got {window:?}")
            }
            Reason::Rate(limit, window) => write!(
                f,
                "rate must be at most one per nanosecond, got {limit} per {window:?}"
            ),
            Reason::Burst(burst, interval) => write!(
                f,
                "burst must return within 100 years, got {burst} of {interval:?} each"
            ),
        }
    }
}

impl Error for QuotaError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    #[test]
    fn never_rounds_the_rate_up() {
        let quota = Quota::try_new(number(7), Duration::from_secs(1)).unwrap();
        assert_eq!(quota.emission_interval(), Duration::from_nanos(142_857_143));
    }

    #[test]
    fn the_burst_is_the_limit_unless_given() {
        let quota = Quota::try_new(number(10), Duration::from_secs(1)).unwrap();
        assert_eq!(Policy::from(quota).burst(), 10);
        let quota = quota.with_burst(number(3)).unwrap();
        assert_eq!(Policy::from(quota).burst(), 3);
        assert_eq!(quota.burst_tolerance(), Duration::from_millis(300));
    }

    #[test]
    fn refuses_what_whole_nanoseconds_cannot_keep() {
        let error = |limit, window| {
            let refused = Quota::try_new(number(limit), window).unwrap_err();
            refused.to_string()
        };
        assert_eq!(
            error(1, Duration::ZERO),
            "window must be from 1 ns to 100 years, got 0ns"
        );
        assert_eq!(
            error(2_000_000_000, Duration::from_secs(1)),
            "rate must be at most one per nanosecond, got 2000000000 per 1s"
        );
        assert!(Window::try_new(number(1), Duration::MAX).is_err());
    }

    #[test]
    fn refuses_a_burst_of_centuries() {
        let daily = Quota::try_new(number(1), Duration::from_secs(86_400)).unwrap();
        assert!(daily.with_burst(number(36_500)).is_ok());
        let refused = daily.with_burst(number(u32::MAX)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "burst must return within 100 years, got 4294967295 of 86400s each"
        );
    }

    #[test]
    fn accepts_the_extremes() {
        let century = Duration::from_nanos(MAX_NANOS);
        for limit in [1, 7, u32::MAX] {
            Quota::try_new(number(limit), century).unwrap();
            Window::try_new(number(limit), century).unwrap();
        }
        Quota::try_new(number(1), Duration::from_nanos(1)).unwrap();
    }
}
