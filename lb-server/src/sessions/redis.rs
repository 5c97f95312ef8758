//! Sessions in the store that instances share: a record for each, under its handle, ended by the store.

use std::time::{Duration, SystemTime};

use lb_session::{
    Changes, Committed, Record, SessionError, SessionHandle, SessionId, SessionParameters, Write,
};

use super::operator::{SessionInfo, SessionPage};
use crate::config::RedisConfig;
use crate::redis::{Command, Script, Store, StoreError, Value};

static LOAD: Script = Script::new(include_str!("redis/load.lua"));
static REPLACE: Script = Script::new(include_str!("redis/replace.lua"));

/// How often a request applies its changes again because others were faster.
const RACES_MAX: usize = 8;

/// Where sessions are in the store.
#[derive(Debug)]
pub(super) struct Shelf {
    prefix: String,
    pub(super) is_cluster: bool,
}

/// Why a session could not be stored.
#[derive(Debug)]
pub(super) enum CommitError {
    Store(StoreError),
    /// The changes are at fault.
    Session(SessionError),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What became of a record that was to be replaced.
enum Replaced {
    Done,
    /// It has ended.
    Gone,
    /// Somebody else has written it.
    Lost(Record),
}

impl Shelf {
    pub(super) fn new(redis: &RedisConfig) -> Self {
        Self {
            prefix: format!("{}sess:", redis.prefix),
            is_cluster: redis.cluster,
        }
    }

    fn key(&self, handle: &SessionHandle) -> String {
        format!("{}{handle}", self.prefix)
    }

    /// Finds a session and counts it as used now.
    pub(super) async fn load(
        &self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        store: &dyn Store,
        now: SystemTime,
    ) -> Result<Option<Record>, StoreError> {
        let command = Command::script(&LOAD)
            .key(self.key(handle))
            .number(millis(parameters.idle_timeout))
            .number(millis(parameters.max_age))
            .number(since_epoch(now));
        match store.run(command).await? {
            Value::Nil => Ok(None),
            Value::Bytes(bytes) => Ok(decode(&bytes)),
            other => Err(StoreError::unexpected(&other)),
        }
    }

    /// Stores what a request has changed of the record that it has loaded.
    pub(super) async fn commit(
        &self,
        changes: &Changes<'_>,
        loaded: Option<Record>,
        fresh: SessionId,
        parameters: &SessionParameters,
        store: &dyn Store,
        now: SystemTime,
    ) -> Result<Committed, CommitError> {
        if let Some(ended) = &changes.ended {
            self.end(ended, store).await?;
        }
        let (handle, rotates) = match changes.write {
            Write::Nothing if changes.ended.is_some() => return Ok(Committed::Destroyed),
            Write::Nothing => return Ok(Committed::Unchanged),
            Write::Create => {
                let record =
                    Record::create(changes, parameters, now).map_err(CommitError::Session)?;
                return self.create(&record, fresh, parameters, store, now).await;
            }
            Write::Update(handle) => (handle, false),
            Write::Rotate(handle) => (handle, true),
        };
        let Some(mut before) = loaded else {
            return Ok(Committed::Gone);
        };
        for _race in 0..RACES_MAX {
            let after = if rotates {
                before.rotate(changes, parameters, now)
            } else {
                before.update(changes, parameters)
            };
            let after = after.map_err(CommitError::Session)?;
            let Some(left) = after.time_left(parameters, now) else {
                return Ok(Committed::Gone);
            };
            let written = (!rotates).then_some((&after, left));
            match self.replace(&handle, &before, written, store).await? {
                // Nobody knows the new id yet, so that for a moment the session is nowhere is seen by
                // no one; and with the old one gone first, no two ids ever open it.
                Replaced::Done if rotates => {
                    let created = self.create(&after, fresh, parameters, store, now).await?;
                    return Ok(match created {
                        Committed::Created(id) => Committed::Rotated(id),
                        other => other,
                    });
                }
                Replaced::Done => return Ok(Committed::Updated),
                Replaced::Gone => return Ok(Committed::Gone),
                Replaced::Lost(record) => before = record,
            }
        }
        let text = "others keep writing the same session";
        Err(StoreError::Refused(text.into()).into())
    }

