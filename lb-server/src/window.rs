//! How much a client may send on one stream ahead of whoever takes it.

use std::time::{Duration, Instant};

use crate::memory::Memory;

/// What a stream's window grows to.
const GROWN: u32 = 256 * 1024;
/// Windows' worth that must have come before a stream's window grows: what is smaller gains nothing.
const WORTH: u64 = 4;
/// Before this a window that went back does not grow again: each change is a frame to acknowledge.
const PAUSE: Duration = Duration::from_secs(1);

/// Lets a few busy streams of a connection run ahead further than many may.
///
/// A large window spares most `WINDOW_UPDATE`s and the waiting for them. What all streams may hold
/// together stays within the connection's window even if every one of them stalls and the
/// connection then opens as many as it may, so that none takes what its siblings need. What the
/// grown windows may hold is taken from the process's budget, of which they leave half to others.
#[derive(Debug)]
pub(crate) struct StreamWindow {
    usual: u32,
    connection: u32,
    max_streams: u32,
    /// Bytes of the budget that are held for the windows while they are grown.
    held: Option<u64>,
    /// Bytes received when the present state began.
    since: u64,
    may_grow_at: Option<Instant>,
}

impl StreamWindow {
    pub(crate) fn new(usual: u32, connection: u32, max_streams: u32) -> Self {
        Self {
            usual,
            connection,
            max_streams,
            held: None,
            since: 0,
            may_grow_at: None,
        }
    }

    /// Has another window announced where it should be another. `received` counts the bytes of the
    /// connection and `now` is when the last came, `streams` are open on it, and `announce` tells
    /// whether the client is told.
    pub(crate) fn adjust(
        &mut self,
        (received, now): (u64, Instant),
        streams: usize,
        memory: &Memory,
        announce: impl FnOnce(u32) -> bool,
    ) {
        let grown = grown_streams(streams);
        let fits = self.fits(grown);
        match self.held {
            Some(held) => {
                let is_unused = streams == 0 && memory.is_half_full();
                if (is_unused || !fits) && announce(self.usual) {
                    memory.give_back(held);
                    self.held = None;
                    self.since = received;
                    self.may_grow_at = Some(now + PAUSE);
                }
            }
            None if streams == 0 || !fits || self.usual >= GROWN => self.since = received,
            None if self.may_grow_at.is_some_and(|at| now < at) => self.since = received,
            None if received.saturating_sub(self.since) < WORTH * u64::from(self.usual) => {}
            None => {
                let held = grown * u64::from(GROWN - self.usual);
                if !memory.take_of_half(held) {
                    self.since = received;
                } else if announce(GROWN) {
                    self.held = Some(held);
                } else {
                    memory.give_back(held);
                }
            }
        }
    }

    /// Gives the budget back at the connection's end.
    pub(crate) fn close(&mut self, memory: &Memory) {
        if let Some(held) = self.held.take() {
            memory.give_back(held);
        }
    }

    fn fits(&self, grown: u64) -> bool {
        let others = u64::from(self.max_streams).saturating_sub(grown);
        grown * u64::from(GROWN) + others * u64::from(self.usual) <= u64::from(self.connection)
    }
}

