//! What a configuration that changes does to a cache that is in use.

use std::time::Instant;

use super::part::Left;
use super::{ResponseCache, ResponseCacheParameters, share};

impl ResponseCacheParameters {
    /// Whether a cache that was made with `self` becomes one with `other` by [`ResponseCache::set_capacity`] alone, as the
    /// rest is the same.
    pub fn differs_in_capacity_alone(&self, other: &Self) -> bool {
        let Self {
            capacity: _,
            max_object_bytes: _,
            eviction,
            fills,
        } = self;
        *eviction == other.eviction && *fills == other.fills && self.shards() == other.shards()
    }
}

impl<T> ResponseCache<T> {
    /// Makes a cache with other parameters that stores what `self` does, as far as it fits; the bodies are shared. Fills
    /// stay where they are. What is stored meanwhile by others may be missed.
    ///
    /// # Complexity
    /// O(n) over all entries; one lock of `self` at a time.
    pub fn with(&self, parameters: &ResponseCacheParameters) -> Self {
        let new = Self::new(parameters);
        for shard in &self.shards {
            let part = shard.0.lock();
            let entries = part.entries.keys(|_, _| true).into_iter();
            let entries: Vec<_> = entries
                .filter_map(|key| Some((part.entries.peek(key.as_str())?.clone(), key)))
                .collect();
            drop(part);
            for (responses, key) in entries {
                let mut left = Left::default();
                new.part(key.as_str())
                    .lock()
                    .put(&key, responses, &mut left);
            }
        }
        new
    }

    /// Changes the bytes that entries and fills may hold together, and evicts what no longer fits. Fills keep what they
    /// have reserved, so that for their time there may be more than that.
    pub fn set_capacity(&self, capacity: u64) {
        let count = self.shards.len() as u64;
        for (index, shard) in (0..).zip(&self.shards) {
            let mut left = Left::default();
            let mut part = shard.0.lock();
            part.set_capacity(share(capacity, index, count), &mut left);
            drop(part);
            drop(left);
        }
    }

    /// Removes everything under the keys that `goes` names. It is asked outside of the locks, so it may take its time.
    pub fn purge_keys(&self, mut goes: impl FnMut(&str) -> bool, now: Instant) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut keys = shard.0.lock().entries.keys(|_, _| true);
            keys.retain(|key| goes(key.as_str()));
            let mut left = Left::default();
            let mut part = shard.0.lock();
            for key in &keys {
                removed += part.remove(key, |_| true, &mut left);
            }
            part.fills.discard_where(|(key, _)| goes(key.as_str()), now);
            drop(part);
            drop(left);
        }
        removed
    }
}
