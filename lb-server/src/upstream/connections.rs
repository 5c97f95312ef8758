//! The connections open to backends, of one worker.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use futures_util::task::noop_waker_ref;
use h2::client::SendRequest;
use lb_core::BackendId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::ConnectError;
use super::connect::Connector;
use super::dial::{self, Opened};
use super::http1;
use super::waiting::{Dial, Dialled, Place, Waiting};
use crate::clock;
use crate::config::BackendScheme;
use crate::snapshot::BackendTarget;
use crate::transport::Transport;

/// Every connection to backends that one worker has.
#[derive(Debug)]
pub(crate) struct Upstreams {
    connector: Arc<dyn Connector>,
    backends: Mutex<HashMap<BackendId, Arc<BackendConnections>, RandomState>>,
}

/// The connections to one backend.
#[derive(Debug)]
pub(crate) struct BackendConnections {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Where they lead to; another one of the same place takes over what is open.
    target: Arc<BackendTarget>,
    http2: Vec<SharedConnection>,
    /// The newest last: it is the likeliest to be open still.
    idle: Vec<IdleConnection>,
    /// What ALPN said last; `None` before the first connection.
    speaks_http2: Option<bool>,
    /// Of a connection for all.
    dial: Option<watch::Receiver<Option<Result<(), ConnectError>>>>,
    /// Who waits for a connection of its own.
    waiting: Waiting<Handed>,
    is_reaping: bool,
}

#[derive(Debug)]
struct SharedConnection {
    sender: SendRequest<Bytes>,
    streams: Arc<AtomicUsize>,
    idle_since: Instant,
}

#[derive(Debug)]
struct IdleConnection {
    connection: http1::Connection<Transport>,
    since: Instant,
}

/// A connection on its way to a request.
#[derive(Debug)]
struct Handed {
    connection: http1::Connection<Transport>,
    kept: Kept,
}

impl Handed {
    /// Nothing where its backend has closed it since its last request.
    fn if_open(mut self) -> Option<Self> {
        let mut cx = Context::from_waker(noop_waker_ref());
        let is_open = self.kept == Kept::Not || self.connection.poll_is_idle(&mut cx);
        is_open.then_some(self)
    }
}

/// A place among those that wait, which is given up where its request is.
struct HeldPlace<'a> {
    home: &'a Arc<BackendConnections>,
    place: Place<Handed>,
}

impl Drop for HeldPlace<'_> {
    fn drop(&mut self) {
        let mut state = self.home.state.lock();
        if let Some(unwanted) = state.waiting.leave(&mut self.place) {
            state.keep(unwanted);
            drop(state);
            self.home.reap_later();
        }
    }
}

impl State {
    fn keep(&mut self, Handed { connection, .. }: Handed) {
        // Nobody will ask for a connection to a place that is given up.
        if !self.target.is_gone() {
            self.idle.push(IdleConnection {
                connection,
                since: clock::now(),
            });
        }
    }
}

/// A place among the concurrent streams of a connection.
#[derive(Debug)]
pub(crate) struct StreamSlot(Arc<AtomicUsize>);

impl StreamSlot {
    fn take(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a connection has been kept without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is new.
    Not,
    /// It served a request a moment ago.
    Briefly,
    /// The backend may have closed it by a timeout of its own, unnoticed.
    Long,
}

impl Kept {
    /// Below the shortest time for which servers keep unused connections by default: 2 s.
    const LONG: Duration = Duration::from_secs(1);

    fn of(unused: Duration) -> Self {
        if unused < Self::LONG {
            Self::Briefly
        } else {
            Self::Long
        }
    }
}

/// A connection with room for one more request.
pub(crate) enum Checkout {
    Http1 {
        connection: http1::Connection<Transport>,
        kept: Kept,
        /// Where it goes when it can serve another request.
        home: Arc<BackendConnections>,
    },
    Http2(SendRequest<Bytes>, StreamSlot),
}

impl Upstreams {
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Self {
            connector,
            backends: Mutex::new(HashMap::default()),
        }
    }

    /// A connection to a backend that is open already.
    pub(crate) fn take_open(&self, target: &Arc<BackendTarget>, now: Instant) -> Option<Checkout> {
        self.backend(target).take_open(now)
    }

    /// Opens a connection to a backend, within its connect timeout.
    pub(crate) async fn open(&self, target: &Arc<BackendTarget>) -> Result<Checkout, ConnectError> {
        let backend = self.backend(target);
        // Apart, so that not every exchange has room for a connection's beginning.
        Box::pin(tokio::time::timeout(
            target.timeouts.connect,
            backend.open(&self.connector),
        ))
        .await
        .unwrap_or(Err(ConnectError::Timeout))
    }

