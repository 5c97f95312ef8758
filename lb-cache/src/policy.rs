//! Who is evicted next.

use std::fmt;

/// Chooses which entry of a [`Store`](crate::Store) is evicted: [`Lru`](crate::Lru) or [`S3Fifo`](crate::S3Fifo).
///
/// A policy knows entries by their index alone. The store tells it what happens to them and asks it for a victim. It is sealed:
/// the store's guarantees depend on what a policy answers.
pub trait Policy: sealed::Sealed + fmt::Debug {
    /// Makes a policy for a store of this capacity.
    fn new(capacity: u64) -> Self;

    /// Says that the capacity has changed.
    fn set_capacity(&mut self, capacity: u64);

    /// Says that an entry has joined. `entry` is the number of entries before, or an index that was detached.
    fn attach(&mut self, entry: u32, fingerprint: u32, weight: u64);

    /// Says that an entry was read or replaced.
    fn touch(&mut self, entry: u32);

    /// Says that the weight of an entry has changed.
    fn reweigh(&mut self, entry: u32, before: u64, after: u64);

    /// Detaches an entry that leaves for another reason than space.
    fn detach(&mut self, entry: u32, weight: u64);

    /// Detaches the entry that is to be evicted; `None` if there is none.
    fn victim(&mut self, entries: &impl Entries) -> Option<u32>;

    /// Says that the last entry has taken the index of a detached one.
    fn vacate(&mut self, entry: u32);

    /// Forgets all entries.
    fn clear(&mut self);
}

/// What a [`Policy`] may ask about the entries of its store.
pub trait Entries {
    /// The weight of an entry.
    fn weight(&self, entry: u32) -> u64;

    /// The upper half of the hash of its key.
    fn fingerprint(&self, entry: u32) -> u32;
}

pub(crate) mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
}
