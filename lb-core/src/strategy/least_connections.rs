//! `least-connections`.

use std::time::Instant;

use super::{PickHint, Reasoning, Strategy, least};
use crate::roster::Roster;

/// Picks the backend with the fewest requests in flight per weight.
///
/// With HTTP/2 many requests share a connection, so requests are what is counted. Backends with equally many are drawn
/// by weight: an idle pool sends a backend of weight 10 ten times what one of weight 1 gets.
///
/// # Examples
/// ```
/// use lb_core::{Algorithm, Backend, Pick, PickHint, Pool, PoolParameters};
///
/// let now = std::time::Instant::now();
/// let parameters = PoolParameters::new(Algorithm::LeastConnections);
/// let pool = Pool::new(parameters, ["a", "b"].map(Backend::new).into(), now)?;
/// let (Pick::Picked(first), Pick::Picked(second)) = (pool.pick(&PickHint::new(7), now), pool.pick(&PickHint::new(7), now))
/// else { unreachable!() };
/// assert_ne!(first.id(), second.id());
/// # Ok::<(), lb_core::PoolError>(())
/// ```
///
/// # Complexity
/// Exact up to 64 eligible backends, in O(n): any of them may have changed since the last pick, and keeping them
/// sorted would cost a lock at every pick and every finish. Above 64 the better of two distinct backends drawn by
/// weight, in O(1). No lock.
///
/// # References
/// nginx `least_conn` for the score; Mitzenmacher, "The power of two choices in randomized load balancing" (2001).
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastConnections;

impl LeastConnections {
    /// Correctly rounded, so that equal ratios are equal numbers.
    #[inline]
    fn score(roster: &Roster, index: usize) -> f64 {
        f64::from(roster.state(index).in_flight()) / f64::from(roster.weight(index))
    }

    /// The score while a backend is warmed up. The request to come counts too, else a backend that is idle for a moment, as
    /// one with a small part of its weight mostly is, would be the best whatever its weight.
    fn warming_score(roster: &Roster, index: usize) -> f64 {
        let load = f64::from(roster.state(index).in_flight()) + 1.0;
        load / f64::from(roster.weight(index))
    }

    #[cold]
    fn pick_warming(roster: &Roster, hint: &PickHint<'_>) -> Option<usize> {
        least::pick(roster, hint, |index| Self::warming_score(roster, index))
    }
}

impl Strategy for LeastConnections {
    #[inline]
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Option<usize> {
        if roster.is_ramping() {
            return Self::pick_warming(roster, hint);
        }
        least::pick(roster, hint, |index| Self::score(roster, index))
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, _now: Instant) -> Reasoning {
        if roster.is_ramping() {
            let rule = "the fewest requests in flight, with this one, per weight";
            return least::explain(roster, hint, rule, |index| {
                Self::warming_score(roster, index)
            });
        }
        least::explain(
            roster,
            hint,
            "the fewest requests in flight per weight",
            |index| Self::score(roster, index),
        )
    }
}
