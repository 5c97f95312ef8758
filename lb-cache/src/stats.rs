//! What a store counted.

use std::ops::AddAssign;

/// What a store counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Lookups by `get` that found an entry.
    pub hits: u64,
    /// Lookups by `get` that found none.
    pub misses: u64,
    /// Entries stored, those that replaced another included.
    pub inserted: u64,
    /// Entries evicted for space.
    pub evicted: u64,
    /// Entries refused because they weigh more than the capacity.
    pub too_heavy: u64,
}

impl AddAssign for StoreStats {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.inserted += other.inserted;
        self.evicted += other.evicted;
        self.too_heavy += other.too_heavy;
    }
}
