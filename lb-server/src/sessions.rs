//! Sessions of clients: found by their cookie when a request handler asks, written back before the
//! reply's head.

mod operator;
mod redis;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use http::header::COOKIE;
use lb_session::cookie::{self, SetCookie};
use lb_session::{
    Changes, Committed, Presented, Record, SessionCookie, SessionId, SessionParameters,
    SessionStore, Write,
};

use crate::clock;
use crate::config::{OnStoreError, RedisConfig, SessionConfig, StoreKind};
use crate::cookies;
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::handler::Response;
use crate::redis::{Store, StoreError};
use crate::reject::Reject;
use crate::secrets::SpareSecret;

use redis::{CommitError, Shelf};

pub use operator::{SessionInfo, SessionPage, SessionStats, Sessions};
pub use session::Session;
pub(crate) use session::Visit;

/// Sessions in force.
#[derive(Debug)]
pub(crate) struct SessionService {
    cookie: SessionCookie,
    parameters: SessionParameters,
    /// Whether requests go on without a session that cannot be loaded or stored.
    is_lenient: bool,
    has_said_full: AtomicBool,
    place: Place,
}

/// Where sessions are.
#[derive(Debug)]
enum Place {
    /// Here; lives as long as the process.
    Memory(Arc<SessionStore>),
    /// In the store that instances share.
    Redis(Shelf),
}

impl SessionService {
    /// What a configuration says; sessions that were there before stay.
    pub(crate) fn build(
        config: &SessionConfig,
        redis: Option<&RedisConfig>,
        spare: &SpareSecret,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let wrong = |error| {
            Error::new(
                ErrorKind::Config,
                format!("the session cookie `{}` cannot be used", config.cookie),
            )
            .with_source(error)
        };
        let mut cookie = SetCookie::try_new(&config.cookie).map_err(wrong)?;
        if !config.secure {
            cookie = cookie.insecure().map_err(wrong)?;
        }
        let cookie = cookie.same_site(config.same_site).map_err(wrong)?;
        let parameters = SessionParameters::default()
            .idle_timeout(config.idle_timeout)
            .max_age(config.max_age)
            .max_bytes(config.max_bytes as usize)
            .max_sessions(config.max_sessions.get() as usize);
        let redis = redis.filter(|_| config.store == StoreKind::Redis);
        let place = match (redis, before.map(|before| &before.place)) {
            (Some(redis), _) => Place::Redis(Shelf::new(redis)),
            (None, Some(Place::Memory(store))) => Place::Memory(Arc::clone(store)),
            (None, _) => Place::Memory(Arc::new(SessionStore::new(&parameters, clock::now()))),
        };
        let on_error = config.on_store_error;
        let on_error = on_error.or_else(|| redis.map(|redis| redis.on_store_error));
        Ok(Self {
            cookie: SessionCookie::new(cookie, &config.secrets.load_or(spare)?),
            parameters,
            is_lenient: on_error != Some(OnStoreError::Deny),
            has_said_full: AtomicBool::new(false),
            place,
        })
    }

    /// The cookie's name, which no backend gets to see.
    pub(crate) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// Keeps of a request's fields what finding its session takes.
    pub(crate) fn visit(self: &Arc<Self>, headers: &http::HeaderMap) -> Visit {
        let is_ours =
            |line: &&HeaderValue| cookie::find(line.as_bytes(), self.cookie.name()).is_some();
        let lines = headers.get_all(COOKIE).iter().filter(is_ours).cloned();
        Visit::new(Arc::clone(self), lines.collect())
    }

    fn read(&self, lines: &[HeaderValue]) -> Option<Presented> {
        self.cookie.read(lines.iter().map(HeaderValue::as_bytes))
    }

