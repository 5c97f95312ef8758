//! `Record`: a session as a store keeps it.

use std::time::{Duration, SystemTime};

use crate::error::SessionError;
use crate::parameters::SessionParameters;
use crate::session::Changes;
use crate::values::Values;

/// The first byte of a stored record.
const VERSION: u8 = 1;
const LOGGED_IN: u8 = 1;
/// Version, flags, time of creation, revision.
const HEAD: usize = 1 + 1 + 8 + 4;

/// A session as a store outside this process keeps it, under its [`SessionHandle`](crate::SessionHandle).
///
/// [`SessionStore`](crate::SessionStore) does the same in memory. A store elsewhere loads, applies the changes of a
/// request by the functions below, and writes the result only if the stored revision is still the one it has loaded;
/// else it loads and applies again. So of two requests at the same time each keeps what it wrote, and of the same key the
/// later write counts. A record that has gone is never written again: a logout cannot be undone by a request that began
/// before it.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use lb_session::{Record, Session, SessionId, SessionParameters};
///
/// let (parameters, now) = (SessionParameters::default(), SystemTime::UNIX_EPOCH);
/// let mut session = Session::new(&parameters);
/// session.set("visits", 1)?;
///
/// let record = Record::create(&session.changes(), &parameters, now)?;
/// let stored = record.encode();
/// assert_eq!(stored.len(), 14 + 16);
/// assert_eq!(Record::decode(&stored)?, record);
/// assert_eq!(record.time_left(&parameters, now), Some(Duration::from_secs(30 * 60)));
///
/// let handle = SessionId::from_random([7; 16]).handle();
/// assert_eq!(Session::of(handle, &record, &parameters).get("visits"), Some(1_i64));
/// # Ok::<(), lb_session::SessionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Milliseconds on the clock of the store: since 1970 elsewhere, since the store was made in memory.
    pub(crate) created: u64,
    pub(crate) values: Values,
    revision: u32,
    pub(crate) logged_in: bool,
}

impl Record {
    /// The record of a new session.
    ///
    /// # Errors
    /// Fails if its values take more than `max_bytes`.
    pub fn create(
        changes: &Changes<'_>,
        parameters: &SessionParameters,
        now: SystemTime,
    ) -> Result<Self, SessionError> {
        Self::create_at(changes, parameters, millis(now))
    }

    /// The record after a request that has kept the id.
    ///
    /// # Errors
    /// Fails if the values would take more than `max_bytes`.
    pub fn update(
        &self,
        changes: &Changes<'_>,
        parameters: &SessionParameters,
    ) -> Result<Self, SessionError> {
        Ok(Self {
            created: self.created,
            values: changes.edits.merged(&self.values, parameters.max_bytes)?,
            revision: self.revision.wrapping_add(1),
            logged_in: self.logged_in,
        })
    }

    /// The record under its new id. A first rotation is a login, from which the age counts; later ones keep the age.
    ///
    /// # Errors
    /// Fails if the values would take more than `max_bytes`.
    pub fn rotate(
        &self,
        changes: &Changes<'_>,
        parameters: &SessionParameters,
        now: SystemTime,
    ) -> Result<Self, SessionError> {
        self.rotate_at(changes, parameters, millis(now))
    }

    pub(crate) fn create_at(
        changes: &Changes<'_>,
        parameters: &SessionParameters,
        now: u64,
    ) -> Result<Self, SessionError> {
        let values = changes
            .edits
            .merged(&Values::default(), parameters.max_bytes)?;
        Ok(Self {
            created: now,
            values,
            revision: 0,
            logged_in: changes.logs_in,
        })
    }

    pub(crate) fn rotate_at(
        &self,
        changes: &Changes<'_>,
        parameters: &SessionParameters,
        now: u64,
    ) -> Result<Self, SessionError> {
        let mut rotated = self.update(changes, parameters)?;
        if !rotated.logged_in {
            rotated.logged_in = true;
            rotated.created = now;
        }
        Ok(rotated)
    }

    /// How long a store has to keep the record from now on if it is not used again; `None` if its `max_age` is over.
    ///
    /// Used up to this moment, that is: the store counts the idle time, and the clock that steps backwards makes no
    /// session older.
    pub fn time_left(&self, parameters: &SessionParameters, now: SystemTime) -> Option<Duration> {
        parameters.time_left(self.age(now), Duration::ZERO)
    }

    /// The time since the login, or since the creation while nobody has logged in; zero for a clock that was set back
    /// behind it.
    pub fn age(&self, now: SystemTime) -> Duration {
        Duration::from_millis(millis(now).saturating_sub(self.created))
    }

    /// The keys and values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// A number that changes with every write.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Whether the session has had its id rotated, which programs do at a login.
    pub fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    /// The bytes to store: a version, 13 more of head, and the values.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.values.bytes());
        bytes.push(VERSION);
        bytes.push(if self.logged_in { LOGGED_IN } else { 0 });
        bytes.extend_from_slice(&self.created.to_le_bytes());
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(self.values.as_bytes());
        bytes
    }

    /// Reads bytes that were stored.
    ///
    /// # Errors
    /// Fails unless [`encode`](Self::encode) of this version could have written them.
    ///
    /// # Complexity
    /// O(bytes), with one allocation of at most 65,535 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        let read = || {
            let ([version, flags], rest) = bytes.split_first_chunk()?;
            let (created, rest) = rest.split_first_chunk()?;
            let (revision, values) = rest.split_first_chunk()?;
            let known = *version == VERSION && *flags & !LOGGED_IN == 0;
            known.then_some((*flags, *created, *revision, values))
        };
        let (flags, created, revision, values) = read().ok_or(SessionError::Malformed)?;
        Ok(Self {
            created: u64::from_le_bytes(created),
            values: Values::decode(values)?,
            revision: u32::from_le_bytes(revision),
            logged_in: flags == LOGGED_IN,
        })
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
