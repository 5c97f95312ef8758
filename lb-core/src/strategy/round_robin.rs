//! `round-robin`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{PickHint, Reasoning, Strategy};
use crate::backend::FULL;
use crate::hash::{mix, reduce};
use crate::roster::Roster;

/// Picks the eligible backends in turn, whatever their weights.
///
/// The turn goes over the eligible backends only, so that the one after a dead backend does not get its share as well.
/// A backend that is full or was tried gives its turn to the next one and the turn goes on from there; one that is warmed
/// up gives away as many turns, drawn by the request's bits, as it is short of its share.
///
/// # Examples
/// ```
/// use lb_core::{Backend, PickHint, Roster, RoundRobin, Strategy};
///
/// let now = std::time::Instant::now();
/// let roster = Roster::new(&["a", "b", "c"].map(Backend::new), now);
/// let strategy = RoundRobin::default();
/// let picks = [0; 4].map(|_| strategy.pick(&roster, &PickHint::default(), now).unwrap());
/// assert_eq!(picks, [0, 1, 2, 0]);
/// ```
///
/// # Complexity
/// O(1): one atomic increment, no lock; plus one step for each backend in a row that is full or was tried.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicU64,
}

impl RoundRobin {
    /// Goes on where another one stands.
    pub(crate) fn after(other: &Self) -> Self {
        Self {
            turn: AtomicU64::new(other.turn.load(Ordering::Relaxed)),
        }
    }

    /// Who takes the turn, and how many gave theirs away.
    // Called in three places, it would not be inlined in the one that counts, which costs a nanosecond.
    #[inline(always)]
    fn usable_from(
        roster: &Roster,
        hint: &PickHint<'_>,
        turn: u64,
        takes: impl Fn(usize) -> bool,
    ) -> Option<(usize, u64)> {
        let eligible = roster.eligible();
        if eligible.is_empty() {
            return None;
        }
        let (before, from) = eligible.split_at(start(turn, eligible.len()));
        let in_turn = from.iter().chain(before).map(|&index| index as usize);
        in_turn
            .zip(0..)
            .find(|&(index, _)| takes(index) && roster.is_usable(index, hint))
    }

    /// As [`RoundRobin::usable_from`], but backends that are warmed up take a turn as often as their percentages say. Out
    /// of line, since mostly there is none.
    #[cold]
    fn warming_from(roster: &Roster, hint: &PickHint<'_>, turn: u64) -> Option<(usize, u64)> {
        let draws = mix(hint.random ^ turn);
        let takes = |index| takes_turn(roster, index, draws);
        Self::usable_from(roster, hint, turn, takes)
            .or_else(|| Self::usable_from(roster, hint, turn, |_| true))
    }

    #[inline]
    fn find(roster: &Roster, hint: &PickHint<'_>, turn: u64) -> Option<(usize, u64)> {
        if roster.is_ramping() {
            return Self::warming_from(roster, hint, turn);
        }
        Self::usable_from(roster, hint, turn, |_| true)
    }
}

fn takes_turn(roster: &Roster, index: usize, draws: u64) -> bool {
    let percent = usize::from(roster.state(index).percent());
    reduce(mix(draws ^ index as u64), usize::from(FULL)) < percent
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below a usize"
)]
const fn start(turn: u64, count: usize) -> usize {
    (turn % count as u64) as usize
}

impl Strategy for RoundRobin {
    #[inline]
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (index, passed) = Self::find(roster, hint, turn)?;
        if passed > 0 {
            self.turn.fetch_add(passed, Ordering::Relaxed);
        }
        Some(index)
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Reasoning {
        let turn = self.turn.load(Ordering::Relaxed);
        let found = Self::find(roster, hint, turn);
        let mut reasoning = Reasoning::new(
            found.map(|(index, _)| index),
            "the next in turn; the score is the distance to its turn",
        );
        let count = roster.eligible().len();
        reasoning.scores = vec![None; roster.len()];
        for (place, &index) in roster.eligible().iter().enumerate() {
            let distance = (place + count - start(turn, count)) % count;
            reasoning.scores[index as usize] = Some(distance as f64);
        }
        let passed = found.map_or(0, |(_, passed)| passed);
        reasoning.draw = format!("turn {turn} of {count} eligible, {passed} passed over");
        reasoning
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{now, roster};

    #[test]
    fn a_passed_over_backend_does_not_double_its_neighbour() {
        let roster = roster(&[1, 1, 1]);
        let strategy = RoundRobin::default();
        let tried = [roster.id(1).clone()];
        let hint = PickHint::new(0).tried(&tried);
        let picks = [0; 6].map(|_| strategy.pick(&roster, &hint, now()).unwrap());
        assert_eq!(picks, [0, 2, 0, 2, 0, 2]);
    }

    #[test]
    fn nobody_to_pick_is_none() {
        assert_eq!(
            RoundRobin::default().pick(&roster(&[]), &PickHint::new(0), now()),
            None
        );
        let roster = roster(&[1]);
        let tried = [roster.id(0).clone()];
        assert_eq!(
            RoundRobin::default().pick(&roster, &PickHint::new(0).tried(&tried), now()),
            None
        );
    }

    #[test]
    fn explaining_does_not_take_the_turn() {
        let roster = roster(&[1, 1, 1]);
        let strategy = RoundRobin::default();
        for expected in [0, 1, 2, 0] {
            let explained = strategy.explain(&roster, &PickHint::new(0), now());
            assert_eq!(explained.picked, Some(expected));
            assert_eq!(explained.scores[expected], Some(0.0));
            assert_eq!(
                strategy.pick(&roster, &PickHint::new(0), now()),
                Some(expected)
            );
        }
    }
}
