//! Wake-ups of a task by what it polls itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;

const WAITING: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

/// Takes the wake-ups that come while its task is polling, so that the task goes round once more
/// instead of being scheduled for it.
///
/// An exchange that hands its reply to the connection wakes the connection, and both are one task.
#[derive(Debug)]
pub(crate) struct Turn {
    state: AtomicU8,
    task: Mutex<Waker>,
}

impl Turn {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(WAITING),
            task: Mutex::new(Waker::noop().clone()),
        })
    }

    /// Begins a poll of the task that `waker` wakes.
    pub(crate) fn begin(&self, waker: &Waker) {
        let mut task = self.task.lock();
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
        self.state.store(POLLING, Ordering::Release);
    }

    /// Whether there was a wake-up since the last look.
    pub(crate) fn take_woken(&self) -> bool {
        self.state.swap(POLLING, Ordering::AcqRel) == WOKEN
    }

    /// Ends the poll; a wake-up that nobody looked at goes to the task.
    pub(crate) fn end(&self) {
        if self.state.swap(WAITING, Ordering::AcqRel) == WOKEN {
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
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state == POLLING).then_some(WOKEN)
            });
        if before == Err(WAITING) {
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
        turn.begin(&task);
        waker.wake_by_ref();
        assert!(turn.take_woken());
        assert!(!turn.take_woken());
        turn.end();
        assert_eq!(woken(), 0);
        waker.wake_by_ref();
        assert_eq!(woken(), 1);
        turn.begin(&task);
        waker.wake_by_ref();
        turn.end();
        assert_eq!(woken(), 2, "it came after the last look");
    }
}
