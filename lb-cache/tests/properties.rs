//! Any sequence of operations leaves a store as a naive model says.

use std::collections::HashMap;
use std::num::NonZeroU32;

use foldhash::fast::FixedState;
use lb_cache::{Cause, Displaced, Lru, Policy, S3Fifo, ShardedStore, Store};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Insert { key: u8, weight: u64 },
    Get(u8),
    Peek(u8),
    Remove(u8),
    RetainBelow(u8),
    SetCapacity(u64),
    Clear,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let weight = prop_oneof![
        6 => 0..12_u64,
        2 => 12..80_u64,
        1 => Just(u64::MAX),
    ];
    let operation = prop_oneof![
        12 => (any::<u8>(), weight).prop_map(|(key, weight)| Operation::Insert { key: key % 48, weight }),
        8 => any::<u8>().prop_map(|key| Operation::Get(key % 48)),
        2 => any::<u8>().prop_map(|key| Operation::Peek(key % 48)),
        2 => any::<u8>().prop_map(|key| Operation::Remove(key % 48)),
        1 => any::<u8>().prop_map(|key| Operation::RetainBelow(key % 64)),
        1 => (0..80_u64).prop_map(Operation::SetCapacity),
        1 => Just(Operation::Clear),
    ];
    prop::collection::vec(operation, 1..200)
}

/// The simplest thing that is a least recently used map bounded by weight: a vector, the most recently used last.
struct Model {
    entries: Vec<(u8, usize, u64)>,
    capacity: u64,
}

impl Model {
    fn weight(&self) -> u128 {
        self.entries.iter().map(|entry| u128::from(entry.2)).sum()
    }

    fn take(&mut self, key: u8) -> Option<(u8, usize, u64)> {
        let at = self.entries.iter().position(|entry| entry.0 == key)?;
        Some(self.entries.remove(at))
    }

    fn shrink(&mut self, left: &mut Vec<(u8, usize, Cause)>, room_for: u64) {
        while self.weight() + u128::from(room_for) > u128::from(self.capacity) {
            let (key, value, _) = self.entries.remove(0);
            left.push((key, value, Cause::Evicted));
        }
    }

    fn insert(&mut self, key: u8, value: usize, weight: u64) -> Vec<(u8, usize, Cause)> {
        let mut left = Vec::new();
        if let Some((_, value, _)) = self.take(key) {
            left.push((key, value, Cause::Replaced));
        }
        if weight > self.capacity {
            left.push((key, value, Cause::TooHeavy));
            return left;
        }
        self.shrink(&mut left, weight);
        self.entries.push((key, value, weight));
        left
    }

    fn touch(&mut self, key: u8) -> Option<usize> {
        let entry = self.take(key)?;
        self.entries.push(entry);
        Some(entry.1)
    }
}

fn listed(displaced: Displaced<u8, usize>) -> Vec<(u8, usize, Cause)> {
    displaced
        .into_iter()
        .map(|removed| (removed.key, removed.value, removed.cause))
        .collect()
}

