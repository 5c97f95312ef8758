//! Opening a connection to a backend: the socket, TLS, and what is spoken on it.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::SendRequest;

use super::ConnectError;
use super::connect::Connector;
use super::http1;
use crate::clock;
use crate::config::BackendScheme;
use crate::metrics::{OpenConnection, Worker};
use crate::snapshot::BackendTarget;
use crate::transport::{FrameRole, Transport};

/// Window of a stream from a backend: what a slow client can make us hold of it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Windows of all streams together, so that stalled ones never freeze their siblings.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of an upload buffered for a stream that its backend does not read.
const SEND_BUFFER: usize = 32 * 1024;
/// Decoded head of a response.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// Streams assumed until the backend's SETTINGS are there.
const INITIAL_STREAMS: usize = 100;

/// A connection that is open.
pub(super) enum Opened {
    Http1(http1::Connection<Transport>),
    /// Its frames are carried by a task of its own.
    Http2(SendRequest<Bytes>),
}

/// Opens a connection to a backend, within its connect timeout.
pub(super) async fn open(
    connector: &dyn Connector,
    target: &BackendTarget,
) -> Result<Opened, ConnectError> {
    tokio::time::timeout(target.timeouts.connect, open_at_leisure(connector, target))
        .await
        .unwrap_or(Err(ConnectError::Timeout))
}

async fn open_at_leisure(
    connector: &dyn Connector,
    target: &BackendTarget,
) -> Result<Opened, ConnectError> {
    let began = clock::now();
    let io = connector
        .connect(&target.url.address)
        .await
        .map_err(socket_error)?;
    let (transport, http2) = match target.url.scheme {
        BackendScheme::Http => (Transport::plain(io), false),
        BackendScheme::H2c => (Transport::plain(io), true),
        BackendScheme::Https => {
            let Some(tls) = &target.tls else {
                return Err(ConnectError::Tls(
                    "no TLS is set up for this backend".into(),
                ));
            };
            let transport =
                Transport::connect(io, Arc::clone(&tls.config), tls.server_name.clone())
                    .await
                    .map_err(|error| ConnectError::Tls(error.to_string().into()))?;
            let http2 = transport.alpn() == Some(b"h2");
            (transport, http2)
        }
    };
    let connects = &target.pool_counters.connects;
    connects.observe(Worker::ANY, clock::now().saturating_duration_since(began));
    let transport = transport.counted(OpenConnection::to(&target.counters));
    if http2 {
        start_http2(transport).await.map(Opened::Http2)
    } else {
        Ok(Opened::Http1(http1::Connection::new(transport)))
    }
}

async fn start_http2(transport: Transport) -> Result<SendRequest<Bytes>, ConnectError> {
    let flusher = transport.defer_flush(FrameRole::Client);
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_max_send_streams(INITIAL_STREAMS)
        .max_concurrent_streams(0)
        .enable_push(false)
        .handshake::<_, Bytes>(transport)
        .await
        .map_err(protocol_error)?;
    let (ready, settings) = tokio::sync::oneshot::channel();
    let mut ready = Some(ready);
    tokio::spawn(async move {
        let ended = poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            if flusher.frames().settings_seen
                && let Some(ready) = ready.take()
            {
                // Whoever dialled may have given up.
                let _nobody_waits = ready.send(Ok(()));
            }
            if flusher.frames().flood.is_some() {
                return Poll::Ready(Err(ConnectError::Protocol("the backend floods".into())));
            }
            match flusher.poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(ConnectError::Io(Arc::new(error)))),
                _ => polled.map_err(|error| match error.is_library() {
                    true => ConnectError::Protocol(error.to_string().into()),
                    false => ConnectError::Io(Arc::new(io::Error::other(error))),
                }),
            }
        })
        .await;
        // Its streams learn of the end by themselves; the dial does only here.
        if let (Err(error), Some(ready)) = (ended, ready) {
            let _nobody_waits = ready.send(Err(error));
        }
    });
    // How many streams the backend takes is known only from its SETTINGS; what was sent before
    // could exceed it and wait on this connection while another would have been free.
    settings.await.unwrap_or_else(|_ended| {
        Err(ConnectError::Io(Arc::new(io::Error::new(
            io::ErrorKind::ConnectionReset,
            "the backend closed before its HTTP/2 SETTINGS",
        ))))
    })?;
    Ok(sender)
}

fn socket_error(error: io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::TimedOut => ConnectError::Timeout,
        _ => ConnectError::Io(Arc::new(error)),
    }
}

fn protocol_error(error: h2::Error) -> ConnectError {
    ConnectError::Io(Arc::new(io::Error::other(error)))
}
