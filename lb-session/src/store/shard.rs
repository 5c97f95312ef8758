//! One shard: sessions by handle, each in the list of its tier in the order of use.

use std::time::{Duration, Instant};

use crate::id::SessionHandle;
use crate::parameters::SessionParameters;
use crate::record::Record;

use super::listing::SessionSummary;

mod index;
mod order;

use index::Index;
use order::{Lists, Slot, Tier};

/// Expired sessions whose places are taken back for each new one: more than one, so that they become fewer.
const EXPIRED_PER_INSERT: usize = 2;

/// Sessions that one new one can push out: more than one, so that a smaller `max_sessions` is reached in the end.
const EVICTED_PER_INSERT: usize = 8;

/// What a store has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStats {
    /// Sessions that hold a place now.
    pub sessions: usize,
    /// Those of them that are logged in.
    pub logged_in: usize,
    /// Sessions stored under an id of their own: new ones and rotated ones.
    pub stored: u64,
    /// Sessions whose lifetime was over when somebody looked.
    pub expired: u64,
    /// Sessions that were ended, by their client or the operator.
    pub ended: u64,
    /// Anonymous sessions that lost their place to others.
    pub evicted_anonymous: u64,
    /// Logged-in sessions that lost their place to other logged-in ones. Above 0, `max_sessions` is too small or
    /// somebody logs in too often.
    pub evicted_logged_in: u64,
    /// Sessions that got no place.
    pub refused: u64,
}

pub(super) struct Shard {
    epoch: Instant,
    /// The latest time seen, in milliseconds since `epoch`: threads arrive out of order, and the lists rely on order.
    latest: u64,
    index: Index,
    lists: Lists,
    counts: StoreStats,
}

