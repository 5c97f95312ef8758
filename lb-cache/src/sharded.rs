//! A store for many threads.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroU32;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::displaced::Displaced;
use crate::policy::Policy;
use crate::s3fifo::S3Fifo;
use crate::stats::StoreStats;
use crate::store::Store;

/// [`Store`]s behind locks, each with its part of the keys and of the capacity.
///
/// No value is dropped under a lock: what leaves is returned. Values are cloned out, so they are `Arc`s or `Bytes`.
///
/// The capacity is divided evenly, so an entry must fit into one shard: with 16 shards of 256 MiB together it may weigh 16 MiB.
/// More shards wait less for each other and know less of what is popular; 16 lose nothing that can be measured as long as each
/// has room for some hundred entries.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use lb_cache::ShardedStore;
///
/// let store: ShardedStore<String, u32> = ShardedStore::new(1_000, NonZeroU32::MIN);
/// store.insert("a".to_owned(), 1, 10);
/// assert_eq!(store.get("a"), Some(1));
/// ```
///
/// # Complexity
/// As [`Store`]; one lock for an operation on one key, each in turn for the others.
pub struct ShardedStore<K, V, P = S3Fifo, S = RandomState> {
    /// A power of two of them.
    shards: Box<[Shard<K, V, P, S>]>,
    hasher: S,
}

/// Alone on its cache line, so that one lock does not slow its neighbour.
#[repr(align(64))]
struct Shard<K, V, P, S>(Mutex<Store<K, V, P, S>>);

impl<K: Hash + Eq, V, P: Policy> ShardedStore<K, V, P> {
    /// Makes an empty store; the number of shards is rounded up to a power of two, 65,536 at most. Hashes are seeded at random.
    #[must_use]
    pub fn new(capacity: u64, shards: NonZeroU32) -> Self {
        Self::with_hasher(capacity, shards, RandomState::default())
    }
}

impl<K: Hash + Eq, V, P: Policy, S: BuildHasher + Clone> ShardedStore<K, V, P, S> {
    /// Makes an empty store with a hasher of the caller's. Where strangers choose the keys it must be seeded at random.
    #[must_use]
    pub fn with_hasher(capacity: u64, shards: NonZeroU32, hasher: S) -> Self {
        let count = u64::from(shards.get().min(1 << 16).next_power_of_two());
        let shard = |index| {
            Shard(Mutex::new(Store::with_hasher(
                part(capacity, index, count),
                hasher.clone(),
            )))
        };
        Self {
            shards: (0..count).map(shard).collect(),
            hasher,
        }
    }

    /// As [`Store::insert`]; an entry has to fit into the capacity of one shard.
    pub fn insert(&self, key: K, value: V, weight: u64) -> Displaced<K, V> {
        let hash = self.hasher.hash_one(&key);
        self.shard(hash)
            .lock()
            .insert_hashed(hash, key, value, weight)
    }

    /// Removes an entry and returns its key and value.
    pub fn remove<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).lock().remove_hashed(hash, key)
    }

    /// Removes all entries that `keep` does not keep, shard by shard; each lock is held for its part.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) -> Displaced<K, V> {
        self.collect(|shard| shard.retain(&mut keep))
    }

    /// Removes all entries, shard by shard: what is inserted meanwhile may stay.
    pub fn clear(&self) -> Displaced<K, V> {
        self.collect(Store::clear)
    }

    /// Changes the capacity, shard by shard, and returns what no longer fits.
    pub fn set_capacity(&self, capacity: u64) -> Displaced<K, V> {
        let count = self.shards.len() as u64;
        let mut index = 0;
        self.collect(|shard| {
            let part = part(capacity, index, count);
            index += 1;
            shard.set_capacity(part)
        })
    }

    /// Looks an entry up, counts that as a use, and clones the value.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).lock().lookup_hashed(hash, key).cloned()
    }

    /// Looks an entry up without a trace and clones the value.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).lock().peek_hashed(hash, key).cloned()
    }

    fn collect(
        &self,
        mut step: impl FnMut(&mut Store<K, V, P, S>) -> Displaced<K, V>,
    ) -> Displaced<K, V> {
        let mut displaced = Displaced::none();
        for shard in &self.shards {
            displaced.append(step(&mut shard.0.lock()));
        }
        displaced
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Mutex<Store<K, V, P, S>> {
        let index = hash & (self.shards.len() as u64 - 1);
        #[expect(clippy::cast_possible_truncation, reason = "less than 65,536")]
        &self.shards[index as usize].0
    }
}

impl<K, V, P, S> ShardedStore<K, V, P, S> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Weight of all entries, never more than the capacity.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.0.lock().weight())
            .sum()
    }

    /// What the entries may weigh together.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.0.lock().capacity())
            .sum()
    }

    /// What was counted since the store was made.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let mut sum = StoreStats::default();
        for shard in &self.shards {
            sum += shard.0.lock().stats();
        }
        sum
    }
}

impl<K, V, P, S> fmt::Debug for ShardedStore<K, V, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedStore")
            .field("shards", &self.shards.len())
            .field("len", &self.len())
            .field("weight", &self.weight())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// The share of one shard; the first take what does not divide.
const fn part(capacity: u64, index: u64, count: u64) -> u64 {
    capacity / count + (index < capacity % count) as u64
}
