//! Active health: when a backend is probed next, and what a row of results makes of it.

use std::fmt;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::timing::{jittered, later, unit};

/// How backends are probed, and how many results in a row decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthPolicy {
    /// The time from the end of a probe to the next one; default 10 s. A longer one finds a dead backend later and costs
    /// it fewer requests.
    pub interval: Duration,
    /// The interval while a backend is unhealthy, or while results contradict its state; default, `None`, is a fifth of
    /// [`interval`](HealthPolicy::interval). A longer one brings a backend back, or takes it out, later.
    pub unhealthy_interval: Option<Duration>,
    /// By how many percent at most an interval is made longer or shorter at random, up to 100; default 10. More keeps the
    /// probes of many balancers further apart.
    pub jitter_percent: u32,
    /// How long a probe may take; default 2 s. The prober's to keep; here a probe without a result by then, and an
    /// interval more, is given out again.
    pub timeout: Duration,
    /// How many probes in a row must pass until an unhealthy backend is healthy; default 2. More keeps a flapping backend
    /// out for longer.
    pub healthy_after: NonZeroU32,
    /// How many probes in a row must fail until a healthy backend is unhealthy; default 3. More bears with more loss, and
    /// keeps a dead backend in for longer.
    pub unhealthy_after: NonZeroU32,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            unhealthy_interval: None,
            jitter_percent: 10,
            timeout: Duration::from_secs(2),
            healthy_after: NonZeroU32::MIN.saturating_add(1),
            unhealthy_after: NonZeroU32::MIN.saturating_add(2),
        }
    }
}

impl HealthPolicy {
    /// Sets [`HealthPolicy::interval`].
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets [`HealthPolicy::unhealthy_interval`].
    #[must_use]
    pub fn unhealthy_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.unhealthy_interval = interval.into();
        self
    }

    /// Sets [`HealthPolicy::jitter_percent`].
    #[must_use]
    pub fn jitter_percent(mut self, percent: u32) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// Sets [`HealthPolicy::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`HealthPolicy::healthy_after`].
    #[must_use]
    pub fn healthy_after(mut self, passes: NonZeroU32) -> Self {
        self.healthy_after = passes;
        self
    }

    /// Sets [`HealthPolicy::unhealthy_after`].
    #[must_use]
    pub fn unhealthy_after(mut self, failures: NonZeroU32) -> Self {
        self.unhealthy_after = failures;
        self
    }

    /// Below a millisecond a prober would do nothing else.
    fn pause(&self, is_steady: bool, random: u64) -> Duration {
        let pause = if is_steady {
            self.interval
        } else {
            self.unhealthy_interval.unwrap_or(self.interval / 5)
        };
        jittered(pause, self.jitter_percent, random).max(Duration::from_millis(1))
    }
}

/// What the probes say of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// No probe has ended yet; the backend takes part.
    #[default]
    Unknown,
    /// It takes part.
    Healthy,
    /// It does not take part.
    Unhealthy,
}

impl Health {
    /// The state in one word, for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeResult {
    /// Whether it passed.
    pub passed: bool,
    /// What was seen, for people: at most [`ProbeResult::TEXT_MAX`] bytes, without control characters.
    pub text: Box<str>,
    /// How long it took.
    pub took: Duration,
}

impl ProbeResult {
    /// How many bytes of a text are kept. It may hold what a backend sent.
    pub const TEXT_MAX: usize = 256;

    /// A probe that passed.
    pub fn passed(text: &str, took: Duration) -> Self {
        Self {
            passed: true,
            text: printable(text),
            took,
        }
    }

    /// A probe that failed.
    pub fn failed(text: &str, took: Duration) -> Self {
        Self {
            passed: false,
            text: printable(text),
            took,
        }
    }
}

/// The text in one line, cut between two characters.
fn printable(text: &str) -> Box<str> {
    let mut line = String::with_capacity(text.len().min(ProbeResult::TEXT_MAX));
    for letter in text.chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        if line.len() + letter.len_utf8() > ProbeResult::TEXT_MAX {
            break;
        }
        line.push(letter);
    }
    line.into()
}

