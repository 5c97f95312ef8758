//! A table of one-word states in fixed memory that forgets only in the strict direction.
//!
//! A key has two groups of slots. A newcomer goes into the first, so that one look finds it again, or into the emptier one
//! where the first is nearly full; what time has made free is taken over without anybody sweeping. If all slots of both
//! are in use, the one whose state means least is evicted, and the group remembers in its `floor` the most that any evicted
//! key had counted. Newcomers start from the floors of their two groups, so whoever was evicted and comes back finds at
//! least what it had counted before. Flooding the table with keys can make it stricter, never looser.

use std::array;

/// Slots of a group, which fill two cache lines with the two words before them.
const SLOTS: usize = 9;

/// Slots of the first group that are filled before the second one is considered. More would be found with one look, and
/// more keys would meet two full groups while the table has room.
const FIRST: usize = 7;

/// Two neighbouring cache lines, which are fetched together.
#[derive(Clone, Debug)]
#[repr(C, align(128))]
pub(crate) struct Group {
    /// At least what any key that was evicted from here had counted.
    pub(crate) floor: u64,
    /// When the current window of all counters of this group began; unused by token buckets.
    pub(crate) began: u64,
    tags: [u32; SLOTS],
    pub(crate) states: [u64; SLOTS],
}

impl Group {
    const EMPTY: Self = Self {
        floor: 0,
        began: 0,
        tags: [0; SLOTS],
        states: [0; SLOTS],
    };

    /// Compares all tags without a branch: where a key stands in its group is anyone's guess.
    #[inline]
    fn position(&self, tag: u32) -> Option<usize> {
        // One byte each, in a shape that the compiler makes a few vector operations.
        let [eight @ .., last] = &self.tags;
        let equal: [u8; SLOTS - 1] = array::from_fn(|slot| u8::from(eight[slot] == tag));
        let found = u64::from_le_bytes(equal);
        if found != 0 {
            Some((found.trailing_zeros() / 8) as usize)
        } else {
            (*last == tag).then_some(SLOTS - 1)
        }
    }
}

/// Groups that keep `max_keys` keys below 24 bytes each: 5.5 of the 9 slots of 128 bytes are meant to be used.
pub(crate) fn groups_for(max_keys: usize) -> usize {
    max_keys.saturating_mul(2).div_ceil(11).max(2)
}

/// How states of one kind age, compare and join. A state of 0 has counted nothing.
pub(crate) trait Rule {
    /// Brings a group to `now`; called before its states are looked at. Returns the time that is `now` for the group.
    fn settle(&self, group: &mut Group, now: u64) -> u64;

    /// Brings all states of a settled group to what they may be at `now`, before they are compared.
    fn sober(&self, group: &mut Group, now: u64);

    /// How much a state means at `now`: 0 if it is free, and the less the sooner it is evicted.
    fn rank(&self, group: &Group, state: u64, now: u64) -> u64;

    /// A state that is at least as strict as both.
    fn at_least(&self, a: u64, b: u64) -> u64;
}

/// What a rule is applied to: the state of a key, the window of its group, and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) state: u64,
    pub(crate) began: u64,
    pub(crate) now: u64,
    /// Whether the key has no slot yet.
    pub(crate) is_newcomer: bool,
}

impl Held {
    /// What a key without a slot starts with: as much as the most that its groups have forgotten.
    fn newcomer([one, other]: [&mut Group; 2], rule: &impl Rule, now: u64) -> Self {
        // Both to the same moment: what one of them forgot must weigh the same in the other.
        let now = rule.settle(one, now);
        let now = rule.settle(other, now);
        let now = rule.settle(one, now);
        Self {
            state: rule.at_least(one.floor, other.floor),
            began: other.began,
            now,
            is_newcomer: true,
        }
    }
}

/// The part of a table that one lock guards.
#[derive(Debug)]
pub(crate) struct Shard {
    groups: Box<[Group]>,
    evictions: u64,
}

