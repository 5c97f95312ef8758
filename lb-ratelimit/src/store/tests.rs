use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::bucket::TokenBucket;
use crate::decision::Outcome;
use crate::testing::{now, number, quota, window};
use crate::window::SlidingWindow;

/// 2026, in microseconds: what the clock of a store says.
const EPOCH: u64 = 1_780_000_000_000_000;

fn steps() -> impl Iterator<Item = (u64, u32)> {
    let mut random = 7_u64;
    (0..2_000).map(move |_| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let cost = u32::try_from(random >> 60).unwrap() / 4;
        (random >> 40 & 0xf_ffff, cost)
    })
}

#[test]
fn a_script_decides_as_the_bucket() {
    let (start, quota) = (now(), quota(10, 6));
    let numbers = StoreQuota::from(&quota);
    let mut bucket = TokenBucket::new(start);
    let (mut arrival, mut micros) = (0, 0);
    for (pause, cost) in steps() {
        micros += pause;
        let (stored, theirs) = numbers.decide(arrival, cost, EPOCH + micros);
        let ours = bucket.check(&quota, cost, start + Duration::from_micros(micros));
        assert_eq!(theirs.outcome(), ours.outcome());
        assert_eq!(theirs.remaining(), ours.remaining());
        assert_eq!(theirs.reset(), ours.reset());
        arrival = stored.unwrap_or(arrival);
    }
}

#[test]
fn a_script_decides_as_the_window() {
    let (start, window) = (now(), window(10, 6));
    let numbers = StoreWindow::from(&window);
    let mut sliding = SlidingWindow::new(start);
    let mut counters = std::collections::HashMap::new();
    let mut micros = 0;
    for (pause, cost) in steps() {
        micros += pause;
        let (index, elapsed) = (micros / 6_000_000, micros % 6_000_000);
        let count = |index: Option<u64>| index.and_then(|at| counters.get(&at).copied());
        let previous = count(index.checked_sub(1)).unwrap_or(0);
        let current = count(Some(index)).unwrap_or(0);
        let (stored, theirs) = numbers.decide((previous, current), cost, elapsed);
        let ours = sliding.check(&window, cost, start + Duration::from_micros(micros));
        assert_eq!(theirs, ours);
        if let Some(stored) = stored {
            counters.insert(index, stored);
        }
    }
}

#[test]
fn the_interval_is_rounded_up_to_microseconds() {
    let numbers = StoreQuota::from(&quota(7, 1));
    assert_eq!(numbers.emission_interval_micros(), 142_858);
    assert_eq!(numbers.burst_tolerance_micros(), 7 * 142_858);
}

#[test]
fn whatever_a_store_answers_is_survived() {
    let century = Duration::from_nanos(crate::time::MAX_NANOS);
    for limit in [NonZeroU32::MIN, NonZeroU32::MAX] {
        let bucket = StoreQuota::from(&Quota::try_new(limit, century).unwrap());
        let window = StoreWindow::from(&Window::try_new(limit, century).unwrap());
        for a in [0, 1, u64::MAX] {
            for b in [0, 1, u64::MAX] {
                for cost in [0, 1, u32::MAX] {
                    for admitted in [false, true] {
                        let counts = (cost, u32::MAX - cost);
                        let one = bucket.decision(cost, admitted, a, b);
                        let other = window.decision(cost, admitted, counts, a);
                        assert_eq!(one.is_admitted(), admitted);
                        assert_eq!(other.is_admitted(), admitted);
                        drop(format!("{one:?} {other:?}"));
                        drop(format!("{:?}", bucket.decide(a, cost, b)));
                        drop(format!("{:?}", window.decide(counts, cost, a)));
                    }
                }
            }
        }
    }
}

#[test]
fn a_cost_above_the_burst_is_said_to_be_so() {
    let quota = quota(10, 1).with_burst(number(3)).unwrap();
    let (stored, decision) = StoreQuota::from(&quota).decide(0, 4, EPOCH);
    assert_eq!((stored, decision.outcome()), (None, Outcome::Never));
    let (stored, decision) = StoreWindow::from(&window(3, 1)).decide((0, 0), 4, 0);
    assert_eq!((stored, decision.outcome()), (None, Outcome::Never));
}