    /// How many connections are kept for each backend without serving a request.
    pub(crate) fn unused(&self, mut tell: impl FnMut(&BackendId, u64)) {
        for (id, backend) in &*self.backends.lock() {
            let state = backend.state.lock();
            let shared = state.http2.iter();
            let shared = shared.filter(|it| it.streams.load(Ordering::Relaxed) == 0);
            tell(id, (state.idle.len() + shared.count()) as u64);
        }
    }

    /// Closes what is open and unused to backends that are gone.
    pub(crate) fn forget_gone(&self) {
        let mut gone = Vec::new();
        self.backends.lock().retain(|_, backend| {
            let is_gone = backend.state.lock().target.is_gone();
            if is_gone {
                gone.push(Arc::clone(backend));
            }
            !is_gone
        });
    }

    fn backend(&self, target: &Arc<BackendTarget>) -> Arc<BackendConnections> {
        let mut backends = self.backends.lock();
        if let Some(backend) = backends.get(&target.id) {
            let mut state = backend.state.lock();
            if Arc::ptr_eq(&state.target, target) {
                drop(state);
                return Arc::clone(backend);
            }
            // The same identity with another address or other TLS is another place.
            if state.target.is_same_place(target) {
                state.target = Arc::clone(target);
                drop(state);
                return Arc::clone(backend);
            }
        }
        let backend = Arc::new(BackendConnections::to(target));
        // A request that was on its way to a backend when that was removed; its connection is its own.
        if !target.is_gone() {
            backends.insert(target.id.clone(), Arc::clone(&backend));
        }
        backend
    }
}

impl BackendConnections {
    fn to(target: &Arc<BackendTarget>) -> Self {
        Self {
            state: Mutex::new(State {
                target: Arc::clone(target),
                http2: Vec::new(),
                idle: Vec::new(),
                speaks_http2: None,
                dial: None,
                waiting: Waiting::default(),
                is_reaping: false,
            }),
        }
    }

    fn target(&self) -> Arc<BackendTarget> {
        Arc::clone(&self.state.lock().target)
    }

    /// Takes back a connection that can serve another request.
    pub(crate) fn give_back(self: &Arc<Self>, connection: http1::Connection<Transport>) {
        self.hand_over(Handed {
            connection,
            kept: Kept::Briefly,
        });
    }

    /// Gives a connection to who waits for one, or keeps it.
    fn hand_over(self: &Arc<Self>, handed: Handed) {
        {
            let mut state = self.state.lock();
            if let Some(unwanted) = state.waiting.offer(handed) {
                state.keep(unwanted);
            }
        }
        self.reap_later();
    }

    fn take_open(self: &Arc<Self>, now: Instant) -> Option<Checkout> {
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut state = self.state.lock();
        let mut at = 0;
        while at < state.http2.len() {
            let shared = &mut state.http2[at];
            match shared.sender.poll_ready(&mut cx) {
                Poll::Ready(Err(_closed)) => {
                    state.http2.swap_remove(at);
                    continue;
                }
                Poll::Ready(Ok(()))
                    if shared.streams.load(Ordering::Relaxed)
                        < shared.sender.current_max_send_streams() =>
                {
                    shared.idle_since = now;
                    return Some(Checkout::Http2(
                        shared.sender.clone(),
                        StreamSlot::take(&shared.streams),
                    ));
                }
                // Full: the next one, or another is opened.
                Poll::Ready(Ok(())) | Poll::Pending => at += 1,
            }
        }
        while let Some(mut idle) = state.idle.pop() {
            let unused = now.saturating_duration_since(idle.since);
            if unused < state.target.timeouts.idle && idle.connection.poll_is_idle(&mut cx) {
                return Some(Checkout::Http1 {
                    connection: idle.connection,
                    kept: Kept::of(unused),
                    home: Arc::clone(self),
                });
            }
        }
        None
    }

    async fn open(
        self: &Arc<Self>,
        connector: &Arc<dyn Connector>,
    ) -> Result<Checkout, ConnectError> {
        loop {
            match self.join_dial(connector) {
                Some(mut dial) => match dial.wait_for(Option::is_some).await.as_deref() {
                    Ok(Some(Err(error))) => return Err(error.clone()),
                    Ok(_) => {}
                    Err(_dropped) => return Err(aborted()),
                },
                None => {
                    if let Some(handed) = self.wait_for_one(connector).await? {
                        return Ok(Checkout::Http1 {
                            connection: handed.connection,
                            kept: handed.kept,
                            home: Arc::clone(self),
                        });
                    }
                }
            }
            if let Some(checkout) = self.take_open(clock::now()) {
                return Ok(checkout);
            }
        }
    }

