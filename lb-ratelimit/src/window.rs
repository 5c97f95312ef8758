//! Sliding window of two counters: what the previous window admitted fades out while the current one fills.

use std::time::Instant;

use crate::decision::{Decision, Level};
use crate::policy::Window;
use crate::time::{SKEW_NANOS, since};

/// One sliding window, of two counters and two instants.
///
/// For a single limit; [`KeyedLimiter`](crate::KeyedLimiter) keeps one per key. Windows begin at multiples of their length
/// from the epoch.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::{Duration, Instant};
/// use lb_ratelimit::{SlidingWindow, Window};
///
/// let now = Instant::now();
/// let window = Window::try_new(NonZeroU32::new(5).unwrap(), Duration::from_secs(60))?;
/// let mut logins = SlidingWindow::new(now);
/// assert!(logins.check(&window, 5, now).is_admitted());
/// let refused = logins.check(&window, 1, now);
/// // A minute later a fifth of the five has to fade.
/// assert_eq!(refused.retry_after(), Some(Duration::from_secs(72)));
/// # Ok::<(), lb_ratelimit::QuotaError>(())
/// ```
///
/// # References
/// The two counters of Cloudflare's limiter and of `HAProxy`'s `freq_ctr`.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    epoch: Instant,
    began: u64,
    counts: u64,
}

impl SlidingWindow {
    /// Makes a window that has counted nothing; instants before `epoch` count as `epoch`.
    pub const fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            began: 0,
            counts: 0,
        }
    }

    /// Counts `cost` if the window has room for it.
    pub fn check(&mut self, window: &Window, cost: u32, now: Instant) -> Decision {
        let now = since(self.epoch, now);
        let turn = Turn::at(window, self.began, now);
        self.began = turn.began;
        self.counts = turn.applied(self.counts);
        let (counts, decision) = decide(window, turn.began, self.counts, cost, now);
        self.counts = counts;
        decision
    }

    /// Decides as [`check`](Self::check) would, and counts nothing.
    pub fn peek(&self, window: &Window, cost: u32, now: Instant) -> Decision {
        let now = since(self.epoch, now);
        let turn = Turn::at(window, self.began, now);
        preview(window, turn.began, turn.applied(self.counts), cost, now)
    }

    /// Takes `cost` back, of a request that was admitted but not served.
    pub const fn refund(&mut self, cost: u32) {
        self.counts = refunded(self.counts, cost);
    }
}

/// What the passing of time does to the counters of windows that began together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) began: u64,
    windows: u64,
}

impl Turn {
    #[inline]
    pub(crate) const fn at(window: &Window, began: u64, now: u64) -> Self {
        let length = window.nanos();
        let elapsed = now.saturating_sub(began);
        if elapsed < length {
            // The clock was set back: counted goes on counting, from a window that has begun.
            let ahead = began.saturating_sub(now) > SKEW_NANOS;
            return Self {
                began: if ahead { now - now % length } else { began },
                windows: 0,
            };
        }
        if elapsed - length < length {
            return Self {
                began: began + length,
                windows: 1,
            };
        }
        Self {
            began: now - now % length,
            windows: 2,
        }
    }

    /// Whether counters have to be changed at all.
    #[inline]
    pub(crate) const fn is_due(&self) -> bool {
        self.windows > 0
    }

    #[inline]
    pub(crate) const fn applied(&self, counts: u64) -> u64 {
        match self.windows {
            0 => counts,
            1 => counts << 32,
            _ => 0,
        }
    }
}

/// The two counters in one word, the previous window's in the upper half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "takes the two halves")]
pub(crate) const fn halves(counts: u64) -> (u32, u32) {
    ((counts >> 32) as u32, counts as u32)
}

#[inline]
const fn joined(previous: u32, current: u32) -> u64 {
    (previous as u64) << 32 | current as u64
}

/// The larger of each counter.
#[inline]
pub(crate) fn at_least(a: u64, b: u64) -> u64 {
    let ((a_previous, a_current), (b_previous, b_current)) = (halves(a), halves(b));
    joined(a_previous.max(b_previous), a_current.max(b_current))
}

