//! The sockets that are listened on, and how they follow a configuration.
//!
//! A socket belongs to its address and not to its listener's name, so whatever a reload says of an
//! address that stays, the socket is never closed and no client is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::{Accepted, Bound, Inheritance, Listener, accept, bind};
use crate::admin::CertificateStatus;
use crate::admission::Admissions;
use crate::config::{Config, ListenAddress, ListenerConfig};
use crate::drain::Drain;
use crate::error::Error;
use crate::metrics::ListenerCounters;
use crate::running::LocalAddress;

/// How accepted connections get to their workers.
pub(crate) struct Acceptor {
    /// That of the worker that accepts for all.
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) admissions: Arc<Admissions>,
    pub(crate) deal: Arc<dyn Fn(Accepted) + Send + Sync>,
    /// The whole server's.
    pub(crate) drain: Drain,
}

/// The sockets that are listened on.
pub(crate) struct Sockets {
    acceptor: Acceptor,
    inheritance: Arc<Inheritance>,
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    key: Key,
    local: ListenAddress,
    listener: Arc<ArcSwap<Listener>>,
    drain: Drain,
}

/// Tells sockets apart: by address, those of port 0 by listener too, and the same address again by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    address: ListenAddress,
    of: Option<String>,
    number: usize,
}

/// Listeners that are complete, and sockets that are bound, but not accepted from.
#[derive(Debug)]
pub(crate) struct SocketsDraft {
    wanted: Vec<(Key, Arc<Listener>, Option<Bound>)>,
    /// Listeners whose certificates are others than before.
    pub(crate) certified: Vec<String>,
}

impl Sockets {
    pub(crate) fn new(acceptor: Acceptor, inheritance: Arc<Inheritance>) -> Self {
        Self {
            acceptor,
            inheritance,
            open: Mutex::default(),
        }
    }

    /// Builds the listeners of a configuration and binds what is not bound yet; whatever is wrong with
    /// one of them, nothing has changed.
    pub(crate) fn draft(
        &self,
        config: &Config,
        counters: &BTreeMap<String, Arc<ListenerCounters>>,
    ) -> Result<SocketsDraft, Error> {
        let open = self.open.lock();
        SocketsDraft::build(config, counters, &open, &self.inheritance)
    }

    /// Accepts as drafted: new sockets at once, on those that stay from the next connection on. What
    /// was accepted from sockets that are no longer wanted is drained.
    pub(crate) fn commit(&self, draft: SocketsDraft, config: &Config) {
        let mut open = self.open.lock();
        let mut before: BTreeMap<Key, Open> =
            open.drain(..).map(|one| (one.key.clone(), one)).collect();
        for (key, listener, bound) in draft.wanted {
            if let Some(socket) = before.remove(&key) {
                socket.listener.store(listener);
                open.push(socket);
            } else if let Some(bound) = bound {
                open.push(self.start(key, listener, bound));
            }
        }
        drop(open);
        for removed in before.into_values() {
            tracing::info!(
                listener = &*removed.listener.load().name,
                address = ?removed.local,
                "the listener is removed, its connections are drained"
            );
            removed.drain.begin_part();
            let timeout = config.server.shutdown_timeout;
            self.acceptor.runtime.spawn(async move {
                tokio::time::sleep(timeout).await;
                removed.drain.force_part();
            });
        }
    }

    fn start(&self, key: Key, listener: Arc<Listener>, bound: Bound) -> Open {
        let Acceptor {
            runtime,
            admissions,
            deal,
            drain,
        } = &self.acceptor;
        let local = bound.address();
        let (drain, deal) = (drain.part(), Arc::clone(deal));
        let listener = Arc::new(ArcSwap::new(listener));
        runtime.spawn(accept(
            bound,
            Arc::clone(&listener),
            Arc::clone(admissions),
            drain.clone(),
            move |accepted| deal(accepted),
        ));
        Open {
            key,
            local,
            listener,
            drain,
        }
    }

    /// Every address that is listened on.
    /// What each listener shows its clients, once.
    pub(crate) fn certificates(&self) -> Vec<CertificateStatus> {
        let open = self.open.lock();
        let mut told: Vec<Arc<str>> = Vec::new();
        let mut certificates = Vec::new();
        for listener in open.iter().map(|open| open.listener.load_full()) {
            if !told.contains(&listener.name) {
                told.push(Arc::clone(&listener.name));
                certificates.extend(listener.certificates());
            }
        }
        certificates
    }

    pub(crate) fn addresses(&self) -> Vec<LocalAddress> {
        let open = self.open.lock();
        let address = |open: &Open| {
            let listener = open.listener.load();
            LocalAddress {
                listener: listener.name.to_string(),
                address: open.local.clone(),
                is_tls: listener.is_tls(),
            }
        };
        open.iter().map(address).collect()
    }
}

impl SocketsDraft {
    /// The listeners of a server that starts.
    pub(crate) fn first(
        config: &Config,
        counters: &BTreeMap<String, Arc<ListenerCounters>>,
        inheritance: &Inheritance,
    ) -> Result<Self, Error> {
        Self::build(config, counters, &[], inheritance)
    }

    fn build(
        config: &Config,
        counters: &BTreeMap<String, Arc<ListenerCounters>>,
        open: &[Open],
        inheritance: &Inheritance,
    ) -> Result<Self, Error> {
        let mut wanted: Vec<(Key, Arc<Listener>, Option<Bound>)> = Vec::new();
        let mut certified = Vec::new();
        for (name, listener) in &config.listeners {
            let before = open
                .iter()
                .map(|open| open.listener.load_full())
                .find(|listener| *listener.name == **name);
            let counters = counters.get(name).map_or_else(Arc::default, Arc::clone);
            let built = Listener::build(name, listener, counters, before.as_deref())?;
            if before.is_some_and(|before| !built.has_certificates_of(&before)) {
                certified.push(name.clone());
            }
            let built = Arc::new(built);
            for (address, of) in addresses(name, listener) {
                let same = |(key, ..): &&(Key, _, _)| key.address == *address && key.of == of;
                let key = Key {
                    number: wanted.iter().filter(same).count(),
                    address: address.clone(),
                    of,
                };
                let is_open = open.iter().any(|open| open.key == key);
                let bound = (!is_open).then(|| bind(address, inheritance)).transpose()?;
                wanted.push((key, Arc::clone(&built), bound));
            }
        }
        Ok(Self { wanted, certified })
    }
}

/// The addresses of a listener, with its name where that tells the sockets apart.
fn addresses<'a>(
    name: &'a str,
    listener: &'a ListenerConfig,
) -> impl Iterator<Item = (&'a ListenAddress, Option<String>)> {
    listener.address.iter().map(move |address| {
        let is_any = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
        (address, is_any.then(|| name.to_owned()))
    })
}

impl std::fmt::Debug for Sockets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sockets")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
