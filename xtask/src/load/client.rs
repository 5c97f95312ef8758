//! Connections to the proxy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Addresses of loopback that connections come from: one alone has too few ports for the closed
/// connections of a minute.
const SOURCES: u8 = 16;

/// What TLS and TCP have in common.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How connections are made.
pub(crate) struct Client {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) is_resumed: bool,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    /// Over TLS if there is an authority to trust.
    ///
    /// # Errors
    ///
    /// Fails if the authority cannot be read.
    pub(crate) fn try_new(
        address: SocketAddr,
        authority: Option<&Path>,
        resumption: Resumption,
    ) -> Result<Self> {
        let tls = authority
            .map(|file| connector(file, resumption))
            .transpose()?;
        Ok(Self { address, tls })
    }

    /// Makes one connection; `number` spreads them over addresses.
    ///
    /// # Errors
    ///
    /// Fails if the proxy cannot be reached or speaks no HTTP/2.
    pub(crate) async fn connect(&self, number: usize) -> Result<Connection> {
        let socket = TcpSocket::new_v4().context("no socket")?;
        let last = u8::try_from(number % usize::from(SOURCES)).unwrap_or_default() + 1;
        let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        socket.bind(source).context("no address to connect from")?;
        let stream = socket
            .connect(self.address)
            .await
            .context("cannot connect")?;
        stream.set_nodelay(true).context("no socket option")?;
        let Some(connector) = &self.tls else {
            return start(Box::new(stream), false).await;
        };
        let name = ServerName::try_from("localhost").context("a valid name")?;
        let stream = connector
            .connect(name, stream)
            .await
            .context("no TLS handshake")?;
        let (_, session) = stream.get_ref();
        ensure!(
            session.alpn_protocol() == Some(b"h2"),
            "the proxy did not choose h2"
        );
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        start(Box::new(stream), is_resumed).await
    }
}

impl Connection {
    /// Says goodbye and waits until all of it is sent.
    pub(crate) async fn close(self) {
        drop(self.sender);
        // The proxy may be the faster one to close: that is no failure of a request.
        let _ = self.driver.await;
    }
}

async fn start(stream: Box<dyn Stream>, is_resumed: bool) -> Result<Connection> {
    let mut builder = h2::client::Builder::new();
    // Windows that never stop a server: what is measured is not the client.
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .enable_push(false);
    let (sender, connection) = builder
        .handshake(stream)
        .await
        .context("no HTTP/2 handshake")?;
    Ok(Connection {
        sender,
        is_resumed,
        driver: tokio::spawn(connection),
    })
}

fn connector(authority: &Path, resumption: Resumption) -> Result<TlsConnector> {
    let pem =
        fs::read(authority).with_context(|| format!("cannot read {}", authority.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut pem.as_slice()) {
        roots
            .add(certificate.context("no certificate")?)
            .context("no authority")?;
    }
    let mut provider = aws_lc_rs::default_provider();
    // The group that every proxy knows, so that all of them do the same work.
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("no TLS 1.3")?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = resumption;
    Ok(TlsConnector::from(Arc::new(config)))
}
