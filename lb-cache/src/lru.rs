//! Least recently used.

use crate::links::Links;
use crate::policy::{Entries, Policy, sealed};

/// Evicts the entry that was not used for longest.
///
/// The order is exact: reading or replacing an entry makes it the most recently used. One pass over many keys that are used
/// once (a crawler, a backup) pushes everything else out; [`S3Fifo`](crate::S3Fifo) withstands that.
///
/// # Complexity
/// Every operation is O(1); 8 bytes per entry.
#[derive(Debug)]
pub struct Lru {
    links: Links<1>,
}

impl sealed::Sealed for Lru {}

impl Policy for Lru {
    fn new(_capacity: u64) -> Self {
        Self {
            links: Links::new(),
        }
    }

    fn set_capacity(&mut self, _capacity: u64) {}

    #[inline]
    fn attach(&mut self, entry: u32, _fingerprint: u32, _weight: u64) {
        self.links.push_front(0, entry);
    }

    #[inline]
    fn touch(&mut self, entry: u32) {
        self.links.move_to_front(0, entry);
    }

    fn reweigh(&mut self, _entry: u32, _before: u64, _after: u64) {}

    fn detach(&mut self, entry: u32, _weight: u64) {
        self.links.unlink(entry);
    }

    #[inline]
    fn victim(&mut self, _entries: &impl Entries) -> Option<u32> {
        let entry = self.links.back(0)?;
        self.links.unlink(entry);
        Some(entry)
    }

    fn vacate(&mut self, entry: u32) {
        self.links.vacate(entry);
    }

    fn clear(&mut self) {
        self.links.clear();
    }
}
