//! What is in force: routes and pools, made of a configuration, replaced as one.

mod draft;
mod operate;
mod policy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;
use http::HeaderName;
use lb_core::{Backend, BackendId, Pool, QueuePolicy, Weight};
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::ServerName;

use crate::access_log::AccessLog;
use crate::affinity::{self, Affinity};
use crate::cache::HttpCache;
use crate::clock;
use crate::config::{
    BackendAddress, BackendConfig, BackendScheme, BackendUrl, Config, HashConfig,
    HealthCheckConfig, LoadBalancerConfig, PoolTimeouts, ProcessConfig, Protocol,
};
use crate::discovery::{self, Found, Place};
use crate::dispatch::Retries;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::metrics::{
    BackendCounters, BackendMetrics, Bounds, ListenerCounters, PoolCounters, RouteCounters,
};
use crate::otel::Tracer;
use crate::queue::Queue;
use crate::record::RecordSink;
use crate::routes::{self, Route};
use crate::secrets::SpareSecret;
use crate::sessions::SessionService;
use crate::tls::{self, ClientTls};

pub(crate) use draft::Draft;
use operate::Operated;

/// Everything that an exchange reads of the configuration.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// What it was made of.
    pub(crate) config: Arc<Config>,
    /// Whether a program answers requests.
    pub(crate) has_handler: bool,
    pub(crate) process: ProcessConfig,
    pub(crate) routes: Vec<Route>,
    pub(crate) pools: BTreeMap<String, Arc<PoolEntry>>,
    pub(crate) limits: Limits,
    pub(crate) sessions: Option<Arc<SessionService>>,
    /// Whether any pool has it.
    pub(crate) has_affinity: bool,
    /// What signs where nothing else is written; kept across reloads, as sessions are.
    spare_secret: SpareSecret,
    /// What names have stood for last; kept across reloads.
    pub(crate) found: Found,
    pub(crate) caches: BTreeMap<String, Arc<HttpCache>>,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    /// Fields of requests that the access log tells.
    pub(crate) logged_fields: Vec<HeaderName>,
    /// What is counted of each listener.
    pub(crate) listeners: BTreeMap<String, Arc<ListenerCounters>>,
    /// What is counted of requests that no route takes.
    pub(crate) unrouted: RouteCounters,
    /// Kept across reloads: what was counted cannot be sorted into other buckets.
    bounds: Arc<Bounds>,
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// Who takes the records of exchanges.
    pub(crate) sinks: Vec<Arc<dyn RecordSink>>,
}

/// A pool in force with where its backends are.
#[derive(Debug)]
pub(crate) struct PoolEntry {
    pub(crate) name: Arc<str>,
    /// This and the queue, the budget and the targets are shared with the entries of this pool in
    /// snapshots before and after this one.
    pub(crate) balancer: Arc<Pool>,
    pub(crate) hash: HashConfig,
    pub(crate) retries: Retries,
    pub(crate) queue: Arc<Queue>,
    pub(crate) queue_policy: QueuePolicy,
    pub(crate) affinity: Option<Box<Affinity>>,
    pub(crate) counters: Arc<PoolCounters>,
    bounds: Arc<Bounds>,
    config: LoadBalancerConfig,
    operated: Arc<Operated>,
    targets: Arc<RwLock<Targets>>,
    /// Made with the first `https://` backend: reading the authorities once is enough.
    tls: Mutex<Option<ClientTls>>,
}

/// Where the backends of a pool are.
#[derive(Debug, Default)]
struct Targets(HashMap<BackendId, Arc<BackendTarget>, RandomState>);

/// Where a backend is and how it is spoken to.
#[derive(Debug)]
pub(crate) struct BackendTarget {
    pub(crate) id: BackendId,
    /// Its pool's name.
    pub(crate) pool: Arc<str>,
    pub(crate) url: BackendUrl,
    pub(crate) tls: Option<BackendTls>,
    pub(crate) timeouts: PoolTimeouts,
    pub(crate) counters: Arc<BackendCounters>,
    pub(crate) pool_counters: Arc<PoolCounters>,
    /// Its pool's.
    pub(crate) queue: Arc<Queue>,
    /// Whether its backend was removed, or is elsewhere by now.
    is_gone: AtomicBool,
}

impl BackendTarget {
    /// Whether connections to the one are as good for the other.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        self.url == other.url && self.tls == other.tls
    }

    /// Whether nothing new is to be opened to it.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    fn give_up(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

impl PartialEq for BackendTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.server_name == other.server_name
    }
}

/// How an `https://` backend is verified.
#[derive(Debug)]
pub(crate) struct BackendTls {
    pub(crate) config: Arc<rustls::ClientConfig>,
    pub(crate) server_name: ServerName<'static>,
}

impl BackendTarget {
    /// Its identity within its pool: its name, or its URL.
    pub(crate) fn label(&self) -> &str {
        let id = self.id.as_str();
        id.get(self.pool.len() + 1..).unwrap_or(id)
    }
}

