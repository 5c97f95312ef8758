//! What leaves a store, handed to the caller so that no destructor runs inside.

use std::{iter, option, vec};

/// Entries that left a store by one call.
///
/// They are the caller's: a store never drops a key or a value it was given. So the memory of a large value is freed where the
/// caller drops this, for a [`ShardedStore`](crate::ShardedStore) after its lock is released, and an index beside the store
/// can forget the same keys.
///
/// One entry is held in place; only a second one allocates.
#[derive(Debug)]
pub struct Displaced<K, V> {
    first: Option<Removed<K, V>>,
    rest: Vec<Removed<K, V>>,
}

/// One entry that left a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Why it left.
    pub cause: Cause,
}

/// Why an entry left a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It made room for another entry, or the capacity became smaller.
    Evicted,
    /// Another value was inserted under its key; the key is the one given with that value.
    Replaced,
    /// It weighs more than the whole capacity and was never stored.
    TooHeavy,
    /// The caller removed it: `remove`, `retain` or `clear`.
    Removed,
}

impl<K, V> Displaced<K, V> {
    pub(crate) const fn none() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, (key, value): (K, V), cause: Cause) {
        let removed = Removed { key, value, cause };
        if self.first.is_none() {
            self.first = Some(removed);
        } else {
            self.rest.push(removed);
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.rest.extend(other);
        }
    }

    /// Number of entries that left.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether nothing left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    /// The entries in the order in which they left.
    pub fn iter(&self) -> impl Iterator<Item = &Removed<K, V>> {
        self.first.iter().chain(&self.rest)
    }
}

impl<K, V> IntoIterator for Displaced<K, V> {
    type Item = Removed<K, V>;
    type IntoIter = iter::Chain<option::IntoIter<Self::Item>, vec::IntoIter<Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