    async fn create(
        &self,
        record: &Record,
        id: SessionId,
        parameters: &SessionParameters,
        store: &dyn Store,
        now: SystemTime,
    ) -> Result<Committed, CommitError> {
        let Some(left) = record.time_left(parameters, now) else {
            return Ok(Committed::Gone);
        };
        let command = Command::new("SET")
            .word(self.key(&id.handle()))
            .word(record.encode())
            .word("PX")
            .number(millis(left))
            .word("NX");
        match store.run(command).await? {
            Value::Status(_) => Ok(Committed::Created(id)),
            // The id of another session: it was not drawn at random.
            Value::Nil => Ok(Committed::Refused),
            other => Err(StoreError::unexpected(&other).into()),
        }
    }

    async fn replace(
        &self,
        handle: &SessionHandle,
        before: &Record,
        after: Option<(&Record, Duration)>,
        store: &dyn Store,
    ) -> Result<Replaced, StoreError> {
        let mut command = Command::script(&REPLACE)
            .key(self.key(handle))
            .word(before.encode());
        if let Some((record, left)) = after {
            command = command.word(record.encode()).number(millis(left));
        }
        Ok(match store.run(command).await? {
            Value::Integer(1) => Replaced::Done,
            Value::Nil => Replaced::Gone,
            Value::Bytes(bytes) => decode(&bytes).map_or(Replaced::Gone, Replaced::Lost),
            other => return Err(StoreError::unexpected(&other)),
        })
    }

    /// Ends a session; whether it was there.
    pub(super) async fn end(
        &self,
        handle: &SessionHandle,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let command = Command::new("DEL").word(self.key(handle));
        match store.run(command).await? {
            Value::Integer(ended) => Ok(ended > 0),
            other => Err(StoreError::unexpected(&other)),
        }
    }

    /// A page of about `limit` sessions from a cursor of the store on.
    pub(super) async fn list(
        &self,
        cursor: u64,
        limit: usize,
        parameters: &SessionParameters,
        store: &dyn Store,
        now: SystemTime,
    ) -> Result<SessionPage, StoreError> {
        let command = Command::new("SCAN")
            .number(cursor)
            .word("MATCH")
            .word(format!("{}*", escaped(&self.prefix)))
            .word("COUNT")
            .number(limit.clamp(1, 1000) as u64);
        let answer = store.run(command).await?;
        let Some((next, keys)) = scanned(&answer) else {
            return Err(StoreError::unexpected(&answer));
        };
        let mut sessions = Vec::new();
        for key in keys {
            let name = key
                .strip_prefix(self.prefix.as_bytes())
                .and_then(|name| str::from_utf8(name).ok());
            let Some(handle) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            sessions.extend(self.describe(&handle, parameters, store, now).await?);
        }
        Ok(SessionPage {
            sessions,
            next: (next != 0).then(|| next.to_string()),
        })
    }

    /// Looking at a session is not using it.
    async fn describe(
        &self,
        handle: &SessionHandle,
        parameters: &SessionParameters,
        store: &dyn Store,
        now: SystemTime,
    ) -> Result<Option<SessionInfo>, StoreError> {
        let key = self.key(handle);
        let record = match store.run(Command::new("GET").word(key.clone())).await? {
            Value::Bytes(bytes) => decode(&bytes),
            _ => None,
        };
        let left = match store.run(Command::new("PTTL").word(key)).await? {
            Value::Integer(left) => u64::try_from(left).ok().map(Duration::from_millis),
            _ => None,
        };
        Ok(record.zip(left).map(|(record, left)| SessionInfo {
            handle: handle.to_string(),
            is_logged_in: record.is_logged_in(),
            age: record.age(now),
            idle: parameters.idle_timeout.saturating_sub(left),
            bytes: record.values().bytes(),
        }))
    }
}

/// A record of this version. Another one is no session here, and ends by itself.
fn decode(bytes: &[u8]) -> Option<Record> {
    Record::decode(bytes)
        .inspect_err(|error| tracing::debug!(%error, "a stored session cannot be read"))
        .ok()
}

/// The cursor and the keys that SCAN answers.
fn scanned(answer: &Value) -> Option<(u64, Vec<&[u8]>)> {
    let Value::List(parts) = answer else {
        return None;
    };
    let [Value::Bytes(cursor), Value::List(keys)] = parts.as_slice() else {
        return None;
    };
    let cursor = str::from_utf8(cursor).ok()?.parse().ok()?;
    let keys = keys.iter().filter_map(|key| match key {
        Value::Bytes(key) => Some(key.as_slice()),
        _ => None,
    });
    Some((cursor, keys.collect()))
}

/// A prefix as a pattern that only it begins.
fn escaped(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for letter in prefix.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// At least one, since the store knows no shorter lifetime.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn since_epoch(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}
