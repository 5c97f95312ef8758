//! The I/O layer under `h2` and HTTP/1.1: one stream type over cleartext or TLS.
//!
//! `h2` flushes after nearly every DATA frame and reads in small pieces. This layer gathers what
//! is written into full TLS records, reads ahead, gives its buffers back when idle, and sees each
//! inbound frame head, so that floods are counted here. After [`Transport::defer_flush`] it is the
//! connection's task that flushes, once per turn, by the [`Flusher`].

pub(crate) mod buffers;
mod frames;
mod link;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) use frames::{Flood, FrameCounts, FrameLimits, FrameRole};
use link::Link;

use crate::metrics::OpenConnection;

/// What a connection runs on: a socket, or a pipe in tests.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One connection's bytes, plain or under TLS.
///
/// A read never returns `Pending` after bytes were put into the caller's buffer. A write is
/// `Pending` while about 64 KiB wait for the socket.
pub(crate) struct Transport {
    link: Arc<Mutex<Link>>,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Box<str>>,
    is_tls: bool,
    tls_version: Option<&'static str>,
    /// Counts it as long as it is open, where it leads to a backend.
    _counted: Option<OpenConnection>,
}

impl Transport {
    pub(crate) fn plain(io: Box<dyn Io>) -> Self {
        Self {
            link: Arc::new(Mutex::new(Link::new(io, None))),
            alpn: None,
            server_name: None,
            is_tls: false,
            tls_version: None,
            _counted: None,
        }
    }

    /// Does the server's half of a TLS handshake. There is no deadline inside.
    ///
    /// # Errors
    /// The I/O error, or `InvalidData` around a `rustls::Error` after the alert was flushed.
    pub(crate) async fn accept(io: Box<dyn Io>, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(link::invalid_data)?;
        Self::handshake(io, session.into()).await
    }

    /// Does the client's half of a TLS handshake. There is no deadline inside.
    ///
    /// # Errors
    /// The I/O error, or `InvalidData` around a `rustls::Error` after the alert was flushed.
    pub(crate) async fn connect(
        io: Box<dyn Io>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session = ClientConnection::new(config, name).map_err(link::invalid_data)?;
        Self::handshake(io, session.into()).await
    }

    async fn handshake(io: Box<dyn Io>, session: rustls::Connection) -> io::Result<Self> {
        let mut link = Link::new(io, Some(Box::new(session)));
        poll_fn(|cx| link.poll_handshake(cx)).await?;
        Ok(Self {
            alpn: link.alpn().map(Into::into),
            server_name: link.server_name().map(Into::into),
            tls_version: link.tls_version(),
            _counted: None,
            link: Arc::new(Mutex::new(link)),
            is_tls: true,
        })
    }

    /// From here on `poll_flush` does nothing and inbound HTTP/2 frame heads are counted.
    ///
    /// It must come before the first read: counting starts at the next byte the caller gets.
    pub(crate) fn defer_flush(&self, role: FrameRole) -> Flusher {
        self.link.lock().defer_flush(role);
        Flusher {
            link: Arc::clone(&self.link),
        }
    }

    /// The protocol both sides agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Has it counted as long as it is open.
    pub(crate) fn counted(self, counted: OpenConnection) -> Self {
        Self {
            _counted: Some(counted),
            ..self
        }
    }

    /// The version both sides agreed on, as OpenSSL writes it (`TLSv1.3`).
    pub(crate) fn tls_version(&self) -> Option<&'static str> {
        self.tls_version
    }

    /// The name the client asked for (SNI); only on the server's side.
    #[cfg(test)]
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.link.lock().poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.link.lock().poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.link.lock().poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut link = self.link.lock();
        if link.is_deferred() {
            return Poll::Ready(Ok(()));
        }
        link.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.lock().poll_shutdown(cx)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transport")
            .field("is_tls", &self.is_tls)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// What the connection's task keeps of a [`Transport`] that `h2` has taken.
///
/// Its lock is uncontended as long as it stays on the task that polls the transport.
#[derive(Clone)]
pub(crate) struct Flusher {
    link: Arc<Mutex<Link>>,
}

impl Flusher {
    /// Seals what is gathered and writes everything out; `Pending` wakes when the socket is writable.
    ///
    /// # Errors
    /// That of the socket.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.lock().poll_flush(cx)
    }

    pub(crate) fn frames(&self) -> FrameCounts {
        self.link.lock().frames()
    }

    pub(crate) fn limit_frames(&self, limits: FrameLimits) {
        self.link.lock().limit_frames(limits);
    }

    /// Whether bytes wait that the socket would not take.
    #[cfg(test)]
    pub(crate) fn is_write_blocked(&self) -> bool {
        self.link.lock().is_write_blocked()
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flusher").finish_non_exhaustive()
    }
}
