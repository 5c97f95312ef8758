//! Small helpers of the unit tests.

use std::time::Instant;

use crate::backend::{Backend, Weight};
use crate::draw::Draws;
use crate::roster::Roster;

/// The first instant of a test.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise; tests only add to it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Backends `b0`, `b1`, … of the given weights.
pub(crate) fn backends(weights: &[u32]) -> Vec<Backend> {
    let backend = |(index, &weight)| {
        Backend::new(format!("b{index}")).weight(Weight::try_new(weight).unwrap())
    };
    weights.iter().enumerate().map(backend).collect()
}

/// A roster of [`backends`].
pub(crate) fn roster(weights: &[u32]) -> Roster {
    Roster::new(&backends(weights), now())
}

/// The share of each of `count` positions in 100,000 picks with random bits.
pub(crate) fn share(count: usize, pick: impl Fn(u64) -> Option<usize>) -> Vec<f64> {
    let mut counts = vec![0_u32; count];
    let mut draws = Draws::new(1);
    for _ in 0..100_000 {
        counts[pick(draws.next()).unwrap()] += 1;
    }
    counts
        .into_iter()
        .map(|count| f64::from(count) / 100_000.0)
        .collect()
}
