//! A map that is bounded by the weight of what it holds.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use crate::displaced::{Cause, Displaced};
use crate::policy::Policy;
use crate::s3fifo::S3Fifo;
use crate::slab::{NONE, Slab};
use crate::stats::StoreStats;

/// A map that never weighs more than its capacity: what does not fit is evicted, as the policy `P` says.
///
/// Weights are in whatever unit the capacity is in, usually bytes, and are given with each entry. An entry weighs at least 1,
/// so that a capacity bounds the number of entries too. Keys are compared in full. For one owner (`&mut self`);
/// [`ShardedStore`](crate::ShardedStore) shares it between threads.
///
/// # Examples
/// ```
/// use lb_cache::{Cause, Lru, Store};
///
/// let mut store: Store<&str, &str, Lru> = Store::new(10);
/// store.insert("a", "first", 4);
/// store.insert("b", "second", 4);
/// assert_eq!(store.get("a"), Some(&"first"));
///
/// let evicted = store.insert("c", "third", 4).into_iter().next().expect("12 is more than 10");
/// assert_eq!((evicted.key, evicted.cause), ("b", Cause::Evicted));
/// assert_eq!((store.len(), store.weight()), (2, 8));
/// ```
///
/// # Complexity
/// Every operation on one key is O(1), amortised over the growth of its memory; an eviction passes over at most 63 entries.
/// Besides the key and the value an entry takes 16 bytes, its share of the table (8 to 16 bytes) and what the policy needs.
/// Nothing is allocated by an operation once the store has its size, except for a second entry displaced by the same call.
pub struct Store<K, V, P = S3Fifo, S = RandomState> {
    slab: Slab<K, V>,
    policy: P,
    capacity: u64,
    weight: u64,
    stats: StoreStats,
    hasher: S,
}

/// Indices end before [`NONE`], and policies use a few themselves.
const MAX_ENTRIES: usize = (NONE - 16) as usize;

impl<K: Hash + Eq, V, P: Policy> Store<K, V, P> {
    /// Makes an empty store; nothing is allocated yet. Hashes are seeded at random.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self::with_hasher(capacity, RandomState::default())
    }
}

impl<K: Hash + Eq, V, P: Policy, S: BuildHasher> Store<K, V, P, S> {
    /// Makes an empty store with a hasher of the caller's. Where strangers choose the keys it must be seeded at random.
    #[must_use]
    pub fn with_hasher(capacity: u64, hasher: S) -> Self {
        Self {
            slab: Slab::new(),
            policy: P::new(capacity),
            capacity,
            weight: 0,
            stats: StoreStats::default(),
            hasher,
        }
    }

    /// Stores an entry and returns what had to leave: an entry under the same key, others for space, or the new entry itself
    /// if it weighs more than the capacity (whatever was stored under its key is gone then too, as it is no longer true).
    ///
    /// A weight of 0 counts as 1.
    #[inline]
    pub fn insert(&mut self, key: K, value: V, weight: u64) -> Displaced<K, V> {
        let hash = self.hasher.hash_one(&key);
        self.insert_hashed(hash, key, value, weight)
    }

    #[inline]
    pub(crate) fn insert_hashed(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        weight: u64,
    ) -> Displaced<K, V> {
        let fingerprint = fingerprint_of(hash);
        let weight = weight.max(1);
        let mut displaced = Displaced::none();
        if let Some(entry) = self.slab.find(fingerprint, &key) {
            let before = self.slab.node(entry).weight;
            if weight <= self.capacity && self.weight - before <= self.capacity - weight {
                return self.replace(entry, key, value, weight);
            }
            displaced.push(self.take(entry), Cause::Replaced);
        }
        if weight > self.capacity {
            self.stats.too_heavy += 1;
            displaced.push((key, value), Cause::TooHeavy);
            return displaced;
        }
        match self.make_room(self.capacity - weight, &mut displaced) {
            Some(entry) => {
                let evicted = self.slab.reuse(entry, fingerprint, key, value, weight);
                self.policy.attach(entry, fingerprint, weight);
                displaced.push(evicted, Cause::Evicted);
            }
            None => {
                let entry = self.slab.push(fingerprint, key, value, weight);
                self.policy.attach(entry, fingerprint, weight);
            }
        }
        self.weight += weight;
        self.stats.inserted += 1;
        displaced
    }

