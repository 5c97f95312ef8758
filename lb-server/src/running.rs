//! A server that is listening, and the way to it from anywhere.

mod reload;
mod report;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admissions;
use crate::cache::Purge;
use crate::config::{BackendConfig, Config, ListenAddress};
use crate::discovery::{self, Names, Place};
use crate::drain::Drain;
use crate::error::{Error, ErrorKind};
use crate::listener::Sockets;
use crate::memory::Memory;
use crate::metrics::{Metrics, ServerCounters};
use crate::redis::{Report, Store};
use crate::sessions::Sessions;
use crate::snapshot::Snapshot;
use crate::upstream::connections::Upstreams;

pub use reload::ConfigSource;
use reload::ReloadCounters;
pub use report::{ReloadReport, ReloadStatus};

/// A server that is listening.
///
/// Dropping it ends everything at once; [`Running::shutdown`] drains.
#[derive(Debug)]
pub struct Running {
    pub(crate) addresses: Vec<LocalAddress>,
    pub(crate) handle: Handle,
    /// Counts the worker threads.
    pub(crate) workers: TaskTracker,
}

/// An address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalAddress {
    /// The listener's name.
    pub listener: String,
    /// The address, with the port that was taken where 0 was asked for.
    pub address: ListenAddress,
    /// Whether TLS is spoken on it.
    pub is_tls: bool,
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        match &self.address {
            ListenAddress::Tcp(address) => write!(formatter, "{scheme}://{address}"),
            ListenAddress::Unix(path) => write!(formatter, "{scheme}+unix:{}", path.display()),
        }
    }
}

impl Running {
    /// The first TCP address that is listened on; `0.0.0.0:0` where there are unix sockets only.
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses
            .iter()
            .find_map(|local| match &local.address {
                ListenAddress::Tcp(address) => Some(*address),
                ListenAddress::Unix(_) => None,
            })
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Every address that was listened on at the start; [`Handle::local_addrs`] knows the present ones.
    pub fn local_addrs(&self) -> &[LocalAddress] {
        &self.addresses
    }

    /// The way to the running server from anywhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until a shutdown is asked for through a [`Handle`], then drains.
    ///
    /// # Errors
    /// [`ErrorKind::ShutdownTimeout`] where exchanges had to be cut off: the deadline passed, or
    /// [`Handle::force`] was called.
    pub async fn wait(self) -> Result<(), Error> {
        let drain = &self.handle.inner.drain;
        self.handle.inner.requested.cancelled().await;
        let config = self.handle.config();
        tokio::select! {
            biased;
            () = drain.forced() => {}
            () = tokio::time::sleep(config.server.shutdown_delay) => {}
        }
        drain.begin();
        let cut = tokio::select! {
            biased;
            () = drain.forced() => Some("the shutdown was forced"),
            () = drain.finished() => None,
            () = tokio::time::sleep(config.server.shutdown_timeout) => Some("the deadline passed before every exchange had finished"),
        };
        drain.force();
        self.workers.wait().await;
        if let Some(log) = self.handle.snapshot().access_log.clone() {
            // It waits for a disk, for a second at most.
            let _closed = tokio::task::spawn_blocking(move || log.close()).await;
        }
        cut.map_or(Ok(()), |text| {
            Err(Error::new(ErrorKind::ShutdownTimeout, text))
        })
    }

    /// Drains and returns when the last exchange has finished.
    ///
    /// # Errors
    /// As [`Running::wait`].
    pub async fn shutdown(self) -> Result<(), Error> {
        self.handle.shutdown();
        self.wait().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.force();
    }
}

/// A running server, seen from anywhere. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    inner: Arc<HandleInner>,
}

#[derive(Debug)]
struct HandleInner {
    snapshot: Arc<ArcSwap<Snapshot>>,
    counters: ServerCounters,
    memory: Memory,
    upstreams: Mutex<Vec<Arc<Upstreams>>>,
    /// What is said of the store, where there is one.
    store: OnceLock<Arc<Report>>,
    /// One of the workers' ways to the store, for what is asked from outside of them.
    link: OnceLock<Arc<dyn Store>>,
    /// What a reload changes besides the snapshot.
    outside: OnceLock<Outside>,
    names: OnceLock<Arc<dyn Names>>,
    source: OnceLock<Arc<dyn ConfigSource>>,
    /// Held by a reload, so that there is one at a time.
    reloading: Arc<tokio::sync::Mutex<()>>,
    /// Held while pools are changed, so that nobody changes what is no longer in force.
    changing: Mutex<()>,
    reloads: ReloadCounters,
    requested: CancellationToken,
    drain: Drain,
}

/// What a reload changes besides the snapshot.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) sockets: Sockets,
    pub(crate) admissions: Arc<Admissions>,
}

