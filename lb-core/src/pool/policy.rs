//! What keeps a pool up.

use std::num::NonZeroU32;

use crate::breaker::BreakerPolicy;
use crate::health::HealthPolicy;
use crate::outlier::OutlierPolicy;
use crate::slow_start::SlowStart;

/// How a pool watches over its backends. Everything is off by default; what is off costs a pick nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PoolPolicy {
    /// Whether probes decide, and how. The caller probes: [`Pool::due_probes`](crate::Pool::due_probes).
    pub health: Option<HealthPolicy>,
    /// Whether backends are ejected for how they answer.
    pub outlier: Option<OutlierPolicy>,
    /// Whether each backend has a circuit breaker.
    pub breaker: Option<BreakerPolicy>,
    /// Whether backends that enter begin with a part of their share.
    pub slow_start: Option<SlowStart>,
    /// How many requests the pool may have in flight, over all backends; default unlimited. At the limit a pick is
    /// [`AllFull`](crate::Pick::AllFull). A larger number protects what the backends share, such as a database, less.
    pub max_in_flight: Option<NonZeroU32>,
}

impl PoolPolicy {
    /// Probes and outlier detection with their defaults; no breaker, no slow start, no limit.
    pub fn recommended() -> Self {
        Self {
            health: Some(HealthPolicy::default()),
            outlier: Some(OutlierPolicy::default()),
            ..Self::default()
        }
    }

    /// Sets [`PoolPolicy::health`].
    #[must_use]
    pub fn health(mut self, policy: impl Into<Option<HealthPolicy>>) -> Self {
        self.health = policy.into();
        self
    }

    /// Sets [`PoolPolicy::outlier`].
    #[must_use]
    pub fn outlier(mut self, policy: impl Into<Option<OutlierPolicy>>) -> Self {
        self.outlier = policy.into();
        self
    }

    /// Sets [`PoolPolicy::breaker`].
    #[must_use]
    pub fn breaker(mut self, policy: impl Into<Option<BreakerPolicy>>) -> Self {
        self.breaker = policy.into();
        self
    }

    /// Sets [`PoolPolicy::slow_start`].
    #[must_use]
    pub fn slow_start(mut self, policy: impl Into<Option<SlowStart>>) -> Self {
        self.slow_start = policy.into();
        self
    }

    /// Sets [`PoolPolicy::max_in_flight`].
    #[must_use]
    pub fn max_in_flight(mut self, limit: impl Into<Option<NonZeroU32>>) -> Self {
        self.max_in_flight = limit.into();
        self
    }

    /// Whether nothing has to be remembered of any backend.
    pub(crate) fn is_off(&self) -> bool {
        let Self {
            health,
            outlier,
            breaker,
            slow_start,
            max_in_flight: _,
        } = self;
        health.is_none() && outlier.is_none() && breaker.is_none() && slow_start.is_none()
    }

    /// How many trial requests a half-open breaker lets pass.
    pub(crate) fn trial_slots(&self) -> u32 {
        self.breaker
            .map_or(0, |policy| policy.half_open_requests.get())
    }
}
