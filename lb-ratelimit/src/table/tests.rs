use super::*;
use crate::testing::{key, quota};

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_group_fills_two_cache_lines() {
    assert_eq!(size_of::<Group>(), 128);
    assert_eq!(align_of::<Group>(), 128);
}

#[test]
fn a_key_has_two_different_groups() {
    for count in [2, 3, 7, 100] {
        let shard = Shard::new(count);
        for number in 0..1_000 {
            let (first, second) = shard.places(key(number).0);
            assert!(first < count && second < count && first != second);
        }
    }
}

#[test]
fn both_groups_of_keys_are_spread_evenly() {
    let shard = Shard::new(10);
    let mut counts = [[0_u32; 10]; 2];
    for number in 0..100_000 {
        let (first, second) = shard.places(key(number).0);
        counts[0][first] += 1;
        counts[1][second] += 1;
    }
    for count in counts.into_iter().flatten() {
        assert!((9_500..10_500).contains(&count), "{count}");
    }
}

/// Stores an arrival time for a key and returns what it started from.
fn put(shard: &mut Shard, number: u64, arrival: u64, now: u64) -> u64 {
    let rule = quota(100, 100);
    shard.update(key(number).0, &rule, now, |held| {
        (Some(arrival.max(held.state)), held.state)
    })
}

#[test]
fn a_free_slot_is_taken_over_before_anybody_is_evicted() {
    let mut shard = Shard::new(2);
    for number in 0..18 {
        assert_eq!(put(&mut shard, number, SECOND, 0), 0);
    }
    assert_eq!(
        (shard.in_use(&quota(100, 100), 0), shard.evictions()),
        (18, 0)
    );
    // A second later all are free.
    for number in 100..118 {
        assert_eq!(put(&mut shard, number, 3 * SECOND, SECOND), 0);
    }
    assert_eq!(shard.evictions(), 0);
}

#[test]
fn the_least_is_evicted_and_comes_back_with_what_it_had() {
    let mut shard = Shard::new(2);
    for number in 0..18 {
        put(&mut shard, number, (number + 1) * SECOND, 0);
    }
    assert_eq!(put(&mut shard, 100, 50 * SECOND, 0), 0);
    assert_eq!(shard.evictions(), 1);
    for number in 1..18 {
        let held = shard.look(key(number).0, &quota(100, 100), 0);
        assert!(!held.is_newcomer);
        assert_eq!(held.state, (number + 1) * SECOND);
    }
    let held = shard.look(key(0).0, &quota(100, 100), 0);
    assert!(held.is_newcomer);
    assert_eq!(held.state, SECOND);
}

#[test]
fn a_newcomer_that_is_refused_evicts_nobody() {
    let mut shard = Shard::new(2);
    for number in 0..18 {
        put(&mut shard, number, SECOND, 0);
    }
    shard.update(key(100).0, &quota(100, 100), 0, |held| {
        assert!(held.is_newcomer);
        (None, ())
    });
    assert_eq!(shard.evictions(), 0);
}

#[test]
fn looking_changes_nothing() {
    let mut shard = Shard::new(2);
    let window = crate::testing::window(10, 1);
    shard.update(key(1).0, &window, 0, |_| (Some(5), ()));
    // Far ahead it is over, and now it is still there.
    assert_eq!(shard.look(key(1).0, &window, 100 * SECOND).state, 0);
    assert_eq!(shard.look(key(1).0, &window, 0).state, 5);
}
