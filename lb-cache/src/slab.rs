//! Entries side by side in one vector, and the hash table that finds them.
//!
//! The table is an array of chain heads, and a chain runs through the entries themselves: four bytes per head, no tombstones,
//! nothing to shift when an entry goes. The entries are dense: when one leaves, the last takes its index. So an index is good
//! until the next removal, and a scan over all entries is a scan of memory.

use std::borrow::Borrow;
use std::mem;

use crate::policy::Entries;

/// No entry.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slab<K, V> {
    nodes: Vec<Node<K, V>>,
    heads: Vec<u32>,
    /// How many of the 32 bits of a fingerprint don't choose the head.
    shift: u32,
}

#[derive(Debug)]
pub(crate) struct Node<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) weight: u64,
    /// The upper half of the hash of the key.
    fingerprint: u32,
    /// The next entry with the same head.
    next: u32,
}

impl<K, V> Slab<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            heads: Vec::new(),
            shift: 0,
        }
    }

    /// Stores an entry of a key that is not there and returns its index, which is the number of entries before.
    #[inline]
    pub(crate) fn push(&mut self, fingerprint: u32, key: K, value: V, weight: u64) -> u32 {
        // Chains of more than one entry are what the processor mispredicts.
        if self.nodes.len() >= self.heads.len() / 2 {
            self.grow();
        }
        let entry = index_of(self.nodes.len());
        *self.end_of_chain(fingerprint) = entry;
        if self.nodes.len() == self.nodes.capacity() {
            // By an eighth: doubling would leave half of the memory of a full store unused.
            self.nodes.reserve_exact(self.nodes.len() / 8 + 8);
        }
        self.nodes.push(Node {
            key,
            value,
            weight,
            fingerprint,
            next: NONE,
        });
        entry
    }

    /// Puts an entry where another one was that has been unindexed, and returns that one.
    #[inline]
    pub(crate) fn reuse(
        &mut self,
        entry: u32,
        fingerprint: u32,
        key: K,
        value: V,
        weight: u64,
    ) -> (K, V) {
        *self.end_of_chain(fingerprint) = entry;
        let node = Node {
            key,
            value,
            weight,
            fingerprint,
            next: NONE,
        };
        let before = mem::replace(&mut self.nodes[entry as usize], node);
        (before.key, before.value)
    }

    /// Takes an entry out of the table; it stays at its index until `reuse` or `vacate`.
    #[inline]
    pub(crate) fn unindex(&mut self, entry: u32) {
        let Node {
            fingerprint, next, ..
        } = self.nodes[entry as usize];
        *self.link_to(fingerprint, entry) = next;
    }

    /// Removes an entry that has been unindexed; the last entry takes its index.
    pub(crate) fn vacate(&mut self, entry: u32) -> (K, V) {
        let last = index_of(self.nodes.len() - 1);
        if entry != last {
            let fingerprint = self.nodes[last as usize].fingerprint;
            *self.link_to(fingerprint, last) = entry;
        }
        let node = self.nodes.swap_remove(entry as usize);
        (node.key, node.value)
    }

    pub(crate) fn clear(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        let nodes = mem::take(self).nodes;
        nodes.into_iter().map(|node| (node.key, node.value))
    }

    #[inline]
    pub(crate) fn node_mut(&mut self, entry: u32) -> &mut Node<K, V> {
        &mut self.nodes[entry as usize]
    }

    #[inline]
    pub(crate) fn find<Q>(&self, fingerprint: u32, key: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let mut entry = *self.heads.get((fingerprint >> self.shift) as usize)?;
        // `NONE` is beyond any index.
        while let Some(node) = self.nodes.get(entry as usize) {
            if node.fingerprint == fingerprint && node.key.borrow() == key {
                return Some(entry);
            }
            entry = node.next;
        }
        None
    }

    #[inline]
    pub(crate) fn node(&self, entry: u32) -> &Node<K, V> {
        &self.nodes[entry as usize]
    }

    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Node<K, V>> {
        self.nodes.iter()
    }

    /// What points to an entry of the table.
    #[inline]
    fn link_to(&mut self, fingerprint: u32, entry: u32) -> &mut u32 {
        let head = self.head_of(fingerprint);
        if self.heads[head] == entry {
            return &mut self.heads[head];
        }
        let mut before = self.heads[head];
        loop {
            let next = self.nodes[before as usize].next;
            if next == entry {
                return &mut self.nodes[before as usize].next;
            }
            before = next;
        }
    }

    /// Where a new entry is linked: behind the others, which were all looked at before it was stored. So what is evicted, mostly
    /// the oldest of its chain, is found first.
    #[inline]
    fn end_of_chain(&mut self, fingerprint: u32) -> &mut u32 {
        let head = self.head_of(fingerprint);
        let mut last = self.heads[head];
        if last == NONE {
            return &mut self.heads[head];
        }
        loop {
            let next = self.nodes[last as usize].next;
            if next == NONE {
                return &mut self.nodes[last as usize].next;
            }
            last = next;
        }
    }

    #[inline]
    fn head_of(&self, fingerprint: u32) -> usize {
        (fingerprint >> self.shift) as usize
    }

    /// Doubles the heads and chains all entries anew, by their fingerprints: no key is hashed again.
    #[cold]
    fn grow(&mut self) {
        let bits = match self.heads.len() {
            0 => 4,
            heads => heads.ilog2() + 1,
        };
        // All bits of the fingerprint; beyond three thousand million entries chains grow instead.
        if bits > 32 {
            return;
        }
        self.heads.clear();
        self.heads.reserve_exact(1 << bits);
        self.heads.resize(1 << bits, NONE);
        self.shift = 32 - bits;
        for (entry, node) in self.nodes.iter_mut().enumerate() {
            let head = (node.fingerprint >> self.shift) as usize;
            node.next = mem::replace(&mut self.heads[head], index_of(entry));
        }
    }
}

impl<K, V> Default for Slab<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Entries for Slab<K, V> {
    #[inline]
    fn weight(&self, entry: u32) -> u64 {
        self.nodes[entry as usize].weight
    }

    #[inline]
    fn fingerprint(&self, entry: u32) -> u32 {
        self.nodes[entry as usize].fingerprint
    }
}

/// The store never holds more entries than indices below [`NONE`].
#[expect(clippy::cast_possible_truncation, reason = "the store bounds it")]
const fn index_of(position: usize) -> u32 {
    position as u32
}
