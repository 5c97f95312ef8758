//! The parameters of a circuit breaker.

use std::num::NonZeroU32;
use std::time::Duration;

/// When a breaker opens, for how long, and what closes it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// The share of failed requests that opens it, from 0 to 1; default 0.5. A larger one bears with more failures.
    pub failure_ratio: f64,
    /// How many requests within the window it takes to judge; default 20. More is less easily misled, and slower.
    pub min_requests: u32,
    /// Over which time requests are counted, to a tenth of it; default 10 s. A longer one is slower to see a change.
    pub window: Duration,
    /// How long it is open at first; default 10 s. Each time that its trial requests fail it is open for twice as long. A
    /// longer one gives a backend more rest, and keeps a recovered one out for longer.
    pub open_for: Duration,
    /// The longest time it is open; default 2 min.
    pub max_open_for: Duration,
    /// By how many percent at most this time is made longer or shorter at random; default 20. More keeps the trials of
    /// many balancers further apart.
    pub jitter_percent: u32,
    /// How many trial requests must succeed until it closes, and may run at once; default 5. More are surer of a recovery,
    /// and lose more requests while there is none.
    pub half_open_requests: NonZeroU32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failure_ratio: 0.5,
            min_requests: 20,
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(10),
            max_open_for: Duration::from_secs(120),
            jitter_percent: 20,
            half_open_requests: NonZeroU32::MIN.saturating_add(4),
        }
    }
}

impl BreakerPolicy {
    /// Sets [`BreakerPolicy::failure_ratio`].
    #[must_use]
    pub fn failure_ratio(mut self, ratio: f64) -> Self {
        self.failure_ratio = ratio;
        self
    }

    /// Sets [`BreakerPolicy::min_requests`].
    #[must_use]
    pub fn min_requests(mut self, requests: u32) -> Self {
        self.min_requests = requests;
        self
    }

    /// Sets [`BreakerPolicy::window`].
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets [`BreakerPolicy::open_for`].
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// Sets [`BreakerPolicy::max_open_for`].
    #[must_use]
    pub fn max_open_for(mut self, time: Duration) -> Self {
        self.max_open_for = time;
        self
    }

    /// Sets [`BreakerPolicy::jitter_percent`].
    #[must_use]
    pub fn jitter_percent(mut self, percent: u32) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// Sets [`BreakerPolicy::half_open_requests`].
    #[must_use]
    pub fn half_open_requests(mut self, requests: NonZeroU32) -> Self {
        self.half_open_requests = requests;
        self
    }
}
