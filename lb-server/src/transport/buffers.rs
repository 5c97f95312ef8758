//! Buffers of a thread, so that an idle connection holds none.

use std::cell::{Cell, RefCell};

/// Bytes one socket read may bring.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// Above this a thread's spare buffers go back to the allocator.
const MAX_SPARE: usize = 32;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the thread's read buffer; a stream that runs over another gets a second one.
pub(super) fn take_scratch() -> Box<[u8]> {
    SCRATCH
        .take()
        .unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice())
}

pub(super) fn return_scratch(scratch: Box<[u8]>) {
    SCRATCH.set(Some(scratch));
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
