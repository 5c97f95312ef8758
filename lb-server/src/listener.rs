//! Where clients connect: sockets, and the protocol of each connection.

mod inherited;
mod sockets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::admin::CertificateStatus;
use crate::admission::{Admission, Admissions};
use crate::clock;
use crate::config::{ListenAddress, ListenerConfig, ListenerTls, Protocol, RedirectScheme};
use crate::connection::{self, Terms, Wear};
use crate::drain::Drain;
use crate::error::{Error, ErrorKind};
use crate::headers;
use crate::metrics::{HandshakeResult, ListenerCounters};
use crate::pipeline::{Arrival, Handshake, Pipeline};
use crate::tls::{self, ServerTls};
use crate::transport::{Io, Transport};

pub use inherited::InheritedSocket;

pub(crate) use inherited::Inheritance;
pub(crate) use sockets::{Acceptor, Sockets, SocketsDraft};

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 4096;
/// How long accepting rests after an error such as a full descriptor table.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What an HTTP/2 client with prior knowledge says first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A listener in force, apart from its sockets.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: Arc<str>,
    tls: Option<ServerTls>,
    protocols: Vec<Protocol>,
    terms: Arc<Terms>,
}

impl Listener {
    /// Builds what a configuration says; the one before leaves what its clients know of it.
    pub(crate) fn build(
        name: &str,
        config: &ListenerConfig,
        counters: Arc<ListenerCounters>,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let before = before.and_then(|before| before.tls.as_ref());
        let tls = match &config.tls {
            ListenerTls::Off => None,
            tls => Some(
                tls::server(tls, &config.protocols, before).map_err(|error| {
                    Error::new(
                        ErrorKind::Tls,
                        format!("listener `{name}` cannot speak TLS"),
                    )
                    .with_source(error)
                })?,
            ),
        };
        Ok(Self {
            name: name.into(),
            tls,
            protocols: config.protocols.clone(),
            terms: Arc::new(Terms {
                http2: config.http2.clone(),
                timeouts: config.timeouts.clone(),
                redirect_to_https: config.redirect_to == Some(RedirectScheme::Https),
                wear: Wear {
                    max_requests: config.max_requests_per_connection,
                    max_age: config.max_connection_age,
                },
                counters,
            }),
        })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What is counted of it.
    pub(crate) fn counters(&self) -> &Arc<ListenerCounters> {
        &self.terms.counters
    }

    /// What clients are shown, for operators.
    fn certificates(&self) -> Vec<CertificateStatus> {
        self.tls
            .as_ref()
            .map_or_else(Vec::new, |tls| tls.describe(&self.name))
    }

    /// Whether clients of both are shown the same certificates.
    fn has_certificates_of(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (Some(tls), Some(other)) => tls.has_certificates_of(other),
            (one, other) => one.is_none() == other.is_none(),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener, SocketAddr),
    Unix(std::os::unix::net::UnixListener, PathBuf, Owner),
}

/// Who has made the path of a unix socket, and removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Us,
    Another,
}

impl Bound {
    /// The address, with the port that was taken.
    pub(crate) fn address(&self) -> ListenAddress {
        match self {
            Self::Tcp(_, address) => ListenAddress::Tcp(*address),
            Self::Unix(_, path, _) => ListenAddress::Unix(path.clone()),
        }
    }

    /// The path that whoever has bound it has to remove at the end.
    pub(crate) fn leaves(&self) -> Option<PathBuf> {
        match self {
            Self::Unix(_, path, Owner::Us) => Some(path.clone()),
            _ => None,
        }
    }
}

