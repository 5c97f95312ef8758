//! Slow start, as picks see it.

use super::*;
use crate::slow_start::SlowStart;

/// The share of `b0` among picks with four others, each held for a while.
fn share_of_b0(pool: &Pool, at: Instant) -> f64 {
    let mut held = std::collections::VecDeque::new();
    let mut count = 0;
    for n in 0..5000 {
        let picked = pick(pool, n, at);
        count += u32::from(picked.id().as_str() == "b0");
        held.push_back(picked);
        if held.len() > 40 {
            let done = held.pop_front().unwrap();
            done.finish(Outcome::success(MILLISECOND), at);
        }
    }
    f64::from(count) / 5000.0
}

#[test]
fn a_backend_that_comes_back_begins_with_a_part_of_its_share() {
    let start = now();
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::WeightedRoundRobin,
        Algorithm::LeastConnections,
        Algorithm::LeastResponseTime,
    ] {
        let pool = watched(
            algorithm,
            probes().slow_start(SlowStart::default()),
            5,
            start,
        );
        for name in ["b0", "b1", "b2", "b3", "b4"] {
            probe(&pool, name, true, start);
            succeed(&pool, name, start);
        }
        let whole = share_of_b0(&pool, start);
        assert!(
            (whole - 0.2).abs() < 0.02,
            "{algorithm}: {whole} at the start"
        );
        (0..3).for_each(|_| probe(&pool, "b0", false, start));
        assert!(pool.retry_after(start).is_none());
        (0..2).for_each(|_| probe(&pool, "b0", true, start));
        for (second, percent) in [(0, 0.1), (6, 0.2), (15, 0.5), (24, 0.8), (30, 1.0)] {
            let share = share_of_b0(&pool, start + second * SECOND);
            let wanted = percent / (4.0 + percent);
            assert!(
                (share - wanted).abs() < 0.035,
                "{algorithm}: {share} instead of {wanted} after {second} s"
            );
        }
        assert_eq!(pool.next_change(start + 30 * SECOND), None);
    }
}

#[test]
fn whoever_is_alone_or_first_has_its_whole_share() {
    let start = now();
    let policy = probes().slow_start(SlowStart::default());
    let pool = watched(Algorithm::RoundRobin, policy, 2, start);
    let percents = |at| {
        pool.backends(at)
            .iter()
            .map(|status| status.percent)
            .collect::<Vec<_>>()
    };
    // Added one by one before any request came.
    pool.add(Backend::new("b2"), start).unwrap();
    assert_eq!(percents(start), [100, 100, 100]);
    for name in ["b0", "b1", "b2"] {
        succeed(&pool, name, start);
        probe(&pool, name, false, start);
    }
    (0..2).for_each(|_| probe(&pool, "b0", true, start));
    assert_eq!(percents(start)[0], 100);
    (0..2).for_each(|_| probe(&pool, "b1", true, start));
    assert_eq!(percents(start)[..2], [100, 10]);
    assert_eq!(percents(start + 15 * SECOND)[..2], [100, 50]);
    // Out and in again: from the beginning.
    let half = start + 15 * SECOND;
    assert!(pool.set_enabled(&id("b1"), false));
    assert_eq!(percents(half)[0], 100);
    assert!(pool.set_enabled(&id("b1"), true));
    assert_eq!(percents(half)[1], 10);
    pool.add(Backend::new("b3"), half).unwrap();
    assert_eq!(percents(half)[3], 10);
    pool.set_policy(probes(), half);
    assert_eq!(percents(half), [100; 4]);
}

#[test]
fn keys_stay_where_they_are_while_a_backend_is_warmed_up() {
    let start = now();
    let policy = probes().slow_start(SlowStart::default());
    let pool = watched(Algorithm::ConsistentHashing, policy, 4, start);
    let before = picked_ids(&pool, 500, start);
    for name in ["b0", "b1", "b2", "b3"] {
        succeed(&pool, name, start);
    }
    probe(&pool, "b0", false, start);
    assert_ne!(picked_ids(&pool, 500, start), before);
    (0..2).for_each(|_| probe(&pool, "b0", true, start));
    assert_eq!(pool.backends(start)[0].percent, 10);
    assert_eq!(picked_ids(&pool, 500, start), before);
}
