//! The whole data path in memory under virtual time: pipes instead of sockets, scripted backends.

mod abuse;
mod access_log;
mod affinity;
mod attempts;
mod backend;
mod cache;
mod client;
mod connections;
mod discovery;
mod drain;
mod failures;
mod flow_control;
mod forwarding;
mod health;
mod limits;
mod malformed;
mod memory;
mod metrics;
mod operate;
mod queue;
mod record;
mod reload;
mod retry;
mod sessions;
mod targets;
mod timeouts;
#[cfg(feature = "redis")]
mod two_servers;
mod wear;
mod wire;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use crate::admission::{Admissions, Bounds};
use crate::config::{AccessLogConfig, BackendAddress, Config, TargetConfig};
use crate::dispatch::Dispatch;
use crate::drain::Drain;
use crate::entropy::Entropy;
use crate::handler::{ErasedHandler, Handler};
use crate::listener::{Accepted, Listener, Socket};
use crate::metrics::Worker;
use crate::pipeline::{Pipeline, PipelineParts};
use crate::probe;
use crate::redis::Store;
use crate::running::{Handle, ReloadReport};
use crate::server;
use crate::snapshot::Snapshot;
use crate::transport::Io;
use crate::upstream::connect::Connector;
use crate::upstream::connections::Upstreams;

use backend::Backlog;
use client::Client;

/// What the pipes hold, as a socket's buffers would.
const PIPE_BYTES: usize = 256 * 1024;
/// Where clients come from: neither loopback nor trusted.
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// Virtual time after which a test is taken to hang: beyond every timeout of the server.
const HANG: Duration = Duration::from_secs(3600);

/// A worker of the server with pipes on both sides.
struct Proxy {
    listener: Arc<Listener>,
    admissions: Arc<Admissions>,
    queue: mpsc::UnboundedSender<Accepted>,
    network: Arc<Network>,
    handle: Handle,
    drain: Drain,
    /// What it was made of, but for what comes after the pool.
    toml: String,
    snapshot: Arc<ArcSwap<Snapshot>>,
    has_handler: bool,
}

impl Proxy {
    /// A listener, and a pool of these backends.
    fn to(backends: &[&str]) -> Self {
        Self::with(backends, "")
    }

    /// As [`Proxy::to`], with more TOML after it.
    fn with(backends: &[&str], more: &str) -> Self {
        let toml = format!(
            "[listeners.default]\naddress = \"127.0.0.1:0\"\n\
             [pools.default]\nbackends = {backends:?}\n{}",
            probes(more)
        );
        let proxy = Self::new(&format!("{toml}{more}"));
        Self { toml, ..proxy }
    }

    fn new(toml: &str) -> Self {
        Self::start(&config(toml, false), None)
    }

    fn handled_by(backends: &[&str], handler: impl Handler) -> Self {
        Self::handled_with(backends, "", handler)
    }

    /// As [`Proxy::handled_by`], with more TOML after the pool.
    fn handled_with(backends: &[&str], more: &str, handler: impl Handler) -> Self {
        let toml = format!(
            "[listeners.default]\naddress = \"127.0.0.1:0\"\n\
             [pools.default]\nbackends = {backends:?}\n{}",
            probes(more)
        );
        let config = config(&format!("{toml}{more}"), true);
        let proxy = Self::start(&config, Some(Arc::new(handler)));
        Self { toml, ..proxy }
    }

    /// Puts another configuration in force, as a reload does: what it was made of with this after it.
    async fn reload(&self, more: &str) -> ReloadReport {
        let config = config(&format!("{}{more}", self.toml), self.has_handler);
        self.handle.reload(config).await.unwrap()
    }

    fn rebuilt(&self, more: &str) -> Snapshot {
        let config = config(&format!("{}{more}", self.toml), self.has_handler);
        let before = self.handle.snapshot();
        Snapshot::build(&config, self.has_handler, Some(&before)).unwrap()
    }

    /// Has the records of exchanges kept; what follows the pool has to be said again.
    fn recorded(&self, more: &str) -> Arc<record::Lines> {
        let lines = Arc::new(record::Lines::default());
        let mut snapshot = self.rebuilt(more);
        snapshot.sinks.push(Arc::clone(&lines) as _);
        self.snapshot.store(Arc::new(snapshot));
        lines
    }

    /// As [`Proxy::with`], and `[redis]` is this store.
    fn sharing(store: &Arc<dyn Store>, backends: &[&str], more: &str) -> Self {
        let toml = format!(
            "[listeners.default]\naddress = \"127.0.0.1:0\"\n[redis]\nurl = \"unix:/none\"\n\
             [pools.default]\nbackends = {backends:?}\nhealth_check = \"off\"\n{more}"
        );
        let store = Some(Arc::clone(store));
        Self::start_on(&config(&toml, false), None, store)
    }

    /// As [`Proxy::handled_with`], and `[redis]` is this store.
    fn handled_sharing(store: &Arc<dyn Store>, more: &str, handler: impl Handler) -> Self {
        let toml = format!(
            "[listeners.default]\naddress = \"127.0.0.1:0\"\n[redis]\nurl = \"unix:/none\"\n\
             [pools.default]\nbackends = [\"http://a:80\"]\nhealth_check = \"off\"\n{more}"
        );
        let proxy = Self::start_on(
            &config(&toml, true),
            Some(Arc::new(handler)),
            Some(Arc::clone(store)),
        );
        proxy.handle.set_link(Arc::clone(store));
        proxy
    }