/// Streams that may have a grown window by the time the client hears of a smaller one: as many
/// again, and some.
fn grown_streams(streams: usize) -> u64 {
    2 * streams as u64 + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;
    const USUAL: u32 = 64 * 1024;

    /// The defaults: three streams fit.
    fn window() -> StreamWindow {
        StreamWindow::new(USUAL, 8 * 1024 * 1024, 100)
    }

    fn announced(
        window: &mut StreamWindow,
        received: u64,
        streams: usize,
        memory: &Memory,
    ) -> Option<u32> {
        announced_at(window, (received, Instant::now()), streams, memory)
    }

    fn announced_at(
        window: &mut StreamWindow,
        received: (u64, Instant),
        streams: usize,
        memory: &Memory,
    ) -> Option<u32> {
        let mut told = None;
        window.adjust(received, streams, memory, |size| {
            told = Some(size);
            true
        });
        told
    }

    #[test]
    fn grows_once_much_has_come_on_few_streams() {
        let (mut window, memory) = (window(), Memory::new(1 << 30));
        assert_eq!(announced(&mut window, 255 * KIB, 3, &memory), None);
        assert_eq!(announced(&mut window, 256 * KIB, 3, &memory), Some(GROWN));
        assert_eq!(announced(&mut window, 4096 * KIB, 3, &memory), None);
        assert_eq!(memory.held(), 8 * 192 * KIB);
        window.close(&memory);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn more_streams_share_what_the_connection_has() {
        let (mut window, memory) = (window(), Memory::new(1 << 30));
        assert_eq!(announced(&mut window, 4096 * KIB, 4, &memory), None);
        let counted_anew = announced(&mut window, 4097 * KIB, 3, &memory);
        assert_eq!(counted_anew, None, "it counts from the crowd's end");
        assert_eq!(announced(&mut window, 5000 * KIB, 3, &memory), Some(GROWN));
        assert_eq!(announced(&mut window, 5001 * KIB, 4, &memory), Some(USUAL));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_is_unused_goes_back_when_the_budget_is_short() {
        let (mut window, memory) = (window(), Memory::new(1 << 30));
        assert_eq!(announced(&mut window, 256 * KIB, 1, &memory), Some(GROWN));
        assert_eq!(announced(&mut window, 300 * KIB, 0, &memory), None);
        assert!(memory.take(1 << 29));
        assert_eq!(announced(&mut window, 301 * KIB, 0, &memory), Some(USUAL));
        assert_eq!(memory.held(), 1 << 29);
    }

    #[test]
    fn a_window_that_went_back_grows_again_only_after_a_pause() {
        let (mut window, memory) = (window(), Memory::new(1 << 30));
        let start = Instant::now();
        let at = |kib, after| (kib * KIB, start + after);
        let second = Duration::from_secs(1);
        let grown = announced_at(&mut window, at(256, Duration::ZERO), 1, &memory);
        assert_eq!(grown, Some(GROWN));
        let crowd = announced_at(&mut window, at(257, Duration::ZERO), 4, &memory);
        assert_eq!(crowd, Some(USUAL));
        let soon = announced_at(&mut window, at(9999, second / 2), 1, &memory);
        assert_eq!(soon, None);
        let later = announced_at(&mut window, at(10_300, second), 1, &memory);
        assert_eq!(later, Some(GROWN));
    }

    #[test]
    fn small_exchanges_one_after_the_other_change_nothing() {
        let (mut window, memory) = (window(), Memory::new(1 << 30));
        for request in 0..1000 {
            assert_eq!(announced(&mut window, request * KIB, 1, &memory), None);
            assert_eq!(announced(&mut window, request * KIB + 1, 0, &memory), None);
        }
    }

    #[test]
    fn a_window_that_was_set_larger_is_left_alone() {
        let mut window = StreamWindow::new(2 * GROWN, 1 << 30, 100);
        let memory = Memory::new(1 << 30);
        assert_eq!(announced(&mut window, u64::MAX, 1, &memory), None);
    }

    #[test]
    fn half_of_the_budget_is_not_for_windows() {
        let (mut window, memory) = (window(), Memory::new(4 * 192 * KIB * 2 - 1));
        assert_eq!(announced(&mut window, 256 * KIB, 1, &memory), None);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_change_that_cannot_be_told_yet_is_tried_again() {
        let (mut window, memory) = (window(), Memory::new(1 << 30));
        window.adjust((256 * KIB, Instant::now()), 1, &memory, |_| false);
        assert_eq!(memory.held(), 0);
        assert_eq!(announced(&mut window, 257 * KIB, 1, &memory), Some(GROWN));
    }
}