    /// Waits for a connection of its own, dialled or given back; nothing where it speaks HTTP/2 since this very dial, or
    /// has been closed meanwhile.
    async fn wait_for_one(self: &Arc<Self>, connector: &Arc<dyn Connector>) -> Dialled<Handed> {
        let place = self.state.lock().waiting.enter(clock::now());
        if place.is_new {
            // A task of its own: what nobody waits for any more serves the next.
            tokio::spawn(Arc::clone(self).dial_for_one(Arc::clone(connector), place.dial));
        }
        let mut held = HeldPlace { home: self, place };
        let handed = (&mut held.place.arrived)
            .await
            .unwrap_or_else(|_dropped| Err(aborted()))?;
        Ok(handed.and_then(Handed::if_open))
    }

    async fn dial_for_one(self: Arc<Self>, connector: Arc<dyn Connector>, dial: Dial) {
        let result = self.dial(&connector).await.map(|connection| {
            connection.map(|connection| Handed {
                connection,
                kept: Kept::Not,
            })
        });
        {
            let mut state = self.state.lock();
            if let Err(error) = &result {
                // Perhaps nobody waits for it any more who would hear of this.
                tracing::debug!(backend = %state.target.id, %error, "dialling failed");
            }
            if let Some(unwanted) = state.waiting.dialled(dial, result) {
                state.keep(unwanted);
            }
        }
        self.reap_later();
    }

    /// Joins the dial under way, or starts it; `None` where each request needs a connection of its own.
    fn join_dial(
        self: &Arc<Self>,
        connector: &Arc<dyn Connector>,
    ) -> Option<watch::Receiver<Option<Result<(), ConnectError>>>> {
        let mut state = self.state.lock();
        let one_each = match state.target.url.scheme {
            BackendScheme::Http => true,
            BackendScheme::H2c => false,
            BackendScheme::Https => state.speaks_http2 == Some(false),
        };
        if one_each {
            return None;
        }
        if let Some(dial) = &state.dial {
            return Some(dial.clone());
        }
        let (tell, dial) = watch::channel(None);
        state.dial = Some(dial.clone());
        // A task of its own: whoever asked first may leave, the others still wait.
        tokio::spawn(Arc::clone(self).dial_for_all(Arc::clone(connector), tell));
        Some(dial)
    }

    async fn dial_for_all(
        self: Arc<Self>,
        connector: Arc<dyn Connector>,
        tell: watch::Sender<Option<Result<(), ConnectError>>>,
    ) {
        let told = self.dial(&connector).await.map(|connection| {
            if let Some(connection) = connection {
                self.hand_over(Handed {
                    connection,
                    kept: Kept::Not,
                });
            }
        });
        self.state.lock().dial = None;
        tell.send_replace(Some(told));
        self.reap_later();
    }

    /// Opens one connection: a shared one joins the others, one for HTTP/1.1 is returned.
    async fn dial(
        self: &Arc<Self>,
        connector: &Arc<dyn Connector>,
    ) -> Dialled<http1::Connection<Transport>> {
        let opened = dial::open(&**connector, &self.target()).await?;
        let mut state = self.state.lock();
        state.speaks_http2 = Some(matches!(opened, Opened::Http2(_)));
        match opened {
            Opened::Http1(connection) => Ok(Some(connection)),
            Opened::Http2(sender) => {
                state.http2.push(SharedConnection {
                    sender,
                    streams: Arc::default(),
                    idle_since: clock::now(),
                });
                Ok(None)
            }
        }
    }

    /// Sees to it that unused connections are closed; the task ends with the last of them.
    fn reap_later(self: &Arc<Self>) {
        let idle = {
            let mut state = self.state.lock();
            if state.is_reaping || state.idle.is_empty() && state.http2.is_empty() {
                return;
            }
            state.is_reaping = true;
            state.target.timeouts.idle
        };
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                // A tenth late at most.
                tokio::time::sleep((idle / 10).max(Duration::from_millis(10))).await;
                let Some(backend) = weak.upgrade() else {
                    return;
                };
                let mut state = backend.state.lock();
                let now = clock::now();
                state
                    .idle
                    .retain(|kept| now.duration_since(kept.since) < idle);
                state.http2.retain_mut(|shared| {
                    if shared.streams.load(Ordering::Relaxed) > 0 {
                        shared.idle_since = now;
                    }
                    now.duration_since(shared.idle_since) < idle
                });
                if state.idle.is_empty() && state.http2.is_empty() {
                    state.is_reaping = false;
                    return;
                }
            }
        });
    }
}

/// The dial's task was dropped, which only the end of its runtime does.
fn aborted() -> ConnectError {
    ConnectError::Io(Arc::new(io::Error::from(io::ErrorKind::ConnectionAborted)))
}
