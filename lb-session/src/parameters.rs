//! `SessionParameters`: lifetimes and bounds, which may change while sessions live.

use std::time::Duration;

/// How long sessions live and how much they hold.
///
/// They are arguments of each operation and kept by none, so a reload counts at once, for the sessions that exist too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionParameters {
    /// How long a session lives without being used (30 minutes). What a stolen cookie is worth at most after the last
    /// request of its owner; longer spares people a login.
    pub idle_timeout: Duration,
    /// How long a session lives however much it is used, counted from its login, or from its creation while nobody has
    /// logged in (24 hours).
    pub max_age: Duration,
    /// Bytes of keys and values in one session (4,096; at most 65,535). Each request that uses the session reads all of
    /// them, and `max_sessions` times as much is the most memory the values can take.
    pub max_bytes: usize,
    /// Sessions in a store in memory (100,000; at least 1 per shard). Each takes about 120 bytes beside its values.
    pub max_sessions: usize,
}

impl SessionParameters {
    /// Sets how long a session lives without being used.
    #[must_use]
    pub const fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Sets how long a session lives however much it is used.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how many bytes one session holds.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Sets how many sessions a store in memory holds.
    #[must_use]
    pub const fn max_sessions(mut self, max_sessions: usize) -> Self {
        self.max_sessions = max_sessions;
        self
    }

    /// What is left of the lifetime of a session of this age that was used so long ago; `None` if nothing is.
    pub(crate) fn time_left(&self, age: Duration, idle: Duration) -> Option<Duration> {
        let left = self
            .max_age
            .saturating_sub(age)
            .min(self.idle_timeout.saturating_sub(idle));
        (!left.is_zero()).then_some(left)
    }
}

impl Default for SessionParameters {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30 * 60),
            max_age: Duration::from_secs(24 * 60 * 60),
            max_bytes: 4096,
            max_sessions: 100_000,
        }
    }
}
