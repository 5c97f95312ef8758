//! Placement under change. Bounded loads are tested with the pool, which counts what is in flight.

use super::*;
use crate::backend::BackendId;
use crate::testing::{now, roster, share};

fn placements(strategy: &ConsistentHashing, roster: &Roster, tried: &[BackendId]) -> Vec<usize> {
    let place = |key| {
        strategy
            .pick(roster, &PickHint::new(0).key(key).tried(tried), now())
            .unwrap()
    };
    (0..20_000).map(place).collect()
}

#[test]
fn weak_keys_are_spread_too() {
    let roster = roster(&[1; 10]);
    let strategy = ConsistentHashing::new(&roster);
    let patterns: [fn(u64) -> u64; 8] = [
        |n| n,
        |n| n * 8,
        |n| n * 1000,
        |n| n << 16,
        |n| n << 32,
        |n| n << 48,
        u64::reverse_bits,
        |n| u64::MAX - n * n,
    ];
    for pattern in patterns {
        let mut counts = [0_u32; 10];
        for n in 0..20_000 {
            let hint = PickHint::new(0).key(pattern(n));
            counts[strategy.pick(&roster, &hint, now()).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| count.abs_diff(2000) < 250),
            "{counts:?}"
        );
    }
}

#[test]
fn keys_of_a_skipped_backend_spread_by_weight_and_the_others_stay() {
    let roster = roster(&[1, 1, 2, 4]);
    let strategy = ConsistentHashing::new(&roster);
    let before = placements(&strategy, &roster, &[]);
    let after = placements(&strategy, &roster, &[roster.id(3).clone()]);
    let mut moved = [0_u32; 3];
    for (before, after) in before.iter().zip(&after) {
        if *before == 3 {
            moved[*after] += 1;
        } else {
            assert_eq!(before, after);
        }
    }
    let all: u32 = moved.iter().sum();
    for (moved, share) in moved.iter().zip([4, 4, 2]) {
        assert!(moved.abs_diff(all / share) < all / 20, "{moved:?} of {all}");
    }
}

#[test]
fn the_last_usable_backend_is_found_among_thousands_and_alike_every_time() {
    let roster = roster(&[1; 500]);
    let strategy = ConsistentHashing::new(&roster);
    let tried: Vec<BackendId> = (0..500)
        .filter(|index| ![7, 300].contains(index))
        .map(|index| roster.id(index).clone())
        .collect();
    let place = |key| strategy.pick(&roster, &PickHint::new(0).key(key).tried(&tried), now());
    let found: Vec<usize> = (0..100).filter_map(place).collect();
    assert!(
        found.iter().all(|index| [7, 300].contains(index)),
        "{found:?}"
    );
    assert!(
        (30..70).contains(&found.iter().filter(|&&index| index == 7).count()),
        "{found:?}"
    );
    let hint = PickHint::new(0).key(5).tried(&tried);
    assert_eq!(
        strategy.pick(&roster, &hint, now()),
        strategy.pick(&roster, &hint, now())
    );
}

#[test]
fn without_a_key_random_bits_place() {
    let roster = roster(&[1; 4]);
    let strategy = ConsistentHashing::new(&roster);
    let shares = share(4, |random| {
        strategy.pick(&roster, &PickHint::new(random), now())
    });
    assert!(
        shares.iter().all(|share| (share - 0.25).abs() < 0.01),
        "{shares:?}"
    );
}

#[test]
fn another_seed_places_otherwise() {
    let roster = roster(&[1; 10]);
    let strategy = ConsistentHashing::new(&roster);
    let before = placements(&strategy, &roster, &[]);
    let after = placements(&strategy.seed(1), &roster, &[]);
    let kept = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before == after)
        .count();
    assert!(kept < 20_000 / 8, "{kept} of 20,000 keys stay");
}

#[test]
fn an_empty_roster_picks_nobody() {
    let roster = roster(&[]);
    let strategy = ConsistentHashing::new(&roster);
    assert_eq!(
        strategy.pick(&roster, &PickHint::new(0).key(1), now()),
        None
    );
    assert_eq!(
        strategy
            .explain(&roster, &PickHint::new(0).key(1), now())
            .picked,
        None
    );
}
