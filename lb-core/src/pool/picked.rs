//! What a pick yields: a guard that counts the request until its end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::backend::{BackendId, BackendState, LatencyRule, Outcome, Told};
use crate::breaker::Trial;

/// The result of [`Pool::pick`](crate::Pool::pick).
#[derive(Debug)]
#[must_use = "the request is counted as in flight until the guard is dropped"]
pub enum Pick {
    /// A backend, and the request counted in there.
    Picked(Picked),
    /// Backends are eligible, but all have as many requests in flight as they may, or the pool has: one that waits gets
    /// its turn.
    AllFull,
    /// Nobody can take the request, now or when others finish: the pool is empty, or all are disabled, draining,
    /// unhealthy, ejected, tried, or behind an open breaker. [`Pool::retry_after`](crate::Pool::retry_after) tells when
    /// that may change.
    NoneEligible,
}

impl Pick {
    /// The guard, if there is one.
    #[must_use = "the request is counted as in flight until the guard is dropped"]
    pub fn picked(self) -> Option<Picked> {
        match self {
            Self::Picked(picked) => Some(picked),
            Self::AllFull | Self::NoneEligible => None,
        }
    }
}

/// A request that is in flight at a backend, from the pick to its last byte.
///
/// [`Picked::finish`] reports how it went; a plain drop means cancelled. Either counts the request out.
#[must_use = "dropping it counts the request out"]
pub struct Picked {
    state: Arc<BackendState>,
    /// The pool's requests in flight, if they are counted for bounded loads.
    in_flight: Option<Arc<AtomicU64>>,
    started: Instant,
    latency: LatencyRule,
    /// Whether the backend counts it as waiting for a response head.
    awaiting: bool,
    answered: bool,
    /// Whether the pool counts it in flight.
    in_pool: bool,
    told: Told,
    /// The trial slot that it holds of a half-open breaker.
    trial: Option<Trial>,
}

impl Picked {
    #[inline]
    pub(super) fn new(
        state: Arc<BackendState>,
        in_flight: Option<Arc<AtomicU64>>,
        latency: LatencyRule,
        awaiting: bool,
        trial: Option<Trial>,
        now: Instant,
    ) -> Self {
        if awaiting {
            state.begin_awaiting(now);
        }
        Self {
            state,
            in_flight,
            started: now,
            latency,
            awaiting,
            answered: false,
            in_pool: false,
            told: Told::default(),
            trial,
        }
    }

    #[inline]
    pub(super) fn counted_in_pool(mut self, counted: bool) -> Self {
        self.in_pool = counted;
        self
    }

    /// The backend.
    #[inline]
    pub fn id(&self) -> &BackendId {
        self.state.id()
    }

    /// When it was picked.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Reports how the backend answered as soon as the response head is there.
    ///
    /// Without it a body that streams for an hour looks like an hour of waiting. The request stays in flight.
    pub fn answered(&mut self, outcome: Outcome, now: Instant) {
        if !self.answered {
            self.answered = true;
            self.state.record(outcome, self.started, self.latency, now);
            if self.state.is_watched() {
                self.watch(outcome, now);
            }
        }
        self.stop_awaiting();
    }

    /// Reports how it went and counts the request out.
    ///
    /// After [`Picked::answered`] only a failure is news: the response broke off. Then the request counts as failed and no
    /// longer as answered.
    pub fn finish(mut self, outcome: Outcome, now: Instant) {
        if !self.answered || matches!(outcome, Outcome::Failure { .. }) {
            self.state.record(outcome, self.started, self.latency, now);
            if self.state.is_watched() {
                self.watch(outcome, now);
            }
        }
    }

    /// Whether it is a trial of a backend whose breaker is half-open: a failure opens it again.
    pub fn is_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Gives back what only some requests hold. Out of line, for the others.
    #[inline(never)]
    fn give_back(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.state.cancel_trial(trial);
        }
        if self.in_pool {
            self.state.watch().leave();
        }
    }

    #[inline(never)]
    fn watch(&mut self, outcome: Outcome, now: Instant) {
        self.told = self
            .state
            .watch_outcome(outcome, self.told, &mut self.trial, now);
    }

    #[inline]
    fn stop_awaiting(&mut self) {
        if std::mem::take(&mut self.awaiting) {
            self.state.end_awaiting(self.started);
        }
    }
}

impl Drop for Picked {
    #[inline]
    fn drop(&mut self) {
        self.stop_awaiting();
        if let Some(in_flight) = &self.in_flight {
            in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        if self.in_pool || self.trial.is_some() {
            self.give_back();
        }
        self.state.release();
    }
}

impl fmt::Debug for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Picked");
        debug
            .field("id", self.id())
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}
