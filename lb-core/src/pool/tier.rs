//! What a pick reads: the backends of equal rank with the strategy that was built for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use foldhash::fast::FixedState;

use super::change::Draft;
use super::{Picked, PoolParameters};
use crate::backend::BackendId;
use crate::hash::mix;
use crate::roster::{Member, Roster};
use crate::strategy::{
    Algorithm, ConsistentHashing, IpHash, LeastConnections, LeastResponseTime, PickHint, Reasoning,
    RoundRobin, Strategy, WeightedRoundRobin,
};

/// The state of a pool between two changes; replaced as a whole.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) algorithm: Algorithm,
    /// The others, then the backups.
    pub(super) tiers: [Tier; 2],
    /// Tier and position of each backend, for affinity.
    places: HashMap<BackendId, (usize, usize), FixedState>,
}

/// Backends of equal rank.
#[derive(Debug)]
pub(super) struct Tier {
    pub(super) roster: Roster,
    pub(super) strategy: AnyStrategy,
    seed: u64,
    /// For how many backends the table was made.
    expected: usize,
}

/// One of the six. An enum and not a boxed trait, so that a pick can be inlined.
#[derive(Debug)]
pub(super) enum AnyStrategy {
    RoundRobin(RoundRobin),
    LeastConnections(LeastConnections),
    WeightedRoundRobin(WeightedRoundRobin),
    IpHash(IpHash),
    LeastResponseTime(LeastResponseTime),
    ConsistentHashing(ConsistentHashing),
}

/// So many lost races for a last slot, then every backend is tried in order.
const RACES_MAX: usize = 8;

impl Published {
    pub(super) fn of(draft: &Draft, previous: Option<&Self>) -> Self {
        let mut places =
            HashMap::with_capacity_and_hasher(draft.entries.len(), FixedState::default());
        let tiers = [0, 1].map(|rank| {
            let in_tier = draft
                .entries
                .iter()
                .filter(|entry| usize::from(entry.backend.backup) == rank);
            let mut members: Vec<Member> = in_tier
                .map(|entry| Member::new(&entry.backend, Arc::clone(&entry.state)))
                .collect();
            for (index, member) in members.iter().enumerate() {
                places.insert(member.state.id().clone(), (rank, index));
            }
            // Those that place by key would move keys.
            let is_ramping = !draft.parameters.algorithm.uses_key() && Roster::ramp(&mut members);
            Tier::of(
                members,
                is_ramping,
                draft,
                previous.map(|previous| &previous.tiers[rank]),
            )
        });
        Self {
            algorithm: draft.parameters.algorithm,
            tiers,
            places,
        }
    }

    pub(super) fn place(&self, id: &BackendId) -> Option<(&Tier, usize)> {
        self.places
            .get(id)
            .map(|&(rank, index)| (&self.tiers[rank], index))
    }

    /// `None` if nobody can take the request.
    #[inline]
    pub(super) fn pick(&self, hint: &PickHint<'_>, now: Instant) -> Option<Picked> {
        if let Some(affinity) = hint.affinity
            && let Some(picked) = self.pick_by_affinity(affinity, hint, now)
        {
            return Some(picked);
        }
        for tier in &self.tiers {
            if let Some(picked) = tier.pick(hint, now) {
                return Some(picked);
            }
            if tier.is_any_only_full(hint) {
                break;
            }
        }
        None
    }

    fn pick_by_affinity(
        &self,
        id: &BackendId,
        hint: &PickHint<'_>,
        now: Instant,
    ) -> Option<Picked> {
        let (tier, index) = self
            .place(id)
            .filter(|(tier, index)| tier.roster.is_usable_by_affinity(*index, hint))?;
        if !tier.roster.is_usable(index, hint) {
            return tier.take_draining(index, now);
        }
        let picked = tier.take(index, u32::MAX, now)?;
        tier.strategy.charge(&tier.roster, index);
        Some(picked)
    }
}

impl Tier {
    fn of(members: Vec<Member>, is_ramping: bool, draft: &Draft, previous: Option<&Self>) -> Self {
        let parameters = &draft.parameters;
        // Whoever was counted in is counted out of the same number, so it is kept as long as it is needed at all.
        let counted = parameters.balance_factor.map(|_| {
            let kept = previous.and_then(|previous| previous.roster.in_flight());
            kept.map_or_else(|| Arc::new(AtomicU64::new(0)), Arc::clone)
        });
        let trial_slots = draft.policy.trial_slots();
        let roster =
            Roster::of(members, &parameters.latency, counted, trial_slots).ramping(is_ramping);
        let strategy = AnyStrategy::of(parameters, &roster, previous);
        Self {
            roster,
            strategy,
            seed: mix(parameters.seed),
            expected: parameters.expected_backends,
        }
    }

    #[inline]
    pub(super) fn pick(&self, hint: &PickHint<'_>, now: Instant) -> Option<Picked> {
        if self.roster.eligible().is_empty() {
            return None;
        }
        let hint = self.seeded(hint);
        let mut lost = None;
        for _ in 0..RACES_MAX {
            let index = self.strategy.pick(&self.roster, &hint, now)?;
            // A backend that is picked again was not lost to another thread: it is beyond its bound and still the best.
            let bound = if lost == Some(index) {
                u32::MAX
            } else {
                self.strategy.bound(&self.roster, index)
            };
            if let Some(picked) = self.take(index, bound, now) {
                return Some(picked);
            }
            lost = Some(index);
        }
        self.take_any(&hint, now)
    }