    /// The session that the client presents, or an empty one. In memory it is there at once.
    async fn load(
        &self,
        presented: Option<&Presented>,
        store: Option<&dyn Store>,
    ) -> Result<Loaded, Error> {
        let Some(presented) = presented else {
            return Ok(self.without());
        };
        let (session, record) = match &self.place {
            Place::Memory(sessions) => {
                let now = clock::now();
                let Some(session) = sessions.load(&presented.id, &self.parameters, now) else {
                    return Ok(self.without());
                };
                (session, None)
            }
            Place::Redis(shelf) => {
                let handle = presented.id.handle();
                let found = match store {
                    Some(store) => {
                        let now = clock::wall();
                        Box::pin(shelf.load(&handle, &self.parameters, store, now)).await
                    }
                    None => Err(StoreError::Down),
                };
                match found {
                    Ok(Some(record)) => {
                        let session = lb_session::Session::of(handle, &record, &self.parameters);
                        (session, Some(record))
                    }
                    Ok(None) => return Ok(self.without()),
                    Err(error) => {
                        self.failed(&error)?;
                        return Ok(Loaded {
                            is_lost: true,
                            ..self.without()
                        });
                    }
                }
            }
        };
        Ok(Loaded {
            session: Box::new(session),
            record,
            outdated: (!presented.current).then(|| presented.id.clone()),
            is_lost: false,
            is_destroyed: false,
        })
    }

    fn without(&self) -> Loaded {
        Loaded {
            session: Box::new(lb_session::Session::new(&self.parameters)),
            record: None,
            outdated: None,
            is_lost: false,
            is_destroyed: false,
        }
    }

    /// Stores what a request has changed. In memory it is done at once.
    async fn commit(
        &self,
        changes: &Changes<'_>,
        record: Option<Record>,
        store: Option<&dyn Store>,
    ) -> Result<Committed, Error> {
        let fresh = fresh_id()?;
        let shelf = match &self.place {
            Place::Memory(sessions) => {
                return Ok(sessions.commit(changes, || fresh, &self.parameters, clock::now()));
            }
            Place::Redis(shelf) => shelf,
        };
        let committed = match store {
            Some(store) => {
                let now = clock::wall();
                let parameters = &self.parameters;
                Box::pin(shelf.commit(changes, record, fresh, parameters, store, now)).await
            }
            None => Err(StoreError::Down.into()),
        };
        match committed {
            Ok(committed) => Ok(committed),
            Err(CommitError::Session(_too_large)) => Ok(Committed::TooLarge),
            Err(CommitError::Store(error)) => {
                self.failed(&error)?;
                // Nothing is known of the session, so nothing is said to the client, but that who logs
                // out keeps no cookie. The record ends by its lifetimes.
                Ok(
                    if changes.ended.is_some() && changes.write == Write::Nothing {
                        Committed::Destroyed
                    } else {
                        Committed::Gone
                    },
                )
            }
        }
    }

    /// What becomes of a request whose session the store does not give or take. That the store is down
    /// the log says once, elsewhere.
    fn failed(&self, error: &StoreError) -> Result<(), Error> {
        tracing::debug!(%error, "a session could not be loaded or stored");
        if self.is_lenient {
            Ok(())
        } else {
            Err(Error::rejected(Reject::StoreUnavailable))
        }
    }

    /// What becomes of a reply whose session got no place.
    fn refused(&self) -> Result<(), Error> {
        // Once, so that nobody who opens sessions fills the log.
        if !self.has_said_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a session got no place: `max_sessions` is too small for those logged in"
            );
        }
        if self.is_lenient {
            Ok(())
        } else {
            Err(Error::rejected(Reject::StoreUnavailable))
        }
    }

    /// Gives the id to the client.
    fn issue(&self, id: &SessionId, response: &mut Response) {
        let field = self.cookie.issue(id, Some(self.parameters.max_age));
        cookies::set(response, &field);
        cookies::no_store(response);
    }

    /// Takes the cookie from the client.
    fn withdraw(&self, response: &mut Response) {
        cookies::set(response, &self.cookie.removal());
        cookies::no_store(response);
    }
}

/// A session as a request begins with it.
#[derive(Debug)]
struct Loaded {
    session: Box<lb_session::Session>,
    /// What the store elsewhere has of it.
    record: Option<Record>,
    /// The id, where its cookie was signed with a secret that is to go.
    outdated: Option<SessionId>,
    /// Whether it is empty for want of the store, so that nothing of it may be stored.
    is_lost: bool,
    /// Whether the handler has ended it.
    is_destroyed: bool,
}

fn fresh_id() -> Result<SessionId, Error> {
    entropy::secret_bytes()
        .map(SessionId::from_random)
        .map_err(|error| {
            Error::new(ErrorKind::Session, "the system gives no randomness").with_source(error)
        })
}
