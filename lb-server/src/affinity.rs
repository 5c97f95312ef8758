//! Affinity: the cookie that keeps a client with its backend.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use lb_core::{BackendId, Exclusion, PickHint};
use lb_session::cookie::{self, SetCookie, Without};
use lb_session::{AffinityMode, AffinityStatus, AffinityTable, Course, Secrets, Standing};
use parking_lot::Mutex;

use crate::clock;
use crate::config::{AffinityConfig, Config};
use crate::error::{Error, ErrorKind};
use crate::handler::{Exchange, Response};
use crate::record::AffinityWord;
use crate::reject::Reject;
use crate::secrets::SpareSecret;
use crate::snapshot::PoolEntry;

/// The affinity of one pool, in force.
#[derive(Debug)]
pub(crate) struct Affinity {
    config: AffinityConfig,
    pool: Box<str>,
    secrets: Secrets,
    /// For clients that came over TLS.
    secure: SetCookie,
    /// For the others, to whom a secure cookie would be lost.
    plain: SetCookie,
    table: ArcSwap<AffinityTable<BackendId>>,
    /// Held while a table is made, so that a later list is never replaced by an earlier one.
    sealing: Mutex<()>,
}

impl Affinity {
    /// What the configuration says of this pool; no backend has a value yet.
    pub(crate) fn build(
        config: &Config,
        pool: &str,
        spare: &SpareSecret,
    ) -> Result<Option<Box<Self>>, Error> {
        let Some(affinity) = config.pools.get(pool).and_then(|it| it.affinity.as_ref()) else {
            return Ok(None);
        };
        let wrong = |error| {
            let text = format!("the affinity cookie of pool `{pool}` cannot be used");
            Error::new(ErrorKind::Config, text).with_source(error)
        };
        let secure = SetCookie::try_new(&affinity.cookie)
            .and_then(|cookie| cookie.same_site(affinity.same_site))
            .map_err(wrong)?;
        // Some names and attributes demand a secure cookie.
        let plain = secure.clone().insecure().unwrap_or_else(|_| secure.clone());
        let secrets = match (&affinity.secrets, config.active_sessions()) {
            (crate::config::SecretsConfig::Unwritten, Some(sessions)) => &sessions.secrets,
            (own, _) => own,
        };
        let secrets = secrets.load_or(spare)?;
        Ok(Some(Box::new(Self {
            config: affinity.clone(),
            pool: pool.into(),
            table: ArcSwap::from_pointee(AffinityTable::seal(&secrets, pool, [])),
            secrets,
            secure,
            plain,
            sealing: Mutex::new(()),
        })))
    }

    /// Gives each backend of the list its value, which depends on nothing but its identity, the pool's
    /// name and the secrets.
    pub(crate) fn seal(&self, backends: impl FnOnce() -> Vec<BackendId>) {
        let _one_at_a_time = self.sealing.lock();
        let table = AffinityTable::seal(&self.secrets, &self.pool, backends());
        self.table.store(table.into());
    }

    /// What a request's cookie says.
    fn read(&self, headers: &HeaderMap) -> Bond {
        let table = self.table.load();
        let mut status = AffinityStatus::Absent;
        let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        for value in lines.flat_map(|line| cookie::values(line, &self.config.cookie)) {
            if let Some(bound) = table.verify(value) {
                return Bond {
                    backend: Some(bound.backend.clone()),
                    status: AffinityStatus::Bound {
                        standing: Standing::Serving,
                        current: bound.current,
                    },
                    was_full: AtomicBool::new(false),
                };
            }
            status = AffinityStatus::Unknown;
        }
        Bond {
            backend: None,
            status,
            was_full: AtomicBool::new(false),
        }
    }

    /// The backend that a request's cookie names, whether it can serve or not.
    pub(crate) fn bound(&self, headers: &HeaderMap) -> Option<BackendId> {
        self.read(headers).backend
    }

    pub(crate) fn cookie(&self) -> &str {
        &self.config.cookie
    }

    /// Whether no other backend serves a client that is bound to one.
    pub(crate) fn is_strict(&self) -> bool {
        self.config.mode == AffinityMode::Strict
    }

    /// The field that binds a client to a backend.
    pub(crate) fn bind(&self, backend: &BackendId, is_tls: bool) -> Option<String> {
        let table = self.table.load();
        let value = table.value(backend.as_str())?;
        let cookie = if is_tls { &self.secure } else { &self.plain };
        Some(cookie.write(value, self.config.ttl))
    }
}

/// What is known of a client's backend while its request is on its way.
#[derive(Debug)]
pub(crate) struct Bond {
    backend: Option<BackendId>,
    status: AffinityStatus,
    /// Whether another backend was picked because this one had no room.
    was_full: AtomicBool,
}

impl Bond {
    /// The backend to try first.
    pub(crate) fn backend(&self) -> Option<&BackendId> {
        self.backend.as_ref()
    }

