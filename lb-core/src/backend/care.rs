//! What is remembered of a backend's health, and what its outcomes make of it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::{BackendState, FULL, Outcome};
use crate::breaker::{Breaker, Trial};
use crate::hash::{identity, mix};
use crate::health::HealthCheck;
use crate::outlier::{Ejection, EjectionCause, Ended, Rate};
use crate::watch::HealthEvent;

/// What outcomes are counted for, one bit each.
pub(crate) const STREAKS: u8 = 1;
pub(crate) const RATE: u8 = 1 << 1;
pub(crate) const BREAKER: u8 = 1 << 2;

/// Made when the first policy is on: a pool without one has nothing to remember.
#[derive(Debug)]
pub(crate) struct Care {
    pub(crate) breaker: Breaker,
    pub(crate) rate: Rate,
    /// For what the backend is to be ejected, if the pool can do without it.
    suspected: AtomicU8,
    pub(crate) record: Mutex<Record>,
}

/// Read and changed under the lock of the pool's draft alone; its own lock is for the compiler.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) health: Option<HealthCheck>,
    pub(crate) ejection: Ejection,
    /// Since when its share grows.
    pub(crate) entered: Option<Instant>,
    /// Whether it took part without reserve when last looked at; `None` before the first look.
    pub(crate) was_in: Option<bool>,
}

/// What was told of a request with its response head, and of what that must be taken back if the response breaks off.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) what: What,
    pub(crate) ended: Ended,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum What {
    #[default]
    Nothing,
    Success,
    Failure,
}

impl Told {
    fn success(ended: Ended) -> Self {
        Self {
            what: What::Success,
            ended,
        }
    }
}

impl Care {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            breaker: Breaker::new(now),
            rate: Rate::default(),
            suspected: AtomicU8::new(0),
            record: Mutex::default(),
        }
    }

    pub(crate) fn suspect(&self, cause: EjectionCause) {
        let code = match cause {
            EjectionCause::ConsecutiveErrors => 1,
            EjectionCause::ConsecutiveGatewayErrors => 2,
            EjectionCause::SuccessRate => 3,
        };
        self.suspected.store(code, Ordering::Release);
    }

    pub(crate) fn take_suspicion(&self) -> Option<EjectionCause> {
        match self.suspected.swap(0, Ordering::Acquire) {
            1 => Some(EjectionCause::ConsecutiveErrors),
            2 => Some(EjectionCause::ConsecutiveGatewayErrors),
            3 => Some(EjectionCause::SuccessRate),
            _ => None,
        }
    }
}

impl BackendState {
    /// Whether outcomes are counted for anything.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watched() != 0
    }

    /// Counts an outcome for what is watched. Returns what a response that breaks off must take back.
    pub(crate) fn watch_outcome(
        &self,
        outcome: Outcome,
        told: Told,
        trial: &mut Option<Trial>,
        now: Instant,
    ) -> Told {
        let watched = self.watched();
        let is_news = match outcome {
            Outcome::Success { .. } => told.what == What::Nothing,
            Outcome::Failure { .. } => told.what != What::Failure,
            Outcome::Cancelled => false,
        };
        if !is_news {
            return told;
        }
        // The most frequent case by far: there is nothing to forget.
        if watched == STREAKS && trial.is_none() && matches!(outcome, Outcome::Success { .. }) {
            return Told::success(self.streaks().succeeded());
        }
        self.count_outcome(outcome, told, trial.take(), watched, now)
    }

    fn count_outcome(
        &self,
        outcome: Outcome,
        told: Told,
        trial: Option<Trial>,
        watched: u8,
        now: Instant,
    ) -> Told {
        let Some(care) = self.care() else {
            return told;
        };
        let policy = self.watch().policy.read();
        let is_counted = |what: u8| watched & what != 0;
        let breaker = policy.breaker.as_ref().filter(|_| is_counted(BREAKER));
        let Outcome::Failure { cause, .. } = outcome else {
            if is_counted(RATE) {
                care.rate.count(false);
            }
            let changed = match (breaker, trial) {
                (Some(policy), Some(trial)) => care.breaker.trial_succeeded(trial, policy, now),
                (Some(policy), None) => {
                    care.breaker.succeeded(policy, now);
                    None
                }
                _ => None,
            };
            if let Some(state) = changed {
                self.watch()
                    .tell(Some(self.id()), HealthEvent::Breaker(state), now);
                self.watch().is_due_now();
            }
            return Told::success(self.streaks().succeeded());
        };
        let broke_off = told.what == What::Success;
        if is_counted(RATE) {
            if broke_off {
                care.rate.correct();
            } else {
                care.rate.count(true);
            }
        }
        let changed = breaker.and_then(|policy| match trial {
            Some(trial) => care
                .breaker
                .trial_failed(trial, policy, self.random(now), now),
            None if broke_off => care.breaker.broke_off(policy, self.random(now), now),
            None => care.breaker.failed(policy, self.random(now), now),
        });
        if let Some(state) = changed {
            self.watch()
                .tell(Some(self.id()), HealthEvent::Breaker(state), now);
            self.watch().is_due_now();
        }
        if is_counted(STREAKS)
            && let Some(policy) = &policy.outlier
            && let Some(cause) = self.streaks().failed(policy, cause, told.ended)
        {
            care.suspect(cause);
            self.watch().is_due_now();
        }
        Told {
            what: What::Failure,
            ended: Ended::default(),
        }
    }

    /// A backend that comes back to its pool is another one, as far as its health goes.
    pub(crate) fn forget_health(&self, now: Instant) {
        self.streaks().reset();
        self.set_found(0);
        self.set_percent(FULL);
        if let Some(care) = self.care() {
            care.breaker.reset(now);
            care.rate.take(0);
            care.take_suspicion();
            *care.record.lock() = Record::default();
        }
    }

    /// A trial ended without an outcome.
    #[cold]
    pub(crate) fn cancel_trial(&self, trial: Trial) {
        if let Some(care) = self.care() {
            care.breaker.trial_cancelled(trial);
        }
    }

    /// Bits to make times irregular with: no two backends have the same at one time, nor one backend twice.
    pub(crate) fn random(&self, now: Instant) -> u64 {
        mix(identity(self.id().as_str(), 3) ^ mix(self.tick(now).get()))
    }
}
