//! What is remembered of a backend as long as its pool knows it.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::latency::Latency;
use super::{BackendId, LatencyParameters, LatencyRule, Outcome, Tick};

/// Why a backend is not a candidate for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exclusion {
    /// The operator disabled it.
    Disabled,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// It is a backup, and a backend that is none can serve.
    Backup,
    /// This request was tried there before.
    Tried,
    /// It has as many requests in flight as it may.
    Full,
    /// It has its bounded share of the pool's requests (`balance_factor`); not final, unlike the others.
    OverBound,
}

impl Exclusion {
    /// The reason in one word, for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Draining => "draining",
            Self::Backup => "backup",
            Self::Tried => "tried",
            Self::Full => "full",
            Self::OverBound => "over_bound",
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const DISABLED: u8 = 1;
const DRAINING: u8 = 1 << 1;

/// The state of one backend: whether it is eligible, its requests in flight, its latency.
#[derive(Debug)]
#[repr(C)]
pub struct BackendState {
    /// What every request changes comes first, beside the reference count of the `Arc`: one cache line.
    in_flight: AtomicU32,
    /// Reasons against the backend, one bit each; eligible while there is none.
    against: AtomicU8,
    latency: Latency,
    epoch: Instant,
    id: BackendId,
    /// Keeps the counters of two backends apart, so that counting at one does not slow down the other. An alignment
    /// would do so too, but would put the reference count on a line of its own.
    _apart: [u64; 6],
}

impl BackendState {
    pub(crate) fn new(
        id: BackendId,
        latency: &LatencyParameters,
        epoch: Instant,
        now: Instant,
    ) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            against: AtomicU8::new(0),
            latency: Latency::new(latency, Tick::at(epoch, now)),
            epoch,
            id,
            _apart: [0; 6],
        }
    }

    /// The backend's identity.
    #[inline]
    pub fn id(&self) -> &BackendId {
        &self.id
    }

    /// Whether nothing but the request itself (tried before, full) can speak against the backend.
    #[inline]
    pub fn is_eligible(&self) -> bool {
        self.against.load(Ordering::Relaxed) == 0
    }

    /// The reason why the backend is not eligible, the gravest if there are several.
    pub fn exclusion(&self) -> Option<Exclusion> {
        let against = self.against.load(Ordering::Relaxed);
        match against {
            0 => None,
            _ if against & DISABLED != 0 => Some(Exclusion::Disabled),
            _ => Some(Exclusion::Draining),
        }
    }

    /// How many requests were picked for the backend and are not finished.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether the operator lets the backend take part.
    pub fn is_enabled(&self) -> bool {
        self.against.load(Ordering::Relaxed) & DISABLED == 0
    }

    /// Whether the backend takes no new requests because it is to go away.
    pub fn is_draining(&self) -> bool {
        self.against.load(Ordering::Relaxed) & DRAINING != 0
    }

    /// Returns whether this changed anything.
    pub(crate) fn set_enabled(&self, enabled: bool) -> bool {
        self.set(DISABLED, !enabled)
    }

    /// Returns whether this changed anything.
    pub(crate) fn set_draining(&self, draining: bool) -> bool {
        self.set(DRAINING, draining)
    }

    fn set(&self, reason: u8, applies: bool) -> bool {
        let before = if applies {
            self.against.fetch_or(reason, Ordering::Relaxed)
        } else {
            self.against.fetch_and(!reason, Ordering::Relaxed)
        };
        (before & reason != 0) != applies
    }

    /// Counts a request in, unless `limit` are in flight already. `u32::MAX` is no limit.
    #[inline]
    pub(crate) fn acquire(&self, limit: u32) -> bool {
        if limit == u32::MAX {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let below = |count| (count < limit).then_some(count + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below)
            .is_ok()
    }

    #[inline]
    pub(crate) fn release(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn tick(&self, now: Instant) -> Tick {
        Tick::at(self.epoch, now)
    }

    #[inline]
    pub(crate) fn begin_awaiting(&self, start: Instant) {
        self.latency.begin(self.tick(start));
    }

    #[inline]
    pub(crate) fn end_awaiting(&self, start: Instant) {
        self.latency.end(self.tick(start));
    }

    pub(crate) fn record(
        &self,
        outcome: Outcome,
        started: Instant,
        rule: LatencyRule,
        now: Instant,
    ) {
        self.latency.record(
            outcome,
            now.saturating_duration_since(started),
            rule,
            self.tick(now),
        );
    }

    #[inline]
    pub(crate) fn expected_millis(&self, rule: LatencyRule, now: Tick) -> f64 {
        self.latency.expected_millis(rule, now)
    }

    pub(crate) fn measured_latency(&self, rule: LatencyRule, now: Instant) -> Option<Duration> {
        self.latency.measured(rule, self.tick(now))
    }
}
