//! Conversations with scripted backends.

mod conversation;
mod properties;
mod refused;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Response};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::{Connection, Event, Exchange, Http1Error, RequestHead, ResponseLimits};
use crate::body::{Body, BodyError};

/// A backend that says its pieces whatever it hears, and keeps what it hears write by write.
#[derive(Default)]
struct Script {
    says: VecDeque<Bytes>,
    stays_open: bool,
    read_error: Option<io::ErrorKind>,
    write_error: Option<io::ErrorKind>,
    max_write: Option<usize>,
    heard: Vec<Vec<u8>>,
}

impl Script {
    fn saying(text: impl AsRef<[u8]>) -> Self {
        Self {
            says: VecDeque::from([Bytes::copy_from_slice(text.as_ref())]),
            ..Self::default()
        }
    }

    fn silent() -> Self {
        Self {
            stays_open: true,
            ..Self::default()
        }
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let script = &mut *self;
        if let Some(piece) = script.says.front_mut() {
            let taken = piece.split_to(piece.len().min(buffer.remaining()));
            buffer.put_slice(&taken);
            if piece.is_empty() {
                script.says.pop_front();
            }
        } else if script.stays_open {
            return Poll::Pending;
        } else if let Some(kind) = script.read_error {
            return Poll::Ready(Err(kind.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        let mut bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        bytes.truncate(self.max_write.unwrap_or(usize::MAX));
        let written = bytes.len();
        self.heard.push(bytes);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A body whose frames the test sends when it wants.
struct Fed(mpsc::UnboundedReceiver<Frame<Bytes>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn fed_body() -> (mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Body::new(Fed(receiver)))
}

fn body_of(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Body {
    let (sender, body) = fed_body();
    for frame in frames {
        sender.send(frame).unwrap();
    }
    body
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for &(name, value) in pairs {
        map.append(name, value.parse().unwrap());
    }
    map
}

fn start<S: AsyncRead + AsyncWrite + Send + Unpin>(
    io: S,
    method: Method,
    headers: &HeaderMap,
    body: Body,
    body_length: Option<u64>,
) -> Exchange<S> {
    start_on(Connection::new(io), method, headers, body, body_length)
}

fn start_on<S: AsyncRead + AsyncWrite + Send + Unpin>(
    connection: Connection<S>,
    method: Method,
    headers: &HeaderMap,
    body: Body,
    body_length: Option<u64>,
) -> Exchange<S> {
    let head = RequestHead {
        method: &method,
        path_and_query: "/a?b",
        host: "example.com",
        headers,
        forwarding: None,
        close: false,
    };
    Exchange::start(
        connection,
        head,
        body,
        body_length,
        ResponseLimits::default(),
    )
}

fn get<S: AsyncRead + AsyncWrite + Send + Unpin>(io: S) -> Exchange<S> {
    start(io, Method::GET, &HeaderMap::new(), Body::empty(), None)
}

#[derive(Debug)]
struct Received {
    interim: Vec<u16>,
    head: Response<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Received {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn receive<S>(exchange: &mut Exchange<S>) -> Result<Received, Http1Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut interim = Vec::new();
    let head = loop {
        match poll_fn(|cx| exchange.poll_head(cx)).await? {
            Event::Informational(head) => interim.push(head.status().as_u16()),
            Event::Final(head) => break head,
        }
    };
    let mut received = Received {
        interim,
        head,
        body: Vec::new(),
        trailers: None,
    };
    while let Some(frame) = poll_fn(|cx| exchange.poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(data) => received.body.extend_from_slice(&data),
            Err(frame) => received.trailers = frame.into_trailers().ok(),
        }
    }
    Ok(received)
}

/// The outcome with a backend that never makes us wait; `None` if it would have to be awaited.
fn receive_now(exchange: &mut Exchange<Script>) -> Option<Result<Received, Http1Error>> {
    receive(exchange).now_or_never()
}

fn heard(exchange: &Exchange<Script>) -> String {
    String::from_utf8(exchange.connection_io().heard.concat()).unwrap()
}
