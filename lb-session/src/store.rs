//! `SessionStore`: sessions in memory, in shards that each have a lock.

use std::fmt;
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::SessionError;
use crate::id::{SessionHandle, SessionId};
use crate::parameters::SessionParameters;
use crate::record::Record;
use crate::session::{Changes, Session, Write};

mod listing;
mod shard;

pub use listing::{Cursor, CursorError, Page, SessionSummary};
use shard::Shard;
pub use shard::StoreStats;

/// Below this number of sessions a shard may fill up while others have room.
const SESSIONS_PER_SHARD: usize = 4096;
const MAX_SHARDS: usize = 64;

/// Slots have numbers of 32 bits.
const MAX_PLACES: usize = 1 << 31;

/// Sessions in memory.
///
/// Sessions are kept by their handles, so what the store holds, prints or lists opens none of them.
///
/// **Full** it makes room by what it is worth to lose: first anonymous sessions whose client never came back, then other
/// anonymous ones, the least recently used of each first. A flood of clients without a login therefore takes the places
/// of such floods, of anonymous clients at the price of coming back, and never that of somebody who is logged in. An
/// eighth of the places is kept for clients that are not logged in, so that they still can; logged-in sessions beyond
/// seven eighths take the place of the least recently used logged-in one, which [`StoreStats`] counts apart: somebody
/// with many logins can do that, and a limit on logins is what stops it.
///
/// **Expired** sessions are never found. Each list is in the order of use, so their places are taken back from its end,
/// two for each new session and by [`expire`](Self::expire). One past its `max_age` that was still being used keeps its
/// place until its `idle_timeout` at most.
///
/// **Two requests at once** each keep what they wrote; of one key the later write counts. A session that has ended stays
/// so, whatever requests that began before still write.
///
/// # Examples
/// ```
/// use std::time::Instant;
/// use lb_session::{Committed, Session, SessionId, SessionParameters, SessionStore};
///
/// let (parameters, now) = (SessionParameters::default(), Instant::now());
/// let store = SessionStore::new(&parameters, now);
///
/// let mut session = Session::new(&parameters);
/// session.set("user", "alice")?;
/// let random = || SessionId::from_random([7; 16]); // 16 bytes of the system's randomness
/// let Committed::Created(id) = store.commit(&session.changes(), random, &parameters, now) else {
///     panic!("there is room");
/// };
///
/// let found = store.load(&id, &parameters, now).expect("it was just stored");
/// assert_eq!(found.get("user"), Some("alice"));
/// # Ok::<(), lb_session::SessionError>(())
/// ```
///
/// # Complexity
/// Every operation is O(1) beside the bytes of the one session, under the lock of one shard, or of two in turn. A
/// session takes about 120 bytes and its values; places are used again, and given back with the store.
pub struct SessionStore {
    /// Where the clock of the records begins.
    epoch: Instant,
    shards: Box<[Mutex<Shard>]>,
}

/// What became of a request's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// There was nothing to store.
    Unchanged,
    /// Stored, under the id that the client has.
    Updated,
    /// Stored as a new session: the client gets a cookie with this id.
    Created(SessionId),
    /// Stored under a new id: the client gets a cookie with it. The old id is dead.
    Rotated(SessionId),
    /// The session has ended by its handler: the client's cookie is taken away.
    Destroyed,
    /// Not stored: the session has ended or expired since it was loaded. The cookie stays as it is, since it may be the
    /// one of a session that has just changed its id.
    Gone,
    /// Not stored: together with what others wrote, the session would be larger than its bound.
    TooLarge,
    /// Not stored: all places are taken by logged-in sessions, or the new id is already in use.
    Refused,
}

impl SessionStore {
    /// Makes an empty store, whose number of shards follows from `max_sessions`: one for each 4,096, 64 at most.
    ///
    /// With 4,096 places or more in each, the places are used to 95 % before the first shard is full.
    pub fn new(parameters: &SessionParameters, now: Instant) -> Self {
        let shards = (parameters.max_sessions / SESSIONS_PER_SHARD).clamp(1, MAX_SHARDS);
        let shards = 1 << shards.ilog2();
        Self {
            epoch: now,
            shards: (0..shards).map(|_| Mutex::new(Shard::new(now))).collect(),
        }
    }

