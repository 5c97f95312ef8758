//! Request handlers: a program's own code as the target of requests.

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use parking_lot::{Mutex, MutexGuard};

use crate::body::Body;
use crate::cache::Cache;
use crate::config::HeaderChanges;
use crate::error::{Error, ErrorKind};
use crate::headers::Forwarding;
use crate::incoming::Incoming;
use crate::metrics::{MethodLabel, RouteCounters, ServerCounters, Worker};
use crate::otel::Trace;
use crate::pipeline::{Arrival, Pipeline};
use crate::record::Notes;
use crate::redis::Store;
use crate::reject::Reject;
use crate::routes::{Route, Target};
use crate::running::Handle;
use crate::sessions::{Session, Visit};
use crate::snapshot::{PoolEntry, Snapshot};

/// A request as a handler gets it: absolute URI, no connection-specific field, nothing a stranger
/// could have claimed to be.
pub type Request = http::Request<Body>;

/// What a handler answers.
pub type Response = http::Response<Body>;

/// Answers requests in a program's own code.
///
/// Every `async fn(Request, Exchange) -> Result<Response, Error>` is one. It runs on the worker of
/// the client's connection and must not block.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        request: Request,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Response, Error>> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request, Exchange) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Error>> + Send,
{
    fn handle(
        &self,
        request: Request,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Response, Error>> + Send {
        self(request, exchange)
    }
}

/// [`Handler`] behind one pointer.
pub(crate) trait ErasedHandler: Send + Sync {
    fn call(
        &self,
        request: Request,
        exchange: Exchange,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + '_>>;
}

impl<H: Handler> ErasedHandler for H {
    fn call(
        &self,
        request: Request,
        exchange: Exchange,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + '_>> {
        Box::pin(self.handle(request, exchange))
    }
}

/// The circumstances of one request, and the way to its backend. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exchange {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pipeline: Arc<Pipeline>,
    snapshot: Arc<Snapshot>,
    route: Option<usize>,
    origin: Origin,
    interim: Mutex<VecDeque<http::Response<()>>>,
    /// Affinity cookies to set, by name.
    bindings: Mutex<Vec<(String, String)>>,
    /// What a handler can find its client's session by.
    visit: OnceLock<Box<Visit>>,
    /// What its record will say. Nobody but its own worker ever takes the lock.
    notes: Mutex<Notes>,
    /// Bytes taken of the process's budget.
    held_bytes: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let held = *self.held_bytes.get_mut();
        if held > 0 {
            self.pipeline.memory().give_back(held);
        }
    }
}

/// Where a request comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) arrival: Arc<Arrival>,
    pub(crate) client: IpAddr,
    pub(crate) is_trusted: bool,
    /// The protocol the client spoke.
    pub(crate) received: http::Version,
    pub(crate) request_id: HeaderValue,
    pub(crate) method: MethodLabel,
    /// Where spans are kept of some.
    pub(crate) trace: Option<Trace>,
    /// Of its connection's TLS, where it is the first there.
    pub(crate) handshake: Duration,
}

/// Interim responses that wait for their client; a backend may send ten.
const MAX_INTERIM: usize = 16;

