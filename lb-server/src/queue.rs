//! Requests that wait while every backend is full, and the place that one's end gives the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::time::Instant;

use lb_core::{BackendId, Outcome, Picked, QueuePolicy, Queued, Ticket};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock;
use crate::reject::Reject;
use crate::snapshot::BackendTarget;

/// The queue of one pool, for all workers.
///
/// What wakes is a place that became free, and whoever is woken picks for itself. As long as it has
/// not, later requests queue up behind it; when it has, it wakes the next, in case there is more
/// than one place.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Whether any backend can be full at all.
    is_limited: AtomicBool,
    /// Those that wait and those that were woken and have not picked.
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: lb_core::Queue<Waiter>,
    woken: usize,
}

#[derive(Debug)]
struct Waiter {
    wake: oneshot::Sender<()>,
    /// Backends whose place would be of no use.
    tried: Vec<BackendId>,
}

/// Why nothing came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Full,
    Timeout,
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::QueueFull,
            Refusal::Timeout => Self::QueueTimeout,
        }
    }
}

impl Queue {
    /// Says whether requests may have to wait from now on.
    pub(crate) fn set_limited(&self, is_limited: bool) {
        self.is_limited.store(is_limited, Ordering::Relaxed);
    }

    /// Whether others wait, so that one who came later has to.
    pub(crate) fn is_busy(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// How many wait, or were woken and have not picked.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits for a turn until `pick` finds something; it is asked once at each turn.
    ///
    /// `tried` are backends whose place would be of no use.
    pub(crate) async fn wait<T>(
        self: &Arc<Self>,
        policy: &QueuePolicy,
        tried: &[BackendId],
        arrived: Instant,
        deadline: Instant,
        mut pick: impl FnMut(Instant) -> Result<Option<T>, Reject>,
    ) -> Result<T, Reject> {
        loop {
            let mut place = self.join(policy, tried, arrived, deadline)?;
            loop {
                place.wait().await?;
                let now = clock::now();
                if let Some(picked) = pick(now)? {
                    place.succeed(now);
                    return Ok(picked);
                }
                if place.stage == Stage::Woken {
                    // The place went to somebody who did not queue; this request keeps its own.
                    place.yield_turn();
                    break;
                }
            }
        }
    }

    /// Queues a request by its arrival.
    fn join(
        self: &Arc<Self>,
        policy: &QueuePolicy,
        tried: &[BackendId],
        arrived: Instant,
        deadline: Instant,
    ) -> Result<Place, Refusal> {
        let (wake, woken) = oneshot::channel();
        let waiter = Waiter {
            wake,
            tried: tried.to_vec(),
        };
        let mut state = self.state.lock();
        let is_first = state.waiting.is_empty() && state.woken == 0;
        let ticket = match state.waiting.push_until(policy, waiter, arrived, deadline) {
            Queued::Waiting(ticket) => ticket,
            // Its sender is dropped, which tells it.
            Queued::Displacing(ticket, _youngest) => ticket,
            Queued::Full(_) => return Err(Refusal::Full),
        };
        self.count_in(&state);
        Ok(Place {
            queue: Arc::clone(self),
            ticket,
            woken,
            deadline,
            is_first,
            stage: Stage::Waiting,
        })
    }

    /// Gives a place that became free at a backend to whoever has waited longest and can use it.
    fn released(&self, id: &BackendId, now: impl FnOnce() -> Instant) {
        // With the one in `Place::wait`: either the release is seen by the request that queues up, or
        // the request by the release.
        fence(Ordering::SeqCst);
        if self.is_busy() {
            self.wake(&mut self.state.lock(), now(), |waiter| {
                !waiter.tried.contains(id)
            });
        }
    }

    /// Wakes everybody: backends came, or came back.
    pub(crate) fn wake_all(&self, now: Instant) {
        if self.is_busy() {
            let mut state = self.state.lock();
            while self.wake(&mut state, now, |_| true) {}
        }
    }

    fn wake(&self, state: &mut State, now: Instant, can_use: impl Fn(&Waiter) -> bool) -> bool {
        while let Some(waiter) = state.waiting.pop_where(now, &can_use) {
            state.woken += 1;
            if waiter.wake.send(()).is_ok() {
                self.count_in(state);
                return true;
            }
            // It is leaving.
            state.woken -= 1;
        }
        self.count_in(state);
        false
    }

    fn count_in(&self, state: &State) {
        self.count
            .store(state.waiting.len() + state.woken, Ordering::Relaxed);
    }
}

/// A request's place in the queue; dropping it gives it up.
#[derive(Debug)]
struct Place {
    queue: Arc<Queue>,
    ticket: Ticket,
    woken: oneshot::Receiver<()>,
    deadline: Instant,
    /// Whether nobody stood there before, who would have been woken by a release just now.
    is_first: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// Woken, and others wait until it has picked.
    Woken,
    Gone,
}

impl Place {
    /// Waits for its turn to pick.
    async fn wait(&mut self) -> Result<(), Refusal> {
        if std::mem::take(&mut self.is_first) {
            // A place may have been released just before this request stood in the queue.
            fence(Ordering::SeqCst);
            return Ok(());
        }
        let woken = tokio::time::timeout_at(self.deadline.into(), &mut self.woken).await;
        match woken {
            Ok(Ok(())) => {
                self.stage = Stage::Woken;
                Ok(())
            }
            Ok(Err(_displaced)) => {
                self.stage = Stage::Gone;
                Err(Refusal::Full)
            }
            Err(_elapsed) => Err(Refusal::Timeout),
        }
    }