/// What a window has counted, at a moment of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowLevel {
    pub(crate) limit: u32,
    length: u64,
    elapsed: u64,
    counts: u64,
}

impl WindowLevel {
    #[inline]
    fn new(window: &Window, began: u64, counts: u64, now: u64) -> Self {
        Self {
            limit: window.limit(),
            length: window.nanos(),
            // Below the length since the turn, and 0 while the clock is slightly behind.
            elapsed: now.saturating_sub(began).min(window.nanos()),
            counts,
        }
    }

    /// What a store answered, whatever it is.
    pub(crate) fn stored(limit: u32, length: u64, elapsed: u64, counts: (u32, u32)) -> Self {
        Self {
            limit,
            length,
            elapsed: elapsed.min(length),
            counts: joined(counts.0, counts.1),
        }
    }

    /// What a refused request of `cost` is told.
    pub(crate) fn refusal(self, cost: u32) -> Decision {
        if cost > self.limit {
            Decision::never(Level::Window(self))
        } else {
            Decision::refused(self.wait(cost), Level::Window(self))
        }
    }

    /// Whether there is room for `cost`, which is not above the limit.
    #[inline]
    const fn has_room(&self, cost: u32) -> bool {
        let (previous, current) = halves(self.counts);
        let Some(room) = (self.limit - cost).checked_sub(current) else {
            return false;
        };
        previous as u128 * (self.length - self.elapsed) as u128
            <= room as u128 * self.length as u128
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the share of a counter is at most the counter"
    )]
    pub(crate) const fn remaining(&self) -> u32 {
        let (previous, current) = halves(self.counts);
        let left = (self.length - self.elapsed) as u128;
        let faded = (previous as u128 * left).div_ceil(self.length as u128) as u32;
        self.limit.saturating_sub(current).saturating_sub(faded)
    }

    pub(crate) const fn reset(&self) -> u64 {
        let left = self.length - self.elapsed;
        match halves(self.counts) {
            (0, 0) => 0,
            (_, 0) => left,
            _ => left + self.length,
        }
    }

    pub(crate) fn more_in(&self) -> Option<u64> {
        let remaining = self.remaining();
        (self.counts != 0 && remaining < self.limit).then(|| self.wait(remaining + 1))
    }

    /// Time until there is room for `cost`, from 1 to the limit, if nothing else is counted.
    fn wait(&self, cost: u32) -> u64 {
        let (previous, current) = halves(self.counts);
        let room = self.limit - cost;
        if let Some(room) = room.checked_sub(current) {
            return faded(previous, room, self.length).saturating_sub(self.elapsed);
        }
        let left = self.length - self.elapsed;
        left + faded(current, room, self.length)
    }
}

/// How far into a window the count of the previous one has faded to `room`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the quotient is below the length where it is used"
)]
fn faded(previous: u32, room: u32, length: u64) -> u64 {
    if previous <= room {
        return 0;
    }
    length - (u128::from(room) * u128::from(length) / u128::from(previous)) as u64
}

/// The counters after `cost` was asked for, with the decision. They have been turned to `now`.
#[inline]
pub(crate) fn decide(
    window: &Window,
    began: u64,
    counts: u64,
    cost: u32,
    now: u64,
) -> (u64, Decision) {
    let mut level = WindowLevel::new(window, began, counts, now);
    if cost > window.limit() || cost > 0 && !level.has_room(cost) {
        return (counts, level.refusal(cost));
    }
    level.counts += u64::from(cost);
    (level.counts, Decision::admitted(Level::Window(level)))
}

/// The decision on `cost` with the level as it is, not as it would be.
pub(crate) fn preview(window: &Window, began: u64, counts: u64, cost: u32, now: u64) -> Decision {
    let (_, decided) = decide(window, began, counts, cost, now);
    let level = WindowLevel::new(window, began, counts, now);
    decided.at(Level::Window(level))
}

/// The counters without `cost`, which a turn may have moved to the previous window.
#[inline]
pub(crate) const fn refunded(counts: u64, cost: u32) -> u64 {
    let (previous, current) = halves(counts);
    let rest = cost.saturating_sub(current);
    joined(previous.saturating_sub(rest), current.saturating_sub(cost))
}

#[cfg(test)]
mod tests;
