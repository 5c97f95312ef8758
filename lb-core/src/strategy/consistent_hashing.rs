//! `consistent-hashing`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::maglev::Maglev;
use super::{PickHint, Reasoning, Strategy};
use crate::hash::{STEP, fold, identity, mix};
use crate::roster::Roster;

/// Picks the same backend for the same key, and keeps it when other backends come, go or fail.
///
/// Placement is a Maglev table over all backends of the roster. Keys whose backend is not usable go to others, each key
/// to its own second, third, … choice in an order that never changes; the keys of all other backends stay. When the
/// backend is back, so are its keys. Two instances with the same identities, weights and seed agree on every placement,
/// in whatever order they list the backends.
///
/// With a balance factor a backend takes no more than `ceil(factor × its fair share of the requests in flight)`, at
/// least one; what is above that goes to the key's next choice. The bound gives way where it would leave a request
/// without a backend that has room.
///
/// # Examples
/// ```
/// use lb_core::{Backend, ConsistentHashing, PickHint, Roster, Strategy, hash};
///
/// let now = std::time::Instant::now();
/// let roster = Roster::new(&["a", "b", "c"].map(Backend::new), now);
/// let strategy = ConsistentHashing::new(&roster);
/// let hint = PickHint::new(0).key(hash::key(b"/index.html"));
/// assert_eq!(strategy.pick(&roster, &hint, now), strategy.pick(&roster, &hint, now));
/// ```
///
/// # Complexity
/// O(1): one look into the table, plus one for each choice in a row that is not usable. After 32 of them, when most of
/// the roster is down, all that are left are compared by rendezvous hashing in O(n). 128 KiB up to 160 backends, 512 KiB
/// up to 2,621, 2 MiB up to 10,485. No lock.
///
/// # References
/// Maglev (NSDI 2016); Mirrokni et al., "Consistent hashing with bounded loads" (arXiv 1608.01350), with the random
/// jumps of arXiv 1908.08762 instead of the next cell, so that what one backend sheds does not pile up on one other.
#[derive(Debug, Clone)]
pub struct ConsistentHashing {
    table: Option<Maglev>,
    seed: u64,
    /// In millionths.
    balance_factor: Option<u64>,
}

/// After so many choices that are not usable, all are compared.
const CHOICES_MAX: u32 = 32;

impl ConsistentHashing {
    /// Builds the table for a roster. The strategy is to be used with this roster, or with one of the same backends and
    /// weights in the same order. Beyond 65,535 backends nothing is picked.
    pub fn new(roster: &Roster) -> Self {
        Self::with_room(roster, 0)
    }

    /// As [`ConsistentHashing::new`], with a table as large as for `expected` backends, so that a roster which grows up to
    /// there never outgrows its table, which would move nearly all keys at once.
    pub fn with_room(roster: &Roster, expected: usize) -> Self {
        Self {
            table: Maglev::of(roster, expected),
            seed: 0,
            balance_factor: None,
        }
    }

    /// Sets what is mixed into each key; instances that shall agree need the same. Default 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Bounds each backend's load to `factor` times its fair share; `None`, the default, does not. A factor is rounded
    /// to millionths and is at least 1. Has no effect on a roster made by [`Roster::new`], which does not count what is
    /// in flight.
    #[must_use]
    pub fn balance_factor(mut self, factor: Option<f64>) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, which is right"
        )]
        let millionths = |factor: f64| (factor.max(1.0) * 1e6).round() as u64;
        self.balance_factor = factor.map(millionths);
        self
    }

    /// The same placement with other settings.
    pub(crate) fn with_table_of(other: &Self) -> Self {
        Self {
            table: other.table.clone(),
            seed: 0,
            balance_factor: None,
        }
    }

    #[inline]
    fn hash(&self, hint: &PickHint<'_>) -> u64 {
        fold(hint.key.unwrap_or(hint.random) ^ self.seed)
    }

    /// Walks the choices of a key and tells `visit` of each one, in order, until it takes one.
    #[inline]
    fn choose(
        &self,
        roster: &Roster,
        hint: &PickHint<'_>,
        mut takes: impl FnMut(usize) -> bool,
    ) -> Option<(usize, u32)> {
        let table = self.table.as_ref()?;
        let first = self.hash(hint);
        let mut hash = first;
        for choice in 0..CHOICES_MAX {
            let index = table.owner(hash);
            if takes(index) {
                return Some((index, choice));
            }
            hash = mix(hash.wrapping_add(STEP));
        }
        rendezvous(roster, first, takes).map(|index| (index, CHOICES_MAX))
    }

    /// The choice within the bound, else the choice without regard to it. Out of line, since the key's owner mostly is it.
    #[inline(never)]
    fn place(&self, roster: &Roster, hint: &PickHint<'_>) -> Option<(usize, u32)> {
        if self.balance_factor.is_some() {
            let within = |index| roster.is_usable(index, hint) && self.has_room(roster, index);
            if let Some(found) = self.choose(roster, hint, within) {
                return Some(found);
            }
        }
        self.choose(roster, hint, |index| roster.is_usable(index, hint))
    }

    #[inline]
    fn has_room(&self, roster: &Roster, index: usize) -> bool {
        roster.state(index).in_flight() < self.bound(roster, index)
    }
}