impl Snapshot {
    /// Has the backends of all pools be those that their names stand for.
    pub(crate) fn follow_names(&self) {
        for pool in self.pools.values() {
            for backend in &pool.config.backends {
                let key = discovery::Key::of(&pool.name, backend);
                let found = key.and_then(|key| self.found.of(&key));
                if let Some(places) = found {
                    pool.follow(backend, &places);
                }
            }
        }
    }

    /// Removes from the caches what no route can ask for.
    pub(crate) fn purge_uncovered(&self) {
        for cache in self.caches.values() {
            cache
                .purge_uncovered(|host, path| routes::are_covered(&self.routes, cache, host, path));
        }
    }

    /// What durations are sorted into.
    pub(crate) fn bounds(&self) -> &Arc<Bounds> {
        &self.bounds
    }

    fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// What was counted of each route, and under the empty name of what none took.
    pub(crate) fn route_counters(&self) -> impl Iterator<Item = (&str, &RouteCounters)> {
        let routes = self.routes.iter();
        let routes = routes.map(|route| (route.name.as_str(), &route.counters));
        routes.chain([("", &self.unrouted)])
    }

    /// Whether any cache is shared with other instances.
    pub(crate) fn shares_caches(&self) -> bool {
        self.caches.values().any(|cache| cache.is_shared())
    }

    /// What was counted of each backend.
    pub(crate) fn backend_metrics(&self) -> BTreeMap<String, BackendMetrics> {
        self.pools
            .values()
            .flat_map(|pool| pool.metrics())
            .collect()
    }
}

impl PoolEntry {
    /// How its backends are probed.
    pub(crate) fn probe(&self) -> Option<&HealthCheckConfig> {
        self.config.health_check.as_ref()
    }

    /// Whether there is more than one backend, whatever their state.
    pub(crate) fn has_several(&self) -> bool {
        self.targets.read().0.len() > 1
    }

    /// Has the connections to all its backends end with what they carry: the pool is in force no more.
    pub(crate) fn give_up(&self) {
        for target in self.targets.read().0.values() {
            target.give_up();
        }
    }

    pub(crate) fn timeouts(&self) -> &PoolTimeouts {
        &self.config.timeouts
    }

    /// Adds a backend while picks go on.
    pub(crate) fn add(&self, config: &BackendConfig) -> Result<BackendId, Error> {
        if config.discover.is_some() {
            let text =
                "only backends of the configuration are discovered, not one that is added to it";
            return Err(self.wrong(text));
        }
        let id = self.insert(config)?;
        self.operated.note(&id, clock::now());
        self.seal();
        Ok(id)
    }

    /// Makes affinity know the backends there are.
    fn seal(&self) {
        if let Some(affinity) = &self.affinity {
            affinity.seal(|| affinity::identities(self));
        }
    }

    fn insert(&self, config: &BackendConfig) -> Result<BackendId, Error> {
        let (backend, target) = self.backend(config, None)?;
        let id = backend.id.clone();
        let now = clock::now();
        let mut targets = self.targets.write();
        if targets.0.contains_key(&id) {
            return Err(self.wrong(&format!("two backends have the id `{id}`")));
        }
        targets.0.insert(id.clone(), target);
        drop(targets);
        if backend.max_connections.is_some() {
            self.queue.set_limited(true);
        }
        if let Err(error) = self.balancer.add(backend, now) {
            self.targets.write().0.remove(&id);
            return Err(self.wrong(&error.to_string()));
        }
        self.queue.wake_all(now);
        Ok(id)
    }

    /// A backend as it is balanced and as it is reached; the latter is the one before, if that is the same.
    fn backend(
        &self,
        config: &BackendConfig,
        before: Option<&Targets>,
    ) -> Result<(Backend, Arc<BackendTarget>), Error> {
        let label = config
            .name
            .clone()
            .unwrap_or_else(|| config.url.to_string());
        let id = BackendId::new(format!("{}/{label}", self.name));
        let weight = Weight::try_new(config.weight).map_err(|_out_of_range| {
            self.wrong(&format!(
                "weight of backend `{label}` must be 1 to 65,535, got {}",
                config.weight
            ))
        })?;
        let before = before.and_then(|before| before.0.get(&id));
        let target = BackendTarget {
            id: id.clone(),
            pool: Arc::clone(&self.name),
            url: config.url.clone(),
            tls: self.tls_of(config)?,
            timeouts: self.config.timeouts.clone(),
            counters: before.map_or_else(
                || Arc::new(BackendCounters::new(Arc::clone(&self.bounds))),
                |before| Arc::clone(&before.counters),
            ),
            pool_counters: Arc::clone(&self.counters),
            queue: Arc::clone(&self.queue),
            is_gone: AtomicBool::new(false),
        };
        let target = match before {
            Some(before) if before.is_same_place(&target) && before.timeouts == target.timeouts => {
                Arc::clone(before)
            }
            _ => Arc::new(target),
        };
        let backend = Backend::new(id)
            .weight(weight)
            .max_connections(config.max_connections)
            .backup(config.backup);
        Ok((backend, target))
    }

