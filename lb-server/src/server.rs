//! The server: built once from a configuration, and started.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::admin::{About, AdminListener, Guard, LogControl, Service};
use crate::admission::{Admissions, Bounds};
use crate::cache;
use crate::clock;
use crate::config::{
    AdminConfig, BackendConfig, CacheConfig, Config, LoadBalancerConfig, ProcessConfig,
    RateLimitConfig, ServerConfig, SessionConfig,
};
use crate::discovery::{self, Names};
use crate::dispatch::Dispatch;
use crate::drain::Drain;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind};
use crate::handler::{ErasedHandler, Handler};
use crate::listener::{
    self, Accepted, Acceptor, Inheritance, InheritedSocket, Sockets, SocketsDraft,
};
use crate::metrics::{self, Worker, descriptor_limit};
use crate::pipeline::{Pipeline, PipelineParts};
use crate::redis::{Link, Redis, Store};
use crate::running::{ConfigSource, Handle, LocalAddress, Outside, Running};
use crate::snapshot::Snapshot;
use crate::upstream::connect::{Connector, SocketConnector};
use crate::upstream::connections::Upstreams;

/// The name of what [`Server::new`] is given.
const DEFAULT: &str = "default";

/// A load balancer that is not running yet.
pub struct Server {
    pub(crate) config: Config,
    handler: Option<Arc<dyn ErasedHandler>>,
    log: Option<Arc<dyn LogControl>>,
    config_path: Option<String>,
    source: Option<Arc<dyn ConfigSource>>,
    inheritance: Inheritance,
}

impl Server {
    /// Makes a server of a whole configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where parts of it contradict each other.
    pub fn from_config(config: Config) -> Result<Self, Error> {
        config.check().map_err(Error::config)?;
        Ok(Self {
            config,
            handler: None,
            log: None,
            config_path: None,
            source: None,
            inheritance: Inheritance::default(),
        })
    }

    /// Makes a server of one listener, one pool and one catch-all route, all named `default`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a value cannot be used.
    pub fn new(
        server: ServerConfig,
        pool: LoadBalancerConfig,
        sessions: SessionConfig,
        rate_limits: RateLimitConfig,
        cache: CacheConfig,
    ) -> Result<Self, Error> {
        let mut config = Config::single(server, pool).map_err(Error::config)?;
        config.sessions = Some(sessions).filter(SessionConfig::is_on);
        config.cache_everything(cache);
        if rate_limits != RateLimitConfig::off() {
            config = config.rate_limit(DEFAULT, rate_limits);
            config.routes[0].rate_limits.push(DEFAULT.to_owned());
        }
        Self::from_config(config)
    }