    /// The hint with the seed of the pool mixed into its random bits.
    #[inline]
    pub(super) fn seeded<'a>(&self, hint: &PickHint<'a>) -> PickHint<'a> {
        PickHint {
            random: hint.random ^ self.seed,
            ..*hint
        }
    }

    /// Under such a rush any free slot will do.
    #[cold]
    fn take_any(&self, hint: &PickHint<'_>, now: Instant) -> Option<Picked> {
        let eligible = self.roster.eligible().iter().map(|&index| index as usize);
        eligible
            .filter(|&index| self.roster.is_usable(index, hint))
            .find_map(|index| self.take(index, u32::MAX, now))
    }

    #[inline]
    fn take(&self, index: usize, bound: u32, now: Instant) -> Option<Picked> {
        let (state, trial) = self.roster.acquire(index, bound)?;
        let state = Arc::clone(state);
        let awaiting = matches!(self.strategy, AnyStrategy::LeastResponseTime(_));
        Some(Picked::new(
            state,
            self.roster.in_flight().cloned(),
            self.roster.latency,
            awaiting,
            trial,
            now,
        ))
    }
}

impl Tier {
    /// Takes a backend that drains, to which no strategy has anything to charge.
    #[cold]
    fn take_draining(&self, index: usize, now: Instant) -> Option<Picked> {
        let state = Arc::clone(self.roster.acquire_draining(index)?);
        let awaiting = matches!(self.strategy, AnyStrategy::LeastResponseTime(_));
        Some(Picked::new(
            state,
            self.roster.in_flight().cloned(),
            self.roster.latency,
            awaiting,
            None,
            now,
        ))
    }
}

impl AnyStrategy {
    fn of(parameters: &PoolParameters, roster: &Roster, previous: Option<&Tier>) -> Self {
        let before = previous.map(|previous| &previous.strategy);
        match parameters.algorithm {
            Algorithm::RoundRobin => match before {
                Some(Self::RoundRobin(before)) => Self::RoundRobin(RoundRobin::after(before)),
                _ => Self::RoundRobin(RoundRobin::default()),
            },
            Algorithm::WeightedRoundRobin => match (previous, before) {
                (Some(previous), Some(Self::WeightedRoundRobin(before))) => {
                    Self::WeightedRoundRobin(WeightedRoundRobin::after(
                        before,
                        &previous.roster,
                        roster,
                    ))
                }
                _ => Self::WeightedRoundRobin(WeightedRoundRobin::new(roster)),
            },
            Algorithm::LeastConnections => Self::LeastConnections(LeastConnections),
            Algorithm::LeastResponseTime => Self::LeastResponseTime(LeastResponseTime),
            Algorithm::IpHash => Self::IpHash(placement(parameters, roster, previous).into()),
            Algorithm::ConsistentHashing => {
                Self::ConsistentHashing(placement(parameters, roster, previous))
            }
        }
    }
}

/// A table depends on identities and weights alone, so it outlives all other changes.
fn placement(
    parameters: &PoolParameters,
    roster: &Roster,
    previous: Option<&Tier>,
) -> ConsistentHashing {
    let kept = previous.filter(|previous| {
        let is_as_large = previous.expected == parameters.expected_backends;
        let known = previous
            .roster
            .members()
            .iter()
            .map(|member| (member.state.id(), member.weight));
        is_as_large
            && known.eq(roster
                .members()
                .iter()
                .map(|member| (member.state.id(), member.weight)))
    });
    let placement = match kept.map(|previous| &previous.strategy) {
        Some(AnyStrategy::ConsistentHashing(before)) => ConsistentHashing::with_table_of(before),
        Some(AnyStrategy::IpHash(before)) => ConsistentHashing::with_table_of(&before.placement),
        _ => ConsistentHashing::with_room(roster, parameters.expected_backends),
    };
    placement
        .seed(parameters.seed)
        .balance_factor(parameters.balance_factor)
}

impl Strategy for AnyStrategy {
    #[inline]
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Option<usize> {
        match self {
            Self::RoundRobin(strategy) => strategy.pick(roster, hint, now),
            Self::LeastConnections(strategy) => strategy.pick(roster, hint, now),
            Self::WeightedRoundRobin(strategy) => strategy.pick(roster, hint, now),
            Self::IpHash(strategy) => strategy.pick(roster, hint, now),
            Self::LeastResponseTime(strategy) => strategy.pick(roster, hint, now),
            Self::ConsistentHashing(strategy) => strategy.pick(roster, hint, now),
        }
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Reasoning {
        match self {
            Self::RoundRobin(strategy) => strategy.explain(roster, hint, now),
            Self::LeastConnections(strategy) => strategy.explain(roster, hint, now),
            Self::WeightedRoundRobin(strategy) => strategy.explain(roster, hint, now),
            Self::IpHash(strategy) => strategy.explain(roster, hint, now),
            Self::LeastResponseTime(strategy) => strategy.explain(roster, hint, now),
            Self::ConsistentHashing(strategy) => strategy.explain(roster, hint, now),
        }
    }

    #[inline]
    fn bound(&self, roster: &Roster, index: usize) -> u32 {
        match self {
            Self::IpHash(strategy) => strategy.bound(roster, index),
            Self::ConsistentHashing(strategy) => strategy.bound(roster, index),
            _ => u32::MAX,
        }
    }

    fn charge(&self, roster: &Roster, index: usize) {
        if let Self::WeightedRoundRobin(strategy) = self {
            strategy.charge(roster, index);
        }
    }
}
