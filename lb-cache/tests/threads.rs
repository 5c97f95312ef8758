//! Many threads on one store: the bound holds at every moment, and each value is dropped exactly once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use lb_cache::{Lru, Policy, S3Fifo, ShardedStore, Store};

const CAPACITY: u64 = 1_000;

/// Counts how many of it there are.
#[derive(Debug)]
struct Counted(Arc<AtomicI64>);

impl Counted {
    fn new(alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn entries(len: usize) -> i64 {
    i64::try_from(len).expect("few")
}

fn keeps_its_bound_and_its_values<P: Policy + Send>() {
    let alive = Arc::new(AtomicI64::new(0));
    let shards = NonZeroU32::new(4).expect("4");
    let store: ShardedStore<u64, Arc<Counted>, P> = ShardedStore::new(CAPACITY, shards);
    thread::scope(|scope| {
        for number in 0..4_u64 {
            let (store, alive) = (&store, &alive);
            scope.spawn(move || {
                let mut random = number + 1;
                for _ in 0..5_000 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let key = random >> 33 & 0x1ff;
                    match random >> 60 {
                        0 => drop(store.remove(&key)),
                        1 => drop(store.retain(|known, _| known % 8 != key % 8)),
                        2 => assert!(store.weight() <= CAPACITY),
                        3..8 => drop(store.get(&key)),
                        _ => drop(store.insert(key, Arc::new(Counted::new(alive)), key % 30)),
                    }
                }
            });
        }
    });
    assert_eq!(alive.load(Ordering::SeqCst), entries(store.len()));
    drop(store.clear());
    assert_eq!(
        (store.len(), store.weight(), alive.load(Ordering::SeqCst)),
        (0, 0, 0)
    );
}

#[test]
fn lru_keeps_its_bound_and_its_values_under_threads() {
    keeps_its_bound_and_its_values::<Lru>();
}

#[test]
fn s3fifo_keeps_its_bound_and_its_values_under_threads() {
    keeps_its_bound_and_its_values::<S3Fifo>();
}

#[test]
fn drops_no_value_itself_and_leaks_none() {
    let alive = Arc::new(AtomicI64::new(0));
    let mut store: Store<u32, Counted, S3Fifo> = Store::new(10);
    let mut left = Vec::new();
    for key in 0..100 {
        left.extend(store.insert(key % 37, Counted::new(&alive), u64::from(key % 12)));
        assert_eq!(alive.load(Ordering::SeqCst), i64::from(key) + 1);
    }
    assert_eq!(left.len() + store.len(), 100);
    drop(left);
    assert_eq!(alive.load(Ordering::SeqCst), entries(store.len()));
    drop(store);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}
