//! Slots for sessions, and the order of use among those of a tier: lists through the slots themselves.

use crate::id::SessionHandle;
use crate::record::Record;

/// No slot.
const NONE: u32 = u32::MAX;

/// What a session is worth to a full shard, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// Anonymous, and its client has not come back with the cookie.
    SeenOnce,
    /// Anonymous, and its client has come back.
    Returned,
    /// Somebody has logged in.
    LoggedIn,
}

impl Tier {
    pub(super) const ALL: [Self; 3] = [Self::SeenOnce, Self::Returned, Self::LoggedIn];
}

pub(super) struct Slot {
    pub(super) handle: SessionHandle,
    /// `None` in a free slot, which is linked to the next free one by `older`.
    pub(super) record: Option<Record>,
    /// When it was last used, in milliseconds.
    pub(super) used: u64,
}

/// The place of a slot in the order.
///
/// Apart from the slots, as one use of a session changes the links of three: so close together they are mostly in the
/// cache.
#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    tier: Tier,
}

#[derive(Clone, Copy)]
struct List {
    newest: u32,
    oldest: u32,
    count: usize,
}

/// All slots of a shard, in three lists and one of free ones.
pub(super) struct Lists {
    slots: Vec<Slot>,
    links: Vec<Link>,
    free: u32,
    lists: [List; 3],
}

impl Default for Lists {
    fn default() -> Self {
        let empty = List {
            newest: NONE,
            oldest: NONE,
            count: 0,
        };
        Self {
            slots: Vec::new(),
            links: Vec::new(),
            free: NONE,
            lists: [empty; 3],
        }
    }
}

impl Lists {
    /// Puts a session that was used just now into a slot.
    ///
    /// # Panics
    /// With 2^32 sessions, which no shard has room for.
    pub(super) fn add(&mut self, handle: SessionHandle, record: Record, used: u64) -> u32 {
        let tier = if record.logged_in {
            Tier::LoggedIn
        } else {
            Tier::SeenOnce
        };
        let slot = Slot {
            handle,
            record: Some(record),
            used,
        };
        let link = Link {
            newer: NONE,
            older: NONE,
            tier,
        };
        let number = if self.free == NONE {
            self.slots.push(slot);
            self.links.push(link);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 sessions in a shard")
        } else {
            let number = self.free;
            self.free = self.links[number as usize].older;
            self.slots[number as usize] = slot;
            self.links[number as usize] = link;
            number
        };
        self.link(number);
        number
    }

    /// Frees a slot and drops what was in it.
    pub(super) fn remove(&mut self, number: u32) {
        self.unlink(number);
        self.slot_mut(number).record = None;
        self.links[number as usize].older = self.free;
        self.free = number;
    }

    /// Makes a session the most recently used of its tier; one that was seen once has now returned.
    pub(super) fn touch(&mut self, number: u32, used: u64) {
        self.unlink(number);
        self.slot_mut(number).used = used;
        let link = &mut self.links[number as usize];
        if link.tier == Tier::SeenOnce {
            link.tier = Tier::Returned;
        }
        self.link(number);
    }

    pub(super) fn slot_mut(&mut self, number: u32) -> &mut Slot {
        &mut self.slots[number as usize]
    }

    pub(super) fn slot(&self, number: u32) -> &Slot {
        &self.slots[number as usize]
    }

    pub(super) fn tier(&self, number: u32) -> Tier {
        self.links[number as usize].tier
    }

    pub(super) fn oldest(&self, tier: Tier) -> Option<u32> {
        let oldest = self.lists[tier as usize].oldest;
        (oldest != NONE).then_some(oldest)
    }

    pub(super) fn count(&self, tier: Tier) -> usize {
        self.lists[tier as usize].count
    }

    /// How many slots there are, free ones among them.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn link(&mut self, number: u32) {
        let link = &mut self.links[number as usize];
        let list = &mut self.lists[link.tier as usize];
        link.newer = NONE;
        link.older = list.newest;
        match self.links.get_mut(list.newest as usize) {
            Some(newest) => newest.newer = number,
            None => list.oldest = number,
        }
        list.newest = number;
        list.count += 1;
    }

    fn unlink(&mut self, number: u32) {
        let Link { newer, older, tier } = self.links[number as usize];
        let list = &mut self.lists[tier as usize];
        match self.links.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => list.newest = older,
        }
        match self.links.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => list.oldest = newer,
        }
        list.count -= 1;
    }
}