/// The usable backend with the highest weighted random score of its own with this key.
#[cold]
fn rendezvous(roster: &Roster, hash: u64, mut takes: impl FnMut(usize) -> bool) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for &index in roster.eligible() {
        let index = index as usize;
        if !takes(index) {
            continue;
        }
        let random = mix(hash ^ identity(roster.id(index).as_str(), 2));
        // In (0, 1), so that the logarithm is finite and negative.
        let uniform = ((random >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        let score = -f64::from(roster.weight(index)) / uniform.ln();
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, index));
        }
    }
    best.map(|(_, index)| index)
}

impl Strategy for ConsistentHashing {
    #[inline]
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Option<usize> {
        let owner = self.table.as_ref()?.owner(self.hash(hint));
        if self.balance_factor.is_none() && roster.is_usable(owner, hint) {
            return Some(owner);
        }
        self.place(roster, hint).map(|(index, _)| index)
    }

    fn bound(&self, roster: &Roster, index: usize) -> u32 {
        let (Some(factor), Some(in_flight)) = (self.balance_factor, roster.in_flight()) else {
            return u32::MAX;
        };
        // The request to be placed counts, so that the bounds of all add up to more than there is.
        let requests = u128::from(in_flight.load(Ordering::Relaxed)) + 1;
        let share = u128::from(factor) * requests * u128::from(roster.weight(index));
        let bound = share.div_ceil(1_000_000 * u128::from(roster.eligible_weight()).max(1));
        u32::try_from(bound).unwrap_or(u32::MAX).max(1)
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Reasoning {
        let found = self.place(roster, hint);
        let mut reasoning = Reasoning::new(
            found.map(|(index, _)| index),
            "the owner of the key's cell, else the key's next choice; the score is the percentage of cells",
        );
        let Some(table) = self.table.as_ref() else {
            return reasoning;
        };
        let (size, shares) = table.shares(roster.len());
        reasoning.scores = shares
            .iter()
            .map(|&share| Some(f64::from(share) * 100.0 / size as f64))
            .collect();
        let within =
            |&index: &usize| roster.is_usable(index, hint) && !self.has_room(roster, index);
        reasoning.over_bound = (0..roster.len()).filter(within).collect();
        let source = if hint.key.is_some() {
            "key"
        } else {
            "no key, so random bits"
        };
        let hash = self.hash(hint);
        let cell = table.cell(hash);
        let owner = roster.id(table.owner(hash));
        reasoning.draw = match found {
            Some((_, 0)) => format!("{source}, cell {cell} of {size}, owned by {owner}"),
            Some((_, CHOICES_MAX)) => {
                format!(
                    "{source}, cell {cell} of {size}, owned by {owner}; rendezvous of what is left"
                )
            }
            Some((_, choice)) => format!(
                "{source}, cell {cell} of {size}, owned by {owner}; choice {}",
                choice + 1
            ),
            None => {
                format!("{source}, cell {cell} of {size}, owned by {owner}; no choice is usable")
            }
        };
        reasoning
    }
}

#[cfg(test)]
mod tests;
