//! `Session`: what a request handler reads and changes, and `Changes`, what is to be stored of it.

use crate::error::SessionError;
use crate::id::SessionHandle;
use crate::parameters::SessionParameters;
use crate::record::Record;
use crate::value::{FromValue, Value, ValueRef};
use crate::values::{Edits, MAX_BYTES, Values};

/// A client's session during one request.
///
/// It knows what was loaded and keeps what was changed beside it, so a request that only reads writes nothing, and one
/// that writes one key leaves the others to whoever else is writing them. A client without a session has an empty one,
/// of which nothing is stored and no cookie is sent before something is [`set`](Self::set).
///
/// # Examples
/// ```
/// use lb_session::{Session, SessionParameters, Write};
///
/// let mut session = Session::new(&SessionParameters::default());
/// assert_eq!(session.get::<&str>("user"), None);
/// assert_eq!(session.changes().write, Write::Nothing);
///
/// session.set("user", "alice")?;
/// session.rotate(); // a login
/// assert_eq!(session.get("user"), Some("alice"));
/// assert_eq!(session.changes().write, Write::Create);
/// # Ok::<(), lb_session::SessionError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Session {
    loaded: Option<Loaded>,
    ended: Option<SessionHandle>,
    rotated: bool,
    edits: Edits,
    max_bytes: usize,
}

#[derive(Debug, Clone)]
struct Loaded {
    handle: SessionHandle,
    values: Values,
    logged_in: bool,
}

/// What a store has to do after a request.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Changes<'a> {
    /// The session to remove, first.
    pub ended: Option<SessionHandle>,
    /// What to write, after that.
    pub write: Write,
    pub(crate) edits: &'a Edits,
    pub(crate) logs_in: bool,
}

/// What a store has to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Nothing.
    Nothing,
    /// A new session, under a new id for the client's cookie.
    Create,
    /// The session under this handle, if it is still there.
    Update(SessionHandle),
    /// The session under this handle, if it is still there, under a new id for the client's cookie. The old one ends.
    Rotate(SessionHandle),
}

impl Session {
    /// The session of a client that has none.
    pub fn new(parameters: &SessionParameters) -> Self {
        Self {
            loaded: None,
            ended: None,
            rotated: false,
            edits: Edits::default(),
            max_bytes: parameters.max_bytes.min(MAX_BYTES),
        }
    }

    /// The session that a store has found.
    pub fn of(handle: SessionHandle, record: &Record, parameters: &SessionParameters) -> Self {
        let loaded = Loaded {
            handle,
            values: record.values.clone(),
            logged_in: record.logged_in,
        };
        Self {
            loaded: Some(loaded),
            ..Self::new(parameters)
        }
    }

    /// Stores a value under a key of 1 to 255 bytes.
    ///
    /// # Errors
    /// Fails for another key, and if the session would take more than its `max_bytes`; the session stays as it was.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<(), SessionError> {
        let value = value.into();
        if key.is_empty() || key.len() > 255 {
            return Err(SessionError::Key(key.len()));
        }
        if self.edits.merged_bytes(self.base(), key, &value) > self.max_bytes {
            return Err(SessionError::TooLarge(self.max_bytes));
        }
        if self.loaded(key) == Some(value.as_ref()) {
            self.edits.forget(key);
        } else {
            self.edits.put(key, Some(value));
        }
        Ok(())
    }

    /// Removes a key; whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let was_there = self.value(key).is_some();
        if self.loaded(key).is_some() {
            self.edits.put(key, None);
        } else {
            self.edits.forget(key);
        }
        was_there
    }

    /// Gives the session a new id, and ends the old one at once.
    ///
    /// To be called whenever the client's rights change, a login above all: somebody who has planted or seen the id that
    /// the client had before then has nothing. From its first rotation a session counts as logged in, its `max_age`
    /// begins, and a store that is full keeps it before those that are not. Later rotations keep the age, so that no
    /// session lives for ever; a program that wants a new one calls [`destroy`](Self::destroy) first.
    pub fn rotate(&mut self) {
        self.rotated = true;
    }

    /// Ends the session with all that it holds, a logout.
    ///
    /// What is set afterwards begins a new one.
    pub fn destroy(&mut self) {
        self.ended = self
            .loaded
            .take()
            .map(|loaded| loaded.handle)
            .or(self.ended);
        self.rotated = false;
        self.edits.clear();
    }

    /// The value under a key, as this type; `None` also if it has another.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Option<T> {
        self.value(key).and_then(T::from_value)
    }

    /// The value under a key.
    pub fn value(&self, key: &str) -> Option<ValueRef<'_>> {
        match self.edits.of(key) {
            Some(edited) => edited.as_ref().map(Value::as_ref),
            None => self.loaded(key),
        }
    }

    /// Whether the session has had its id rotated, now or before.
    pub fn is_logged_in(&self) -> bool {
        self.rotated || self.loaded.as_ref().is_some_and(|loaded| loaded.logged_in)
    }

    /// The public name of the session that was loaded, unless it was destroyed since.
    pub fn handle(&self) -> Option<SessionHandle> {
        self.loaded.as_ref().map(|loaded| loaded.handle)
    }

    /// What a store has to do, to be asked for once, at the end of the request.
    pub fn changes(&self) -> Changes<'_> {
        let write = match &self.loaded {
            // Without anything to hold there is no session, even if a handler rotates first.
            None if self.edits.is_empty() => Write::Nothing,
            None => Write::Create,
            Some(loaded) if self.rotated => Write::Rotate(loaded.handle),
            Some(_) if self.edits.is_empty() => Write::Nothing,
            Some(loaded) => Write::Update(loaded.handle),
        };
        Changes {
            ended: self.ended,
            write,
            edits: &self.edits,
            logs_in: self.rotated,
        }
    }

    fn base(&self) -> Option<&Values> {
        self.loaded.as_ref().map(|loaded| &loaded.values)
    }

    /// The value that was loaded.
    fn loaded(&self, key: &str) -> Option<ValueRef<'_>> {
        self.base()?.value(key)
    }
}

#[cfg(test)]
mod tests;
