//! `least-response-time`.

use std::time::Instant;

use super::{PickHint, Reasoning, Strategy, least};
use crate::backend::Tick;
use crate::roster::Roster;

/// Picks the backend that is expected to answer soonest: latency × (requests in flight + 1) ÷ weight.
///
/// The latency is the time to the response head as a moving average that jumps up to a slower sample at once and comes
/// down slowly. It starts at a default, so that a new backend neither takes all requests nor none; it decays while
/// unused, so that an unlucky backend is tried again; a failure counts as slow however quick it was; and requests that
/// wait for their head count with their mean age, so that a backend that hangs is avoided before it answers. Latencies
/// below 1 ms count as 1 ms and those above are rounded up to an eighth of their magnitude, so that backends which
/// differ by noise tie and share the load by weight.
///
/// # Complexity
/// As [`LeastConnections`](super::LeastConnections): O(n) up to 64 eligible backends, O(1) above. No lock.
///
/// # References
/// Finagle `PeakEwma` and tower's `PeakEwma` for the average and its seed; nginx `least_time inflight` for the age of
/// what waits and for ties.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastResponseTime;

impl LeastResponseTime {
    #[inline]
    fn score(roster: &Roster, index: usize, now: Tick) -> f64 {
        let state = roster.state(index);
        let latency = quantised(state.expected_millis(roster.latency, now));
        latency * (f64::from(state.in_flight()) + 1.0) / f64::from(roster.weight(index))
    }

    /// All states of a roster count time from the same instant.
    fn tick(roster: &Roster, now: Instant) -> Option<Tick> {
        roster
            .members()
            .first()
            .map(|member| member.state.tick(now))
    }
}

/// Keeps three bits below the leading one, rounding up.
#[inline]
fn quantised(millis: f64) -> f64 {
    const DROPPED: u32 = f64::MANTISSA_DIGITS - 1 - 3;
    let bits = millis.max(1.0).to_bits();
    f64::from_bits(((bits + ((1 << DROPPED) - 1)) >> DROPPED) << DROPPED)
}

impl Strategy for LeastResponseTime {
    #[inline]
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Option<usize> {
        let now = Self::tick(roster, now)?;
        least::pick(roster, hint, |index| Self::score(roster, index, now))
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Reasoning {
        let rule = "the least latency in milliseconds × (requests in flight + 1) ÷ weight";
        let Some(now) = Self::tick(roster, now) else {
            return Reasoning::new(None, rule);
        };
        least::explain(roster, hint, rule, |index| Self::score(roster, index, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_rounded_up_to_an_eighth_of_their_magnitude() {
        assert_eq!(quantised(0.0), 1.0);
        assert_eq!(quantised(0.7), 1.0);
        assert_eq!(quantised(1.0), 1.0);
        assert_eq!(quantised(1.01), 1.125);
        assert_eq!(quantised(97.0), 104.0);
        assert_eq!(quantised(104.0), 104.0);
        assert_eq!(quantised(105.0), 112.0);
    }
}
