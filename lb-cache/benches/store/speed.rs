//! Nanoseconds per operation.

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::rc::Rc;

use lb_cache::{Lru, Policy, S3Fifo, ShardedStore, Store};

use crate::measure::{self, Entry};
use crate::traces::{Random, Zipf};

/// Entries that fit.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// Keys drawn beforehand, so that drawing is not measured.
const DRAWN: usize = 1 << 20;

pub(crate) fn measure(ratios: &mut Vec<(String, f64, f64)>) {
    let mut entries = Vec::new();
    for size in SIZES {
        add_to(&mut entries, size);
    }
    // Names, or parts of them, choose what is measured.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    entries.retain(|entry: &Entry| {
        wanted.is_empty() || wanted.iter().any(|part| entry.name().contains(part))
    });
    let figures = measure::run(&mut entries);
    println!(
        "nanoseconds per operation, least of {} rounds, one thread\n",
        measure::ROUNDS
    );
    figures.print(&SIZES);
    for size in SIZES {
        for (text, goal, ours, theirs) in [
            ("Lru get ÷ lru", 0.7, "Lru, get", "lru, get"),
            ("Lru put ÷ lru", 0.5, "Lru, put", "lru, put"),
            (
                "S3Fifo get ÷ quick_cache unsync",
                1.0,
                "S3Fifo, get",
                "quick_cache unsync, get",
            ),
            (
                "S3Fifo put ÷ quick_cache unsync",
                0.7,
                "S3Fifo, put",
                "quick_cache unsync, put",
            ),
            (
                "ShardedStore get ÷ quick_cache",
                1.0,
                "ShardedStore, get",
                "quick_cache, get",
            ),
            (
                "ShardedStore put ÷ quick_cache",
                0.7,
                "ShardedStore, put",
                "quick_cache, put",
            ),
        ] {
            let here = figures.of(ours, size) / figures.of(theirs, size);
            ratios.push((format!("{text}, {size} entries"), goal, here));
        }
    }
}

/// `get` finds a key drawn by popularity among as many as fit; `put` inserts one that is new, so that one is evicted;
/// `get or put` draws among ten times as many as fit.
fn add_to(entries: &mut Vec<Entry>, size: usize) {
    let resident = Rc::new(drawn(size));
    let beyond = Rc::new(drawn(size * 10));
    add_store::<Lru>(
        entries,
        ["Lru, get", "Lru, put", "Lru, get or put"],
        size,
        &resident,
        &beyond,
    );
    add_store::<S3Fifo>(
        entries,
        ["S3Fifo, get", "S3Fifo, put", "S3Fifo, get or put"],
        size,
        &resident,
        &beyond,
    );

    // As many as quick_cache makes on two processors.
    let shards = NonZeroU32::new(8).expect("8");
    let new = || ShardedStore::<u64, u64>::new(size as u64, shards);
    add_all(
        entries,
        [
            "ShardedStore, get",
            "ShardedStore, put",
            "ShardedStore, get or put",
        ],
        size,
        (&resident, &beyond),
        // A shard may get more than its part of the keys, so there is room for twice as many.
        [ShardedStore::new(size as u64 * 2, shards), new(), new()],
        |store, key| store.get(&key).is_some(),
        |store, key| drop(store.insert(key, key, 1)),
    );
    let new = || lru::LruCache::new(NonZeroUsize::new(size).expect("room"));
    add_all(
        entries,
        ["lru, get", "lru, put", "lru, get or put"],
        size,
        (&resident, &beyond),
        [new(), new(), new()],
        |cache, key| cache.get(&key).is_some(),
        |cache, key| {
            black_box(cache.push(key, key));
        },
    );
    add_all(
        entries,
        [
            "quick_cache unsync, get",
            "quick_cache unsync, put",
            "quick_cache unsync, get or put",
        ],
        size,
        (&resident, &beyond),
        [
            quick_cache::unsync::Cache::new(size),
            quick_cache::unsync::Cache::new(size),
            quick_cache::unsync::Cache::new(size),
        ],
        |cache, key| cache.get(&key).is_some(),
        |cache, key| cache.insert(key, key),
    );
    add_all(
        entries,
        [
            "quick_cache, get",
            "quick_cache, put",
            "quick_cache, get or put",
        ],
        size,
        (&resident, &beyond),
        [
            quick_cache::sync::Cache::new(size * 2),
            quick_cache::sync::Cache::new(size),
            quick_cache::sync::Cache::new(size),
        ],
        |cache, key| cache.get(&key).is_some(),
        |cache, key| cache.insert(key, key),
    );
}

fn add_store<P: Policy + 'static>(
    entries: &mut Vec<Entry>,
    names: [&'static str; 3],
    size: usize,
    resident: &Rc<Vec<u64>>,
    beyond: &Rc<Vec<u64>>,
) {
    let new = || Store::<u64, u64, P>::new(size as u64);
    add_all(
        entries,
        names,
        size,
        (resident, beyond),
        [new(), new(), new()],
        |store, key| store.get(&key).is_some(),
        |store, key| drop(store.insert(key, key, 1)),
    );
}

fn add_all<C: 'static>(
    entries: &mut Vec<Entry>,
    names: [&'static str; 3],
    size: usize,
    (resident, beyond): (&Rc<Vec<u64>>, &Rc<Vec<u64>>),
    caches: [C; 3],
    get: impl Fn(&mut C, u64) -> bool + Copy + 'static,
    put: impl Fn(&mut C, u64) + Copy + 'static,
) {
    let [mut getting, mut putting, mut both] = caches;
    for key in 0..size as u64 {
        put(&mut getting, key);
    }
    let (keys, mut at) = (Rc::clone(resident), 0);
    entries.push(Entry::new(names[0], size, move |count| {
        for _ in 0..count {
            at = (at + 1) % DRAWN;
            black_box(get(&mut getting, keys[at]));
        }
    }));
    let mut key = 0;
    entries.push(Entry::new(names[1], size, move |count| {
        for _ in 0..count {
            key += 1;
            put(&mut putting, key);
        }
    }));
    let (keys, mut at) = (Rc::clone(beyond), 0);
    entries.push(Entry::new(names[2], size, move |count| {
        for _ in 0..count {
            at = (at + 1) % DRAWN;
            if !get(&mut both, keys[at]) {
                put(&mut both, keys[at]);
            }
        }
    }));
}

/// Keys below `size`, drawn by popularity; which of them are popular has nothing to do with their order.
fn drawn(size: usize) -> Vec<u64> {
    let zipf = Zipf::new(size);
    let mut random = Random(0x000b_5e55_ed00);
    let mut keys: Vec<u64> = (0..size as u64).collect();
    for last in (1..keys.len()).rev() {
        keys.swap(
            last,
            usize::try_from(random.next()).unwrap_or(0) % (last + 1),
        );
    }
    (0..DRAWN).map(|_| keys[zipf.rank(&mut random)]).collect()
}