/// The health of one backend.
///
/// The first result decides at once; after that it takes as many in a row as the policy says. While results contradict
/// the state, as while the backend is unhealthy, probes come faster.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use lb_core::{Health, HealthCheck, HealthPolicy, ProbeResult};
///
/// let now = std::time::Instant::now();
/// let policy = HealthPolicy::default();
/// let mut check = HealthCheck::new(&policy, 7, now);
/// let failed = || ProbeResult::failed("connection refused", Duration::ZERO);
/// assert!(check.record(&policy, failed(), 7, now));
/// assert_eq!(check.health(), Health::Unhealthy);
/// assert_eq!(check.last().unwrap().text.as_ref(), "connection refused");
/// ```
///
/// # Complexity
/// O(1), and at most [`ProbeResult::TEXT_MAX`] bytes besides itself.
///
/// # References
/// HAProxy `rise`, `fall`, `fastinter` and `downinter`.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    health: Health,
    /// Results in a row that contradict the state.
    contrary: u32,
    since: Instant,
    last: Option<ProbeResult>,
    last_at: Option<Instant>,
    next_at: Instant,
}

impl HealthCheck {
    /// A backend that was never probed. The first probe is due within a twentieth of the interval, at most half a second.
    pub fn new(policy: &HealthPolicy, random: u64, now: Instant) -> Self {
        let spread = (policy.interval / 20).min(Duration::from_millis(500));
        Self {
            health: Health::Unknown,
            contrary: 0,
            since: now,
            last: None,
            last_at: None,
            next_at: now + spread.mul_f64(unit(random)),
        }
    }

    /// Takes in a result. Returns whether the state has changed.
    pub fn record(
        &mut self,
        policy: &HealthPolicy,
        result: ProbeResult,
        random: u64,
        now: Instant,
    ) -> bool {
        let (says, needed) = if result.passed {
            (Health::Healthy, policy.healthy_after)
        } else {
            (Health::Unhealthy, policy.unhealthy_after)
        };
        self.contrary = if says == self.health {
            0
        } else {
            self.contrary.saturating_add(1)
        };
        let changes = says != self.health
            && (self.health == Health::Unknown || self.contrary >= needed.get());
        if changes {
            self.health = says;
            self.contrary = 0;
            self.since = now;
        }
        self.last = Some(result);
        self.last_at = Some(now);
        let is_steady = self.health == Health::Healthy && self.contrary == 0;
        self.next_at = later(now, policy.pause(is_steady, random));
        changes
    }

    /// Gives a probe out if one is due. The next is due after its result, or after the timeout and an interval if there
    /// never is one.
    #[must_use]
    pub fn begin(&mut self, policy: &HealthPolicy, now: Instant) -> bool {
        let is_due = self.next_at <= now;
        if is_due {
            let lost = policy.timeout.saturating_add(policy.pause(true, 0));
            self.next_at = later(now, lost);
        }
        is_due
    }

    /// Makes a longer wait, from a policy that is no longer in force, as short as this one allows.
    pub fn reschedule(&mut self, policy: &HealthPolicy, random: u64, now: Instant) {
        let is_steady = self.health == Health::Healthy && self.contrary == 0;
        self.next_at = self
            .next_at
            .min(later(now, policy.pause(is_steady, random)));
    }

    /// The state.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Since when it has been in this state.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// How many results in a row contradict the state.
    pub fn contrary(&self) -> u32 {
        self.contrary
    }

    /// The last result.
    pub fn last(&self) -> Option<&ProbeResult> {
        self.last.as_ref()
    }

    /// When the last result came.
    pub fn last_at(&self) -> Option<Instant> {
        self.last_at
    }

    /// When the next probe is due.
    pub fn next_at(&self) -> Instant {
        self.next_at
    }
}

#[cfg(test)]
mod tests;