/// Binds an address, so that connections wait in the kernel until they are accepted. What was inherited is bound
/// already.
pub(crate) fn bind(address: &ListenAddress, inheritance: &Inheritance) -> Result<Bound, Error> {
    let failed = |shown: String, error: io::Error| {
        let hint = if error.kind() == io::ErrorKind::AddrInUse {
            "; port 0 takes a free one"
        } else {
            ""
        };
        Error::new(ErrorKind::Listen, format!("cannot listen on {shown}{hint}")).with_source(error)
    };
    let inherited = inheritance.at(address);
    if let Some(bound) = inherited.map_err(|error| failed(address.to_string(), error))? {
        return Ok(bound);
    }
    match address {
        ListenAddress::Tcp(address) => {
            bind_tcp(*address).map_err(|error| failed(address.to_string(), error))
        }
        ListenAddress::Unix(path) => {
            let bind = || {
                // A socket left by a process that is gone would refuse every new one.
                if std::os::unix::net::UnixStream::connect(path).is_err()
                    && std::fs::symlink_metadata(path).is_ok_and(|found| {
                        std::os::unix::fs::FileTypeExt::is_socket(&found.file_type())
                    })
                {
                    std::fs::remove_file(path)?;
                }
                let listener = std::os::unix::net::UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Bound::Unix(listener, path.clone(), Owner::Us))
            };
            bind().map_err(|error| failed(format!("unix:{}", path.display()), error))
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Bound> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let local = listener.local_addr()?;
    Ok(Bound::Tcp(listener, local))
}

/// A connection on its way to a worker.
pub(crate) struct Accepted {
    pub(crate) socket: Socket,
    pub(crate) peer: IpAddr,
    /// Unknown on a unix socket.
    pub(crate) peer_port: Option<u16>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) admission: Admission,
    /// Its listener's.
    pub(crate) drain: Drain,
}

/// Bytes from a client; which runtime polls them is decided by the worker that takes them.
pub(crate) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    /// A pipe, in tests.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests run the data path in memory")
    )]
    Memory(Box<dyn Io>),
}

