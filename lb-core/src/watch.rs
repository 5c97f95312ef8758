//! What the backends of a pool share while their health is watched: the policy, when something is due, and the news.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use crate::backend::{BackendId, Tick};
use crate::breaker::BreakerState;
use crate::outlier::Ejected;
use crate::pool::PoolPolicy;

/// A backend, or the pool as a whole, is not what it was before. From [`Pool::take_changes`](crate::Pool::take_changes),
/// each once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthChange {
    /// The backend; `None` for the pool.
    pub id: Option<BackendId>,
    /// When it was noticed.
    pub at: Instant,
    /// What happened.
    pub event: HealthEvent,
}

/// What can happen to the health of a backend or of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthEvent {
    /// Its probes pass; with the text of the last one.
    Healthy(Box<str>),
    /// Its probes fail; with the text of the last one.
    Unhealthy(Box<str>),
    /// It was ejected for how it answers.
    Ejected(Ejected),
    /// Its ejection is over.
    Readmitted,
    /// Its breaker is in another state.
    Breaker(BreakerState),
    /// Too few backends are usable, so ejections are disregarded.
    PanicBegan {
        /// How many are healthy and not ejected.
        usable: usize,
        /// Of how many that the operator lets take part.
        all: usize,
    },
    /// Ejections count again.
    PanicEnded,
}

impl HealthEvent {
    /// The event in one word, for logs and labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy(_) => "healthy",
            Self::Unhealthy(_) => "unhealthy",
            Self::Ejected(_) => "ejected",
            Self::Readmitted => "readmitted",
            Self::Breaker(BreakerState::Closed) => "breaker_closed",
            Self::Breaker(BreakerState::Open { .. }) => "breaker_opened",
            Self::Breaker(BreakerState::HalfOpen) => "breaker_half_open",
            Self::PanicBegan { .. } => "panic_began",
            Self::PanicEnded => "panic_ended",
        }
    }
}

impl fmt::Display for HealthEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Healthy(text) | Self::Unhealthy(text) => write!(f, ": {text}"),
            Self::Ejected(ejected) => write!(f, ": {ejected}"),
            Self::PanicBegan { usable, all } => write!(f, ": {usable} of {all} are usable"),
            Self::Readmitted | Self::Breaker(_) | Self::PanicEnded => Ok(()),
        }
    }
}

/// So many changes are kept until they are taken, the first ones.
const CHANGES_MAX: usize = 1024;

#[derive(Debug)]
pub(crate) struct Watch {
    /// The tick at which something becomes different by itself (a pause ends, a share grows), 0 being at once, and in the
    /// lowest bit whether there is no limit: one word, so that a pick looks at one.
    due: AtomicU64,
    /// How many requests the pool may have in flight; `u32::MAX` is no limit.
    limit: AtomicU32,
    pub(crate) policy: RwLock<PoolPolicy>,
    changes: Mutex<Changed>,
    /// Keeps what every request changes, where there is a limit, apart from what every pick reads.
    _apart: [u64; 8],
    in_flight: AtomicU32,
}

#[derive(Debug, Default)]
struct Changed {
    kept: VecDeque<HealthChange>,
    lost: u64,
}

const UNLIMITED: u64 = 1;
/// Never, with the lowest bit for the limit.
const NEVER: u64 = !UNLIMITED;

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            due: AtomicU64::new(NEVER | UNLIMITED),
            limit: AtomicU32::new(u32::MAX),
            policy: RwLock::new(PoolPolicy::default()),
            changes: Mutex::default(),
            _apart: [0; 8],
            in_flight: AtomicU32::new(0),
        }
    }

    /// Whether a pick has nothing to heed: nothing is ever due, and there is no limit.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        // Pairs with the release of whoever found something, so that what was found is seen.
        self.due.load(Ordering::Acquire) == NEVER | UNLIMITED
    }

    /// Whether something is to be brought up to date.
    pub(crate) fn is_anything_due(&self, now: impl FnOnce() -> Tick) -> bool {
        let due = self.due.load(Ordering::Acquire) & !UNLIMITED;
        due != NEVER && due <= now().get() << 1
    }

    /// Something was found that the next pick has to heed.
    pub(crate) fn is_due_now(&self) {
        self.due.fetch_and(UNLIMITED, Ordering::AcqRel);
    }

    /// Whoever brings all up to date begins with this, so that what is found meanwhile is not forgotten.
    pub(crate) fn begin(&self) {
        self.due.fetch_or(NEVER, Ordering::AcqRel);
    }

    pub(crate) fn is_due_at(&self, at: Tick) {
        let sooner = |word: u64| Some((word & !UNLIMITED).min(at.get() << 1) | word & UNLIMITED);
        // Always has something to store.
        let _ = self
            .due
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, sooner);
    }

    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
        if limit == u32::MAX {
            self.due.fetch_or(UNLIMITED, Ordering::AcqRel);
        } else {
            self.due.fetch_and(!UNLIMITED, Ordering::AcqRel);
        }
    }

    /// Counts a request into the pool: `None` if the pool is full, else whether it was counted.
    pub(crate) fn enter(&self) -> Option<bool> {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == u32::MAX {
            return Some(false);
        }
        let below = |count| (count < limit).then_some(count + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below)
            .ok()
            .map(|_| true)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_flight() >= self.limit.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that were counted.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, id: Option<&BackendId>, event: HealthEvent, at: Instant) {
        let mut changes = self.changes.lock();
        if changes.kept.len() < CHANGES_MAX {
            let id = id.cloned();
            changes.kept.push_back(HealthChange { id, at, event });
        } else {
            changes.lost += 1;
        }
    }

    pub(crate) fn take_changes(&self) -> Vec<HealthChange> {
        self.changes.lock().kept.drain(..).collect()
    }

    /// Changes that were not kept because nobody took those before.
    pub(crate) fn lost_changes(&self) -> u64 {
        self.changes.lock().lost
    }
}
