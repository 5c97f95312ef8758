//! Wake-ups of a task by what it polls itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;

const WAITING: u8 = 0;
/// Woken while the task was not polling, so that the task was.
const CALLED: u8 = 1;
const POLLING: u8 = 2;
/// Woken since the last look.
const WOKEN: u8 = 3;

/// Takes the wake-ups for one part of what a task polls, so that the task polls no part in vain. Those that come while the
/// task is polling make it go round once more instead of being scheduled for it.
///
/// An exchange that hands its reply to the connection wakes the connection, and both are one task.
#[derive(Debug)]
pub(crate) struct Turn {
    state: AtomicU8,
    task: Mutex<Waker>,
}

impl Turn {
    /// A part that has to be polled for the first time.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(CALLED),
            task: Mutex::new(Waker::noop().clone()),
        })
    }

    /// Begins a poll of the task that `waker` wakes; whether it was this part that woke it.
    pub(crate) fn begin(&self, waker: &Waker) -> bool {
        let mut task = self.task.lock();
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
        self.state.swap(POLLING, Ordering::AcqRel) == CALLED
    }

    /// Whether there was a wake-up since the last look.
    pub(crate) fn take_woken(&self) -> bool {
        self.state.swap(POLLING, Ordering::AcqRel) == WOKEN
    }

    /// Ends the poll; a wake-up that nobody looked at goes to the task.
    pub(crate) fn end(&self) {
        let unseen =
            self.state
                .compare_exchange(POLLING, WAITING, Ordering::AcqRel, Ordering::Acquire);
        if unseen.is_err() {
            self.state.store(CALLED, Ordering::Release);
            self.task.lock().wake_by_ref();
        }
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| match state {
                POLLING => Some(WOKEN),
                WAITING => Some(CALLED),
                _ => None,
            });
        if before == Ok(WAITING) {
            self.task.lock().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_what_comes_outside_a_poll_or_was_not_seen_wakes_the_task() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let woken = || count.0.load(Ordering::Relaxed);
        let task = Waker::from(Arc::clone(&count));
        let turn = Turn::new();
        let waker = Waker::from(Arc::clone(&turn));
        assert!(turn.begin(&task), "nobody has polled it yet");
        waker.wake_by_ref();
        assert!(turn.take_woken());
        assert!(!turn.take_woken());
        turn.end();
        assert_eq!(woken(), 0);
        assert!(!turn.begin(&task), "something else has woken the task");
        turn.end();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(woken(), 1);
        assert!(turn.begin(&task));
        waker.wake_by_ref();
        turn.end();
        assert_eq!(woken(), 2, "it came after the last look");
        assert!(turn.begin(&task));
        turn.end();
        assert_eq!(woken(), 2);
    }
}
