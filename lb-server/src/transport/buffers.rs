//! Buffers of a thread, so that an idle connection holds none.

use std::cell::RefCell;

/// Bytes one socket read may bring.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// Above this a thread's spare buffers go back to the allocator.
const MAX_SPARE: usize = 32;

thread_local! {
    static SCRATCH: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Takes a read buffer of [`SCRATCH_BYTES`]; what is in it is whatever was read before.
pub(crate) fn take_scratch() -> Box<[u8]> {
    SCRATCH
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice())
}

pub(crate) fn return_scratch(scratch: Box<[u8]>) {
    SCRATCH.with_borrow_mut(|spare| {
        if spare.len() < MAX_SPARE {
            spare.push(scratch);
        }
    });
}

/// An empty buffer that may already have room.
pub(super) fn take() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Takes the memory back from its owner, who is left with an empty buffer that holds none.
pub(super) fn give_back(owner: &mut Vec<u8>) {
    let mut buffer = std::mem::take(owner);
    // Larger ones come from growth past the usual and would pin that for good.
    if buffer.capacity() == 0 || buffer.capacity() > 2 * SCRATCH_BYTES {
        return;
    }
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MAX_SPARE {
            spare.push(buffer);
        }
    });
}

/// What a socket read brought and its reader has not taken yet, still in the buffer it was read
/// into. Empty it holds no memory.
#[derive(Default)]
pub(super) struct ReadAhead {
    buffer: Box<[u8]>,
    taken: usize,
    end: usize,
}

impl ReadAhead {
    /// Bytes `start..end` of a scratch buffer, which goes back to the thread where there are none.
    pub(super) fn keep(&mut self, scratch: Box<[u8]>, start: usize, end: usize) {
        debug_assert!(
            self.is_empty(),
            "the socket is read only when all was taken"
        );
        if start == end {
            return return_scratch(scratch);
        }
        *self = Self {
            buffer: scratch,
            taken: start,
            end,
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.end
    }

    #[cfg(test)]
    pub(super) fn holds_memory(&self) -> bool {
        !self.buffer.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.taken..self.end]
    }

    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            return_scratch(std::mem::take(self).buffer);
        }
    }
}
