//! Doubly linked lists of indices in one vector.

/// `LISTS` circular lists over the same indices, each entry in at most one.
///
/// The first `LISTS` places are the ends of the lists, so no neighbour is ever absent and nothing is decided at an end. Both
/// neighbours are one word, always read and written as a whole: a word that is read right after half of it was written stalls
/// the processor, and two vectors would be twice the cache lines.
#[derive(Debug)]
pub(crate) struct Links<const LISTS: usize> {
    /// In the upper half the neighbour towards the front, of an end the last entry of its list; in the lower half the
    /// neighbour towards the back, of an end the first entry.
    links: Vec<u64>,
}

const LOWER: u64 = 0xffff_ffff;

impl<const LISTS: usize> Links<LISTS> {
    #[expect(clippy::cast_possible_truncation, reason = "one or two lists")]
    const OFFSET: u32 = LISTS as u32;

    pub(crate) fn new() -> Self {
        Self {
            links: (0..Self::OFFSET).map(|end| link(end, end)).collect(),
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Makes `entry` the first of a list; it is in none, and at most one beyond the last known.
    #[inline]
    pub(crate) fn push_front(&mut self, list: u32, entry: u32) {
        let at = entry + Self::OFFSET;
        if at as usize == self.links.len() {
            self.extend();
        }
        self.insert(list, at);
    }

    /// Takes `entry` out of its list.
    #[inline]
    pub(crate) fn unlink(&mut self, entry: u32) {
        self.take_out(entry + Self::OFFSET);
    }

    /// Moves `entry` to the front of a list.
    #[inline]
    pub(crate) fn move_to_front(&mut self, list: u32, entry: u32) {
        let at = entry + Self::OFFSET;
        self.take_out(at);
        self.insert(list, at);
    }

    /// Gives the index of an unlinked entry to the last one.
    pub(crate) fn vacate(&mut self, entry: u32) {
        let at = entry + Self::OFFSET;
        let Some(last) = self.links.pop() else {
            return;
        };
        if at as usize == self.links.len() {
            return;
        }
        self.links[at as usize] = last;
        let (front, back) = neighbours(last);
        self.set_back(front, at);
        self.set_front(back, at);
    }

    /// The entry at the back of a list, which has been in it for longest.
    #[inline]
    pub(crate) fn back(&self, list: u32) -> Option<u32> {
        neighbours(self.links[list as usize])
            .0
            .checked_sub(Self::OFFSET)
    }

    #[inline]
    fn insert(&mut self, list: u32, at: u32) {
        let (_, first) = neighbours(self.links[list as usize]);
        self.links[at as usize] = link(list, first);
        // The end may be the neighbour on both sides, so the second change has to see the first.
        self.set_back(list, at);
        self.set_front(first, at);
    }

    #[inline]
    fn take_out(&mut self, at: u32) {
        let (front, back) = neighbours(self.links[at as usize]);
        self.set_back(front, back);
        self.set_front(back, front);
    }

    #[inline]
    fn set_front(&mut self, at: u32, front: u32) {
        let link = &mut self.links[at as usize];
        *link = *link & LOWER | u64::from(front) << 32;
    }

    #[inline]
    fn set_back(&mut self, at: u32, back: u32) {
        let link = &mut self.links[at as usize];
        *link = *link & !LOWER | u64::from(back);
    }

    #[inline]
    fn extend(&mut self) {
        if self.links.len() == self.links.capacity() {
            self.links.reserve_exact(self.links.len() / 8 + 8);
        }
        self.links.push(0);
    }
}

#[inline]
const fn link(front: u32, back: u32) -> u64 {
    (front as u64) << 32 | back as u64
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
const fn neighbours(link: u64) -> (u32, u32) {
    ((link >> 32) as u32, link as u32)
}
