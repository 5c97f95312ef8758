//! Sessions as an operator sees them: by their public handles, without ids and values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lb_session::{Cursor, SessionHandle};

use super::SessionService;
use crate::clock;
use crate::error::{Error, ErrorKind};

/// The sessions of a running server; from [`Handle::sessions`](crate::Handle::sessions).
#[derive(Clone)]
pub struct Sessions {
    service: Arc<SessionService>,
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
    /// The time since it was last used.
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
    pub(crate) fn of(service: Arc<SessionService>) -> Self {
        Self { service }
    }

    /// A page of at most `limit` sessions, the first one or that of [`SessionPage::next`].
    ///
    /// # Errors
    /// [`ErrorKind::Session`] for a cursor that no page has given.
    ///
    /// # Complexity
    /// O(limit).
    #[expect(
        clippy::unused_async,
        reason = "callers write `.await` from the first version on, for stores elsewhere"
    )]
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<SessionPage, Error> {
        let cursor = cursor
            .map_or_else(|| Ok(Cursor::default()), str::parse)
            .map_err(|error| {
                Error::new(ErrorKind::Session, "there is no such page").with_source(error)
            })?;
        let SessionService {
            store, parameters, ..
        } = &*self.service;
        let page = store.list(cursor, limit, parameters, clock::now());
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
    /// [`ErrorKind::Session`] for a text that is no handle.
    #[expect(
        clippy::unused_async,
        reason = "callers write `.await` from the first version on, for stores elsewhere"
    )]
    pub async fn end(&self, handle: &str) -> Result<bool, Error> {
        let handle: SessionHandle = handle.parse().map_err(|error| {
            Error::new(ErrorKind::Session, format!("`{handle}` names no session"))
                .with_source(error)
        })?;
        Ok(self.service.store.end(&handle))
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        let stats = self.service.store.stats();
        SessionStats {
            active: stats.sessions,
            logged_in: stats.logged_in,
            stored: stats.stored,
            expired: stats.expired,
            ended: stats.ended,
            evicted: stats.evicted_anonymous + stats.evicted_logged_in,
            refused: stats.refused,
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("stats", &self.stats())
            .finish()
    }
}