    fn start(config: &Config, handler: Option<Arc<dyn ErasedHandler>>) -> Self {
        Self::start_on(config, handler, None)
    }

    fn start_on(
        config: &Config,
        handler: Option<Arc<dyn ErasedHandler>>,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let snapshot = Snapshot::build(config, handler.is_some(), None).unwrap();
        let (name, listener) = config.listeners.first_key_value().unwrap();
        let counters = Arc::clone(&snapshot.listeners[name]);
        let listener = Arc::new(Listener::build(name, listener, counters, None).unwrap());
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let has_handler = handler.is_some();
        let handle = Handle::new(Arc::clone(&snapshot));
        let network = Arc::new(Network::default());
        let entropy = Arc::new(Entropy::from_seed(7));
        let connector = Arc::clone(&network) as Arc<dyn Connector>;
        let upstreams = Arc::new(Upstreams::new(Arc::clone(&connector)));
        handle.add_upstreams(Arc::clone(&upstreams));
        let pipeline = Arc::new(Pipeline::new(
            PipelineParts {
                handle: handle.clone(),
                worker: Worker::new(0),
                handler,
                entropy: Arc::clone(&entropy),
                instance: 0x5eed,
                store: store.clone(),
                cache_store: store.clone(),
            },
            Dispatch::new(upstreams, Arc::clone(&entropy)),
        ));
        let admissions = Admissions::new(Bounds {
            connections: 1000,
            handshakes: 100,
            per_client: 100,
            exempt: Vec::new(),
        });
        let drain = handle.drain().clone();
        if let Some(store) = store {
            tokio::spawn(crate::cache::keep(handle.clone(), store, drain.clone()));
        }
        let (queue, accepted) = mpsc::unbounded_channel();
        tokio::spawn(probe::watch(
            handle.clone(),
            connector,
            entropy,
            drain.clone(),
        ));
        tokio::spawn(server::work(
            accepted,
            pipeline,
            Arc::clone(&admissions),
            drain.clone(),
            Arc::new(AtomicUsize::new(0)),
        ));
        Self {
            listener,
            admissions,
            queue,
            network,
            handle,
            drain,
            toml: String::new(),
            snapshot,
            has_handler,
        }
    }

    /// A new connection from a client, nothing said yet.
    async fn pipe(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let room = self.admissions.room().await.unwrap();
        let sent = self.queue.send(Accepted {
            socket: Socket::Memory(Box::new(theirs)),
            peer: CLIENT,
            peer_port: Some(50_000),
            listener: Arc::clone(&self.listener),
            admission: self.admissions.admit(CLIENT, room).unwrap(),
            drain: self.drain.clone(),
        });
        assert!(sent.is_ok(), "the worker has ended");
        ours
    }

    async fn connect(&self) -> Client {
        Client::new(self.pipe().await).await
    }

    /// Connections to this host arrive at the backlog; without one they are refused.
    fn backend(&self, host: &str) -> Backlog {
        let (arrive, arriving) = mpsc::unbounded_channel();
        self.network
            .hosts
            .lock()
            .insert(host.to_owned(), Some(arrive));
        Backlog(arriving)
    }

    /// Connections to this host are never answered.
    fn black_hole(&self, host: &str) {
        self.network.hosts.lock().insert(host.to_owned(), None);
    }

    /// Connections to this host take so long.
    fn put_far(&self, host: &str, distance: Duration) {
        let mut distances = self.network.distances.lock();
        distances.insert(host.to_owned(), distance);
    }

    /// Exchanges with backends that are under way.
    fn in_flight(&self) -> u32 {
        let metrics = self.handle.metrics();
        metrics
            .backends
            .values()
            .map(|backend| backend.in_flight)
            .sum()
    }
}

/// Nothing is probed unless the rest says so: a probe is a connection that no test expects.
fn probes(rest: &str) -> &'static str {
    if rest.contains("health_check") {
        ""
    } else {
        "health_check = \"off\"\n"
    }
}

fn config(toml: &str, has_handler: bool) -> Config {
    let mut config = Config::from_toml(toml, "test").expect("the configuration is valid");
    if !toml.contains("[access_log]") {
        // Standard output is the test runner's.
        config.access_log = AccessLogConfig::off();
    }
    if has_handler {
        config.routes[0].target = TargetConfig::Handler;
    }
    config
}

/// Where backends are found: by host name, whatever the port.
#[derive(Debug, Default)]
struct Network {
    hosts: Mutex<HashMap<String, Option<mpsc::UnboundedSender<DuplexStream>>>>,
    /// How long connecting takes, where it takes any time.
    distances: Mutex<HashMap<String, Duration>>,
}

impl Connector for Network {
    fn connect<'a>(
        &'a self,
        address: &'a BackendAddress,
    ) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send + 'a>> {
        let BackendAddress::Host { host, .. } = address else {
            panic!("tests name their backends by host");
        };
        let found = self.hosts.lock().get(host).cloned();
        let distance = self.distances.lock().get(host).copied();
        Box::pin(async move {
            if let Some(distance) = distance {
                tokio::time::sleep(distance).await;
            }
            match found {
                Some(Some(backlog)) => {
                    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                    backlog
                        .send(theirs)
                        .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
                    Ok(Box::new(ours) as Box<dyn Io>)
                }
                Some(None) => std::future::pending().await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// Waits for what must come; virtual time makes a hang a failure at once.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(HANG, future).await {
        Ok(output) => output,
        Err(_elapsed) => panic!("waited in vain for {what}"),
    }
}

/// Lets everything happen that can happen without time passing.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
