//! S3-FIFO: a small queue in front of the main one, and a memory of what left it.

use crate::ghosts::Ghosts;
use crate::links::Links;
use crate::policy::{Entries, Policy, sealed};

/// Evicts what was used once, before what was used again; scan-resistant, the default.
///
/// A new entry enters a small queue of a tenth of the capacity. At its end, an entry that was read in the meantime moves on to
/// the main queue and one that was not is evicted, its fingerprint remembered; if its key comes back while as many others were
/// evicted that way as there are entries, about, it enters the main queue at once. An entry at the end of the main queue goes round
/// again for each use since, three at most. So keys that are used once never push out what is popular, and a read moves
/// nothing.
///
/// Where popularity moves altogether and the cache holds much of it, [`Lru`](crate::Lru) finds more; the README has figures.
///
/// # Complexity
/// Every operation is O(1); an eviction passes over at most 63 entries. 9 bytes per entry for the queues and about 3 for the
/// fingerprints.
///
/// # References
/// Yang et al., *FIFO queues are all you need for cache eviction*, SOSP 2023; one use is enough to move on, as in foyer.
#[derive(Debug)]
pub struct S3Fifo {
    links: Links<2>,
    /// Uses since an entry joined its queue or last went round, with [`IN_MAIN`] if that is the main one.
    states: Vec<u8>,
    ghosts: Ghosts,
    small_weight: u64,
    small_target: u64,
}

const SMALL: u32 = 0;
const MAIN: u32 = 1;

const IN_MAIN: u8 = 0b100;
/// More would keep what is no longer popular for too long.
const MAX_USES: u8 = 0b011;

/// How many entries may go round before one is evicted in spite of its uses.
const PATIENCE: u32 = 63;

impl sealed::Sealed for S3Fifo {}

impl S3Fifo {
    /// The end of the small queue: a chance for the main one, or out.
    #[inline]
    fn leave_small(&mut self, entry: u32, patient: bool, entries: &impl Entries) -> bool {
        let state = &mut self.states[entry as usize];
        self.small_weight -= entries.weight(entry);
        if patient && *state & MAX_USES > 0 {
            *state = IN_MAIN;
            self.links.move_to_front(MAIN, entry);
            return false;
        }
        self.links.unlink(entry);
        self.ghosts
            .add(entries.fingerprint(entry), self.states.len());
        true
    }

    /// The end of the main queue: once more round, or out.
    #[inline]
    fn leave_main(&mut self, entry: u32, patient: bool) -> bool {
        let state = &mut self.states[entry as usize];
        if patient && *state & MAX_USES > 0 {
            *state -= 1;
            self.links.move_to_front(MAIN, entry);
            return false;
        }
        self.links.unlink(entry);
        true
    }
}

impl Policy for S3Fifo {
    fn new(capacity: u64) -> Self {
        Self {
            links: Links::new(),
            states: Vec::new(),
            ghosts: Ghosts::new(),
            small_weight: 0,
            small_target: capacity / 10,
        }
    }

    fn set_capacity(&mut self, capacity: u64) {
        self.small_target = capacity / 10;
    }

    #[inline]
    fn attach(&mut self, entry: u32, fingerprint: u32, weight: u64) {
        let known = self.ghosts.take(fingerprint);
        let (state, queue) = if known { (IN_MAIN, MAIN) } else { (0, SMALL) };
        match self.states.get_mut(entry as usize) {
            Some(place) => *place = state,
            None => self.states.push(state),
        }
        if !known {
            self.small_weight += weight;
        }
        self.links.push_front(queue, entry);
    }

    #[inline]
    fn touch(&mut self, entry: u32) {
        let state = &mut self.states[entry as usize];
        if *state & MAX_USES < MAX_USES {
            *state += 1;
        }
    }

    fn reweigh(&mut self, entry: u32, before: u64, after: u64) {
        if self.states[entry as usize] & IN_MAIN == 0 {
            self.small_weight = self.small_weight - before + after;
        }
    }

    fn detach(&mut self, entry: u32, weight: u64) {
        self.links.unlink(entry);
        if self.states[entry as usize] & IN_MAIN == 0 {
            self.small_weight -= weight;
        }
    }

    #[inline]
    fn victim(&mut self, entries: &impl Entries) -> Option<u32> {
        let mut left = PATIENCE;
        loop {
            let main = self.links.back(MAIN);
            // Beyond its share the small queue gives; below it, only if it is all there is.
            let (entry, gone) = match main {
                Some(entry) if self.small_weight <= self.small_target => {
                    (entry, self.leave_main(entry, left > 0))
                }
                _ => {
                    let entry = self.links.back(SMALL)?;
                    (entry, self.leave_small(entry, left > 0, entries))
                }
            };
            if gone {
                return Some(entry);
            }
            left -= 1;
        }
    }

    fn vacate(&mut self, entry: u32) {
        self.links.vacate(entry);
        self.states.swap_remove(entry as usize);
    }

    fn clear(&mut self) {
        self.links.clear();
        self.states.clear();
        self.ghosts.clear();
        self.small_weight = 0;
    }
}
