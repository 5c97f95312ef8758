//! What is in force: routes and pools, made of a configuration, replaced as one.

mod policy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::HeaderValue;
use lb_core::{Backend, BackendId, Pool, PoolParameters, QueuePolicy, RetryBudget, Weight};
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::ServerName;

use crate::affinity::{self, Affinity};
use crate::cache::{self, HttpCache};
use crate::clock;
use crate::config::{
    BackendAddress, BackendConfig, BackendScheme, BackendUrl, Config, HashConfig,
    HealthCheckConfig, LoadBalancerConfig, PoolTimeouts, ProcessConfig, Protocol, RouteConfig,
    TargetConfig,
};
use crate::dispatch::Retries;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::metrics::{BackendCounters, BackendMetrics};
use crate::queue::Queue;
use crate::record::RecordSink;
use crate::routes::{Route, Target};
use crate::secrets::SpareSecret;
use crate::sessions::SessionService;
use crate::tls;

use policy::policy;

/// Everything that an exchange reads of the configuration.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) process: ProcessConfig,
    pub(crate) routes: Vec<Route>,
    pub(crate) pools: BTreeMap<String, Arc<PoolEntry>>,
    pub(crate) limits: Limits,
    pub(crate) sessions: Option<Arc<SessionService>>,
    /// Whether any pool has it.
    pub(crate) has_affinity: bool,
    /// What signs where nothing else is written; kept across reloads, as sessions are.
    spare_secret: SpareSecret,
    pub(crate) caches: BTreeMap<String, Arc<HttpCache>>,
    /// Who takes the records of exchanges.
    pub(crate) sinks: Vec<Arc<dyn RecordSink>>,
}

/// A pool in force with where its backends are.
#[derive(Debug)]
pub(crate) struct PoolEntry {
    pub(crate) name: Arc<str>,
    pub(crate) balancer: Pool,
    pub(crate) hash: HashConfig,
    pub(crate) retries: Retries,
    pub(crate) queue: Arc<Queue>,
    pub(crate) queue_policy: QueuePolicy,
    pub(crate) affinity: Option<Box<Affinity>>,
    config: LoadBalancerConfig,
    targets: RwLock<HashMap<BackendId, Arc<BackendTarget>, RandomState>>,
    /// Made with the first `https://` backend: reading the authorities once is enough.
    tls: Mutex<Option<Arc<rustls::ClientConfig>>>,
}

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
    /// Its pool's.
    pub(crate) queue: Arc<Queue>,
}

/// How an `https://` backend is verified.
#[derive(Debug)]
pub(crate) struct BackendTls {
    pub(crate) config: Arc<rustls::ClientConfig>,
    pub(crate) server_name: ServerName<'static>,
}

impl Snapshot {
    /// Builds what a configuration says; `has_handler` tells whether a program answers the routes
    /// that lead to it. What was in force before leaves its sessions and secrets, and what was counted
    /// under limits of the same name.
    pub(crate) fn build(
        config: &Config,
        has_handler: bool,
        previous: Option<&Self>,
    ) -> Result<Self, Error> {
        let limits = Limits::build(config, previous.map(|previous| &previous.limits))?;
        let spare_secret = previous.map_or_else(SpareSecret::default, |it| it.spare_secret.clone());
        let sessions_before = previous.and_then(|it| it.sessions.as_deref());
        let sessions = config
            .active_sessions()
            .map(|sessions| {
                SessionService::build(
                    sessions,
                    config.redis.as_ref(),
                    &spare_secret,
                    sessions_before,
                )
                .map(Arc::new)
            })
            .transpose()?;
        let mut pools = BTreeMap::new();
        for (name, pool) in &config.pools {
            let affinity = Affinity::build(config, name, &spare_secret)?;
            let pool = PoolEntry::build(name, pool, affinity)?;
            pools.insert(name.clone(), Arc::new(pool));
        }
        let caches = cache::build(config);
        let mut routes = Vec::with_capacity(config.routes.len());
        for route in &config.routes {
            let target = resolve(route, &pools, has_handler)?;
            let limits = limits.of_route(&route.rate_limits);
            let cache = route.cache.as_ref().and_then(|name| caches.get(name));
            routes.push(Route::new(route, target, limits).cached_by(cache.cloned()));
        }
        Ok(Self {
            process: config.server.clone(),
            routes,
            pools,
            limits,
            sessions,
            has_affinity: config.pools.values().any(|pool| pool.affinity.is_some()),
            spare_secret,
            caches,
            sinks: Vec::new(),
        })
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

fn resolve(
    route: &RouteConfig,
    pools: &BTreeMap<String, Arc<PoolEntry>>,
    has_handler: bool,
) -> Result<Target, Error> {
    let find = |name: &str| {
        pools.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = pools.keys().map(String::as_str).collect();
            Error::new(
                ErrorKind::Config,
                format!(
                    "route `{}` leads to pool `{name}`, which does not exist; there are: {}",
                    route.name,
                    known.join(", ")
                ),
            )
        })
    };
    Ok(match &route.target {
        TargetConfig::Pool(name) => Target::Pool(find(name)?),
        TargetConfig::Redirect { to, status } => Target::Redirect {
            to: to.clone(),
            status: *status,
        },
        TargetConfig::Respond {
            status,
            body,
            content_type,
        } => Target::Respond {
            status: *status,
            body: body.clone().into(),
            content_type: HeaderValue::try_from(content_type.as_str()).map_err(|error| {
                Error::new(
                    ErrorKind::Config,
                    format!(
                        "content type `{content_type}` of route `{}` is not a field value",
                        route.name
                    ),
                )
                .with_source(error)
            })?,
        },
        TargetConfig::Handler if has_handler => Target::Handler(pools.get("default").cloned()),
        // No handler means exactly the one that forwards.
        TargetConfig::Handler => Target::Pool(find("default")?),
    })
}

