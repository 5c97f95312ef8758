//! The order in which requests wait for a backend. Who is woken when is the caller's to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::timing::later;

/// How many requests wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuePolicy {
    /// How many may wait at once; default 1,024, and 0 refuses at once. More survive a longer burst, and wait longer.
    pub size: usize,
    /// How long each waits at most; default 1 s. Longer keeps clients waiting for what may never come.
    pub timeout: Duration,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            size: 1024,
            timeout: Duration::from_secs(1),
        }
    }
}

impl QueuePolicy {
    /// Sets [`QueuePolicy::size`].
    #[must_use]
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Sets [`QueuePolicy::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A bounded queue: who came first goes first, whenever it was queued.
///
/// The order is that of arrival at the pool, not of queueing. So a request that is queued again, after a backend failed
/// it or because a slot was lost to another thread, keeps its place; and where the queue is full, it takes that of the
/// youngest rather than being refused. Requests that arrived at one instant go in the order in which they were queued.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use lb_core::{Queue, QueuePolicy, Queued};
///
/// let now = std::time::Instant::now();
/// let (policy, mut queue) = (QueuePolicy::default().size(2), Queue::new());
/// queue.push(&policy, "second", now + Duration::from_millis(2), now);
/// queue.push(&policy, "third", now + Duration::from_millis(3), now);
/// let retried = queue.push(&policy, "first", now, now);
/// assert!(matches!(retried, Queued::Displacing(_, "third")));
/// assert_eq!(queue.pop(now), Some("first"));
/// assert_eq!(queue.pop(now), Some("second"));
/// assert_eq!(queue.pop(now), None);
/// ```
///
/// # Complexity
/// O(log n) for each operation; about 150 bytes for each entry besides the value.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: BTreeMap<Place, Entry<T>>,
    deadlines: BTreeSet<(Instant, Place)>,
    next: u64,
}

/// When a request arrived, and the number of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Instant, u64);

#[derive(Debug)]
struct Entry<T> {
    deadline: Instant,
    value: T,
}

/// Names an entry of a [`Queue`], until it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    arrived: Instant,
    number: u64,
}

/// What became of a request to be queued.
#[derive(Debug)]
#[must_use = "a value that was not queued, or is no longer, is in it"]
pub enum Queued<T> {
    /// It waits.
    Waiting(Ticket),
    /// It waits, and the youngest, which this is, does so no longer.
    Displacing(Ticket, T),
    /// All that wait arrived earlier; here it is back.
    Full(T),
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next: 0,
        }
    }

    /// Queues a request that `arrived` at its pool then, and waits no longer than the policy's timeout from `now` on.
    pub fn push(
        &mut self,
        policy: &QueuePolicy,
        value: T,
        arrived: Instant,
        now: Instant,
    ) -> Queued<T> {
        self.push_until(policy, value, arrived, later(now, policy.timeout))
    }

    /// As [`Queue::push`], with a deadline of its own.
    pub fn push_until(
        &mut self,
        policy: &QueuePolicy,
        value: T,
        arrived: Instant,
        deadline: Instant,
    ) -> Queued<T> {
        let place = Place(arrived, self.next);
        let mut displaced = None;
        if self.waiting.len() >= policy.size {
            match self.waiting.last_entry() {
                Some(youngest) if policy.size > 0 && place < *youngest.key() => {
                    displaced = Some(*youngest.key());
                }
                _ => return Queued::Full(value),
            }
        }
        let displaced = displaced.and_then(|place| self.remove(place));
        self.next += 1;
        self.waiting.insert(place, Entry { deadline, value });
        self.deadlines.insert((deadline, place));
        let ticket = Ticket {
            arrived,
            number: place.1,
        };
        match displaced {
            Some(displaced) => Queued::Displacing(ticket, displaced),
            None => Queued::Waiting(ticket),
        }
    }

    /// Takes the request that arrived first and whose deadline has not passed.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        self.pop_where(now, |_| true)
    }

    /// Takes the request that arrived first among those that can use what has become free, as `can_use` says.
    ///
    /// # Complexity
    /// O(log n) for each that is passed over.
    pub fn pop_where(&mut self, now: Instant, mut can_use: impl FnMut(&T) -> bool) -> Option<T> {
        let mut first = self.waiting.iter();
        let (&place, _) = first.find(|(_, entry)| entry.deadline > now && can_use(&entry.value))?;
        self.remove(place)
    }

    /// Takes a request whose deadline has passed; to be called until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<T> {
        let &(deadline, place) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.remove(place)
    }

    /// Takes a request that waits no longer, because its client left; `None` if it had left the queue.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<T> {
        self.remove(Place(ticket.arrived, ticket.number))
    }

    /// When the next deadline passes.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// When the first in the queue arrived.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(place, _)| place.0)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn remove(&mut self, place: Place) -> Option<T> {
        let entry = self.waiting.remove(&place)?;
        self.deadlines.remove(&(entry.deadline, place));
        Some(entry.value)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
