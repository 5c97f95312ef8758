use super::*;
use crate::lru::Lru;

fn lru(capacity: u64) -> Store<u32, &'static str, Lru> {
    Store::new(capacity)
}

#[test]
fn evicts_least_recently_used_first() {
    let mut store = lru(3);
    for key in 0..3 {
        assert!(store.insert(key, "value", 1).is_empty());
    }
    assert!(store.get(&0).is_some());
    assert!(store.peek(&1).is_some());
    let keys: Vec<u32> = store
        .insert(3, "value", 2)
        .into_iter()
        .map(|left| left.key)
        .collect();
    assert_eq!(keys, [1, 2]);
}

#[test]
fn refuses_what_weighs_more_than_all_of_it() {
    let mut store = lru(10);
    store.insert(1, "old", 1);
    let left: Vec<_> = store.insert(1, "new", 11).into_iter().collect();
    assert_eq!((left[0].value, left[0].cause), ("old", Cause::Replaced));
    assert_eq!((left[1].value, left[1].cause), ("new", Cause::TooHeavy));
    assert!(store.is_empty());
    assert_eq!(store.stats().too_heavy, 1);
}

#[test]
fn stores_nothing_without_capacity() {
    let mut store = lru(0);
    assert_eq!(store.insert(1, "value", 0).len(), 1);
    assert!(store.is_empty());
}

#[test]
fn counts_what_weighs_nothing() {
    let mut store = lru(2);
    for key in 0..10 {
        store.insert(key, "value", 0);
    }
    assert_eq!((store.len(), store.weight()), (2, 2));
}

#[test]
fn counts_hits_misses_and_evictions() {
    let mut store = lru(1);
    store.insert(1, "value", 1);
    store.insert(2, "value", 1);
    assert!(store.get(&1).is_none());
    assert!(store.get(&2).is_some());
    assert!(store.peek(&2).is_some());
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses), (1, 1));
    assert_eq!((stats.inserted, stats.evicted), (2, 1));
}

#[test]
fn scan_does_not_push_out_what_is_used() {
    let mut store: Store<u32, u32, S3Fifo> = Store::new(100);
    for key in 0..50 {
        store.insert(key, key, 1);
        assert!(store.get(&key).is_some());
    }
    for key in 1_000..2_000 {
        store.insert(key, key, 1);
    }
    assert_eq!((0..50).filter(|key| store.get(key).is_some()).count(), 50);
}

#[test]
fn returning_key_enters_the_main_queue_at_once() {
    let mut store: Store<u32, u32, S3Fifo> = Store::new(100);
    for key in 0..101 {
        store.insert(key, key, 1);
    }
    assert!(store.get(&0).is_none());
    store.insert(0, 0, 1);
    for key in 1_000..1_090 {
        store.insert(key, key, 1);
    }
    assert!(store.peek(&0).is_some());
}

#[test]
fn one_insertion_goes_round_a_bounded_number_of_entries() {
    let mut store: Store<u32, u32, S3Fifo> = Store::new(10_000);
    for key in 0..10_000 {
        store.insert(key, key, 1);
        for _ in 0..3 {
            assert!(store.get(&key).is_some());
        }
    }
    // All have been used, so all would go round three times before one is evicted.
    let left = store.insert(10_000, 0, 1);
    assert_eq!(
        left.into_iter().map(|left| left.key).collect::<Vec<_>>(),
        [63]
    );
}

#[test]
fn capacity_changes_in_place() {
    let mut store = lru(4);
    for key in 0..4 {
        store.insert(key, "value", 1);
    }
    assert_eq!(store.set_capacity(1).len(), 3);
    assert_eq!((store.len(), store.capacity()), (1, 1));
    assert!(store.peek(&3).is_some());
}
