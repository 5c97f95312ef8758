//! Sessions of clients: found by their cookie when a request handler asks, written back before the
//! reply's head.

mod operator;
mod session;

use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use http::header::COOKIE;
use lb_session::cookie::{self, SetCookie};
use lb_session::{
    Changes, Committed, Presented, SessionCookie, SessionId, SessionParameters, SessionStore,
};

use crate::clock;
use crate::config::{OnStoreError, SessionConfig};
use crate::cookies;
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::handler::Response;
use crate::reject::Reject;
use crate::secrets::SpareSecret;

pub use operator::{SessionInfo, SessionPage, SessionStats, Sessions};
pub use session::Session;
pub(crate) use session::Visit;

/// Sessions in force.
#[derive(Debug)]
pub(crate) struct SessionService {
    cookie: SessionCookie,
    parameters: SessionParameters,
    is_lenient: bool,
    /// Lives as long as the process.
    store: Arc<SessionStore>,
}

impl SessionService {
    /// What a configuration says; sessions that were there before stay.
    pub(crate) fn build(
        config: &SessionConfig,
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
        let store = before.map_or_else(
            || Arc::new(SessionStore::new(&parameters, clock::now())),
            |before| Arc::clone(&before.store),
        );
        Ok(Self {
            cookie: SessionCookie::new(cookie, &config.secrets.load_or(spare)?),
            parameters,
            is_lenient: config.on_store_error != Some(OnStoreError::Deny),
            store,
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

    fn load(&self, presented: Option<&Presented>, now: Instant) -> Loaded {
        let found = presented.and_then(|presented| {
            let session = self.store.load(&presented.id, &self.parameters, now)?;
            Some((session, presented))
        });
        match found {
            Some((session, presented)) => Loaded {
                session,
                outdated: (!presented.current).then(|| presented.id.clone()),
            },
            None => Loaded {
                session: lb_session::Session::new(&self.parameters),
                outdated: None,
            },
        }
    }

    /// Stores what a request has changed.
    fn commit(&self, changes: &Changes<'_>, fresh: SessionId, now: Instant) -> Committed {
        self.store.commit(changes, || fresh, &self.parameters, now)
    }

    /// What becomes of a reply whose session got no place.
    fn refused(&self) -> Result<(), Error> {
        tracing::warn!("a session got no place: `max_sessions` is too small for those logged in");
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
struct Loaded {
    session: lb_session::Session,
    /// The id, where its cookie was signed with a secret that is to go.
    outdated: Option<SessionId>,
}

fn fresh_id() -> Result<SessionId, Error> {
    entropy::secret_bytes()
        .map(SessionId::from_random)
        .map_err(|error| {
            Error::new(ErrorKind::Session, "the system gives no randomness").with_source(error)
        })
}
