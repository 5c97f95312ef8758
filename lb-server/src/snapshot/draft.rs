//! The next snapshot: built completely beside the one in force, then put in its place.
//!
//! Whatever can fail fails while it is built. What outlives snapshots is carried over by its name, and
//! changed by difference only when nothing can fail any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use lb_core::{BackendId, Pool, PoolParameters, PoolPlan, PoolPolicy, QueuePolicy, RetryBudget};
use parking_lot::{Mutex, RwLock};

use super::operate::Operated;
use super::policy::policy;
use super::{PoolEntry, Snapshot, Targets};
use crate::access_log::AccessLog;
use crate::affinity::Affinity;
use crate::cache;
use crate::clock;
use crate::config::{BackendScheme, Config, LoadBalancerConfig, RouteConfig, TargetConfig};
use crate::discovery::{self, Found};
use crate::dispatch::Retries;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::metrics::{Bounds, ListenerCounters, PoolCounters, RouteCounters};
use crate::otel::Tracer;
use crate::queue::Queue;
use crate::routes::{Route, Target};
use crate::secrets::SpareSecret;
use crate::sessions::SessionService;

/// A snapshot that is complete and not in force; dropping it changes nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    snapshot: Snapshot,
    pools: Vec<PoolDraft>,
}

/// A pool as it is about to be.
#[derive(Debug)]
struct PoolDraft {
    entry: Arc<PoolEntry>,
    plan: PoolPlan,
    policy: PoolPolicy,
    targets: Targets,
    /// Whether requests may have to wait.
    is_limited: bool,
}

impl Snapshot {
    /// As [`Draft::build`], put in force at once.
    pub(crate) fn build(
        config: &Config,
        has_handler: bool,
        previous: Option<&Self>,
    ) -> Result<Self, Error> {
        let draft = Draft::build(Arc::new(config.clone()), has_handler, previous)?;
        Ok(draft.commit(clock::now()).0)
    }
}

impl Draft {
    /// Builds what a configuration says; `has_handler` tells whether a program answers the routes
    /// that lead to it. What is in force before is not changed.
    pub(crate) fn build(
        config: Arc<Config>,
        has_handler: bool,
        previous: Option<&Snapshot>,
    ) -> Result<Self, Error> {
        let limits = Limits::build(&config, previous.map(|previous| &previous.limits))?;
        let spare_secret = previous.map_or_else(SpareSecret::default, |it| it.spare_secret.clone());
        let sessions_before = previous.and_then(|it| it.sessions.as_deref());
        let redis = config.redis.as_ref();
        let sessions = config
            .active_sessions()
            .map(|sessions| SessionService::build(sessions, redis, &spare_secret, sessions_before))
            .transpose()?;
        let bounds = previous.map_or_else(
            || Bounds::of_seconds(&config.metrics.duration_buckets),
            |previous| Arc::clone(&previous.bounds),
        );
        let found = previous.map_or_else(Found::default, |it| it.found.clone());
        let mut pools = Vec::with_capacity(config.pools.len());
        let mut entries = BTreeMap::new();
        for (name, pool) in &config.pools {
            let affinity = Affinity::build(&config, name, &spare_secret)?;
            let before = previous.and_then(|it| it.pools.get(name));
            let draft = PoolDraft::build(
                name,
                pool,
                affinity,
                &bounds,
                before.map(|it| &**it),
                &found,
            )?;
            entries.insert(name.clone(), Arc::clone(&draft.entry));
            pools.push(draft);
        }
        let caches = cache::build(&config, previous.map(|previous| &previous.caches));
        let count = |before: Option<&RouteCounters>| {
            RouteCounters::build(config.listeners.keys(), &bounds, before)
        };
        let listeners = config.listeners.keys().map(|name| {
            let before = previous.and_then(|it| it.listeners.get(name));
            let counters = before.map_or_else(Arc::default, Arc::clone);
            (name.clone(), counters)
        });
        let mut routes = Vec::with_capacity(config.routes.len());
        for route in &config.routes {
            let target = resolve(route, &entries, has_handler)?;
            let limits = limits.of_route(&route.rate_limits);
            let cache = route.cache.as_ref().and_then(|name| caches.get(name));
            let before = previous.and_then(|it| it.route(&route.name));
            let counters = count(before.map(|before| &before.counters));
            routes.push(Route::new(route, target, limits, counters).cached_by(cache.cloned()));
        }
        let before = previous.and_then(|it| it.access_log.as_deref());
        let access_log = AccessLog::build(&config, before)?;
        let sinks = access_log.iter().map(|log| Arc::clone(log) as _).collect();
        let logged_fields = match access_log {
            Some(_) => config.access_log.headers.clone(),
            None => Vec::new(),
        };
        let snapshot = Snapshot {
            process: config.server.clone(),
            routes,
            pools: entries,
            limits,
            sessions: sessions.map(Arc::new),
            has_affinity: config.pools.values().any(|pool| pool.affinity.is_some()),
            spare_secret,
            found,
            caches,
            tracer: Tracer::build(&config, previous.and_then(|it| it.tracer.as_deref()))?,
            sinks,
            logged_fields,
            access_log,
            listeners: listeners.collect(),
            unrouted: count(previous.map(|previous| &previous.unrouted)),
            bounds: Arc::clone(&bounds),
            has_handler,
            config,
        };
        Ok(Self { snapshot, pools })
    }

