//! A session as a request handler sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use lb_session::{Committed, SessionId, Value, Write};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Loaded, SessionService};
use crate::cookies;
use crate::error::{Error, ErrorKind};
use crate::handler::{Exchange, Response};
use crate::redis::Store;

/// The session of the client that sent a request; from [`Exchange::session`]. Cheap to clone.
///
/// It is looked up when it is first used, so a request that asks for nothing costs nothing, and
/// nothing is stored and no cookie sent before something is inserted. What was changed is stored when
/// the handler has returned its response, before the response's head goes out: whatever the client
/// asks for next finds it. A handler that fails or panics changes nothing. Later changes, by a task
/// that outlives the request, are errors.
///
/// A response that sets or removes the cookie gets `Cache-Control: no-store`, and one whose handler
/// has looked into the session `Vary: cookie`.
///
/// # Examples
/// ```
/// use lb_server::{Error, Exchange, Request, Response, reply};
///
/// async fn visits(_request: Request, exchange: Exchange) -> Result<Response, Error> {
///     let session = exchange.session();
///     let visits = session.get::<u32>("visits").await?.unwrap_or(0) + 1;
///     session.insert("visits", &visits).await?;
///     Ok(reply::json(200, &visits))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    exchange: Exchange,
}

impl Session {
    pub(crate) fn of(exchange: Exchange) -> Self {
        Self { exchange }
    }

    /// The value under a key; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Session`] where the value is of another type, and as all others: where there are
    /// no sessions, the reply has gone out, or the store fails and `on_store_error` is `"deny"`.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.with(|session| session.value(key).map(|value| value.to()).transpose())
            .await?
            .map_err(unusable)
    }

    /// Stores a value under a key of 1 to 255 bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Session`] for another key, for a value that JSON cannot say, and where the session
    /// would be larger than `max_bytes`; it stays as it was.
    pub async fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        let value = Value::of(value).map_err(unusable)?;
        self.with(|session| session.set(key, value))
            .await?
            .map_err(unusable)
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn remove(&self, key: &str) -> Result<bool, Error> {
        self.with(|session| session.remove(key)).await
    }

    /// Gives the session a new id, and ends the old one; from the first time on it counts as logged
    /// in.
    ///
    /// To be called whenever the client's rights change, a login above all: whoever has planted or seen
    /// the id from before has nothing then.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn rotate(&self) -> Result<(), Error> {
        self.with(lb_session::Session::rotate).await
    }

    /// Ends the session with all it holds, a logout; what is inserted afterwards begins a new one.
    ///
    /// While a store elsewhere gives no answer and `on_store_error` is `"allow"`, the client loses its
    /// cookie, and the session ends by its lifetimes.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn destroy(&self) -> Result<(), Error> {
        self.with_loaded(|loaded| {
            loaded.session.destroy();
            loaded.is_destroyed = true;
        })
        .await
    }

    /// Whether its id has been rotated, now or before.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn is_logged_in(&self) -> Result<bool, Error> {
        self.with(|session| session.is_logged_in()).await
    }

    /// Its public name, for logs and for [`Sessions::end`](super::Sessions::end); `None` before it is
    /// stored. A rotation changes it.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn handle(&self) -> Result<Option<String>, Error> {
        self.with(|session| session.handle().map(|handle| handle.to_string()))
            .await
    }

    async fn with<T>(&self, act: impl FnOnce(&mut lb_session::Session) -> T) -> Result<T, Error> {
        self.with_loaded(|loaded| act(&mut loaded.session)).await
    }

    async fn with_loaded<T>(&self, act: impl FnOnce(&mut Loaded) -> T) -> Result<T, Error> {
        let visit = self.exchange.visit().ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "there are no sessions: `SessionConfig::off` was chosen, or `[sessions]` is not written",
            )
        })?;
        visit.with(self.exchange.store(), act).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// What an exchange keeps of its session.
