//! Slots by handle: an open-addressing table of 8 bytes per place.

use crate::id::SessionHandle;

/// A table is doubled when more than three quarters of its places are taken.
const MOST: (usize, usize) = (3, 4);
const FIRST_PLACES: usize = 8;

/// From handles to the slots that hold them.
///
/// A place holds 32 bits of the handle and the number of the slot, so a look-up mostly reads one line of the table and
/// the one slot that it is after. A handle is a digest of an id that the server has drawn, so no client can choose its
/// place; nothing else hashes it.
///
/// # References
/// Linear probing with deletion by moving back, Knuth, "The Art of Computer Programming" vol. 3, §6.4, algorithm R.
#[derive(Default)]
pub(super) struct Index {
    /// A power of two of them, or none.
    places: Vec<Place>,
    count: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    bits: u32,
    /// One more than the slot's number; 0 where no slot is.
    next_slot: u32,
}

const EMPTY: Place = Place {
    bits: 0,
    next_slot: 0,
};

impl Place {
    const fn of(handle: &SessionHandle, slot: u32) -> Self {
        Self {
            bits: bits(handle),
            next_slot: slot + 1,
        }
    }

    const fn slot(self) -> Option<u32> {
        self.next_slot.checked_sub(1)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
const fn bits(handle: &SessionHandle) -> u32 {
    handle.bits() as u32
}

impl Index {
    /// The slot of a handle; `holds` tells whether a slot holds it.
    pub(super) fn find(&self, handle: &SessionHandle, holds: impl Fn(u32) -> bool) -> Option<u32> {
        let bits = bits(handle);
        let mut at = self.home(bits)?;
        loop {
            let place = self.places[at];
            let slot = place.slot()?;
            if place.bits == bits && holds(slot) {
                return Some(slot);
            }
            at = self.after(at);
        }
    }

    /// Adds a handle that is not in it.
    pub(super) fn insert(&mut self, handle: &SessionHandle, slot: u32) {
        let (most, of) = MOST;
        if (self.count + 1) * of > self.places.len() * most {
            let doubled = (self.places.len() * 2).max(FIRST_PLACES);
            let places = std::mem::replace(&mut self.places, vec![EMPTY; doubled]);
            for place in places.into_iter().filter(|&place| place != EMPTY) {
                self.put(place);
            }
        }
        self.put(Place::of(handle, slot));
        self.count += 1;
    }

    /// Removes a handle that has this slot.
    pub(super) fn remove(&mut self, handle: &SessionHandle, slot: u32) {
        let place = Place::of(handle, slot);
        let Some(mut at) = self.home(place.bits) else {
            return;
        };
        while self.places[at] != place {
            if self.places[at] == EMPTY {
                return;
            }
            at = self.after(at);
        }
        self.count -= 1;
        // Whatever was pushed beyond this place moves up, so that no look-up stops too early.
        let mut hole = at;
        loop {
            at = self.after(at);
            let moved = self.places[at];
            if moved == EMPTY {
                break;
            }
            let home = self.home(moved.bits).unwrap_or(at);
            if self.distance(home, at) >= self.distance(hole, at) {
                self.places[hole] = moved;
                hole = at;
            }
        }
        self.places[hole] = EMPTY;
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn put(&mut self, place: Place) {
        let Some(mut at) = self.home(place.bits) else {
            return;
        };
        while self.places[at] != EMPTY {
            at = self.after(at);
        }
        self.places[at] = place;
    }

    /// Where a look-up begins; `None` while there are no places.
    fn home(&self, bits: u32) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        Some(bits as usize & mask)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::id::SessionId;

    fn handle(number: u128) -> SessionHandle {
        SessionId::from_random(number.to_le_bytes()).handle()
    }

    #[test]
    fn agrees_with_a_map_however_it_is_filled_and_emptied() {
        let (mut index, mut map) = (Index::default(), HashMap::new());
        let handles: Vec<SessionHandle> = (0..3_000).map(handle).collect();
        // In and out in another order, around several sizes of the table.
        for round in 0..12_000_usize {
            let slot = round * 7919 % handles.len();
            let (number, handle) = (u32::try_from(slot).unwrap(), &handles[slot]);
            if map.remove(handle).is_some() {
                index.remove(handle, number);
            } else if round % 5 != 0 {
                index.insert(handle, number);
                map.insert(*handle, number);
            }
            assert_eq!(index.len(), map.len());
            if round % 100 == 0 {
                for handle in &handles {
                    let found = index.find(handle, |slot| handles[slot as usize] == *handle);
                    assert_eq!(found, map.get(handle).copied());
                }
            }
        }
    }

    #[test]
    fn an_empty_one_holds_nothing() {
        let mut index = Index::default();
        index.remove(&handle(1), 0);
        assert_eq!(index.find(&handle(1), |_| true), None);
    }
}
