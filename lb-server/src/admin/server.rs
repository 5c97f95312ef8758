//! Where the admin API listens: a thread of its own, with bounds on everything a client could hold.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::guard::Peer;
use super::sampler;
use super::service::Service;
use crate::config::{AdminConfig, ListenAddress, ListenerTls, Protocol};
use crate::drain::Drain;
use crate::error::{Error, ErrorKind};
use crate::listener::{self, Bound, Inheritance, Owner};
use crate::tls::{self, ServerTls};
use crate::transport::{Io, Transport};

/// Connections at once; those beyond wait in the kernel.
const CONNECTIONS: usize = 64;
/// From the end of the reply before to the end of a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take nothing of what it asked for.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// How long accepting rests after an error such as a full descriptor table.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long replies that were begun may take when the server ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The admin API, bound and not yet served.
#[derive(Debug)]
pub(crate) struct AdminListener {
    bound: Bound,
    tls: Option<ServerTls>,
}

impl AdminListener {
    /// Takes the address, and reads what TLS and the token need.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] where the address cannot be listened on, [`ErrorKind::Tls`] and [`ErrorKind::Config`] where a
    /// file cannot be used.
    pub(crate) fn bind(config: &AdminConfig, inheritance: &Inheritance) -> Result<Self, Error> {
        let tls = match &config.tls {
            ListenerTls::Off => None,
            tls => Some(
                tls::server(tls, &[Protocol::Http11], None).map_err(|error| {
                    Error::new(ErrorKind::Tls, "the admin API cannot speak TLS").with_source(error)
                })?,
            ),
        };
        if let Some(token) = &config.token {
            super::guard::load(token).map_err(|error| {
                Error::new(ErrorKind::Config, "the token of [admin] cannot be read")
                    .with_source(error)
            })?;
        }
        let bound = listener::bind(&config.address, inheritance)?;
        match &bound {
            Bound::Unix(_, path, Owner::Us) => close(path)?,
            Bound::Unix(_, path, Owner::Another) if config.token.is_none() => check_closed(path)?,
            _ => {}
        }
        Ok(Self { bound, tls })
    }

    /// The address, with the port that was taken.
    pub(crate) fn address(&self) -> ListenAddress {
        self.bound.address()
    }

    /// Names that its certificate is good for.
    pub(crate) fn names(&self) -> Vec<String> {
        self.tls.as_ref().map_or_else(Vec::new, ServerTls::names)
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves on a thread of its own until the server is forced down, which every end of a server comes to.
    ///
    /// # Errors
    /// [`ErrorKind::Start`] where the system has no thread or runtime for it.
    pub(crate) fn start(
        self,
        service: Arc<Service>,
        drain: Drain,
        running: TaskTrackerToken,
    ) -> Result<(), Error> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Start, "the admin API's thread cannot be started")
                .with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let serve = move || {
            let _running = running;
            let path = self.bound.leaves();
            runtime.block_on(self.serve(service, drain));
            runtime.shutdown_timeout(Duration::ZERO);
            if let Some(path) = path
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(%error, path = %path.display(), "the socket of the admin API could not be removed");
            }
        };
        std::thread::Builder::new()
            .name("lb-admin".to_owned())
            .spawn(serve)
            .map_err(failed)?;
        Ok(())
    }

    async fn serve(self, service: Arc<Service>, drain: Drain) {
        tokio::spawn(watch(Arc::clone(&service)));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let listener = match self.bound {
            Bound::Tcp(socket, _) => TcpListener::from_std(socket).map(Acceptor::Tcp),
            Bound::Unix(socket, ..) => UnixListener::from_std(socket).map(Acceptor::Unix),
        };
        let acceptor = match listener {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(%error, "the admin API cannot be polled");
                return;
            }
        };
        let tls = self.tls.map(|tls| tls.config);
        let accepting = accept(acceptor, tls, Arc::clone(&places), service);
        tokio::select! {
            biased;
            () = drain.forced() => {}
            () = accepting => {}
        }
        // Whoever asked for the end hears that it was heard.
        let _ = tokio::time::timeout(
            LAST_WORDS,
            places.acquire_many(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX)),
        )
        .await;
    }
}

/// Samples what is counted, and tells everybody who listens how things are.
async fn watch(service: Arc<Service>) {
    let mut ticks = tokio::time::interval(sampler::EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        service.tick();
    }
}

/// Lets nobody in but our own user. Nobody connects before we accept.
fn close(path: &Path) -> Result<(), Error> {
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, closed).map_err(|error| {
        let text = format!("cannot close `{}` to others", path.display());
        Error::new(ErrorKind::Listen, text).with_source(error)
    })
}

/// Who may open a socket that another has made is that one's decision, but everybody may not be.
fn check_closed(path: &Path) -> Result<(), Error> {
    let failed = |text| Error::new(ErrorKind::Listen, text);
    let found = std::fs::metadata(path).map_err(|error| {
        failed(format!("cannot see who may open `{}`", path.display())).with_source(error)
    })?;
    if found.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(failed(format!(
        "every user may open `{}` and steer the server; inherit it with `SocketMode=0600`, or add a token",
        path.display()
    )))
}

async fn accept(
    acceptor: Acceptor,
    tls: Option<Arc<rustls::ServerConfig>>,
    places: Arc<Semaphore>,
    service: Arc<Service>,
) {
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match acceptor.accept().await {
            Ok((io, peer)) => {
                tokio::spawn(open(io, peer, tls.clone(), Arc::clone(&service), place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin API could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn open(
    io: Box<dyn Io>,
    peer: Peer,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: Arc<Service>,
    place: OwnedSemaphorePermit,
) {
    let _place = place;
    let transport = match tls {
        None => Transport::plain(io),
        Some(config) => {
            let handshake = Transport::accept(io, config);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok(transport)) => transport,
                Ok(Err(error)) => {
                    tracing::debug!(%error, %peer, "a connection to the admin API was not opened");
                    return;
                }
                Err(_elapsed) => return,
            }
        }
    };
    serve(transport, peer, service).await;
}

/// Serves one connection.
pub(crate) async fn serve(transport: Transport, peer: Peer, service: Arc<Service>) {
    let peer = Arc::new(peer);
    let answer = hyper::service::service_fn(|request| {
        let (service, peer) = (Arc::clone(&service), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(service.answer(&peer, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Paced::new(transport)), answer);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = service.forced() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection to the admin API broke");
    }
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    async fn accept(&self) -> io::Result<(Box<dyn Io>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let peer = std::net::SocketAddr::new(address.ip().to_canonical(), address.port());
                Ok((Box::new(stream), Peer::Tcp(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let known = stream.peer_cred().ok();
                let peer = Peer::Unix {
                    process: known.as_ref().and_then(tokio::net::unix::UCred::pid),
                    user: known.map(|known| known.uid()),
                };
                Ok((Box::new(stream), peer))
            }
        }
    }
}

/// A connection that breaks when its client takes nothing for too long.
struct Paced {
    transport: Transport,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    fn new(transport: Transport) -> Self {
        Self {
            transport,
            timer: None,
        }
    }

    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(cx, buf)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.transport).poll_shutdown(cx);
        self.in_time(cx, shut)
    }
}
