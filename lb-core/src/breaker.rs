//! The circuit breaker of one backend: closed, open, half-open.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::timing::{jittered, later};

mod policy;
mod window;

pub use policy::BreakerPolicy;
use window::Window;

/// The state of a breaker. As with an electric one, requests flow while it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// All requests pass.
    Closed,
    /// None passes.
    Open {
        /// When it becomes half-open.
        until: Instant,
    },
    /// A few trial requests pass.
    HalfOpen,
}

impl BreakerState {
    /// The state in one word, for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A trial request, of the half-open time it was let pass in. Each must be ended, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a trial that is not ended keeps its slot"]
pub struct Trial(NonZeroU16);

/// The circuit breaker of one backend.
///
/// It opens when the share of failures within the window reaches its bound. After a pause it lets as many trial requests
/// pass as must succeed; the last success closes it, the first failure opens it again, for twice as long. What was let
/// pass before and ends while it is not closed counts for nothing.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use lb_core::{Breaker, BreakerPolicy, BreakerState};
///
/// let now = std::time::Instant::now();
/// let policy = BreakerPolicy::default().jitter_percent(0);
/// let breaker = Breaker::new(now);
/// let opened = (0..20).filter_map(|_| breaker.failed(&policy, 7, now)).count();
/// assert_eq!(opened, 1);
///
/// let later = now + Duration::from_secs(10);
/// assert_eq!(breaker.poll(later), Some(BreakerState::HalfOpen));
/// let trials: Vec<_> = (0..9).filter_map(|_| breaker.try_trial(&policy)).collect();
/// assert_eq!(trials.len(), 5);
/// for trial in trials {
///     breaker.trial_succeeded(trial, &policy, later);
/// }
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// ```
///
/// # Complexity
/// O(1). Taking a trial slot is a compare-and-swap; all that reports takes a short lock of this breaker. About 300 bytes.
#[derive(Debug)]
pub struct Breaker {
    /// The number of the half-open time, 0 outside of one (upper half), and trials that run or have succeeded.
    trials: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: BreakerState,
    since: Instant,
    window: Window,
    half_opens: u16,
    succeeded: u32,
    /// Openings without closing between them.
    row: u32,
    opens: u64,
}

impl Breaker {
    /// A closed one.
    pub fn new(now: Instant) -> Self {
        Self {
            trials: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                state: BreakerState::Closed,
                since: now,
                window: Window::default(),
                half_opens: 0,
                succeeded: 0,
                row: 0,
                opens: 0,
            }),
        }
    }

    /// The state, as far as [`Breaker::poll`] has brought it.
    pub fn state(&self) -> BreakerState {
        self.inner.lock().state
    }

    /// When it becomes half-open, while it is open.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        match self.state() {
            BreakerState::Open { until } => Some(until),
            BreakerState::Closed | BreakerState::HalfOpen => None,
        }
    }

    /// Since when it has been in this state.
    pub fn since(&self) -> Instant {
        self.inner.lock().since
    }

    /// How often it has opened.
    pub fn opens(&self) -> u64 {
        self.inner.lock().opens
    }

    /// Becomes half-open when the pause is over. Returns the new state if there is one.
    pub fn poll(&self, now: Instant) -> Option<BreakerState> {
        let mut inner = self.inner.lock();
        match inner.state {
            BreakerState::Open { until } if until <= now => {
                inner.half_opens = inner.half_opens.checked_add(1).unwrap_or(1);
                inner.succeeded = 0;
                inner.since = now;
                inner.state = BreakerState::HalfOpen;
                self.trials
                    .store(u64::from(inner.half_opens) << 32, Ordering::Relaxed);
                Some(BreakerState::HalfOpen)
            }
            _ => None,
        }
    }

    /// Lets a trial request pass, if it is half-open and a slot is free.
    #[must_use]
    pub fn try_trial(&self, policy: &BreakerPolicy) -> Option<Trial> {
        self.take_trial(policy.half_open_requests.get())
    }

    pub(crate) fn take_trial(&self, slots: u32) -> Option<Trial> {
        let take = |word| {
            let (half_open, taken) = parts(word);
            (half_open != 0 && taken < slots).then_some(word + 1)
        };
        let taken = self
            .trials
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        NonZeroU16::new(parts(taken.ok()?).0).map(Trial)
    }

    /// Whether a trial slot is free.
    pub(crate) fn has_trial(&self, slots: u32) -> bool {
        let (half_open, taken) = parts(self.trials.load(Ordering::Relaxed));
        half_open != 0 && taken < slots
    }

    /// Counts a request that succeeded.
    pub fn succeeded(&self, policy: &BreakerPolicy, now: Instant) {
        let mut inner = self.inner.lock();
        if inner.state == BreakerState::Closed {
            inner.window.count(policy.window, false, now);
        }
    }

    /// Counts a request that failed. Returns the new state if it opens.
    pub fn failed(
        &self,
        policy: &BreakerPolicy,
        random: u64,
        now: Instant,
    ) -> Option<BreakerState> {
        self.fail(policy, true, random, now)
    }

    /// Counts a request as failed that was counted as a success: its response broke off. Returns the new state if it opens.
    pub fn broke_off(
        &self,
        policy: &BreakerPolicy,
        random: u64,
        now: Instant,
    ) -> Option<BreakerState> {
        self.fail(policy, false, random, now)
    }

    fn fail(
        &self,
        policy: &BreakerPolicy,
        is_new: bool,
        random: u64,
        now: Instant,
    ) -> Option<BreakerState> {
        let mut inner = self.inner.lock();
        if inner.state != BreakerState::Closed {
            return None;
        }
        if is_new {
            inner.window.count(policy.window, true, now);
        } else {
            inner.window.correct(policy.window, now);
        }
        let (requests, failures) = inner.window.totals(policy.window, now);
        let is_judged = requests >= policy.min_requests.max(1);
        let opens = is_judged && f64::from(failures) >= policy.failure_ratio * f64::from(requests);
        opens.then(|| inner.open(policy, random, now))
    }

    /// A trial succeeded. Returns the new state if it was the last one needed.
    pub fn trial_succeeded(
        &self,
        trial: Trial,
        policy: &BreakerPolicy,
        now: Instant,
    ) -> Option<BreakerState> {
        let mut inner = self.inner.lock();
        if !self.is_current(trial) {
            return None;
        }
        inner.succeeded += 1;
        if inner.succeeded < policy.half_open_requests.get() {
            return None;
        }
        self.trials.store(0, Ordering::Relaxed);
        inner.state = BreakerState::Closed;
        inner.since = now;
        inner.row = 0;
        inner.window = Window::default();
        Some(BreakerState::Closed)
    }

    /// A trial failed. Returns the new state: it opens, unless a trial beside it had done so.
    pub fn trial_failed(
        &self,
        trial: Trial,
        policy: &BreakerPolicy,
        random: u64,
        now: Instant,
    ) -> Option<BreakerState> {
        let mut inner = self.inner.lock();
        if !self.is_current(trial) {
            return None;
        }
        self.trials.store(0, Ordering::Relaxed);
        Some(inner.open(policy, random, now))
    }

    /// A trial ended without saying anything; its slot is free for another.
    pub fn trial_cancelled(&self, trial: Trial) {
        let give_back = |word| (parts(word).0 == trial.0.get()).then(|| word - 1);
        // Fails only where that half-open time is over, and its slots with it.
        let _ = self
            .trials
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, give_back);
    }

    /// Closes it and forgets what was counted. Returns whether it was not closed.
    pub fn reset(&self, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        let was_closed = inner.state == BreakerState::Closed;
        self.trials.store(0, Ordering::Relaxed);
        inner.window = Window::default();
        inner.row = 0;
        if !was_closed {
            inner.state = BreakerState::Closed;
            inner.since = now;
        }
        !was_closed
    }

    /// To be asked under the lock, which all that ends a half-open time holds.
    fn is_current(&self, trial: Trial) -> bool {
        parts(self.trials.load(Ordering::Relaxed)).0 == trial.0.get()
    }
}

impl Inner {
    fn open(&mut self, policy: &BreakerPolicy, random: u64, now: Instant) -> BreakerState {
        let doubled = policy.open_for.saturating_mul(1 << self.row.min(20));
        let longest = policy.max_open_for.max(policy.open_for);
        let pause = jittered(doubled.min(longest), policy.jitter_percent, random);
        self.state = BreakerState::Open {
            until: later(now, pause.min(longest)),
        };
        self.since = now;
        self.row = self.row.saturating_add(1);
        self.opens += 1;
        self.window = Window::default();
        self.state
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the two parts of the word"
)]
const fn parts(word: u64) -> (u16, u32) {
    ((word >> 32) as u16, word as u32)
}

#[cfg(test)]
mod tests;