    /// Whether the request is for its backend or nobody.
    pub(crate) fn is_exclusive(&self, pool: &PoolEntry) -> bool {
        let affinity = pool.affinity.as_ref();
        self.backend.is_some() && affinity.is_some_and(|it| it.config.mode == AffinityMode::Strict)
    }

    /// Whether the request may go where it was picked for.
    ///
    /// # Errors
    /// The refusal, where the client's state is on a backend that cannot serve it.
    pub(crate) fn admit(
        &self,
        exchange: &Exchange,
        pool: &PoolEntry,
        picked: &BackendId,
        tried: &[BackendId],
    ) -> Result<(), Reject> {
        let Some(backend) = self.backend.as_ref().filter(|bound| *bound != picked) else {
            return Ok(());
        };
        let hint = PickHint::new(0).tried(tried);
        let is_full = pool.balancer.exclusion(backend, &hint) == Some(Exclusion::Full);
        self.was_full.store(is_full, Ordering::Relaxed);
        if !self.is_exclusive(pool) {
            return Ok(());
        }
        exchange.notes().affinity(AffinityWord::Down);
        Err(if is_full {
            Reject::QueueFull
        } else {
            Reject::NoHealthyBackend(None)
        })
    }

    /// Tells the client where it belongs from now on, if that has changed.
    pub(crate) fn settle(&self, exchange: &Exchange, pool: &PoolEntry, response: &Response) {
        let (Some(affinity), Some(answered)) = (&pool.affinity, response.body().backend()) else {
            return;
        };
        let mut status = self.status;
        if let AffinityStatus::Bound { standing, .. } = &mut status {
            let backend = self.backend.as_ref();
            *standing = if backend != Some(answered) {
                // It did not answer, so it was full or did not serve.
                if self.was_full.load(Ordering::Relaxed) {
                    Standing::Full
                } else {
                    Standing::Down
                }
            } else if pool.balancer.exclusion(answered, &PickHint::new(0))
                == Some(Exclusion::Draining)
            {
                Standing::Draining
            } else {
                Standing::Serving
            };
        }
        if matches!(
            status,
            AffinityStatus::Bound {
                standing: Standing::Down | Standing::Full,
                ..
            }
        ) {
            exchange.notes().affinity(AffinityWord::Down);
        }
        match status.course(affinity.config.mode) {
            Course::Bind | Course::Renew => {
                let arrival = &exchange.origin().arrival;
                if let Some(field) = affinity.bind(answered, arrival.is_tls) {
                    exchange.set_binding(affinity.config.cookie.clone(), field);
                }
            }
            Course::Stay | Course::Detour | Course::Refuse => {}
        }
    }
}

/// Reads a request's affinity, and takes out the cookies that are between the client and us.
pub(crate) fn begin(
    exchange: &Exchange,
    pool: &PoolEntry,
    headers: &mut HeaderMap,
) -> Option<Box<Bond>> {
    let bond = pool
        .affinity
        .as_ref()
        .map(|affinity| Box::new(affinity.read(headers)));
    if let Some(bond) = &bond {
        exchange.notes().affinity(match bond.status {
            AffinityStatus::Absent => AffinityWord::None,
            AffinityStatus::Unknown => AffinityWord::Invalid,
            AffinityStatus::Bound { .. } => AffinityWord::Valid,
        });
    }
    let of_pool = pool.affinity.as_ref().map(|it| it.config.cookie.as_str());
    let of_sessions = exchange.snapshot().sessions.as_deref();
    match (of_pool, of_sessions.map(|it| it.cookie_name())) {
        (None, None) => {}
        (Some(name), None) | (None, Some(name)) => strip(headers, &[name]),
        (Some(one), Some(other)) => strip(headers, &[one, other]),
    }
    bond
}

fn strip(headers: &mut HeaderMap, names: &[&str]) {
    let lines = headers.get_all(COOKIE).iter();
    let mut rest = Vec::new();
    let mut is_changed = false;
    for line in lines {
        match cookie::without(line.as_bytes(), names) {
            Without::Unchanged => rest.push(Cow::Borrowed(line)),
            Without::Empty => is_changed = true,
            Without::Rest(left) => {
                is_changed = true;
                // What was taken from a value is a value.
                rest.extend(HeaderValue::from_bytes(&left).ok().map(Cow::Owned));
            }
        }
    }
    if is_changed {
        let rest: Vec<HeaderValue> = rest.into_iter().map(Cow::into_owned).collect();
        headers.remove(COOKIE);
        for line in rest {
            headers.append(COOKIE, line);
        }
    }
}

/// The identities in a pool, to be sealed.
pub(crate) fn identities(pool: &PoolEntry) -> Vec<BackendId> {
    let backends = pool.balancer.backends(clock::now());
    backends
        .into_iter()
        .map(|status| status.backend.id)
        .collect()
}
