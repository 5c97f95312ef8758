//! `weighted-round-robin`.

use std::time::Instant;

use parking_lot::Mutex;

use super::{PickHint, Reasoning, Strategy};
use crate::roster::Roster;

mod deadlines;
mod smooth;

use deadlines::Deadlines;
use smooth::Smooth;

/// Picks the eligible backends in turn, each as often as its weight says, evenly spread.
///
/// Over one cycle (as many picks as the sum of the weights, while no backend is full or tried) each backend is picked
/// exactly as often as its weight says. Up to 32 eligible backends the order is nginx's: `a a b a c a a` for weights 5,
/// 1, 1. Above 32 each backend has deadlines evenly spaced over the cycle, backends of equal weight are interleaved, and
/// the earliest deadline is next; never is there a block of one backend, nor a block of all the light ones.
///
/// A backend that is full or was tried loses its turn rather than saving it up. Picks by affinity are charged to their
/// backend, so that clients bound to it leave it fewer of the others, but never more than a cycle's worth. When backends
/// come, go or are re-weighted, each keeps what it is owed or owes.
///
/// # Examples
/// ```
/// use lb_core::{Backend, PickHint, Roster, Strategy, Weight, WeightedRoundRobin};
///
/// let now = std::time::Instant::now();
/// let backends = [Backend::new("a").weight(Weight::try_new(5)?), Backend::new("b"), Backend::new("c")];
/// let roster = Roster::new(&backends, now);
/// let strategy = WeightedRoundRobin::new(&roster);
/// let picks = [0; 7].map(|_| strategy.pick(&roster, &PickHint::default(), now).unwrap());
/// assert_eq!(picks.map(|index| roster.id(index).as_str()), ["a", "a", "b", "a", "c", "a", "a"]);
/// # Ok::<(), lb_core::WeightError>(())
/// ```
///
/// # Complexity
/// O(log n) under one short lock: a scan of at most 32 backends, or one sift of a heap. Where more than 32 backends in a
/// row lost their turn, one scan of all.
///
/// # References
/// nginx's smooth weighted round robin; earliest deadline first as in Envoy's scheduler, but with phases, without which
/// equal weights pile up.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    order: Mutex<Order>,
}

/// Up to so many eligible backends a scan is as quick as a heap, and its order is the one that operators know.
const SMOOTH_MAX: usize = 32;

#[derive(Debug, Clone)]
enum Order {
    Smooth(Smooth),
    Deadlines(Deadlines),
}

impl WeightedRoundRobin {
    /// Starts a cycle over the eligible backends of a roster. The strategy is to be used with this roster.
    pub fn new(roster: &Roster) -> Self {
        let order = if roster.eligible().len() <= SMOOTH_MAX {
            Order::Smooth(Smooth::new(roster))
        } else {
            Order::Deadlines(Deadlines::new(roster))
        };
        Self {
            order: Mutex::new(order),
        }
    }

    /// Goes on with another roster where `before` stands.
    pub(crate) fn after(before: &Self, roster_before: &Roster, roster: &Roster) -> Self {
        let new = Self::new(roster);
        match (&mut *new.order.lock(), &*before.order.lock()) {
            (Order::Smooth(new), Order::Smooth(old)) => new.take_over(old, roster_before, roster),
            (Order::Deadlines(new), Order::Deadlines(old)) => new.take_over(old),
            // The two count differently; what is lost is less than one turn of each backend.
            _ => {}
        }
        new
    }
}

impl Order {
    fn pick(&mut self, roster: &Roster, hint: &PickHint<'_>) -> Option<usize> {
        match self {
            Self::Smooth(order) => order.pick(roster, |index| roster.is_usable(index, hint)),
            Self::Deadlines(order) => order.pick(|index| roster.is_usable(index, hint)),
        }
    }
}

impl Strategy for WeightedRoundRobin {
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Option<usize> {
        self.order.lock().pick(roster, hint)
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Reasoning {
        let mut order = self.order.lock().clone();
        let (rule, scores) = match &order {
            Order::Smooth(order) => {
                let score = |index: usize| Some(order.after_next_round(index, roster) as f64);
                let rule = "the most behind its share; the score is what it is owed, in parts of the total weight";
                (rule, (0..roster.len()).map(score).collect())
            }
            Order::Deadlines(order) => (
                "the earliest deadline; the score is its distance in cycles",
                order.scores(roster),
            ),
        };
        let mut reasoning = Reasoning::new(order.pick(roster, hint), rule);
        reasoning.scores = scores;
        reasoning.draw = format!(
            "{} eligible, total weight {}",
            roster.eligible().len(),
            roster.eligible_weight()
        );
        reasoning
    }

    fn charge(&self, roster: &Roster, index: usize) {
        match &mut *self.order.lock() {
            Order::Smooth(order) => order.charge(roster, index),
            Order::Deadlines(order) => order.charge(roster, index),
        }
    }
}

#[cfg(test)]
mod tests;