    fn wrong(&self, text: &str) -> Error {
        Error::new(ErrorKind::Config, format!("pool `{}`: {text}", self.name))
    }

    /// Notes what a name stands for. Where that is new, the backends of its entry are those from now on.
    pub(crate) fn found(&self, found: &Found, key: &discovery::Key, places: Arc<[Place]>) {
        let asks =
            |entry: &&BackendConfig| discovery::Key::of(&self.name, entry).as_ref() == Some(key);
        let entry = self.config.backends.iter().find(asks);
        let Some(entry) = entry.filter(|_| found.of(key).as_ref() != Some(&places)) else {
            return;
        };
        self.follow(entry, &places);
        found.set(key, places);
    }

    /// Has the backends of one entry of `backends` be those that its name stands for.
    fn follow(&self, entry: &BackendConfig, places: &[Place]) {
        let label = discovery::label(entry);
        let prefix = format!("{}/{label}@", self.name);
        let wanted = places
            .iter()
            .map(|place| discovery::backend_at(entry, place, &self.config));
        let mut wanted: BTreeMap<BackendId, BackendConfig> = wanted
            .map(|config| (self.id_of(&discovery::label(&config)), config))
            .collect();
        let mut gone = Vec::new();
        for status in self.balancer.backends(clock::now()) {
            let backend = status.backend;
            if !backend.id.as_str().starts_with(&prefix) {
                continue;
            }
            match wanted.get(&backend.id) {
                Some(config) if config.backup == backend.backup => {
                    if let Ok(weight) = Weight::try_new(config.weight) {
                        self.balancer.set_weight(&backend.id, weight);
                    }
                    wanted.remove(&backend.id);
                }
                _ => gone.push(backend.id),
            }
        }
        // Those that are new come first, so that there is never nobody in between, but for the ones that
        // change their rank.
        let (changed, new): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|(id, _)| gone.contains(id));
        let add = |backends: Vec<(BackendId, BackendConfig)>| {
            for (id, config) in backends {
                if let Err(error) = self.insert(&config) {
                    tracing::warn!(%error, backend = id.as_str(), "a backend that was found cannot be used");
                }
            }
        };
        add(new);
        for id in &gone {
            self.remove(id);
        }
        add(changed);
        self.seal();
    }

    /// Takes a backend out; what it is answering goes on.
    pub(crate) fn remove(&self, id: &BackendId) -> bool {
        let removed = self.balancer.remove(id);
        self.operated.forget(id);
        if let Some(target) = self.targets.write().0.remove(id) {
            target.give_up();
        }
        // Whoever waited for it alone waits in vain.
        self.queue.wake_all(clock::now());
        self.seal();
        removed
    }

    /// Begins or ends the drain of a backend. Returns whether there is such a backend.
    pub(crate) fn set_draining(&self, id: &BackendId, draining: bool) -> bool {
        let is_known = self.balancer.set_draining(id, draining);
        let now = clock::now();
        if is_known {
            self.operated.note(id, now);
        }
        self.queue.wake_all(now);
        is_known
    }

    pub(crate) fn target(&self, id: &BackendId) -> Option<Arc<BackendTarget>> {
        self.targets.read().0.get(id).cloned()
    }

    fn tls_of(&self, config: &BackendConfig) -> Result<Option<BackendTls>, Error> {
        if config.url.scheme != BackendScheme::Https {
            return Ok(None);
        }
        let tls = self.client_tls()?;
        let name = match (
            &config.server_name,
            &self.config.tls.server_name,
            &config.url.address,
        ) {
            (Some(name), _, _)
            | (None, Some(name), _)
            | (None, None, BackendAddress::Host { host: name, .. }) => name,
            (None, None, BackendAddress::Unix(_)) => "localhost",
        };
        let server_name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Error::new(
                ErrorKind::Tls,
                format!("`{name}` is not a server name to verify"),
            )
            .with_source(error)
        })?;
        Ok(Some(BackendTls {
            config: tls,
            server_name,
        }))
    }

    fn client_tls(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        let mut made = self.tls.lock();
        if let Some(tls) = &*made {
            return Ok(Arc::clone(&tls.config));
        }
        let tls = self.read_tls(None)?;
        let config = Arc::clone(&tls.config);
        *made = Some(tls);
        Ok(config)
    }

    /// Reads what backends are verified by.
    fn read_tls(&self, before: Option<&ClientTls>) -> Result<ClientTls, Error> {
        let protocols = [Protocol::H2, Protocol::Http11];
        tls::client(&self.config.tls, &protocols, before).map_err(|error| {
            let text = format!("pool `{}` cannot speak TLS", self.name);
            Error::new(ErrorKind::Tls, text).with_source(error)
        })
    }

    fn metrics(&self) -> Vec<(String, BackendMetrics)> {
        self.balancer
            .backends(clock::now())
            .into_iter()
            .filter_map(|status| {
                let target = self.target(&status.backend.id)?;
                Some((
                    status.backend.id.to_string(),
                    target.counters.read(status.in_flight),
                ))
            })
            .collect()
    }
}
