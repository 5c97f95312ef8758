//! What a limit says about one request.

use std::fmt;
use std::time::Duration;

use crate::bucket::BucketLevel;
use crate::window::WindowLevel;

/// What a limit says about one request, and what its client may want to know.
///
/// The numbers are taken at the moment of the decision, after the request was counted. They are computed when asked for,
/// as a division each would cost a check more than the decision itself.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// Nanoseconds: 0 if admitted, `u64::MAX` if never.
    wait: u64,
    level: Level,
}

/// The decision itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Let pass; the cost has been taken.
    Admitted,
    /// Refused, and nothing taken; the same request is admitted after this time if no other comes before.
    RetryAfter(Duration),
    /// Refused whenever it comes: the cost is above the burst or the maximum.
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Bucket(BucketLevel),
    Window(WindowLevel),
}

impl Decision {
    #[inline]
    pub(crate) const fn admitted(level: Level) -> Self {
        Self { wait: 0, level }
    }

    /// Refused for `wait` nanoseconds, at least one.
    #[inline]
    pub(crate) const fn refused(wait: u64, level: Level) -> Self {
        let wait = if wait == 0 { 1 } else { wait };
        Self { wait, level }
    }

    #[inline]
    pub(crate) const fn never(level: Level) -> Self {
        Self {
            wait: u64::MAX,
            level,
        }
    }

    /// The same decision, reported with another level.
    pub(crate) const fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Returns the decision with what follows from it.
    #[inline]
    pub const fn outcome(&self) -> Outcome {
        match self.wait {
            0 => Outcome::Admitted,
            u64::MAX => Outcome::Never,
            wait => Outcome::RetryAfter(Duration::from_nanos(wait)),
        }
    }

    /// Tells whether the request may pass.
    #[inline]
    pub const fn is_admitted(&self) -> bool {
        self.wait == 0
    }

    /// Returns how long a refused request has to wait, to the nanosecond; `None` if it was admitted or never will be.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.outcome() {
            Outcome::RetryAfter(wait) => Some(wait),
            Outcome::Admitted | Outcome::Never => None,
        }
    }

    /// Returns the most that can be admitted at once, in units of cost.
    pub const fn limit(&self) -> u32 {
        match &self.level {
            Level::Bucket(level) => level.burst,
            Level::Window(level) => level.limit,
        }
    }

    /// Returns what would still be admitted at this moment, in units of cost.
    pub fn remaining(&self) -> u32 {
        match &self.level {
            Level::Bucket(level) => level.remaining(),
            Level::Window(level) => level.remaining(),
        }
    }

    /// Returns the time until all of [`limit`](Self::limit) is available again if no request comes before.
    pub const fn reset(&self) -> Duration {
        Duration::from_nanos(match &self.level {
            Level::Bucket(level) => level.debt,
            Level::Window(level) => level.reset(),
        })
    }

    /// Returns the time until more than [`remaining`](Self::remaining) is available; `None` if nothing is missing.
    ///
    /// Of a refused request it is never later than [`retry_after`](Self::retry_after).
    pub fn more_in(&self) -> Option<Duration> {
        let nanos = match &self.level {
            Level::Bucket(level) => level.more_in(),
            Level::Window(level) => level.more_in(),
        };
        nanos.map(Duration::from_nanos)
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("outcome", &self.outcome())
            .field("limit", &self.limit())
            .field("remaining", &self.remaining())
            .field("reset", &self.reset())
            .finish()
    }
}