    /// Adds a backend to the pool `default`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no such pool or the backend is in it already.
    pub fn add_backend(&mut self, backend: BackendConfig) -> Result<(), Error> {
        let pool = self.config.pools.get_mut("default").ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "there is no pool `default` to add a backend to",
            )
        })?;
        if pool
            .backends
            .iter()
            .any(|other| other.url == backend.url && other.name == backend.name)
        {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "backend `{}` is in the pool already; give one of the two a name",
                    backend.url
                ),
            ));
        }
        pool.backends.push(backend);
        Ok(())
    }

    /// Makes a program's own code the target of every route that names no other.
    pub fn set_request_handler(&mut self, handler: impl Handler) {
        self.handler = Some(Arc::new(handler));
    }

    /// Gives the server an admin API.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it would be open to strangers: an address off this machine without a token.
    pub fn set_admin(&mut self, admin: AdminConfig) -> Result<(), Error> {
        self.config.admin = Some(admin);
        self.config.check().map_err(Error::config)
    }

    /// Lets the admin API read and change how much is logged.
    pub fn set_log_control(&mut self, control: impl LogControl) {
        self.log = Some(Arc::new(control));
    }

    /// Says which file the configuration came from, for operators to read.
    pub fn set_config_path(&mut self, path: impl Into<String>) {
        self.config_path = Some(path.into());
    }

    /// Says where the configuration comes from, so that [`Handle::reload_from_source`] reads it again.
    pub fn set_config_source(&mut self, source: impl ConfigSource) {
        self.source = Some(Arc::new(source));
    }

    /// Lets a listener use a socket that listens already at an address of the configuration, now or after a reload.
    pub fn inherit(&mut self, socket: InheritedSocket) {
        self.inheritance.add(socket);
    }

    /// Binds every listener and starts the workers, each a thread of its own. Backends that are discovered
    /// are asked for first, for 2 s at most.
    ///
    /// # Errors
    /// Whatever keeps it from serving as configured: [`ErrorKind::Config`], [`ErrorKind::Tls`],
    /// [`ErrorKind::Listen`] or [`ErrorKind::Start`]. Nothing is left running then.
    pub async fn start(self) -> Result<Running, Error> {
        let snapshot = Snapshot::build(&self.config, self.handler.is_some(), None)?;
        let names = discovery::names(&self.config.dns);
        discovery::first(&self.config, &snapshot.found, &*names).await?;
        snapshot.follow_names();
        let threads = self.config.server.workers();
        let admissions = Admissions::new(bounds(&self.config.server));
        let inheritance = Arc::new(self.inheritance);
        let admin = self.config.admin.as_ref();
        let admin = admin
            .map(|config| {
                AdminListener::bind(config, &inheritance).map(|listener| (config, listener))
            })
            .transpose()?;
        let entropy = Entropy::from_system().map_err(|error| {
            Error::new(ErrorKind::Start, "the system gives no randomness").with_source(error)
        })?;
        let redis = self
            .config
            .redis
            .as_ref()
            .map(|redis| Redis::new(redis, snapshot.bounds()))
            .transpose()?;
        let handle = Handle::new(Arc::new(ArcSwap::from_pointee(snapshot)));
        if let Some(redis) = &redis {
            handle.set_store(redis.report());
        }
        let entropy = Arc::new(entropy);
        let mut admin_address = None;
        let admin = admin.map(|(config, listener)| {
            admin_address = Some(LocalAddress {
                listener: "admin".to_owned(),
                address: listener.address(),
                is_tls: listener.is_tls(),
            });
            let about = About {
                started: clock::now(),
                admissions: Arc::clone(&admissions),
                log: self.log,
                has_dashboard: config.dashboard,
                config_path: self.config_path,
                entropy: Arc::clone(&entropy),
            };
            let service = Service::new(
                handle.clone(),
                Guard::new(config)
                    .with_names(listener.names().into_iter().chain(config.names.clone())),
                about,
            );
            (listener, Arc::new(service))
        });
        handle.set_names(Arc::clone(&names));
        if let Some(source) = self.source {
            handle.set_source(source);
        }
        let workers = Workers {
            handle: handle.clone(),
            report_every: self.config.metrics.report,
            handler: self.handler,
            admissions,
            connector: Arc::new(SocketConnector),
            names,
            redis,
            instance: entropy.draw(),
            entropy,
            tracker: TaskTracker::new(),
        };
        let tracker = workers.tracker.clone();
        let addresses = workers
            .start(threads, &self.config, Arc::clone(&inheritance))
            .inspect_err(|_| handle.force())?;
        for address in inheritance.unused() {
            tracing::warn!(
                %address,
                "a socket was inherited that no listener has the address of: clients of it wait for nothing"
            );
        }
        if let Some((listener, service)) = admin {
            listener
                .start(service, handle.drain().clone(), tracker.token())
                .inspect_err(|_| handle.force())?;
        }
        Ok(Running {
            admin: admin_address,
            addresses,
            handle,
            workers: tracker,
        })
    }
}

/// The bounds on connections that a configuration sets.
pub(crate) fn bounds(process: &ProcessConfig) -> Bounds {
    Bounds {
        connections: process
            .max_connections
            .map_or_else(default_max_connections, |max| max.get() as usize),
        handshakes: process.max_handshakes.get() as usize,
        per_client: process.max_connections_per_client.get(),
        exempt: process.trusted_proxies.clone(),
    }
}

/// 90 % of the descriptors that the process may open.
fn default_max_connections() -> usize {
    const FALLBACK: usize = 1024;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = descriptor_limit(&limits).and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(FALLBACK);
    limit / 10 * 9
}

/// What is needed to start the workers.
struct Workers {
    handle: Handle,
    report_every: Option<Duration>,
    handler: Option<Arc<dyn ErasedHandler>>,
    admissions: Arc<Admissions>,
    connector: Arc<dyn Connector>,
    names: Arc<dyn Names>,
    redis: Option<Redis>,
    instance: u64,
    entropy: Arc<Entropy>,
    tracker: TaskTracker,
}