impl Shard {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            latest: 0,
            index: Index::default(),
            lists: Lists::default(),
            counts: StoreStats::default(),
        }
    }

    /// The record of a session that lives, used now.
    pub(super) fn touch(
        &mut self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<&Record> {
        let slot = self.find(handle, parameters, now)?;
        self.lists.touch(slot, self.latest);
        self.lists.slot(slot).record.as_ref()
    }

    /// The record of a session that lives.
    pub(super) fn live(
        &mut self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<&mut Record> {
        let slot = self.find(handle, parameters, now)?;
        self.lists.slot_mut(slot).record.as_mut()
    }

    /// Gives a session a place, or returns false.
    pub(super) fn insert(
        &mut self,
        handle: SessionHandle,
        record: Record,
        places: usize,
        parameters: &SessionParameters,
        now: Instant,
    ) -> bool {
        self.expire(EXPIRED_PER_INSERT, parameters, now);
        if self.slot_of(&handle).is_some() || !self.make_room(places, record.logged_in) {
            self.counts.refused += 1;
            return false;
        }
        let slot = self.lists.add(handle, record, self.latest);
        self.index.insert(&handle, slot);
        self.counts.stored += 1;
        true
    }

    /// Evicts until there is a place for one more.
    fn make_room(&mut self, places: usize, logged_in: bool) -> bool {
        let kept_for_others = places / 8;
        let most_logged_in = places - kept_for_others;
        for _ in 0..EVICTED_PER_INSERT {
            let too_many = logged_in && self.lists.count(Tier::LoggedIn) >= most_logged_in;
            if !too_many && self.index.len() < places {
                return true;
            }
            let seen_once = self.lists.oldest(Tier::SeenOnce);
            let returned = self.lists.oldest(Tier::Returned);
            let oldest = self.lists.oldest(Tier::LoggedIn).filter(|_| logged_in);
            let victim = if too_many {
                oldest
            } else if self.lists.count(Tier::SeenOnce) >= kept_for_others.max(1) {
                seen_once
            } else {
                // New sessions keep a share: with one place for all of them, none would live to see its client again.
                returned.or(seen_once).or(oldest)
            };
            let Some(victim) = victim else { return false };
            if self.lists.tier(victim) == Tier::LoggedIn {
                self.counts.evicted_logged_in += 1;
            } else {
                self.counts.evicted_anonymous += 1;
            }
            self.remove(victim);
        }
        true
    }

    /// Takes a session out that goes on under another handle.
    pub(super) fn take(&mut self, handle: &SessionHandle) -> bool {
        let slot = self.slot_of(handle);
        slot.inspect(|&slot| self.remove(slot)).is_some()
    }

    /// Ends a session.
    pub(super) fn end(&mut self, handle: &SessionHandle) -> bool {
        let ended = self.take(handle);
        self.counts.ended += u64::from(ended);
        ended
    }

    /// Takes back the places of up to `limit` expired sessions.
    pub(super) fn expire(
        &mut self,
        limit: usize,
        parameters: &SessionParameters,
        now: Instant,
    ) -> usize {
        self.advance(now);
        let mut expired = 0;
        for tier in Tier::ALL {
            while expired < limit
                && let Some(oldest) = self.lists.oldest(tier)
                && !self.is_alive(oldest, parameters)
            {
                self.remove(oldest);
                expired += 1;
            }
        }
        self.counts.expired += expired as u64;
        expired
    }

    pub(super) fn describe(
        &mut self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<SessionSummary> {
        let slot = self.slot_of(handle)?;
        self.describe_slot(slot as usize, parameters, now)
    }

    pub(super) fn describe_slot(
        &mut self,
        slot: usize,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<SessionSummary> {
        self.advance(now);
        let number = u32::try_from(slot).ok()?;
        let slot = self.lists.slot(number);
        let record = slot.record.as_ref()?;
        let (age, idle) = self.times(slot, record);
        self.is_alive(number, parameters).then(|| SessionSummary {
            handle: slot.handle,
            logged_in: record.logged_in,
            age,
            idle,
            bytes: record.values.bytes(),
        })
    }

    /// How many places there have been so far, free ones among them.
    pub(super) fn slots(&self) -> usize {
        self.lists.len()
    }

    pub(super) fn add_to(&self, stats: &mut StoreStats) {
        stats.sessions += self.index.len();
        stats.logged_in += self.lists.count(Tier::LoggedIn);
        stats.stored += self.counts.stored;
        stats.expired += self.counts.expired;
        stats.ended += self.counts.ended;
        stats.evicted_anonymous += self.counts.evicted_anonymous;
        stats.evicted_logged_in += self.counts.evicted_logged_in;
        stats.refused += self.counts.refused;
    }

    fn slot_of(&self, handle: &SessionHandle) -> Option<u32> {
        let holds = |slot| self.lists.slot(slot).handle == *handle;
        self.index.find(handle, holds)
    }

    /// The slot of a session that lives; one that does not loses it.
    fn find(
        &mut self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<u32> {
        self.advance(now);
        let slot = self.slot_of(handle)?;
        if self.is_alive(slot, parameters) {
            return Some(slot);
        }
        self.remove(slot);
        self.counts.expired += 1;
        None
    }

    fn advance(&mut self, now: Instant) {
        self.latest = self.latest.max(millis(self.epoch, now));
    }

    fn is_alive(&self, slot: u32, parameters: &SessionParameters) -> bool {
        let slot = self.lists.slot(slot);
        slot.record.as_ref().is_some_and(|record| {
            let (age, idle) = self.times(slot, record);
            parameters.time_left(age, idle).is_some()
        })
    }

    /// Age and idle time.
    fn times(&self, slot: &Slot, record: &Record) -> (Duration, Duration) {
        // A record may be from a later moment than this shard has seen, if threads arrive out of order.
        let since = |then: u64| Duration::from_millis(self.latest.saturating_sub(then));
        (since(record.created), since(slot.used))
    }

    fn remove(&mut self, slot: u32) {
        self.index.remove(&self.lists.slot(slot).handle, slot);
        self.lists.remove(slot);
    }
}

/// Milliseconds on the clock of the records; none before it begins.
pub(super) fn millis(epoch: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(epoch).as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}