impl Socket {
    fn into_io(self) -> io::Result<Box<dyn Io>> {
        Ok(match self {
            Self::Tcp(stream) => Box::new(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Box::new(UnixStream::from_std(stream)?),
            Self::Memory(io) => io,
        })
    }
}

/// Accepts until the drain begins and hands each connection to `deal`; those that come after `listener`
/// is another one are served as that says.
async fn accept(
    bound: Bound,
    listener: Arc<ArcSwap<Listener>>,
    admissions: Arc<Admissions>,
    drain: Drain,
    deal: impl Fn(Accepted),
) {
    let left = bound.leaves();
    tokio::select! {
        biased;
        () = drain.begun() => {}
        () = accept_all(bound, listener, admissions, &drain, deal) => {}
    }
    if let Some(path) = left
        && let Err(error) = std::fs::remove_file(&path)
    {
        tracing::warn!(%error, path = %path.display(), "the listener's socket could not be removed");
    }
}

async fn accept_all(
    bound: Bound,
    listener: Arc<ArcSwap<Listener>>,
    admissions: Arc<Admissions>,
    drain: &Drain,
    deal: impl Fn(Accepted),
) {
    let acceptor = match bound {
        Bound::Tcp(socket, _) => TcpListener::from_std(socket).map(Waiting::Tcp),
        Bound::Unix(socket, ..) => UnixListener::from_std(socket).map(Waiting::Unix),
    };
    let acceptor = match acceptor {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, listener = &*listener.load().name, "the listener cannot be polled");
            return;
        }
    };
    while let Some(room) = admissions.room().await {
        match acceptor.accept().await {
            Ok((socket, peer, peer_port)) => {
                if let Some(admission) = admissions.admit(peer, room) {
                    deal(Accepted {
                        socket,
                        peer,
                        peer_port,
                        listener: listener.load_full(),
                        admission,
                        drain: drain.clone(),
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, listener = &*listener.load().name, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A socket at which connections wait.
enum Waiting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Waiting {
    async fn accept(&self) -> io::Result<(Socket, IpAddr, Option<u16>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((
                    Socket::Tcp(stream.into_std()?),
                    peer.ip().to_canonical(),
                    Some(peer.port()),
                ))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // Whoever may open the socket is on this machine.
                Ok((
                    Socket::Unix(stream.into_std()?),
                    IpAddr::V4(Ipv4Addr::LOCALHOST),
                    None,
                ))
            }
        }
    }
}

/// Serves one connection from its first byte to its last.
pub(crate) async fn serve(
    accepted: Accepted,
    pipeline: Arc<Pipeline>,
    admissions: Arc<Admissions>,
) {
    let Accepted {
        socket,
        peer,
        peer_port,
        listener,
        admission,
        drain,
    } = accepted;
    let began = clock::now();
    let counters = listener.counters();
    let _guards = (admission, drain.guard());
    // Each phase has a place of its own, so that an idle connection has no room for a handshake.
    let opening = Box::pin(tokio::time::timeout(
        listener.terms.timeouts.handshake,
        open(socket, &listener, &admissions),
    ));
    let opened = tokio::select! {
        biased;
        () = drain.begun() => return,
        opened = opening => opened,
    };
    let (transport, protocol) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            if listener.is_tls() {
                counters.handshake(HandshakeResult::Failed);
            }
            tracing::debug!(%error, %peer, listener = &*listener.name, "a connection was not opened");
            return;
        }
        Err(_elapsed) => {
            if listener.is_tls() {
                counters.handshake(HandshakeResult::Timeout);
            }
            tracing::debug!(%peer, listener = &*listener.name, "a handshake took too long");
            return;
        }
    };
    if listener.is_tls() {
        counters.handshake(HandshakeResult::Ok(transport.tls_version()));
    }
    let _open = counters.opened(protocol);
    // Without TLS there is no handshake, only first bytes that are waited for.
    let handshake = match transport.is_tls() {
        true => clock::now().saturating_duration_since(began),
        false => Duration::ZERO,
    };
    let arrival = Arc::new(Arrival {
        listener: Arc::clone(&listener.name),
        peer,
        peer_port,
        forwarded_for: headers::forwarded_for_value(peer),
        is_tls: transport.is_tls(),
        tls_version: transport.tls_version(),
        handshake: Handshake::took(handshake),
        max_fields: listener.terms.http2.max_header_fields as usize,
        redirect_to_https: listener.terms.redirect_to_https,
    });
    let terms = Arc::clone(&listener.terms);
    match protocol {
        Protocol::H2 => {
            Box::pin(connection::serve_http2(
                transport, pipeline, terms, arrival, drain,
            ))
            .await;
        }
        Protocol::Http11 => {
            Box::pin(connection::http1::serve(
                transport, pipeline, terms, arrival, drain,
            ))
            .await;
        }
    }
}

async fn open(
    socket: Socket,
    listener: &Listener,
    admissions: &Admissions,
) -> io::Result<(Transport, Protocol)> {
    let io = socket.into_io()?;
    if let Some(tls) = &listener.tls {
        let _turn = admissions.handshake().await;
        let transport = Transport::accept(io, Arc::clone(&tls.config)).await?;
        let protocol = match transport.alpn() {
            Some(b"h2") => Protocol::H2,
            Some(_) => Protocol::Http11,
            // Clients without ALPN speak HTTP/1.1, where that is offered.
            None if listener.protocols.contains(&Protocol::Http11) => Protocol::Http11,
            None => Protocol::H2,
        };
        return Ok((transport, protocol));
    }
    match listener.protocols.as_slice() {
        [protocol] => Ok((Transport::plain(io), *protocol)),
        _ => sniff(io).await,
    }
}

/// Tells HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes.
async fn sniff(mut io: Box<dyn Io>) -> io::Result<(Transport, Protocol)> {
    let mut seen = [0; PREFACE.len()];
    let mut length = 0;
    let protocol = loop {
        let read = io.read(&mut seen[length..]).await?;
        length += read;
        if !PREFACE.starts_with(&seen[..length]) || read == 0 {
            break Protocol::Http11;
        }
        if length == PREFACE.len() {
            break Protocol::H2;
        }
    };
    let rewound = Rewound {
        seen: Bytes::copy_from_slice(&seen[..length]),
        io,
    };
    Ok((Transport::plain(Box::new(rewound)), protocol))
}

/// A stream whose first bytes were looked at.
struct Rewound {
    seen: Bytes,
    io: Box<dyn Io>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.seen.len().min(buf.remaining());
        buf.put_slice(&self.seen[..length]);
        self.seen.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