impl Shard {
    /// At least two groups, so that every key has two.
    pub(crate) fn new(groups: usize) -> Self {
        Self {
            groups: vec![Group::EMPTY; groups.max(2)].into_boxed_slice(),
            evictions: 0,
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.groups.len() * SLOTS
    }

    pub(crate) fn bytes(&self) -> usize {
        self.groups.len() * size_of::<Group>()
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn clear(&mut self) {
        self.groups.fill(Group::EMPTY);
    }

    /// Counts the slots in use.
    pub(crate) fn in_use(&self, rule: &impl Rule, now: u64) -> usize {
        let used = |group: &Group| {
            let mut group = group.clone();
            let now = rule.settle(&mut group, now);
            let states = group.states.iter();
            states
                .filter(|&&state| rule.rank(&group, state, now) > 0)
                .count()
        };
        self.groups.iter().map(used).sum()
    }

    /// What [`update`](Self::update) would apply its rule to, without anything being changed.
    pub(crate) fn look(&self, hash: u64, rule: &impl Rule, now: u64) -> Held {
        let (first, second) = self.places(hash);
        for place in [first, second] {
            if let Some(slot) = self.groups[place].position(tag(hash)) {
                let mut group = self.groups[place].clone();
                let now = rule.settle(&mut group, now);
                return Held {
                    state: group.states[slot],
                    began: group.began,
                    now,
                    is_newcomer: false,
                };
            }
        }
        let (mut one, mut other) = (self.groups[first].clone(), self.groups[second].clone());
        Held::newcomer([&mut one, &mut other], rule, now)
    }

    /// Applies `decide` to the state of `hash`, or to what a newcomer starts with, and keeps the state it returns.
    ///
    /// A newcomer for which it returns none takes no slot.
    #[inline]
    pub(crate) fn update<T>(
        &mut self,
        hash: u64,
        rule: &impl Rule,
        now: u64,
        decide: impl FnOnce(Held) -> (Option<u64>, T),
    ) -> T {
        let count = self.groups.len();
        let first = first_place(hash, count);
        let mut place = first;
        loop {
            let group = &mut self.groups[place];
            let Some(slot) = group.position(tag(hash)) else {
                if place != first {
                    return self.admit(hash, rule, now, decide);
                }
                place = second_place(hash, first, count);
                continue;
            };
            let now = rule.settle(group, now);
            let (state, result) = decide(Held {
                state: group.states[slot],
                began: group.began,
                now,
                is_newcomer: false,
            });
            if let Some(state) = state {
                group.states[slot] = state;
            }
            return result;
        }
    }

    /// Changes the state of `hash` if it has one.
    pub(crate) fn revise(
        &mut self,
        hash: u64,
        rule: &impl Rule,
        now: u64,
        change: impl Fn(u64) -> u64,
    ) {
        let (first, second) = self.places(hash);
        for place in [first, second] {
            let group = &mut self.groups[place];
            if let Some(slot) = group.position(tag(hash)) {
                rule.settle(group, now);
                group.states[slot] = change(group.states[slot]);
                return;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn admit<T>(
        &mut self,
        hash: u64,
        rule: &impl Rule,
        now: u64,
        decide: impl FnOnce(Held) -> (Option<u64>, T),
    ) -> T {
        let (first, second) = self.places(hash);
        let Ok([one, other]) = self.groups.get_disjoint_mut([first, second]) else {
            unreachable!("the groups of a key differ");
        };
        let held = Held::newcomer([one, other], rule, now);
        let (state, result) = decide(held);
        let Some(state) = state else {
            return result;
        };
        let (one_survey, other_survey) = (
            Survey::of(one, rule, held.now),
            Survey::of(other, rule, held.now),
        );
        // A free slot in the emptier group, else the least of both.
        let (group, chosen) =
            if one_survey.used < FIRST || one_survey.order() <= other_survey.order() {
                (one, one_survey)
            } else {
                (other, other_survey)
            };
        if chosen.least > 0 {
            group.floor = rule.at_least(group.floor, group.states[chosen.slot]);
            self.evictions += 1;
        }
        group.tags[chosen.slot] = tag(hash);
        group.states[chosen.slot] = state;
        result
    }

    /// The two groups of a key, which differ.
    fn places(&self, hash: u64) -> (usize, usize) {
        let first = first_place(hash, self.groups.len());
        (first, second_place(hash, first, self.groups.len()))
    }
}

/// Bits of a hash that choose its shard: the uppermost.
pub(crate) const SHARD_BITS: u32 = 6;

/// The upper bits below those that chose the shard.
#[inline]
const fn first_place(hash: u64, count: usize) -> usize {
    reduce(hash << SHARD_BITS, count)
}

/// One of the other groups, each as likely.
#[inline]
const fn second_place(hash: u64, first: usize, count: usize) -> usize {
    let place = reduce(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15), count - 1);
    if place < first { place } else { place + 1 }
}

/// What tells the keys of a group apart: the lower bits, which say nothing about the group. 0 is no key's.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "takes the lower half")]
const fn tag(hash: u64) -> u32 {
    let tag = hash as u32;
    if tag == 0 { 1 } else { tag }
}

/// One group as a newcomer sees it.
struct Survey {
    /// The slot whose state means least, and how much that is.
    slot: usize,
    least: u64,
    used: usize,
}

impl Survey {
    fn of(group: &mut Group, rule: &impl Rule, now: u64) -> Self {
        rule.sober(group, now);
        let mut survey = Self {
            slot: 0,
            least: u64::MAX,
            used: 0,
        };
        let mut lowest = u64::MAX;
        for (slot, &state) in group.states.iter().enumerate() {
            let rank = rule.rank(group, state, now);
            survey.used += usize::from(rank > 0);
            // Of the free slots the one that has been free for longest: its key is the least likely to return.
            if (rank, state) < (survey.least, lowest) {
                (survey.slot, survey.least, lowest) = (slot, rank, state);
            }
        }
        survey
    }

    /// Groups with a free slot come first, among them the emptier one.
    const fn order(&self) -> (bool, usize, u64) {
        (self.least > 0, self.used, self.least)
    }
}

/// Maps a well-mixed value to `0..bound` without a division.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the high half of the product is below `bound`, which is a usize"
)]
pub(crate) const fn reduce(value: u64, bound: usize) -> usize {
    ((value as u128 * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests;
