//! What is remembered of a backend as long as its pool knows it.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::latency::Latency;
use super::{BackendId, Care, LatencyParameters, LatencyRule, Outcome, Tick};
use crate::outlier::Streaks;
use crate::watch::Watch;

/// Why a backend is not a candidate for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exclusion {
    /// The operator disabled it.
    Disabled,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Its probes fail.
    Unhealthy,
    /// Outlier detection ejected it.
    Ejected,
    /// Its circuit breaker is open.
    BreakerOpen,
    /// Its circuit breaker is half-open and all trial slots are taken.
    TrialsTaken,
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
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::BreakerOpen => "breaker_open",
            Self::TrialsTaken => "trials_taken",
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

/// The percentage of a backend that is not warmed up.
pub(crate) const FULL: u8 = 100;

const DISABLED: u8 = 1;
const DRAINING: u8 = 1 << 1;
pub(crate) const UNHEALTHY: u8 = 1 << 2;
pub(crate) const EJECTED: u8 = 1 << 3;
pub(crate) const BREAKER_OPEN: u8 = 1 << 4;
/// No reason against it, but against more than a few requests.
pub(crate) const HALF_OPEN: u8 = 1 << 5;
/// What the pool finds out and not the operator says.
const FOUND: u8 = UNHEALTHY | EJECTED | BREAKER_OPEN | HALF_OPEN;

/// The state of one backend: whether it is eligible, its requests in flight, its latency, its health.
#[derive(Debug)]
#[repr(C)]
pub struct BackendState {
    /// What every request changes comes first, beside the reference count of the `Arc`: one cache line.
    in_flight: AtomicU32,
    /// Reasons against the backend, one bit each; eligible while there is none.
    against: AtomicU8,
    /// What outcomes are counted for, and failures in a row.
    watched: AtomicU8,
    /// The percentage of its share that it gets, while it is warmed up.
    percent: AtomicU8,
    streaks: Streaks,
    latency: Latency,
    epoch: Instant,
    id: BackendId,
    watch: Arc<Watch>,
    care: OnceLock<Box<Care>>,
    /// Keeps the counters of two backends apart, so that counting at one does not slow down the other. An alignment
    /// would do so too, but would put the reference count on a line of its own.
    _apart: [u64; 2],
}

impl BackendState {
    pub(crate) fn new(
        id: BackendId,
        latency: &LatencyParameters,
        watch: Arc<Watch>,
        epoch: Instant,
        now: Instant,
    ) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            against: AtomicU8::new(0),
            watched: AtomicU8::new(0),
            percent: AtomicU8::new(FULL),
            streaks: Streaks::default(),
            latency: Latency::new(latency, Tick::at(epoch, now)),
            epoch,
            id,
            watch,
            care: OnceLock::new(),
            _apart: [0; 2],
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
        self.against.load(Ordering::Relaxed) & !HALF_OPEN == 0
    }

    /// Whether the backend is eligible for a few trial requests only.
    pub(crate) fn is_half_open(&self) -> bool {
        self.against.load(Ordering::Relaxed) == HALF_OPEN
    }

    /// The reason why the backend is not eligible, the gravest if there are several.
    pub fn exclusion(&self) -> Option<Exclusion> {
        let against = self.against.load(Ordering::Relaxed);
        let reasons = [
            (DISABLED, Exclusion::Disabled),
            (DRAINING, Exclusion::Draining),
            (UNHEALTHY, Exclusion::Unhealthy),
            (EJECTED, Exclusion::Ejected),
            (BREAKER_OPEN, Exclusion::BreakerOpen),
        ];
        let gravest = reasons.iter().find(|(bit, _)| against & bit != 0);
        gravest.map(|&(_, reason)| reason)
    }

    /// Whether it would be eligible if it were not ejected.
    pub(crate) fn is_only_ejected(&self) -> bool {
        let against = self.against.load(Ordering::Relaxed);
        against & EJECTED != 0
            && against & (DISABLED | DRAINING | UNHEALTHY | BREAKER_OPEN | HALF_OPEN) == 0
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

    /// Whether nothing speaks against the backend but that it is to go away.
    pub(crate) fn is_only_draining(&self) -> bool {
        self.against.load(Ordering::Relaxed) == DRAINING
    }

    /// Returns whether this changed anything.
    pub(crate) fn set_enabled(&self, enabled: bool) -> bool {
        self.set(DISABLED, !enabled)
    }

    /// Returns whether this changed anything.
    pub(crate) fn set_draining(&self, draining: bool) -> bool {
        self.set(DRAINING, draining)
    }

    /// Says what the pool has found, in place of what it found before. Returns whether this changed anything.
    pub(crate) fn set_found(&self, found: u8) -> bool {
        let update = |against| (against & FOUND != found).then_some(against & !FOUND | found);
        self.against
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
            .is_ok()
    }

    /// The percentage of its share that the backend gets.
    pub(crate) fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }

    /// Returns whether this changed anything.
    pub(crate) fn set_percent(&self, percent: u8) -> bool {
        self.percent.swap(percent, Ordering::Relaxed) != percent
    }

    #[inline]
    pub(super) fn watched(&self) -> u8 {
        self.watched.load(Ordering::Relaxed)
    }

    pub(crate) fn set_watched(&self, watched: u8) {
        self.watched.store(watched, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn streaks(&self) -> &Streaks {
        &self.streaks
    }

    #[inline]
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    #[inline]
    pub(crate) fn care(&self) -> Option<&Care> {
        self.care.get().map(Box::as_ref)
    }

    pub(crate) fn care_or_new(&self, now: Instant) -> &Care {
        self.care.get_or_init(|| Box::new(Care::new(now)))
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

    /// Whether it ever had a request.
    pub(crate) fn has_served(&self) -> bool {
        self.in_flight() > 0 || self.latency.is_measured()
    }

    pub(crate) fn measured_latency(&self, rule: LatencyRule, now: Instant) -> Option<Duration> {
        self.latency.measured(rule, self.tick(now))
    }
}