impl Workers {
    /// Binds first, so that nothing has started where an address is taken.
    fn start(
        self,
        threads: usize,
        config: &Config,
        inheritance: Arc<Inheritance>,
    ) -> Result<Vec<LocalAddress>, Error> {
        let mut listeners = Some(SocketsDraft::first(
            config,
            &self.handle.snapshot().listeners,
            &inheritance,
        )?);
        let mut addresses = Vec::new();
        let mut desks = Vec::with_capacity(threads);
        let mut queues = Vec::with_capacity(threads);
        for _worker in 0..threads {
            let (queue, accepted) = mpsc::unbounded_channel();
            desks.push(Desk {
                queue,
                connections: Arc::new(AtomicUsize::new(0)),
            });
            queues.push(accepted);
        }
        let desks: Arc<[Desk]> = desks.into();
        for (number, accepted) in queues.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| {
                    Error::new(ErrorKind::Start, "a worker's runtime cannot be made")
                        .with_source(error)
                })?;
            // One thread accepts for all and deals by load: HTTP/2 connections are few and long, and
            // the kernel's hash would put several heavy ones on one worker.
            if let Some(listeners) = listeners.take() {
                let desks = Arc::clone(&desks);
                let acceptor = Acceptor {
                    runtime: runtime.handle().clone(),
                    admissions: Arc::clone(&self.admissions),
                    deal: Arc::new(move |accepted| deal(&desks, accepted)),
                    drain: self.handle.drain().clone(),
                };
                let sockets = Sockets::new(acceptor, Arc::clone(&inheritance));
                sockets.commit(listeners, config);
                addresses = sockets.addresses();
                self.handle.set_outside(Outside {
                    sockets,
                    admissions: Arc::clone(&self.admissions),
                });
            }
            self.handle.add_worker(runtime.handle().clone());
            let link = self.redis.as_ref().map(Redis::link);
            let shares = self.handle.snapshot().shares_caches();
            let cache_link = self.redis.as_ref().filter(|_| shares).map(Redis::link);
            let cache_store = cache_link.clone().or_else(|| link.clone());
            let cache_store = cache_store.map(|link| Arc::new(link) as Arc<dyn Store>);
            let pipeline = self.pipeline(Worker::new(number), link.clone(), cache_store.clone());
            let drain = self.handle.drain().clone();
            let admissions = Arc::clone(&self.admissions);
            let load = Arc::clone(&desks[number].connections);
            let watch = (number == 0).then(|| {
                let names = Arc::clone(&self.names);
                let follow = discovery::watch(self.handle.clone(), names, drain.clone());
                let probe = crate::probe::watch(
                    self.handle.clone(),
                    Arc::clone(&self.connector),
                    Arc::clone(&self.entropy),
                    drain.clone(),
                );
                futures_util::future::join(follow, probe)
            });
            let report = watch
                .is_some()
                .then(|| metrics::report(self.handle.clone(), self.report_every, drain.clone()));
            let keep_caches = cache_store
                .filter(|_| watch.is_some())
                .map(|store| cache::keep(self.handle.clone(), store, drain.clone()));
            let token = self.tracker.token();
            std::thread::Builder::new()
                .name(format!("lb-worker-{number}"))
                .spawn(move || {
                    let _running = token;
                    // Dropped before that: the exchanges that it cuts off leave their records first.
                    let runtime = runtime;
                    runtime.block_on(async move {
                        if let Some(watch) = watch {
                            tokio::spawn(watch);
                        }
                        if let Some(report) = report {
                            tokio::spawn(report);
                        }
                        for link in [link, cache_link].into_iter().flatten() {
                            tokio::spawn(link.keep());
                        }
                        if let Some(keep) = keep_caches {
                            tokio::spawn(keep);
                        }
                        work(accepted, pipeline, admissions, drain, load).await;
                    });
                })
                .map_err(|error| {
                    Error::new(ErrorKind::Start, "a worker's thread cannot be started")
                        .with_source(error)
                })?;
        }
        self.tracker.close();
        Ok(addresses)
    }

    fn pipeline(
        &self,
        worker: Worker,
        link: Option<Link>,
        cache_store: Option<Arc<dyn Store>>,
    ) -> Arc<Pipeline> {
        let upstreams = Arc::new(Upstreams::new(Arc::clone(&self.connector)));
        self.handle.add_upstreams(Arc::clone(&upstreams));
        let dispatch = Dispatch::new(upstreams, Arc::clone(&self.entropy));
        let store = link.map(|link| Arc::new(link) as Arc<dyn Store>);
        if let Some(store) = &store {
            self.handle.set_link(Arc::clone(store));
        }
        Arc::new(Pipeline::new(
            PipelineParts {
                handle: self.handle.clone(),
                worker,
                handler: self.handler.clone(),
                entropy: Arc::clone(&self.entropy),
                instance: self.instance,
                store,
                cache_store,
            },
            dispatch,
        ))
    }
}

/// Where a worker gets its connections.
struct Desk {
    queue: mpsc::UnboundedSender<Accepted>,
    connections: Arc<AtomicUsize>,
}

/// Gives a connection to the worker that has the fewest.
fn deal(desks: &[Desk], accepted: Accepted) {
    let Some(desk) = desks
        .iter()
        .min_by_key(|desk| desk.connections.load(Ordering::Relaxed))
    else {
        return;
    };
    desk.connections.fetch_add(1, Ordering::Relaxed);
    if desk.queue.send(accepted).is_err() {
        // The worker has ended: the server is being forced down.
        desk.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A worker: serves the connections it is given until the drain is over.
pub(crate) async fn work(
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
    pipeline: Arc<Pipeline>,
    admissions: Arc<Admissions>,
    drain: Drain,
    load: Arc<AtomicUsize>,
) {
    let serve_all = async {
        while let Some(connection) = accepted.recv().await {
            let serving =
                listener::serve(connection, Arc::clone(&pipeline), Arc::clone(&admissions));
            let load = Arc::clone(&load);
            tokio::spawn(async move {
                serving.await;
                load.fetch_sub(1, Ordering::Relaxed);
            });
        }
        drain.forced().await;
    };
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = serve_all => {}
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("config", &self.config)
            .field("has_handler", &self.handler.is_some())
            .finish()
    }
}
