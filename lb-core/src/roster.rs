//! The backends that a strategy picks from.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::backend::{
    Backend, BackendId, BackendState, Exclusion, FULL, LatencyParameters, LatencyRule,
};
use crate::breaker::Trial;
use crate::draw::WeightedDraw;
use crate::strategy::PickHint;
use crate::watch::Watch;

/// The backends of equal rank in a pool, in the order given, as a [`Strategy`](crate::Strategy) sees them.
///
/// A roster never changes: the pool makes another one when backends come, go, are re-weighted, or become eligible or
/// not. Only what changes with every request (in-flight, latency) lies in the [`BackendState`]s that rosters share.
#[derive(Debug)]
pub struct Roster {
    members: Vec<Member>,
    /// Positions of the eligible members, ascending.
    eligible: Vec<u32>,
    /// Draws a position in `eligible` by weight; `None` while all weights are equal.
    draw: Option<WeightedDraw>,
    eligible_weight: u64,
    in_flight: Option<Arc<AtomicU64>>,
    pub(crate) latency: LatencyRule,
    /// How many trial requests a half-open breaker lets pass.
    trial_slots: u32,
    /// Whether a member gets less than its share, so that weights are parts of a hundredth.
    is_ramping: bool,
}

/// One backend of a roster: its parameters and its state.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) weight: u32,
    /// How many requests it may have in flight: none while it is not eligible, `u32::MAX` if there is no limit, and with
    /// [`TRIAL`] added while its breaker is half-open. Known here, so that a pick need not touch the state of a backend
    /// that it only passes or that has no limit.
    limit: u32,
    /// How many requests may be in flight while it drains, of clients that are bound to it; none while it does not.
    draining_limit: u32,
    pub(crate) state: Arc<BackendState>,
}

/// Marks the limit of a backend that takes trial requests only. With it no limit is `u32::MAX`.
const TRIAL: u32 = 1 << 31;

impl Member {
    pub(crate) fn new(backend: &Backend, state: Arc<BackendState>) -> Self {
        let most = backend.max_connections.map_or(u32::MAX, NonZeroU32::get);
        let limit = if state.is_half_open() {
            TRIAL | most.min(TRIAL - 2)
        } else if state.is_eligible() {
            // Nobody has so many in flight that the difference is felt.
            if most == u32::MAX {
                most
            } else {
                most.min(TRIAL - 1)
            }
        } else {
            0
        };
        let draining_limit = if state.is_only_draining() { most } else { 0 };
        Self {
            weight: backend.weight.get(),
            limit,
            draining_limit,
            state,
        }
    }

    #[inline]
    fn has_room(&self, trial_slots: u32) -> bool {
        if self.limit & TRIAL == 0 {
            self.state.in_flight() < self.limit
        } else {
            self.has_trial(trial_slots)
        }
    }

    #[cold]
    fn has_trial(&self, trial_slots: u32) -> bool {
        let care = self.state.care();
        self.state.in_flight() < self.limit & !TRIAL
            && care.is_some_and(|care| care.breaker.has_trial(trial_slots))
    }

    #[cold]
    fn acquire_trial(&self, limit: u32, trial_slots: u32) -> Option<Trial> {
        let breaker = &self.state.care()?.breaker;
        let trial = breaker.take_trial(trial_slots)?;
        if self.state.acquire((self.limit & !TRIAL).min(limit)) {
            Some(trial)
        } else {
            breaker.trial_cancelled(trial);
            None
        }
    }
}

impl Roster {
    /// Makes a roster of fresh backends, to use or measure a strategy without a pool. Backups count as any other.
    pub fn new(backends: &[Backend], now: Instant) -> Self {
        let latency = LatencyParameters::default();
        let watch = Arc::new(Watch::new());
        let member = |backend: &Backend| {
            let watch = Arc::clone(&watch);
            let state = BackendState::new(backend.id.clone(), &latency, watch, now, now);
            Member::new(backend, Arc::new(state))
        };
        Self::of(backends.iter().map(member).collect(), &latency, None, 0)
    }

    pub(crate) fn of(
        members: Vec<Member>,
        latency: &LatencyParameters,
        in_flight: Option<Arc<AtomicU64>>,
        trial_slots: u32,
    ) -> Self {
        let eligible: Vec<u32> = (0..)
            .zip(&members)
            .filter(|(_, member)| member.limit > 0)
            .map(|(index, _)| index)
            .collect();
        let weights: Vec<u32> = eligible
            .iter()
            .map(|&index| members[index as usize].weight)
            .collect();
        Self {
            draw: WeightedDraw::of(&weights),
            eligible_weight: weights.iter().map(|&weight| u64::from(weight)).sum(),
            members,
            eligible,
            in_flight,
            latency: LatencyRule::of(latency),
            trial_slots,
            is_ramping: false,
        }
    }