impl Exchange {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        snapshot: Arc<Snapshot>,
        route: Option<usize>,
        origin: Origin,
        notes: Notes,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                pipeline,
                snapshot,
                route,
                origin,
                interim: Mutex::default(),
                held_bytes: AtomicU64::new(0),
                bindings: Mutex::default(),
                visit: OnceLock::new(),
                notes: Mutex::new(notes),
            }),
        }
    }

    /// The client's address: the peer's, or what trusted proxies say of it.
    pub fn client_ip(&self) -> IpAddr {
        self.inner.origin.client
    }

    /// The id that this request has in fields, logs and error pages.
    pub fn request_id(&self) -> &str {
        self.inner.origin.request_id.to_str().unwrap_or_default()
    }

    /// The running server.
    pub fn handle(&self) -> Handle {
        self.inner.pipeline.handle()
    }

    /// The session of the client. Nothing is looked up before it is used.
    pub fn session(&self) -> Session {
        Session::of(self.clone())
    }

    /// Forwards a request to the pool `default` and returns with the response head; the body
    /// streams through.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] where no backend gave a response; returned from a handler it becomes
    /// the same answer that a route to the pool would have given.
    pub async fn forward(&self, request: Request) -> Result<Response, Error> {
        let pool = match self.route().map(|route| &route.target) {
            Some(Target::Handler(Some(pool)) | Target::Pool(pool)) => Arc::clone(pool),
            _ => self.pool("default")?,
        };
        self.send(&pool, request).await
    }

    /// Forwards a request to a pool by its name.
    ///
    /// # Errors
    /// As [`Exchange::forward`]; [`ErrorKind::Config`] where there is no such pool.
    pub async fn forward_to(&self, pool: &str, request: Request) -> Result<Response, Error> {
        let pool = self.pool(pool)?;
        self.send(&pool, request).await
    }

    /// The cache of the route, else the one named `default`.
    pub fn cache(&self) -> Cache {
        let snapshot = self.snapshot();
        let cache = self.route().and_then(|route| route.cache.as_ref());
        let cache = cache.or_else(|| snapshot.caches.get("default"));
        Cache::new(self.clone(), cache.cloned())
    }

    /// Has the route's target answer, whatever is cached.
    pub(crate) async fn answer_by_target(
        &self,
        incoming: Box<Incoming>,
        body: Body,
    ) -> Result<Response, Reject> {
        let pipeline = &self.inner.pipeline;
        pipeline.answer_by_target(self, incoming, body).await
    }

    /// Whether the process holds so much that nothing more should be kept for later.
    pub(crate) fn is_memory_tight(&self) -> bool {
        self.inner.pipeline.memory().is_tight()
    }

    /// Our name in fields.
    pub(crate) fn pseudonym(&self) -> &str {
        &self.snapshot().process.pseudonym
    }

    pub(crate) fn random(&self) -> u64 {
        self.inner.pipeline.draw()
    }

    async fn send(&self, pool: &PoolEntry, request: Request) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        self.inner
            .pipeline
            .dispatch()
            .send(self, pool, parts.into(), body)
            .await
            .map_err(Error::rejected)
    }

    fn pool(&self, name: &str) -> Result<Arc<PoolEntry>, Error> {
        self.inner.snapshot.pools.get(name).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("there is no pool `{name}` to forward to"),
            )
        })
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.inner.snapshot
    }

    pub(crate) fn route(&self) -> Option<&Route> {
        self.inner.snapshot.routes.get(self.inner.route?)
    }

    /// The pool that the route leads to, where it leads to one.
    pub(crate) fn pool_of_route(&self) -> Option<&str> {
        match &self.route()?.target {
            Target::Pool(pool) => Some(&pool.name),
            _ => None,
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.inner.origin.trace.as_ref()
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.inner.notes.lock()
    }

    pub(crate) fn counters(&self) -> &ServerCounters {
        self.inner.pipeline.counters()
    }

    /// What is counted of its route, or of requests without one.
    pub(crate) fn route_counters(&self) -> &RouteCounters {
        match self.route() {
            Some(route) => &route.counters,
            None => &self.snapshot().unrouted,
        }
    }

    /// Which worker's stripe it is counted in.
    pub(crate) fn worker(&self) -> Worker {
        self.inner.pipeline.worker()
    }

    /// How long the stream may stand still: the route's word, else the listener's.
    pub(crate) fn stream_idle(&self, listener: Duration) -> Duration {
        self.route()
            .and_then(|route| route.stream_idle)
            .unwrap_or(listener)
    }

    pub(crate) fn redirects_to_https(&self) -> bool {
        self.inner.origin.arrival.redirect_to_https
    }

    /// Keeps what the client's session can be found by, for a handler.
    pub(crate) fn begin_visit(&self, headers: &HeaderMap) {
        if let Some(sessions) = &self.inner.snapshot.sessions {
            self.inner
                .visit
                .get_or_init(|| Box::new(sessions.visit(headers)));
        }
    }

    /// Keeps a field that sets an affinity cookie until the reply; of each cookie the last one counts.
    pub(crate) fn set_binding(&self, cookie: String, field: String) {
        let mut bindings = self.inner.bindings.lock();
        bindings.retain(|(name, _)| *name != cookie);
        bindings.push((cookie, field));
    }

    pub(crate) fn take_bindings(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.inner.bindings.lock())
    }

    /// The worker's way to the store that instances share.
    pub(crate) fn store(&self) -> Option<&dyn Store> {
        self.inner.pipeline.store()
    }

    /// The worker's way to what caches share.
    pub(crate) fn cache_store(&self) -> Option<&Arc<dyn Store>> {
        self.inner.pipeline.cache_store()
    }

    pub(crate) fn visit(&self) -> Option<&Visit> {
        self.inner.visit.get().map(Box::as_ref)
    }

    pub(crate) fn request_id_value(&self) -> &HeaderValue {
        &self.inner.origin.request_id
    }

    /// What a backend is told of who asked.
    pub(crate) fn forwarding<'a>(&'a self, host: &'a str) -> Forwarding<'a> {
        let origin = &self.inner.origin;
        Forwarding {
            fields: self.inner.snapshot.process.forwarded,
            arrival: &origin.arrival,
            is_trusted: origin.is_trusted,
            host,
            via: self.inner.pipeline.via(origin.received),
            request_id: &origin.request_id,
        }
    }

    /// Our mark in `Via`.
    pub(crate) fn via_mark(&self) -> &str {
        self.inner.pipeline.via_mark()
    }

    /// What the route changes in requests, if anything.
    pub(crate) fn request_changes(&self) -> Option<&HeaderChanges> {
        let changes = &self.route()?.request_headers;
        (!changes.set.is_empty() || !changes.remove.is_empty()).then_some(changes)
    }

    /// Takes bytes of the process's budget until the exchange's end; tells whether there were any.
    pub(crate) fn hold(&self, bytes: u64) -> bool {
        let fits = self.inner.pipeline.memory().take(bytes);
        if fits {
            self.inner.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Keeps an interim response until the client's side takes it.
    pub(crate) fn interim(&self, response: http::Response<()>) {
        let mut waiting = self.inner.interim.lock();
        if waiting.len() < MAX_INTERIM {
            waiting.push_back(response);
        }
    }

    pub(crate) fn take_interim(&self) -> Option<http::Response<()>> {
        self.inner.interim.lock().pop_front()
    }
}
