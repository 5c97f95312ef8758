//! Orders, shares and lost turns; properties over random weights are in `tests/properties.rs`.

use super::*;
use crate::testing::{now, roster};

fn picks(strategy: &WeightedRoundRobin, roster: &Roster, count: usize) -> Vec<usize> {
    (0..count)
        .map(|_| strategy.pick(roster, &PickHint::new(0), now()).unwrap())
        .collect()
}

fn counts(picks: &[usize], backends: usize) -> Vec<u32> {
    let mut counts = vec![0; backends];
    picks.iter().for_each(|&index| counts[index] += 1);
    counts
}

#[test]
fn known_orders_of_nginx() {
    for (weights, order) in [
        (vec![5, 1, 1], vec![0, 0, 1, 0, 2, 0, 0]),
        (vec![4, 3, 2], vec![0, 1, 2, 0, 1, 0, 2, 1, 0]),
        (vec![1, 1, 1], vec![0, 1, 2]),
    ] {
        let roster = roster(&weights);
        assert_eq!(
            picks(&WeightedRoundRobin::new(&roster), &roster, order.len()),
            order
        );
    }
}

#[test]
fn equal_weights_of_a_large_pool_are_plain_round_robin() {
    let roster = roster(&[3; 40]);
    let order: Vec<usize> = (0..40).cycle().take(240).collect();
    assert_eq!(
        picks(&WeightedRoundRobin::new(&roster), &roster, 240),
        order
    );
}

#[test]
fn a_heavy_backend_and_many_light_ones_alternate() {
    let mut weights = vec![1; 1000];
    weights[500] = 1000;
    let roster = roster(&weights);
    let strategy = WeightedRoundRobin::new(&roster);
    let order = picks(&strategy, &roster, 2 * 1999);
    let longest = order
        .chunk_by(|&a, &b| (a == 500) == (b == 500))
        .map(<[usize]>::len)
        .max();
    assert!(longest <= Some(2), "a block of {longest:?}");
    assert_eq!(counts(&order[..1999], 1000), weights);
    assert_eq!(counts(&order[1999..], 1000), weights);
}

#[test]
fn a_turn_that_is_lost_is_not_saved_up() {
    for size in [3, 50] {
        let roster = roster(&vec![1; size]);
        let strategy = WeightedRoundRobin::new(&roster);
        let tried = [roster.id(1).clone()];
        for _ in 0..10 * size {
            let index = strategy
                .pick(&roster, &PickHint::new(0).tried(&tried), now())
                .unwrap();
            assert_ne!(index, 1);
        }
        let order = picks(&strategy, &roster, 2 * size);
        assert!(counts(&order, size)[1] <= 3, "{order:?}");
    }
}

#[test]
fn the_only_usable_backend_is_found_behind_many_lost_turns() {
    let roster = roster(&[1; 200]);
    let strategy = WeightedRoundRobin::new(&roster);
    let tried: Vec<_> = (0..199).map(|index| roster.id(index).clone()).collect();
    let hint = PickHint::new(0).tried(&tried);
    for _ in 0..300 {
        assert_eq!(strategy.pick(&roster, &hint, now()), Some(199));
    }
    let tried: Vec<_> = (0..200).map(|index| roster.id(index).clone()).collect();
    assert_eq!(
        strategy.pick(&roster, &PickHint::new(0).tried(&tried), now()),
        None
    );
}

#[test]
fn affinity_is_charged_but_never_more_than_a_cycle() {
    for size in [4, 40] {
        let roster = roster(&vec![2; size]);
        let strategy = WeightedRoundRobin::new(&roster);
        (0..1000).for_each(|_| strategy.charge(&roster, 0));
        let order = picks(&strategy, &roster, 2 * size - 2);
        assert_eq!(counts(&order, size)[0], 0, "{order:?}");
        let order = picks(&strategy, &roster, 4 * size);
        assert!(counts(&order, size)[0] >= 2, "{order:?}");
    }
}

#[test]
fn what_is_owed_survives_other_backends() {
    for size in [3, 40] {
        let before = roster(&vec![1; size]);
        let strategy = WeightedRoundRobin::new(&before);
        assert_eq!(picks(&strategy, &before, 2), [0, 1]);
        let after = roster(&vec![1; size + 1]);
        let strategy = WeightedRoundRobin::after(&strategy, &before, &after);
        let order = picks(&strategy, &after, size - 1);
        assert!(!order.contains(&0) && !order.contains(&1), "{order:?}");
    }
}

#[test]
fn a_lowered_weight_does_not_leave_an_old_debt() {
    let before = roster(&[60_000, 1, 1]);
    let strategy = WeightedRoundRobin::new(&before);
    picks(&strategy, &before, 1000);
    let after = roster(&[1, 1, 1]);
    let strategy = WeightedRoundRobin::after(&strategy, &before, &after);
    assert!(picks(&strategy, &after, 6).contains(&0));
}

#[test]
fn explaining_does_not_take_the_turn() {
    for size in [3, 40] {
        let roster = roster(&vec![1; size]);
        let strategy = WeightedRoundRobin::new(&roster);
        for _ in 0..2 * size {
            let explained = strategy.explain(&roster, &PickHint::new(0), now());
            assert_eq!(
                explained.picked,
                strategy.pick(&roster, &PickHint::new(0), now())
            );
        }
    }
}