    /// Gives the members that are warmed up their part of their weight; all weights become finer for it, as far as a
    /// weight can be.
    pub(crate) fn ramp(members: &mut [Member]) -> bool {
        let is_ramping = members
            .iter()
            .any(|member| member.limit > 0 && member.state.percent() < FULL);
        if is_ramping {
            let most = members
                .iter()
                .map(|member| member.weight)
                .max()
                .unwrap_or(1);
            let scale = (u32::from(u16::MAX) / most).clamp(1, u32::from(FULL));
            for member in members {
                let percent = u32::from(member.state.percent());
                member.weight = (member.weight * scale * percent / u32::from(FULL)).max(1);
            }
        }
        is_ramping
    }

    pub(crate) fn ramping(mut self, is_ramping: bool) -> Self {
        self.is_ramping = is_ramping;
        self
    }

    /// Whether weights are what they are because a backend is warmed up.
    #[inline]
    pub(crate) fn is_ramping(&self) -> bool {
        self.is_ramping
    }

    /// How many backends there are, eligible or not.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no backend at all.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The identity at a position.
    ///
    /// # Panics
    /// If `index` is not below [`Roster::len`]; a strategy never yields such an index.
    pub fn id(&self, index: usize) -> &BackendId {
        self.members[index].state.id()
    }

    /// The weight at a position, in relation to the others': while a backend is warmed up, all are finer.
    ///
    /// # Panics
    /// If `index` is not below [`Roster::len`].
    pub fn weight(&self, index: usize) -> u32 {
        self.members[index].weight
    }

    /// The state at a position.
    ///
    /// # Panics
    /// If `index` is not below [`Roster::len`].
    #[inline]
    pub fn state(&self, index: usize) -> &BackendState {
        &self.members[index].state
    }

    /// The positions of the eligible backends, ascending.
    #[inline]
    pub fn eligible(&self) -> &[u32] {
        &self.eligible
    }

    /// Whether the backend at a position can take this request: eligible, not tried, not full.
    #[inline]
    pub fn is_usable(&self, index: usize, hint: &PickHint<'_>) -> bool {
        let member = &self.members[index];
        (member.limit == u32::MAX || member.has_room(self.trial_slots))
            && (hint.tried.is_empty() || !hint.tried.contains(member.state.id()))
    }

    /// Whether the backend at a position can take this request of a client that is bound to it: usable, or only draining.
    pub(crate) fn is_usable_by_affinity(&self, index: usize, hint: &PickHint<'_>) -> bool {
        let member = &self.members[index];
        self.is_usable(index, hint)
            || (member.state.in_flight() < member.draining_limit
                && !hint.tried.contains(member.state.id()))
    }

    /// Why the backend at a position cannot take this request; `None` exactly if it [is usable](Roster::is_usable).
    pub fn exclusion(&self, index: usize, hint: &PickHint<'_>) -> Option<Exclusion> {
        let member = &self.members[index];
        if member.limit == 0 {
            // The state may just have become eligible, while the roster that says so is being made.
            Some(member.state.exclusion().unwrap_or(Exclusion::Disabled))
        } else if hint.tried.contains(member.state.id()) {
            Some(Exclusion::Tried)
        } else if member.state.in_flight() >= member.limit & !TRIAL && member.limit != u32::MAX {
            Some(Exclusion::Full)
        } else if member.limit != u32::MAX && !member.has_room(self.trial_slots) {
            Some(Exclusion::TrialsTaken)
        } else {
            None
        }
    }

    /// Counts a request in at a position, unless the backend has `limit` or its own maximum in flight.
    #[inline]
    pub(crate) fn acquire(
        &self,
        index: usize,
        limit: u32,
    ) -> Option<(&Arc<BackendState>, Option<Trial>)> {
        let member = &self.members[index];
        let trial = if member.limit == u32::MAX || member.limit & TRIAL == 0 {
            if !member.state.acquire(member.limit.min(limit)) {
                return None;
            }
            None
        } else {
            Some(member.acquire_trial(limit, self.trial_slots)?)
        };
        if let Some(in_flight) = &self.in_flight {
            in_flight.fetch_add(1, Ordering::Relaxed);
        }
        Some((&member.state, trial))
    }

    /// Counts a request in at a position whose backend drains, for a client that is bound to it.
    #[cold]
    pub(crate) fn acquire_draining(&self, index: usize) -> Option<&Arc<BackendState>> {
        let member = &self.members[index];
        if !member.state.acquire(member.draining_limit) {
            return None;
        }
        if let Some(in_flight) = &self.in_flight {
            in_flight.fetch_add(1, Ordering::Relaxed);
        }
        Some(&member.state)
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn eligible_weight(&self) -> u64 {
        self.eligible_weight
    }

    pub(crate) fn weighted_draw(&self) -> Option<&WeightedDraw> {
        self.draw.as_ref()
    }

    /// The requests in flight at all its backends, if anything asked for that to be counted.
    pub(crate) fn in_flight(&self) -> Option<&Arc<AtomicU64>> {
        self.in_flight.as_ref()
    }
}