impl Handle {
    pub(crate) fn new(snapshot: Arc<ArcSwap<Snapshot>>) -> Self {
        let memory = Memory::new(snapshot.load().process.memory_limit);
        Self {
            inner: Arc::new(HandleInner {
                snapshot,
                counters: ServerCounters::default(),
                memory,
                upstreams: Mutex::default(),
                store: OnceLock::new(),
                link: OnceLock::new(),
                outside: OnceLock::new(),
                names: OnceLock::new(),
                source: OnceLock::new(),
                reloading: Arc::default(),
                changing: Mutex::default(),
                reloads: ReloadCounters::default(),
                requested: CancellationToken::new(),
                drain: Drain::default(),
            }),
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.load_full()
    }

    pub(crate) fn counters(&self) -> &ServerCounters {
        &self.inner.counters
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.inner.drain
    }

    /// Makes the connections of one worker known, so that removed backends can be forgotten there.
    pub(crate) fn add_upstreams(&self, upstreams: Arc<Upstreams>) {
        self.inner.upstreams.lock().push(upstreams);
    }

    /// Closes unused connections to backends that are gone.
    fn forget_gone(&self) {
        for upstreams in &*self.inner.upstreams.lock() {
            upstreams.forget_gone();
        }
    }

    /// Makes a way to the store known; the first one is kept.
    pub(crate) fn set_link(&self, link: Arc<dyn Store>) {
        self.inner.link.get_or_init(|| link);
    }

    /// Makes known what the links to the store report, once.
    pub(crate) fn set_store(&self, report: Arc<Report>) {
        self.inner.store.get_or_init(|| report);
    }

    /// Makes known what a reload changes besides the snapshot, once.
    pub(crate) fn set_outside(&self, outside: Outside) {
        self.inner.outside.get_or_init(|| outside);
    }

    /// Makes known who is asked for names, once.
    pub(crate) fn set_names(&self, names: Arc<dyn Names>) {
        self.inner.names.get_or_init(|| names);
    }

    /// Lets a pool follow what a name stands for.
    pub(crate) fn found(&self, key: &discovery::Key, places: Arc<[Place]>) {
        let _unchanged = self.inner.changing.lock();
        let snapshot = self.snapshot();
        if let Some(pool) = snapshot.pools.get(&*key.pool) {
            pool.found(&snapshot.found, key, places);
            self.forget_gone();
        }
    }

    /// Makes known where the configuration comes from, once.
    pub(crate) fn set_source(&self, source: Arc<dyn ConfigSource>) {
        self.inner.source.get_or_init(|| source);
    }

    /// The configuration in force. What operators have changed since is not in it.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.snapshot().config)
    }

    /// Every address that is listened on.
    pub fn local_addrs(&self) -> Vec<LocalAddress> {
        let outside = self.inner.outside.get();
        outside.map_or_else(Vec::new, |outside| outside.sockets.addresses())
    }

    /// Asks for the shutdown that [`Running::wait`] carries out.
    pub fn shutdown(&self) {
        self.inner.requested.cancel();
    }

    /// Ends everything at once; running exchanges are reset.
    pub fn force(&self) {
        self.inner.requested.cancel();
        self.inner.drain.force();
    }

    /// Whether the server takes nothing new.
    pub fn is_draining(&self) -> bool {
        self.inner.drain.is_draining()
    }

    /// Reads what was counted since the start.
    pub fn metrics(&self) -> Metrics {
        let snapshot = self.snapshot();
        let mut metrics = self.inner.counters.read(snapshot.backend_metrics());
        metrics.rate_limits = snapshot.limits.metrics();
        metrics.redis = self.inner.store.get().map(|report| report.read());
        metrics.held_bytes = self.inner.memory.held();
        let log = snapshot.access_log.as_ref();
        metrics.access_log_dropped = log.map_or(0, |log| log.dropped());
        let caches = snapshot.caches.iter();
        let caches = caches.map(|(name, cache)| (name.clone(), cache.metrics()));
        metrics.caches = caches.collect();
        metrics
    }

    /// Opens the file of the access log anew, after it was renamed. Lines on their way go to the new one; where it
    /// cannot be made the old one goes on, and the log says so.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.snapshot().access_log {
            log.reopen();
        }
    }

    /// The sessions; `None` where there are none.
    pub fn sessions(&self) -> Option<Sessions> {
        let sessions = self.snapshot().sessions.clone()?;
        Some(Sessions::of(sessions, self.inner.link.get().cloned()))
    }

    /// Removes responses from a cache and returns how many. What is being fetched at this moment is not stored either.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no such cache, or what is given as a URL is none.
    ///
    /// # Complexity
    /// O(1) for one URL or key, else O(entries).
    pub fn purge(&self, cache: &str, purge: Purge<'_>) -> Result<usize, Error> {
        let snapshot = self.snapshot();
        let found = snapshot.caches.get(cache).ok_or_else(|| {
            let known: Vec<&str> = snapshot.caches.keys().map(String::as_str).collect();
            Error::new(
                ErrorKind::Config,
                format!(
                    "there is no cache `{cache}` to purge; there are: {}",
                    known.join(", ")
                ),
            )
        })?;
        found.purge(purge)
    }

    /// Adds a backend to the pool `default` and returns its identity. It stays until the next reload.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no such pool, the backend is in it already or asks to be discovered,
    /// [`ErrorKind::Tls`] where it cannot be verified.
    pub fn add_backend(&self, backend: BackendConfig) -> Result<String, Error> {
        let _unchanged = self.inner.changing.lock();
        let snapshot = self.snapshot();
        let pool = snapshot.pools.get("default").ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "there is no pool `default` to add a backend to",
            )
        })?;
        pool.add(&backend).map(|id| id.to_string())
    }

    /// Begins or ends the drain of a backend: no new requests but of clients that affinity binds to it,
    /// while those that run finish. It lasts until the next reload. Returns whether there is such a backend.
    pub fn drain_backend(&self, id: &str, draining: bool) -> bool {
        let id = lb_core::BackendId::new(id);
        let _unchanged = self.inner.changing.lock();
        let mut pools = self.snapshot().pools.clone().into_values();
        pools.any(|pool| pool.set_draining(&id, draining))
    }

    /// Takes a backend out of its pool by its identity, until the next reload; what it is answering goes
    /// on. Returns whether it was there.
    pub fn remove_backend(&self, id: &str) -> bool {
        let id = lb_core::BackendId::new(id);
        let _unchanged = self.inner.changing.lock();
        let removed = self.snapshot().pools.values().any(|pool| pool.remove(&id));
        self.forget_gone();
        removed
    }
}
