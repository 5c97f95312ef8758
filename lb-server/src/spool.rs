//! The way of what workers write about exchanges (lines, spans) to where it goes.
//!
//! Each worker has a buffer. A thread of its own takes what is in them a few times a second, or earlier where one is
//! half full, and hands it on. It alone waits for the destination; where that takes nothing, the buffers fill and what
//! comes beyond is dropped and counted.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Where what was gathered goes. It has a thread of its own and may wait.
pub(crate) trait Drain: Send + 'static {
    /// Takes some entries and returns how many of them are lost.
    fn take(&mut self, entries: &[u8]) -> u64;

    /// Opens anew what has a name.
    fn reopen(&mut self) {}

    /// Nothing comes after this; returns how many entries are lost that it still had.
    fn finish(&mut self) -> u64 {
        0
    }
}

/// The buffers and the thread that empties them.
#[derive(Debug)]
pub(crate) struct Spool {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    buffers: Box<[Mutex<Vec<u8>>]>,
    /// Bytes that each buffer may hold.
    capacity: usize,
    gather: Duration,
    dropped: AtomicU64,
    /// Whether the thread knows that there are entries; it mirrors the signal so that most take no lock for it.
    is_told: AtomicBool,
    signals: Mutex<Signals>,
    changed: Condvar,
}

/// What the thread waits for.
#[derive(Debug, Default)]
struct Signals {
    has_entries: bool,
    is_urgent: bool,
    reopen: bool,
    close: bool,
    is_closed: bool,
}

impl Signals {
    fn is_pressing(&self) -> bool {
        self.is_urgent || self.reopen || self.close
    }
}

impl Spool {
    /// Starts the thread, by this name, for so many workers, each with a buffer of so many bytes; an entry may wait
    /// for others to go with for the time of `gather`.
    pub(crate) fn start(
        name: &str,
        drain: impl Drain,
        workers: usize,
        capacity: usize,
        gather: Duration,
    ) -> io::Result<Self> {
        let state = Arc::new(State {
            buffers: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
            capacity,
            gather,
            dropped: AtomicU64::new(0),
            is_told: AtomicBool::new(false),
            signals: Mutex::default(),
            changed: Condvar::new(),
        });
        let thread = Arc::clone(&state);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || thread.run(drain))?;
        Ok(Self { state })
    }

    /// Has an entry appended to the caller's buffer, or drops it where there is no room.
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let state = &*self.state;
        let mut buffer = state.buffers[worker() % state.buffers.len()].lock();
        let before = buffer.len();
        if before < state.capacity {
            write(&mut buffer);
        }
        let after = buffer.len();
        if before == after || after > state.capacity {
            buffer.truncate(before);
            drop(buffer);
            state.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(buffer);
        let half = state.capacity / 2;
        if before < half && half <= after {
            state.tell(|signals| signals.is_urgent = true);
        }
        if !state.is_told.load(Ordering::Relaxed) {
            state.is_told.store(true, Ordering::Relaxed);
            state.tell(|signals| signals.has_entries = true);
        }
    }

    /// Entries that were dropped or lost on their way.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// Has the destination opened anew, before it takes anything else.
    pub(crate) fn reopen(&self) {
        self.state.tell(|signals| signals.reopen = true);
    }

    /// Hands on what is there and ends the thread; waits for so long at most.
    pub(crate) fn close(&self, patience: Duration) {
        self.state.tell(|signals| signals.close = true);
        let mut signals = self.state.signals.lock();
        let is_open = |signals: &mut Signals| !signals.is_closed;
        // A destination that takes nothing must not keep the process from ending.
        self.state
            .changed
            .wait_while_for(&mut signals, is_open, patience);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.state.tell(|signals| signals.close = true);
    }
}

impl State {
    fn tell(&self, what: impl FnOnce(&mut Signals)) {
        what(&mut self.signals.lock());
        self.changed.notify_all();
    }

    fn run(&self, mut drain: impl Drain) {
        let mut taken = Vec::new();
        let mut is_idle = false;
        loop {
            let orders = self.wait(is_idle);
            if orders.reopen {
                drain.reopen();
            }
            let mut found = self.empty(&mut drain, &mut taken);
            if orders.close {
                let lost = drain.finish();
                self.dropped.fetch_add(lost, Ordering::Relaxed);
                return self.tell(|signals| signals.is_closed = true);
            }
            if !found {
                // An entry that comes after its buffer was found empty from here on tells so itself.
                self.is_told.store(false, Ordering::Relaxed);
                found = self.empty(&mut drain, &mut taken);
                if found {
                    self.is_told.store(true, Ordering::Relaxed);
                }
            }
            is_idle = !found;
        }
    }

    /// Waits for entries if there are none, then for others to go with them.
    fn wait(&self, is_idle: bool) -> Signals {
        let mut signals = self.signals.lock();
        if is_idle {
            self.changed.wait_while(&mut signals, |signals| {
                !signals.has_entries && !signals.is_pressing()
            });
        }
        self.changed
            .wait_while_for(&mut signals, |signals| !signals.is_pressing(), self.gather);
        std::mem::take(&mut signals)
    }

    /// Hands on what is in the buffers; tells whether there was anything.
    fn empty(&self, drain: &mut impl Drain, taken: &mut Vec<u8>) -> bool {
        let mut found = false;
        for buffer in &self.buffers {
            // The worker goes on with the other one of two that take turns.
            std::mem::swap(taken, &mut buffer.lock());
            if taken.is_empty() {
                continue;
            }
            found = true;
            let lost = drain.take(taken);
            self.dropped.fetch_add(lost, Ordering::Relaxed);
            taken.clear();
        }
        found
    }
}

/// A number for each thread that writes: the buffers are dealt by it, so that each worker has its own.
fn worker() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    WORKER.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        WORKER.set(Some(number));
        number
    })
}

#[cfg(test)]
mod tests;