    /// It has picked: the next may see whether there is more.
    fn succeed(mut self, now: Instant) {
        self.leave(|queue, state, _had_turn| {
            queue.wake(state, now, |_| true);
        });
    }

    /// It found nothing, so nobody behind it will.
    fn yield_turn(mut self) {
        self.leave(|queue, state, _had_turn| queue.count_in(state));
    }

    fn leave(&mut self, then: impl FnOnce(&Queue, &mut State, bool)) {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.state.lock();
        let had_turn = match std::mem::replace(&mut self.stage, Stage::Gone) {
            // It may have come at this very moment.
            Stage::Waiting => {
                state.waiting.cancel(self.ticket).is_none() && self.woken.try_recv().is_ok()
            }
            Stage::Woken => true,
            Stage::Gone => return,
        };
        if had_turn {
            state.woken -= 1;
        }
        then(&queue, &mut state, had_turn);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave(|queue, state, had_turn| {
            if had_turn {
                queue.wake(state, clock::now(), |_| true);
            } else {
                queue.count_in(state);
            }
        });
    }
}

/// A request in flight at a backend; its end lets the next one in.
pub(crate) struct InFlight {
    /// `None` after the end.
    picked: Option<Picked>,
    target: Arc<BackendTarget>,
}

impl InFlight {
    pub(crate) fn new(picked: Picked, target: Arc<BackendTarget>) -> Self {
        Self {
            picked: Some(picked),
            target,
        }
    }

    pub(crate) fn target(&self) -> &Arc<BackendTarget> {
        &self.target
    }

    /// When it was picked.
    pub(crate) fn started(&self) -> Instant {
        self.picked
            .as_ref()
            .map_or_else(clock::now, Picked::started)
    }

    /// Reports the response head.
    pub(crate) fn answered(&mut self, outcome: Outcome, now: Instant) {
        if let Some(picked) = &mut self.picked {
            picked.answered(outcome, now);
        }
    }

    /// Reports how it went, and ends it.
    pub(crate) fn finish(mut self, outcome: Outcome, now: Instant) {
        if let Some(picked) = self.picked.take() {
            picked.finish(outcome, now);
            self.let_next_in();
        }
    }

    fn let_next_in(&self) {
        let queue = &self.target.queue;
        if queue.is_limited.load(Ordering::Relaxed) {
            queue.released(&self.target.id, clock::now);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(picked) = self.picked.take() {
            drop(picked);
            self.let_next_in();
        }
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.picked.fmt(formatter)
    }
}

#[cfg(test)]
mod tests;
