//! The server: built once from a configuration, and started.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::admission::Admissions;
use crate::cache;
use crate::config::{
    BackendConfig, CacheConfig, Config, ListenAddress, LoadBalancerConfig, RateLimitConfig,
    ServerConfig, SessionConfig,
};
use crate::dispatch::Dispatch;
use crate::drain::Drain;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind};
use crate::handler::{ErasedHandler, Handler};
use crate::listener::{self, Accepted, Bound, Listener};
use crate::pipeline::{Pipeline, PipelineParts};
use crate::redis::{Link, Redis, Store};
use crate::running::{Handle, LocalAddress, Running};
use crate::snapshot::Snapshot;
use crate::upstream::connect::{Connector, SocketConnector};
use crate::upstream::connections::Upstreams;

/// The name of what [`Server::new`] is given.
const DEFAULT: &str = "default";

/// A load balancer that is not running yet.
pub struct Server {
    pub(crate) config: Config,
    handler: Option<Arc<dyn ErasedHandler>>,
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

    /// Binds every listener and starts the workers, each a thread of its own.
    ///
    /// # Errors
    /// Whatever keeps it from serving as configured: [`ErrorKind::Config`], [`ErrorKind::Tls`],
    /// [`ErrorKind::Listen`] or [`ErrorKind::Start`]. Nothing is left running then.
    #[expect(
        clippy::unused_async,
        reason = "what a start waits for may grow; callers write `.await` from the first version on"
    )]
    pub async fn start(self) -> Result<Running, Error> {
        let snapshot = Snapshot::build(&self.config, self.handler.is_some(), None)?;
        let process = self.config.server.clone();
        let mut bound = Vec::new();
        let mut addresses = Vec::new();
        for (name, config) in &self.config.listeners {
            let listener = Arc::new(Listener::build(name, config)?);
            for address in &config.address {
                let socket = listener::bind(address)?;
                addresses.push(LocalAddress {
                    listener: name.clone(),
                    address: match &socket {
                        Bound::Tcp(_, address) => ListenAddress::Tcp(*address),
                        Bound::Unix(_, path) => ListenAddress::Unix(path.clone()),
                    },
                    is_tls: listener.is_tls(),
                });
                bound.push((socket, Arc::clone(&listener)));
            }
        }
        let threads = process
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let max_connections = process
            .max_connections
            .map_or_else(default_max_connections, |max| max.get() as usize);
        let admissions = Admissions::new(
            max_connections,
            process.max_handshakes.get() as usize,
            process.max_connections_per_client.get(),
            process.trusted_proxies.clone(),
        );
        let entropy = Entropy::from_system().map_err(|error| {
            Error::new(ErrorKind::Start, "the system gives no randomness").with_source(error)
        })?;
        let redis = self.config.redis.as_ref().map(Redis::new).transpose()?;
        let handle = Handle::new(Arc::new(ArcSwap::from_pointee(snapshot)));
        if let Some(redis) = &redis {
            handle.set_store(redis.report());
        }
        let workers = Workers {
            handle: handle.clone(),
            handler: self.handler,
            admissions,
            connector: Arc::new(SocketConnector),
            redis,
            instance: entropy.draw(),
            entropy: Arc::new(entropy),
            tracker: TaskTracker::new(),
        };
        let tracker = workers.tracker.clone();
        workers
            .start(threads, bound)
            .inspect_err(|_| handle.force())?;
        Ok(Running {
            addresses,
            handle,
            workers: tracker,
            delay: process.shutdown_delay,
            timeout: process.shutdown_timeout,
        })
    }
}

/// 90 % of the descriptors that the process may open.
fn default_max_connections() -> usize {
    const FALLBACK: usize = 1024;
    let limit = std::fs::read_to_string("/proc/self/limits")
        .ok()
        .and_then(|limits| {
            let line = limits
                .lines()
                .find(|line| line.starts_with("Max open files"))?;
            line.split_whitespace().nth(3)?.parse().ok()
        })
        .unwrap_or(FALLBACK);
    limit / 10 * 9
}

/// What is needed to start the workers.
struct Workers {
    handle: Handle,
    handler: Option<Arc<dyn ErasedHandler>>,
    admissions: Arc<Admissions>,
    connector: Arc<dyn Connector>,
    redis: Option<Redis>,
    instance: u64,
    entropy: Arc<Entropy>,
    tracker: TaskTracker,
}

impl Workers {
    fn start(self, threads: usize, bound: Vec<(Bound, Arc<Listener>)>) -> Result<(), Error> {
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
        // One thread accepts for all and deals by load: HTTP/2 connections are few and long, and the
        // kernel's hash would put several heavy ones on one worker.
        let mut bound = Some(bound);
        for (number, accepted) in queues.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| {
                    Error::new(ErrorKind::Start, "a worker's runtime cannot be made")
                        .with_source(error)
                })?;
            let link = self.redis.as_ref().map(Redis::link);
            let shares = self.handle.snapshot().shares_caches();
            let cache_link = self.redis.as_ref().filter(|_| shares).map(Redis::link);
            let cache_store = cache_link.clone().or_else(|| link.clone());
            let cache_store = cache_store.map(|link| Arc::new(link) as Arc<dyn Store>);
            let pipeline = self.pipeline(link.clone(), cache_store.clone());
            let drain = self.handle.drain().clone();
            let admissions = Arc::clone(&self.admissions);
            let load = Arc::clone(&desks[number].connections);
            let acceptors = bound.take().map(|bound| (bound, Arc::clone(&desks)));
            let watch = acceptors.is_some().then(|| {
                crate::probe::watch(
                    self.handle.clone(),
                    Arc::clone(&self.connector),
                    Arc::clone(&self.entropy),
                    drain.clone(),
                )
            });
            let keep_caches = cache_store
                .filter(|_| acceptors.is_some())
                .map(|store| cache::keep(self.handle.clone(), store, drain.clone()));
            let token = self.tracker.token();
            std::thread::Builder::new()
                .name(format!("lb-worker-{number}"))
                .spawn(move || {
                    let _running = token;
                    runtime.block_on(async move {
                        if let Some(watch) = watch {
                            tokio::spawn(watch);
                        }
                        for link in [link, cache_link].into_iter().flatten() {
                            tokio::spawn(link.keep());
                        }
                        if let Some(keep) = keep_caches {
                            tokio::spawn(keep);
                        }
                        if let Some((bound, desks)) = acceptors {
                            for (socket, listener) in bound {
                                let desks = Arc::clone(&desks);
                                tokio::spawn(listener::accept(
                                    socket,
                                    listener,
                                    Arc::clone(&admissions),
                                    drain.clone(),
                                    move |accepted| deal(&desks, accepted),
                                ));
                            }
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
        Ok(())
    }

    fn pipeline(&self, link: Option<Link>, cache_store: Option<Arc<dyn Store>>) -> Arc<Pipeline> {
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
            let serving = listener::serve(
                connection,
                Arc::clone(&pipeline),
                Arc::clone(&admissions),
                drain.clone(),
            );
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