    /// Finds the session of an id and counts it as used now.
    #[must_use]
    pub fn load(
        &self,
        id: &SessionId,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<Session> {
        let handle = id.handle();
        let mut shard = self.shard(&handle).lock();
        let record = shard.touch(&handle, parameters, now)?;
        Some(Session::of(handle, record, parameters))
    }

    /// Stores what a request has changed.
    ///
    /// `fresh` is asked for a new id of the caller's randomness if one is needed.
    pub fn commit(
        &self,
        changes: &Changes<'_>,
        fresh: impl FnOnce() -> SessionId,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Committed {
        if let Some(ended) = &changes.ended {
            self.end(ended);
        }
        match changes.write {
            Write::Nothing if changes.ended.is_some() => Committed::Destroyed,
            Write::Nothing => Committed::Unchanged,
            Write::Create => self.create(changes, fresh(), parameters, now),
            Write::Update(handle) => {
                let mut shard = self.shard(&handle).lock();
                let Some(record) = shard.live(&handle, parameters, now) else {
                    return Committed::Gone;
                };
                match record.update(changes, parameters) {
                    Ok(updated) => *record = updated,
                    Err(_) => return Committed::TooLarge,
                }
                Committed::Updated
            }
            Write::Rotate(old) => match self.take_rotated(&old, changes, parameters, now) {
                None => Committed::Gone,
                Some(Err(_)) => Committed::TooLarge,
                Some(Ok(record)) => {
                    let id = fresh();
                    if self.insert(&id, record, parameters, now) {
                        Committed::Rotated(id)
                    } else {
                        Committed::Refused
                    }
                }
            },
        }
    }

    fn create(
        &self,
        changes: &Changes<'_>,
        id: SessionId,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Committed {
        let Ok(record) = Record::create_at(changes, parameters, self.millis(now)) else {
            return Committed::TooLarge;
        };
        if self.insert(&id, record, parameters, now) {
            Committed::Created(id)
        } else {
            Committed::Refused
        }
    }

    fn insert(
        &self,
        id: &SessionId,
        record: Record,
        parameters: &SessionParameters,
        now: Instant,
    ) -> bool {
        let handle = id.handle();
        let mut shard = self.shard(&handle).lock();
        shard.insert(handle, record, self.places(parameters), parameters, now)
    }

    /// Takes a session out to be stored under its new id.
    ///
    /// Nobody knows the new id yet, so that it is nowhere for a moment is seen by no one; and with the old one gone
    /// first, no two ids ever open it.
    fn take_rotated(
        &self,
        old: &SessionHandle,
        changes: &Changes<'_>,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<Result<Record, SessionError>> {
        let mut shard = self.shard(old).lock();
        let record = shard.live(old, parameters, now)?;
        let rotated = record.rotate_at(changes, parameters, self.millis(now));
        if rotated.is_ok() {
            shard.take(old);
        }
        Some(rotated)
    }

    /// Ends a session; whether it was there. For logouts and for the operator.
    pub fn end(&self, handle: &SessionHandle) -> bool {
        self.shard(handle).lock().end(handle)
    }

    /// What an operator may know of a session. It does not count as use.
    #[must_use]
    pub fn describe(
        &self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Option<SessionSummary> {
        self.shard(handle).lock().describe(handle, parameters, now)
    }

    /// A page of at most `limit` sessions from `cursor` on, in no order.
    ///
    /// Whoever follows [`Page::next`] to its end sees each session once that is there all the time and keeps its id. A
    /// page may be shorter than `limit`, even empty, before the end: the work for one is bounded too.
    ///
    /// # Complexity
    /// O(limit) places are looked at, 64 at least, under the lock of one shard at a time.
    #[must_use]
    pub fn list(
        &self,
        cursor: Cursor,
        limit: usize,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Page {
        let mut sessions = Vec::new();
        let mut looks = limit.max(64);
        let (mut number, mut slot) = cursor.place();
        while let Some(shard) = self.shards.get(number) {
            let mut shard = shard.lock();
            while slot < shard.slots() {
                if looks == 0 || sessions.len() >= limit {
                    let next = Some(Cursor::new(number, slot));
                    return Page { sessions, next };
                }
                looks -= 1;
                sessions.extend(shard.describe_slot(slot, parameters, now));
                slot += 1;
            }
            (number, slot) = (number + 1, 0);
        }
        Page {
            sessions,
            next: None,
        }
    }

    /// Takes back the places of expired sessions, at most `limit` per shard; how many.
    ///
    /// Without it their memory waits for new sessions to need it.
    pub fn expire(&self, limit: usize, parameters: &SessionParameters, now: Instant) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().expire(limit, parameters, now))
            .sum()
    }

    /// What has happened so far, and how many sessions there are.
    ///
    /// # Complexity
    /// Takes the lock of every shard in turn.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats::default();
        for shard in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }

    fn shard(&self, handle: &SessionHandle) -> &Mutex<Shard> {
        &self.shards[handle.shard(self.shards.len())]
    }

    /// Places in each shard.
    fn places(&self, parameters: &SessionParameters) -> usize {
        (parameters.max_sessions / self.shards.len()).clamp(1, MAX_PLACES)
    }

    fn millis(&self, now: Instant) -> u64 {
        shard::millis(self.epoch, now)
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("shards", &self.shards.len())
            .field("stats", &self.stats())
            .finish()
    }
}

#[cfg(test)]
mod tests;