#[derive(Debug)]
pub(crate) struct Visit {
    service: Arc<SessionService>,
    /// The lines with cookies of the session's name.
    lines: Vec<HeaderValue>,
    state: Mutex<State>,
    has_set_cookie: AtomicBool,
}

#[derive(Debug)]
enum State {
    Unread,
    Open(Loaded),
    /// The reply's head goes out.
    Closed,
}

impl Visit {
    pub(super) fn new(service: Arc<SessionService>, lines: Vec<HeaderValue>) -> Self {
        Self {
            service,
            lines,
            state: Mutex::new(State::Unread),
            has_set_cookie: AtomicBool::new(false),
        }
    }

    async fn with<T>(
        &self,
        store: Option<&dyn Store>,
        act: impl FnOnce(&mut Loaded) -> T,
    ) -> Result<T, Error> {
        let is_unread = matches!(*self.state.lock(), State::Unread);
        let loaded = if is_unread {
            let presented = self.service.read(&self.lines);
            Some(self.service.load(presented.as_ref(), store).await?)
        } else {
            None
        };
        let mut state = self.state.lock();
        // Of two that load at once the first one counts, since it may have been changed already.
        if let (State::Unread, Some(loaded)) = (&*state, loaded) {
            *state = State::Open(loaded);
        }
        match &mut *state {
            State::Open(loaded) => Ok(act(loaded)),
            _ => Err(Error::new(
                ErrorKind::Session,
                "the reply has gone out, so nothing of its session can be changed",
            )),
        }
    }

    /// Ends the handler's part: stores what it has changed, unless it has failed.
    pub(crate) async fn end(
        &self,
        result: Result<Response, Error>,
        store: Option<&dyn Store>,
    ) -> Result<Response, Error> {
        let before = std::mem::replace(&mut *self.state.lock(), State::Closed);
        let mut response = result?;
        if let State::Open(loaded) = before {
            cookies::vary(&mut response);
            if !loaded.is_lost {
                self.commit(loaded, &mut response, store).await?;
            } else if loaded.is_destroyed {
                self.withdraw(&mut response);
            }
        }
        Ok(response)
    }

    /// Whether the reply gives the client an id, or takes it.
    pub(crate) fn has_set_cookie(&self) -> bool {
        self.has_set_cookie.load(Ordering::Relaxed)
    }

    fn issue(&self, id: &SessionId, response: &mut Response) {
        self.has_set_cookie.store(true, Ordering::Relaxed);
        self.service.issue(id, response);
    }

    fn withdraw(&self, response: &mut Response) {
        self.has_set_cookie.store(true, Ordering::Relaxed);
        self.service.withdraw(response);
    }

    async fn commit(
        &self,
        loaded: Loaded,
        response: &mut Response,
        store: Option<&dyn Store>,
    ) -> Result<(), Error> {
        let Loaded {
            session,
            record,
            outdated,
            ..
        } = loaded;
        let changes = session.changes();
        if changes.write == Write::Nothing && changes.ended.is_none() {
            if let Some(id) = outdated {
                self.issue(&id, response);
            }
            return Ok(());
        }
        match self.service.commit(&changes, record, store).await? {
            Committed::Created(id) | Committed::Rotated(id) => self.issue(&id, response),
            Committed::Destroyed => self.withdraw(response),
            Committed::Updated => {
                if let Some(id) = outdated {
                    self.issue(&id, response);
                }
            }
            // Ended elsewhere while this request ran: what it would have written goes too.
            Committed::Unchanged | Committed::Gone => {}
            Committed::TooLarge => {
                return Err(Error::new(
                    ErrorKind::Session,
                    "together with what other requests wrote the session is too large",
                ));
            }
            Committed::Refused => return self.service.refused(),
        }
        Ok(())
    }
}

fn unusable(error: lb_session::SessionError) -> Error {
    Error::new(ErrorKind::Session, "the session cannot be used so").with_source(error)
}
