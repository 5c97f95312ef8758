//! Requests that wait for a connection of their own: each takes the first that comes.
//!
//! A request that finds no open connection has one dialled for it, and takes what another request gives back before that
//! is there; so do Go's `net/http.Transport` and the pool of `hyper-util`. A dial that nobody waits for any more goes on,
//! and the next request waits for it instead of beginning another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::ConnectError;

/// A dial that has taken this long is not relied on by other requests: it may be one that never succeeds. The connection
/// attempt delay of RFC 8305 §5.
const YOUNG: Duration = Duration::from_millis(250);

/// What a dial comes to: a connection of type `C`, or none where a shared one was opened.
pub(super) type Dialled<C> = Result<Option<C>, ConnectError>;

/// The requests that wait for a connection to one backend. Everything is of logarithmic complexity in their number.
#[derive(Debug)]
pub(super) struct Waiting<C> {
    /// By the dial that is for them and for nobody else, so that each wait has an end. The order is that of their coming,
    /// but for those that took over a dial.
    requests: BTreeMap<Dial, Request<C>>,
    /// Dials under way that nobody waits for, and when they began.
    spare: BTreeMap<Dial, Instant>,
    last: Dial,
}

/// A connection being opened; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dial(u64);

#[derive(Debug)]
struct Request<C> {
    dial_began: Instant,
    tell: oneshot::Sender<Dialled<C>>,
}

/// A place among those that wait.
#[derive(Debug)]
pub(super) struct Place<C> {
    pub(super) dial: Dial,
    /// Whether the dial is still to be begun.
    pub(super) is_new: bool,
    pub(super) arrived: oneshot::Receiver<Dialled<C>>,
}

impl<C> Default for Waiting<C> {
    fn default() -> Self {
        Self {
            requests: BTreeMap::new(),
            spare: BTreeMap::new(),
            last: Dial(0),
        }
    }
}

impl<C> Waiting<C> {
    /// Takes a place.
    pub(super) fn enter(&mut self, now: Instant) -> Place<C> {
        let youngest = self.spare.last_entry();
        let taken_over = youngest
            .filter(|spare| now.saturating_duration_since(*spare.get()) < YOUNG)
            .map(|spare| spare.remove_entry());
        let is_new = taken_over.is_none();
        let (dial, dial_began) = taken_over.unwrap_or_else(|| {
            self.last.0 += 1;
            (self.last, now)
        });
        let (tell, arrived) = oneshot::channel();
        self.requests.insert(dial, Request { dial_began, tell });
        Place {
            dial,
            is_new,
            arrived,
        }
    }

    /// Gives a place up, or does nothing where what arrived there was taken. A connection that arrived and was not taken goes
    /// to the next, or is returned.
    pub(super) fn leave(&mut self, place: &mut Place<C>) -> Option<C> {
        match place.arrived.try_recv() {
            Ok(result) => {
                let connection = result.ok().flatten()?;
                self.offer(connection)
            }
            Err(TryRecvError::Empty) => {
                let request = self.requests.remove(&place.dial)?;
                self.spare.insert(place.dial, request.dial_began);
                None
            }
            // By now the dial may be another's.
            Err(TryRecvError::Closed) => None,
        }
    }

    /// Hands a connection to the first who waits; returned where nobody does.
    pub(super) fn offer(&mut self, mut connection: C) -> Option<C> {
        while let Some((dial, request)) = self.requests.pop_first() {
            self.spare.insert(dial, request.dial_began);
            match request.tell.send(Ok(Some(connection))) {
                Ok(()) => return None,
                Err(unsent) => connection = unsent.ok()??,
            }
        }
        Some(connection)
    }