    /// What is counted of each listener.
    pub(crate) fn listeners(&self) -> &BTreeMap<String, Arc<ListenerCounters>> {
        &self.snapshot.listeners
    }

    /// Changes what is shared with the snapshot in force; the one returned takes its place. The second
    /// part are the backends that are again as configured after an operator's change.
    pub(crate) fn commit(self, now: Instant) -> (Snapshot, Vec<BackendId>) {
        let mut undone = Vec::new();
        for pool in self.pools {
            pool.commit(&mut undone, now);
        }
        for cache in self.snapshot.caches.values() {
            cache.resize();
        }
        (self.snapshot, undone)
    }
}

impl PoolDraft {
    fn build(
        name: &str,
        config: &LoadBalancerConfig,
        affinity: Option<Box<Affinity>>,
        bounds: &Arc<Bounds>,
        before: Option<&PoolEntry>,
        found: &Found,
    ) -> Result<Self, Error> {
        let now = clock::now();
        let wrong = |error| {
            let text = format!("pool `{name}` cannot be used: {error}");
            Error::new(ErrorKind::Config, text)
        };
        let (balancer, queue, budget, shared, operated) = match before {
            Some(before) => (
                Arc::clone(&before.balancer),
                Arc::clone(&before.queue),
                Arc::clone(before.retries.budget()),
                Arc::clone(&before.targets),
                Arc::clone(&before.operated),
            ),
            None => {
                let empty = Pool::new(PoolParameters::default(), Vec::new(), now).map_err(wrong)?;
                (
                    Arc::new(empty),
                    Arc::new(Queue::default()),
                    Arc::new(RetryBudget::new(now)),
                    Arc::new(RwLock::default()),
                    Arc::new(Operated::new(now)),
                )
            }
        };
        let counters = before.map_or_else(
            || Arc::new(PoolCounters::new(bounds)),
            |before| Arc::clone(&before.counters),
        );
        let entry = PoolEntry {
            name: name.into(),
            balancer,
            hash: config.hash.clone(),
            retries: Retries::new(config.retry.clone(), budget, Arc::clone(&counters)),
            queue,
            queue_policy: QueuePolicy::default()
                .size(config.queue as usize)
                .timeout(config.timeouts.queue),
            affinity,
            counters,
            bounds: Arc::clone(bounds),
            config: config.clone(),
            operated,
            targets: shared,
            tls: Mutex::new(None),
        };
        let is_https = |url: &crate::config::BackendUrl| url.scheme == BackendScheme::Https;
        if config.backends.iter().any(|backend| is_https(&backend.url)) {
            let tls_before = before.and_then(|before| before.tls.lock().clone());
            *entry.tls.lock() = Some(entry.read_tls(tls_before.as_ref())?);
        }
        let mut backends = Vec::with_capacity(config.backends.len());
        let mut targets = Targets::default();
        let known = entry.targets.read();
        for backend in &discovery::in_force(&entry.name, config, found) {
            let (backend, target) = entry.backend(backend, Some(&known))?;
            targets.0.insert(backend.id.clone(), target);
            backends.push(backend);
        }
        drop(known);
        let is_limited = config.max_connections.is_some()
            || backends.iter().any(|it| it.max_connections.is_some());
        let parameters =
            PoolParameters::new(config.algorithm).balance_factor(config.hash.balance_factor);
        Ok(Self {
            plan: PoolPlan::try_new(parameters, backends).map_err(wrong)?,
            policy: policy(config),
            targets,
            is_limited,
            entry: Arc::new(entry),
        })
    }

    /// Adds, removes and changes backends by difference; what is in flight goes on where it is.
    fn commit(self, undone: &mut Vec<BackendId>, now: Instant) {
        let PoolEntry {
            balancer,
            queue,
            targets,
            operated,
            ..
        } = &*self.entry;
        // Nothing can be picked before it is known where it is.
        for (id, target) in self.targets.0 {
            let before = targets.write().0.insert(id, Arc::clone(&target));
            if let Some(before) = before.filter(|before| !before.is_same_place(&target)) {
                before.give_up();
            }
        }
        queue.set_limited(self.is_limited);
        balancer.set_policy(self.policy, now);
        for id in balancer.apply(self.plan, now).removed {
            if let Some(gone) = targets.write().0.remove(&id) {
                gone.give_up();
            }
            operated.forget(&id);
        }
        for status in balancer.backends(now) {
            let id = status.backend.id;
            if status.is_draining || !status.is_enabled {
                balancer.set_draining(&id, false);
                balancer.set_enabled(&id, true);
                operated.note(&id, now);
                undone.push(id);
            }
        }
        self.entry.seal();
        // Who waits may find a place now, or learn that there is none to wait for.
        queue.wake_all(now);
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