impl PoolEntry {
    fn build(
        name: &str,
        config: &LoadBalancerConfig,
        affinity: Option<Box<Affinity>>,
    ) -> Result<Self, Error> {
        let parameters =
            PoolParameters::new(config.algorithm).balance_factor(config.hash.balance_factor);
        let now = clock::now();
        let balancer =
            Pool::with_policy(parameters, policy(config), Vec::new(), now).map_err(|error| {
                Error::new(
                    ErrorKind::Config,
                    format!("pool `{name}` cannot be used: {error}"),
                )
            })?;
        let entry = Self {
            name: name.into(),
            balancer,
            hash: config.hash.clone(),
            retries: Retries::new(config.retry.clone(), Arc::new(RetryBudget::new(now))),
            queue: Arc::new(Queue::default()),
            queue_policy: QueuePolicy::default()
                .size(config.queue as usize)
                .timeout(config.timeouts.queue),
            affinity,
            config: config.clone(),
            targets: RwLock::new(HashMap::default()),
            tls: Mutex::new(None),
        };
        if config.max_connections.is_some() {
            entry.queue.set_limited();
        }
        for backend in &config.backends {
            entry.insert(backend)?;
        }
        entry.seal();
        Ok(entry)
    }

    /// How its backends are probed.
    pub(crate) fn probe(&self) -> Option<&HealthCheckConfig> {
        self.config.health_check.as_ref()
    }

    /// Whether there is more than one backend, whatever their state.
    pub(crate) fn has_several(&self) -> bool {
        self.targets.read().len() > 1
    }

    pub(crate) fn timeouts(&self) -> &PoolTimeouts {
        &self.config.timeouts
    }

    /// Adds a backend while picks go on.
    pub(crate) fn add(&self, config: &BackendConfig) -> Result<BackendId, Error> {
        let id = self.insert(config)?;
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
        let label = config
            .name
            .clone()
            .unwrap_or_else(|| config.url.to_string());
        let id = BackendId::new(format!("{}/{label}", self.name));
        let wrong = |text: String| Error::new(ErrorKind::Config, text);
        let weight = Weight::try_new(config.weight).map_err(|_out_of_range| {
            wrong(format!(
                "weight of backend `{label}` must be 1 to 65,535, got {}",
                config.weight
            ))
        })?;
        let target = BackendTarget {
            id: id.clone(),
            pool: Arc::clone(&self.name),
            url: config.url.clone(),
            tls: self.tls_of(config)?,
            timeouts: self.config.timeouts.clone(),
            counters: Arc::new(BackendCounters::default()),
            queue: Arc::clone(&self.queue),
        };
        let backend = Backend::new(id.clone())
            .weight(weight)
            .max_connections(config.max_connections)
            .backup(config.backup);
        if config.max_connections.is_some() {
            self.queue.set_limited();
        }
        let now = clock::now();
        self.targets.write().insert(id.clone(), Arc::new(target));
        self.balancer
            .add(backend, now)
            .map_err(|error| wrong(format!("pool `{}`: {error}", self.name)))?;
        self.queue.wake_all(now);
        Ok(id)
    }

    /// Takes a backend out; what it is answering goes on.
    pub(crate) fn remove(&self, id: &BackendId) -> bool {
        let removed = self.balancer.remove(id);
        self.targets.write().remove(id);
        // Whoever waited for it alone waits in vain.
        self.queue.wake_all(clock::now());
        self.seal();
        removed
    }

    /// Begins or ends the drain of a backend. Returns whether there is such a backend.
    pub(crate) fn set_draining(&self, id: &BackendId, draining: bool) -> bool {
        let is_known = self.balancer.set_draining(id, draining);
        self.queue.wake_all(clock::now());
        is_known
    }

    pub(crate) fn target(&self, id: &BackendId) -> Option<Arc<BackendTarget>> {
        self.targets.read().get(id).cloned()
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
        if let Some(config) = &*made {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config(&self.config.tls, &[Protocol::H2, Protocol::Http11])
            .map_err(|error| {
                Error::new(
                    ErrorKind::Tls,
                    format!("pool `{}` cannot speak TLS", self.name),
                )
                .with_source(error)
            })?;
        *made = Some(Arc::clone(&config));
        Ok(config)
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
