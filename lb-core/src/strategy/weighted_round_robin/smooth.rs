//! The smooth order of nginx, by a scan.

use crate::roster::Roster;

/// What each backend is owed, in parts of the total weight: the sum over all is 0 after every pick.
#[derive(Debug, Clone)]
pub(super) struct Smooth {
    owed: Vec<i64>,
}

impl Smooth {
    pub(super) fn new(roster: &Roster) -> Self {
        Self {
            owed: vec![0; roster.len()],
        }
    }

    /// Turns are owed by the pick; in parts of another total they are that many parts more or fewer.
    pub(super) fn take_over(&mut self, old: &Self, roster_before: &Roster, roster: &Roster) {
        let (before, after) = (
            i128::from(roster_before.eligible_weight()),
            i128::from(roster.eligible_weight()),
        );
        if before == 0 {
            return;
        }
        let mut known: Vec<usize> = (0..roster_before.len()).collect();
        known.sort_unstable_by_key(|&index| roster_before.id(index));
        for index in 0..roster.len() {
            if let Ok(place) =
                known.binary_search_by_key(&roster.id(index), |&index| roster_before.id(index))
            {
                let owed = i128::from(old.owed[known[place]]) * after / before;
                self.owed[index] = i64::try_from(owed).unwrap_or(0);
            }
        }
    }

    /// All usable backends earn their weight; the one that is owed most, the first of equals, pays for all of them.
    pub(super) fn pick(
        &mut self,
        roster: &Roster,
        is_usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(i64, usize)> = None;
        for &index in roster.eligible() {
            let index = index as usize;
            if !is_usable(index) {
                continue;
            }
            let weight = i64::from(roster.weight(index));
            let owed = &mut self.owed[index];
            *owed += weight;
            total += weight;
            if best.is_none_or(|(most, _)| *owed > most) {
                best = Some((*owed, index));
            }
        }
        let (_, index) = best?;
        self.owed[index] -= total;
        Some(index)
    }

    /// A round that goes to `index`, unless it is a whole cycle ahead already: then nobody earns either, so that the sum
    /// stays 0.
    pub(super) fn charge(&mut self, roster: &Roster, index: usize) {
        let total = i64::try_from(roster.eligible_weight()).unwrap_or(i64::MAX);
        let weight = i64::from(roster.weight(index));
        if self.owed[index] + weight - total < -weight * total {
            return;
        }
        for &other in roster.eligible() {
            self.owed[other as usize] += i64::from(roster.weight(other as usize));
        }
        self.owed[index] -= total;
    }

    /// What a backend is owed when the next pick compares.
    pub(super) fn after_next_round(&self, index: usize, roster: &Roster) -> i64 {
        self.owed[index] + i64::from(roster.weight(index))
    }
}