    /// Ends a dial: whom it was for hears what it came to. A connection that nobody waits for is returned.
    pub(super) fn dialled(&mut self, dial: Dial, result: Dialled<C>) -> Option<C> {
        let unsent = match self.requests.remove(&dial) {
            Some(request) => request.tell.send(result).err()?,
            None => {
                self.spare.remove(&dial);
                result
            }
        };
        let connection = unsent.ok().flatten()?;
        self.offer(connection)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    /// What has arrived at a place.
    fn arrived(place: &mut Place<u32>) -> Option<Dialled<u32>> {
        place.arrived.try_recv().ok()
    }

    fn has(place: &mut Place<u32>, connection: u32) -> bool {
        matches!(arrived(place), Some(Ok(Some(it))) if it == connection)
    }

    #[test]
    fn who_waits_takes_what_is_given_back_and_the_dial_is_for_the_next() {
        let mut waiting = Waiting::default();
        let now = clock::now();
        let (mut first, mut second) = (waiting.enter(now), waiting.enter(now));
        assert!(first.is_new && second.is_new);
        assert_eq!(waiting.offer(1), None);
        assert!(has(&mut first, 1));
        assert!(arrived(&mut second).is_none());
        let mut third = waiting.enter(now + YOUNG / 2);
        assert!(!third.is_new);
        assert_eq!(third.dial, first.dial);
        assert_eq!(waiting.dialled(second.dial, Ok(Some(2))), None);
        assert!(has(&mut second, 2));
        assert_eq!(waiting.dialled(third.dial, Ok(Some(3))), None);
        assert!(has(&mut third, 3));
        assert_eq!(waiting.offer(4), Some(4));
    }

    #[test]
    fn a_dial_that_takes_long_is_not_relied_on() {
        let mut waiting = Waiting::<u32>::default();
        let now = clock::now();
        let mut left = waiting.enter(now);
        assert_eq!(waiting.leave(&mut left), None);
        let mut second = waiting.enter(now + YOUNG);
        assert!(second.is_new);
        // It went on, and nobody waits but the second.
        assert_eq!(waiting.dialled(left.dial, Ok(Some(1))), None);
        assert!(has(&mut second, 1));
    }

    #[test]
    fn a_failed_dial_is_heard_of_by_whom_it_was_for_alone() {
        let mut waiting = Waiting::<u32>::default();
        let now = clock::now();
        let (mut first, mut second) = (waiting.enter(now), waiting.enter(now));
        assert_eq!(
            waiting.dialled(second.dial, Err(ConnectError::Timeout)),
            None
        );
        assert!(matches!(arrived(&mut second), Some(Err(_))));
        assert!(arrived(&mut first).is_none());
        assert_eq!(waiting.offer(1), None);
        assert!(has(&mut first, 1));
        assert_eq!(
            waiting.dialled(first.dial, Err(ConnectError::Timeout)),
            None
        );
        assert!(waiting.spare.is_empty());
    }

    #[test]
    fn who_has_taken_a_connection_leaves_the_dial_to_who_took_it_over() {
        let mut waiting = Waiting::<u32>::default();
        let now = clock::now();
        let mut first = waiting.enter(now);
        assert_eq!(waiting.offer(1), None);
        assert!(has(&mut first, 1));
        let mut second = waiting.enter(now);
        assert_eq!(second.dial, first.dial);
        assert_eq!(waiting.leave(&mut first), None);
        assert_eq!(waiting.dialled(second.dial, Ok(Some(2))), None);
        assert!(has(&mut second, 2));
    }

    #[derive(Debug, Clone)]
    enum Act {
        Enter,
        Take(usize),
        Leave(usize),
        Offer,
        Dialled(usize, bool),
        Pass(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => Just(Act::Enter),
            4 => (0..8_usize).prop_map(Act::Take),
            1 => (0..8_usize).prop_map(Act::Leave),
            2 => Just(Act::Offer),
            3 => (0..8_usize, any::<bool>()).prop_map(|(which, is_good)| Act::Dialled(which, is_good)),
            1 => (0..200_u64).prop_map(Act::Pass),
        ];
        prop::collection::vec(act, 0..200)
    }

    proptest! {
        /// Whoever waits has a dial of its own under way, and no connection is lost or handed out twice.
        #[test]
        fn every_wait_ends_and_nothing_is_lost(acts in acts()) {
            let mut waiting = Waiting::default();
            let mut now = clock::now();
            let mut places: Vec<Place<u32>> = Vec::new();
            let mut under_way: Vec<Dial> = Vec::new();
            let (mut made, mut seen) = (0, Vec::new());
            for act in acts {
                match act {
                    Act::Enter => {
                        let place = waiting.enter(now);
                        prop_assert_eq!(place.is_new, !under_way.contains(&place.dial));
                        if place.is_new {
                            under_way.push(place.dial);
                        }
                        places.push(place);
                    }
                    Act::Take(which) if which < places.len() => {
                        if let Some(result) = arrived(&mut places[which]) {
                            seen.extend(result.ok().flatten());
                            seen.extend(waiting.leave(&mut places.remove(which)));
                        }
                    }
                    Act::Leave(which) if which < places.len() => {
                        seen.extend(waiting.leave(&mut places.remove(which)));
                    }
                    Act::Offer => {
                        made += 1;
                        seen.extend(waiting.offer(made));
                    }
                    Act::Dialled(which, is_good) if which < under_way.len() => {
                        let dial = under_way.remove(which);
                        made += u32::from(is_good);
                        let result = if is_good { Ok(Some(made)) } else { Err(ConnectError::Timeout) };
                        seen.extend(waiting.dialled(dial, result));
                    }
                    Act::Pass(millis) => now += Duration::from_millis(millis),
                    Act::Take(_) | Act::Leave(_) | Act::Dialled(..) => {}
                }
                let waits = places.iter().filter(|place| place.arrived.is_empty());
                let dials: Vec<Dial> = waits.map(|place| place.dial).collect();
                prop_assert_eq!(dials.len(), waiting.requests.len());
                prop_assert!(dials.iter().all(|dial| waiting.requests.contains_key(dial)));
                prop_assert!(dials.iter().all(|dial| under_way.contains(dial)));
                prop_assert_eq!(under_way.len(), waiting.requests.len() + waiting.spare.len());
            }
            for mut place in places {
                seen.extend(waiting.leave(&mut place));
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (1..=made).collect::<Vec<_>>());
        }
    }
}
