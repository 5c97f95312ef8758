//! Sessions as an operator sees them: by their public handles, without ids and values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lb_session::{Cursor, SessionHandle};

use super::{Place, SessionService};
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::redis::{Store, StoreError};

/// The sessions of a running server; from [`Handle::sessions`](crate::Handle::sessions).
#[derive(Clone)]
pub struct Sessions {
    service: Arc<SessionService>,
    store: Option<Arc<dyn Store>>,
}

/// What an operator may know of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its public name, which opens nothing: [`Sessions::end`] takes it.
    pub handle: String,
    /// Whether its id has been rotated, as at a login.
    pub is_logged_in: bool,
    /// The time since its login, or since its creation while nobody has logged in.
    pub age: Duration,
    /// The time since it was last used; of sessions in Redis near the end of their `max_age` at most this.
    pub idle: Duration,
    /// The bytes of its keys and values.
    pub bytes: usize,
}

/// Some of the sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPage {
    /// The sessions, in no order.
    pub sessions: Vec<SessionInfo>,
    /// What to ask for next; `None` after the last page. A page before it may be empty.
    pub next: Option<String>,
}

/// What was counted of sessions since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionStats {
    /// Sessions that hold a place now.
    pub active: usize,
    /// Those of them that are logged in.
    pub logged_in: usize,
    /// New sessions and rotated ones.
    pub stored: u64,
    /// Those whose lifetime was over when somebody looked.
    pub expired: u64,
    /// Those that a client or the operator ended.
    pub ended: u64,
    /// Those that lost their place to others.
    pub evicted: u64,
    /// Those that got no place.
    pub refused: u64,
}

impl Sessions {
    pub(crate) fn of(service: Arc<SessionService>, store: Option<Arc<dyn Store>>) -> Self {
        Self { service, store }
    }

    /// A page of about `limit` sessions, the first one or that of [`SessionPage::next`].
    ///
    /// # Errors
    /// [`ErrorKind::Session`] for a cursor that no page has given, and where sessions are elsewhere: while
    /// the store does not answer, and always in a cluster, which has no order to go through.
    ///
    /// # Complexity
    /// O(limit); where sessions are elsewhere, two questions for each.
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<SessionPage, Error> {
        let SessionService {
            parameters, place, ..
        } = &*self.service;
        let sessions = match place {
            Place::Memory(sessions) => sessions,
            Place::Redis(shelf) if shelf.is_cluster => {
                let text = "the sessions of a Redis cluster cannot be listed";
                return Err(Error::new(ErrorKind::Session, text));
            }
            Place::Redis(shelf) => {
                let cursor = cursor.map_or(Ok(0), str::parse).map_err(no_page)?;
                let (store, now) = (self.store()?, clock::wall());
                let page = shelf.list(cursor, limit, parameters, store, now).await;
                return page.map_err(unanswered);
            }
        };
        let cursor = cursor
            .map_or_else(|| Ok(Cursor::default()), str::parse)
            .map_err(no_page)?;
        let page = sessions.list(cursor, limit, parameters, clock::now());
        let info = |summary: lb_session::SessionSummary| SessionInfo {
            handle: summary.handle.to_string(),
            is_logged_in: summary.logged_in,
            age: summary.age,
            idle: summary.idle,
            bytes: summary.bytes,
        };
        Ok(SessionPage {
            sessions: page.sessions.into_iter().map(info).collect(),
            next: page.next.map(|next| next.to_string()),
        })
    }

    /// Ends a session by its handle; whether it was there. Requests that are using it store nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Session`] for a text that is no handle, and while a store elsewhere does not answer.
    pub async fn end(&self, handle: &str) -> Result<bool, Error> {
        let handle: SessionHandle = handle.parse().map_err(|error| {
            Error::new(ErrorKind::Session, format!("`{handle}` names no session"))
                .with_source(error)
        })?;
        match &self.service.place {
            Place::Memory(sessions) => Ok(sessions.end(&handle)),
            Place::Redis(shelf) => {
                let ended = shelf.end(&handle, self.store()?).await;
                ended.map_err(unanswered)
            }
        }
    }

    /// What was counted; `None` where sessions are elsewhere.
    #[must_use]
    pub fn stats(&self) -> Option<SessionStats> {
        let Place::Memory(sessions) = &self.service.place else {
            return None;
        };
        let stats = sessions.stats();
        Some(SessionStats {
            active: stats.sessions,
            logged_in: stats.logged_in,
            stored: stats.stored,
            expired: stats.expired,
            ended: stats.ended,
            evicted: stats.evicted_anonymous + stats.evicted_logged_in,
            refused: stats.refused,
        })
    }

    fn store(&self) -> Result<&dyn Store, Error> {
        let store = self.store.as_deref();
        store.ok_or_else(|| unanswered(StoreError::Down))
    }
}

fn unanswered(error: StoreError) -> Error {
    let text = "the store of the sessions gave no answer";
    Error::new(ErrorKind::Session, text).with_source(error)
}

fn no_page(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Session, "there is no such page").with_source(error)
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("stats", &self.stats())
            .finish()
    }
}