    /// Removes an entry and returns its key and value.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.remove_hashed(hash, key)
    }

    pub(crate) fn remove_hashed<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.slab.find(fingerprint_of(hash), key)?;
        Some(self.take(entry))
    }

    /// Removes all entries that `keep` does not keep.
    ///
    /// # Complexity
    /// O(n) over all entries, in the order of memory.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> Displaced<K, V> {
        let mut displaced = Displaced::none();
        let mut entry = 0;
        while (entry as usize) < self.slab.len() {
            let node = self.slab.node(entry);
            if keep(&node.key, &node.value) {
                entry += 1;
            } else {
                // Another entry takes this index and is looked at next.
                displaced.push(self.take(entry), Cause::Removed);
            }
        }
        displaced
    }

    /// Removes all entries and gives their memory back with them.
    pub fn clear(&mut self) -> Displaced<K, V> {
        self.policy.clear();
        self.weight = 0;
        let mut displaced = Displaced::none();
        for entry in self.slab.clear() {
            displaced.push(entry, Cause::Removed);
        }
        displaced
    }

    /// Changes the capacity and returns what no longer fits.
    pub fn set_capacity(&mut self, capacity: u64) -> Displaced<K, V> {
        self.capacity = capacity;
        self.policy.set_capacity(capacity);
        let mut displaced = Displaced::none();
        if let Some(entry) = self.make_room(capacity, &mut displaced) {
            let evicted = self.vacate(entry);
            displaced.push(evicted, Cause::Evicted);
        }
        displaced
    }

    /// Looks an entry up and counts that as a use.
    #[inline]
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.lookup_hashed(hash, key)
    }

    #[inline]
    pub(crate) fn lookup_hashed<Q>(&mut self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let Some(entry) = self.slab.find(fingerprint_of(hash), key) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        self.policy.touch(entry);
        Some(&self.slab.node(entry).value)
    }

    /// Looks an entry up without a trace: it is no use, and no hit or miss.
    #[inline]
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek_hashed(self.hasher.hash_one(key), key)
    }

    #[inline]
    pub(crate) fn peek_hashed<Q>(&self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.slab.find(fingerprint_of(hash), key)?;
        Some(&self.slab.node(entry).value)
    }

    /// All entries, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slab.iter().map(|node| (&node.key, &node.value))
    }

    fn replace(&mut self, entry: u32, key: K, value: V, weight: u64) -> Displaced<K, V> {
        let node = self.slab.node_mut(entry);
        let before = std::mem::replace(&mut node.weight, weight);
        let value = std::mem::replace(&mut node.value, value);
        if before != weight {
            self.policy.reweigh(entry, before, weight);
            self.weight = self.weight - before + weight;
        }
        self.policy.touch(entry);
        self.stats.inserted += 1;
        let mut displaced = Displaced::none();
        displaced.push((key, value), Cause::Replaced);
        displaced
    }

    /// Evicts until the weight is at most `weight`. The last one evicted is left at its index, detached, for the next entry.
    #[inline]
    fn make_room(&mut self, weight: u64, displaced: &mut Displaced<K, V>) -> Option<u32> {
        let mut detached = None;
        while self.weight > weight || self.slab.len() > MAX_ENTRIES {
            if let Some(entry) = detached.take() {
                let evicted = self.vacate(entry);
                displaced.push(evicted, Cause::Evicted);
            }
            let Some(entry) = self.policy.victim(&self.slab) else {
                break;
            };
            self.weight -= self.slab.node(entry).weight;
            self.slab.unindex(entry);
            self.stats.evicted += 1;
            detached = Some(entry);
        }
        detached
    }

    fn take(&mut self, entry: u32) -> (K, V) {
        let weight = self.slab.node(entry).weight;
        self.weight -= weight;
        self.policy.detach(entry, weight);
        self.slab.unindex(entry);
        self.vacate(entry)
    }

    fn vacate(&mut self, entry: u32) -> (K, V) {
        self.policy.vacate(entry);
        self.slab.vacate(entry)
    }
}

impl<K, V, P, S> Store<K, V, P, S> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    /// Weight of all entries, never more than the capacity.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// What the entries may weigh together.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// What was counted since the store was made.
    #[must_use]
    pub const fn stats(&self) -> StoreStats {
        self.stats
    }
}

impl<K, V, P, S> fmt::Debug for Store<K, V, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("len", &self.len())
            .field("weight", &self.weight)
            .field("capacity", &self.capacity)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// The upper half; the lower chooses the shard.
#[inline]
const fn fingerprint_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests;
