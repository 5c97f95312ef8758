//! A server that is listening, and the way to it from anywhere.

mod counted;
mod operate;
mod rehearse;
mod reload;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use lb_core::BackendId;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{CertificateStatus, News};
use crate::admission::Admissions;
use crate::cache::Purge;
use crate::config::{BackendConfig, Config, ListenAddress};
use crate::discovery::{self, Names, Place};
use crate::drain::Drain;
use crate::error::{Error, ErrorKind};
use crate::listener::Sockets;
use crate::memory::Memory;
use crate::metrics::{self, Metrics, MetricsFormat, ServerCounters};
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
    pub(crate) admin: Option<LocalAddress>,
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

    /// Where the admin API is, if there is one.
    pub fn admin_addr(&self) -> Option<&LocalAddress> {
        self.admin.as_ref()
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
        let snapshot = self.handle.snapshot();
        if snapshot.access_log.is_some() || snapshot.tracer.is_some() {
            // They wait for a disk and a collector, for a second each at most.
            let close = move || {
                snapshot.access_log.iter().for_each(|log| log.close());
                snapshot.tracer.iter().for_each(|tracer| tracer.close());
            };
            let _closed = tokio::task::spawn_blocking(close).await;
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
    /// The way to each worker's loop.
    workers: Mutex<Vec<tokio::runtime::Handle>>,
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
    news: News,
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
                workers: Mutex::default(),
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
                news: News::default(),
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

    /// What happens, for those who listen.
    pub(crate) fn news(&self) -> &News {
        &self.inner.news
    }

    /// A way to the store, where there is one.
    pub(crate) fn link(&self) -> Option<Arc<dyn Store>> {
        self.inner.link.get().cloned()
    }

    /// Makes the connections of one worker known, so that removed backends can be forgotten there.
    pub(crate) fn add_upstreams(&self, upstreams: Arc<Upstreams>) {
        self.inner.upstreams.lock().push(upstreams);
    }

    /// Makes the loop of one worker known.
    pub(crate) fn add_worker(&self, runtime: tokio::runtime::Handle) {
        self.inner.workers.lock().push(runtime);
    }

    /// Whether every worker gets its work done: each is given a task that does nothing, and `within` to do it. For
    /// a watchdog; requests pay nothing for it. Needs a runtime with time.
    pub async fn responds(&self, within: Duration) -> bool {
        let workers = self.inner.workers.lock().clone();
        let tasks: Vec<_> = workers
            .iter()
            .map(|worker| worker.spawn(async {}))
            .collect();
        let all = async {
            for task in tasks {
                if task.await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(within, all).await.unwrap_or(false)
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

    /// What clients are shown by listeners that speak TLS; how many days are left is not told.
    pub(crate) fn certificates(&self) -> Vec<CertificateStatus> {
        let outside = self.inner.outside.get();
        outside.map_or_else(Vec::new, |outside| outside.sockets.certificates())
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

    /// Completes when a shutdown was asked for, by whomever.
    pub async fn shutdown_requested(&self) {
        self.inner.requested.cancelled().await;
    }

    /// Ends everything at once; running exchanges are reset.
    pub fn force(&self) {
        self.inner.requested.cancel();
        self.inner.drain.force();
    }

    /// Whether a shutdown was asked for; the server may still serve.
    pub fn is_stopping(&self) -> bool {
        self.inner.requested.is_cancelled()
    }

    /// Whether the server takes nothing new.
    pub fn is_draining(&self) -> bool {
        self.inner.drain.is_draining()
    }

    /// Reads what was counted since the start.
    pub fn metrics(&self) -> Metrics {
        let snapshot = self.snapshot();
        let sums = self.inner.counters.read();
        let routes = snapshot.route_counters();
        let mut metrics = Metrics {
            request_count: sums.answered,
            error_count: sums.errors,
            average_response_time: Duration::from_micros(
                sums.total_micros.checked_div(sums.answered).unwrap_or(0),
            ),
            active_requests: sums.active,
            reasons: sums.reasons,
            routes: routes
                .map(|(name, counters)| (name.to_owned(), counters.read()))
                .collect(),
            held_bytes: 0,
            access_log_dropped: 0,
            traces_dropped: 0,
            backends: snapshot.backend_metrics(),
            rate_limits: BTreeMap::new(),
            redis: None,
            caches: BTreeMap::new(),
        };
        metrics.rate_limits = snapshot.limits.metrics();
        metrics.redis = self.inner.store.get().map(|report| report.read());
        metrics.held_bytes = self.inner.memory.held();
        let log = snapshot.access_log.as_ref();
        metrics.access_log_dropped = log.map_or(0, |log| log.dropped());
        let tracer = snapshot.tracer.as_ref();
        metrics.traces_dropped = tracer.map_or(0, |tracer| tracer.dropped());
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

    /// What was counted since the start, as text that monitoring systems read, O(series).
    pub fn exposition(&self, format: MetricsFormat) -> String {
        metrics::exposition(self, format)
    }

    /// What the links to the store report, where there is one.
    pub(crate) fn store_report(&self) -> Option<&Report> {
        self.inner.store.get().map(Arc::as_ref)
    }

    /// How many connections to each backend serve no request.
    pub(crate) fn unused_connections(&self) -> HashMap<BackendId, u64> {
        let mut unused = HashMap::new();
        for upstreams in &*self.inner.upstreams.lock() {
            upstreams.unused(|id, count| *unused.entry(id.clone()).or_insert(0) += count);
        }
        unused
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
        let id = BackendId::new(id);
        let _unchanged = self.inner.changing.lock();
        let mut pools = self.snapshot().pools.clone().into_values();
        pools.any(|pool| pool.set_draining(&id, draining))
    }

    /// Takes a backend out of its pool by its identity, until the next reload; what it is answering goes
    /// on. Returns whether it was there.
    pub fn remove_backend(&self, id: &str) -> bool {
        let id = BackendId::new(id);
        let _unchanged = self.inner.changing.lock();
        let removed = self.snapshot().pools.values().any(|pool| pool.remove(&id));
        self.forget_gone();
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, LoadBalancerConfig, ServerConfig};

    fn handle() -> Handle {
        let pool = LoadBalancerConfig::new(lb_core::Algorithm::RoundRobin);
        let config = Config::single(ServerConfig::new("127.0.0.1:0").tls_off(), pool).unwrap();
        let snapshot = Snapshot::build(&config, true, None).unwrap();
        Handle::new(Arc::new(ArcSwap::from_pointee(snapshot)))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn a_worker_that_does_nothing_any_more_is_noticed() {
        let handle = handle();
        let (asking, worker) = (runtime(), runtime());
        handle.add_worker(worker.handle().clone());
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let turning = std::thread::spawn(move || {
            let _ = worker.block_on(ended);
            worker
        });
        assert!(asking.block_on(handle.responds(Duration::from_secs(60))));
        drop(end);
        // Its loop stands still from here on, as if something in it blocked.
        let worker = turning.join().unwrap();
        assert!(!asking.block_on(handle.responds(Duration::from_millis(1))));
        drop(worker);
        assert!(!asking.block_on(handle.responds(Duration::from_secs(60))));
    }
}