proptest! {
    #[test]
    fn lru_does_what_a_list_in_order_of_use_does(operations in operations()) {
        let mut store: Store<u8, usize, Lru> = Store::new(60);
        let mut model = Model { entries: Vec::new(), capacity: 60 };
        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Insert { key, weight } => {
                    prop_assert_eq!(
                        listed(store.insert(key, number, weight)),
                        model.insert(key, number, weight.max(1))
                    );
                }
                Operation::Get(key) => {
                    prop_assert_eq!(store.get(&key).copied(), model.touch(key));
                }
                Operation::Peek(key) => {
                    let known = model.entries.iter().find(|entry| entry.0 == key);
                    prop_assert_eq!(store.peek(&key), known.map(|entry| &entry.1));
                }
                Operation::Remove(key) => {
                    let known = model.take(key).map(|(key, value, _)| (key, value));
                    prop_assert_eq!(store.remove(&key), known);
                }
                Operation::RetainBelow(bound) => {
                    let mut left = listed(store.retain(|&key, _| key < bound));
                    left.sort_unstable_by_key(|left| left.0);
                    let (kept, mut gone): (Vec<_>, Vec<_>) =
                        model.entries.drain(..).partition(|entry| entry.0 < bound);
                    model.entries = kept;
                    gone.sort_unstable();
                    let gone: Vec<_> = gone.into_iter().map(|(key, value, _)| (key, value, Cause::Removed)).collect();
                    prop_assert_eq!(left, gone);
                }
                Operation::SetCapacity(capacity) => {
                    model.capacity = capacity;
                    let mut left = Vec::new();
                    model.shrink(&mut left, 0);
                    prop_assert_eq!(listed(store.set_capacity(capacity)), left);
                }
                Operation::Clear => {
                    prop_assert_eq!(store.clear().len(), model.entries.len());
                    model.entries.clear();
                }
            }
            prop_assert_eq!(store.len(), model.entries.len());
            prop_assert_eq!(u128::from(store.weight()), model.weight());
        }
    }

    #[test]
    fn s3fifo_loses_nothing_and_never_weighs_more_than_its_capacity(operations in operations()) {
        check(Store::<u8, usize, S3Fifo, _>::with_hasher(60, FixedState::with_seed(1)), operations)?;
    }

    #[test]
    fn lru_loses_nothing_and_never_weighs_more_than_its_capacity(operations in operations()) {
        check(Store::<u8, usize, Lru, _>::with_hasher(60, FixedState::with_seed(1)), operations)?;
    }

    #[test]
    fn finds_keys_whose_hashes_are_all_the_same(operations in operations()) {
        check(Store::<u8, usize, S3Fifo, _>::with_hasher(60, Same), operations)?;
    }

    #[test]
    fn shards_together_never_weigh_more_than_the_capacity(
        capacity in 0..200_u64,
        shards in 1..9_u32,
        entries in prop::collection::vec((any::<u16>(), 0..40_u64), 1..300),
    ) {
        let shards = NonZeroU32::new(shards).unwrap();
        let store: ShardedStore<u16, u64> = ShardedStore::new(capacity, shards);
        prop_assert_eq!(store.capacity(), capacity);
        for (key, weight) in entries {
            drop(store.insert(key, weight, weight));
            prop_assert!(store.weight() <= capacity);
            prop_assert!(store.len() as u64 <= capacity);
        }
    }
}

/// Whatever the policy chooses: an entry is in the map exactly until the store hands it back.
fn check<P: Policy, S: std::hash::BuildHasher>(
    mut store: Store<u8, usize, P, S>,
    operations: Vec<Operation>,
) -> Result<(), TestCaseError> {
    let mut held: HashMap<u8, (usize, u64)> = HashMap::new();
    for (number, operation) in operations.into_iter().enumerate() {
        let displaced = match operation {
            Operation::Insert { key, weight } => {
                let displaced = store.insert(key, number, weight);
                // A replaced entry leaves first; what was too heavy was never there.
                let before = held.insert(key, (number, weight.max(1)));
                let replaced = displaced.iter().find(|left| left.cause == Cause::Replaced);
                prop_assert_eq!(
                    replaced.map(|left| left.value),
                    before.map(|before| before.0)
                );
                for left in displaced
                    .iter()
                    .filter(|left| left.cause != Cause::Replaced)
                {
                    prop_assert_eq!(held.remove(&left.key).map(|held| held.0), Some(left.value));
                }
                prop_assert_eq!(
                    held.contains_key(&key),
                    weight <= store.capacity() && store.capacity() > 0
                );
                None
            }
            Operation::Get(key) => {
                prop_assert_eq!(store.get(&key), held.get(&key).map(|held| &held.0));
                None
            }
            Operation::Peek(key) => {
                prop_assert_eq!(store.peek(&key), held.get(&key).map(|held| &held.0));
                None
            }
            Operation::Remove(key) => {
                prop_assert_eq!(
                    store.remove(&key),
                    held.remove(&key).map(|held| (key, held.0))
                );
                None
            }
            Operation::RetainBelow(bound) => Some(store.retain(|&key, _| key < bound)),
            Operation::SetCapacity(capacity) => Some(store.set_capacity(capacity)),
            Operation::Clear => Some(store.clear()),
        };
        for left in displaced.into_iter().flatten() {
            prop_assert_eq!(held.remove(&left.key).map(|held| held.0), Some(left.value));
        }
        prop_assert_eq!(store.len(), held.len());
        prop_assert_eq!(
            store.weight(),
            held.values().map(|held| held.1).sum::<u64>()
        );
        prop_assert!(store.weight() <= store.capacity());
        prop_assert_eq!(store.iter().count(), held.len());
        for (key, (value, _)) in &held {
            prop_assert_eq!(store.peek(key), Some(value));
        }
    }
    Ok(())
}

/// Hashes everything to the same number.
#[derive(Clone, Copy)]
struct Same;

impl std::hash::BuildHasher for Same {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

impl std::hash::Hasher for Same {
    fn finish(&self) -> u64 {
        7
    }

    fn write(&mut self, _bytes: &[u8]) {}
}
