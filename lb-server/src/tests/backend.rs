//! Scripted backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::soon;

/// Connections on their way to a backend.
pub(super) struct Backlog(pub(super) mpsc::UnboundedReceiver<DuplexStream>);

impl Backlog {
    pub(super) async fn accept(&mut self) -> DuplexStream {
        soon("a connection to the backend", self.0.recv())
            .await
            .unwrap()
    }

    pub(super) async fn http1(&mut self) -> Http1 {
        Http1::new(self.accept().await)
    }

    pub(super) async fn http2(&mut self) -> Http2 {
        Http2::built(self.accept().await, &h2::server::Builder::new()).await
    }

    /// Answers every request on every connection with this, and counts them.
    pub(super) fn always(mut self, response: &'static str) -> Arc<AtomicU32> {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Some(mut pipe) = self.0.recv().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let mut heard = Vec::new();
                    while pipe.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
                        if heard.ends_with(b"\r\n\r\n") {
                            heard.clear();
                            counted.fetch_add(1, Ordering::Relaxed);
                            if pipe.write_all(response.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        count
    }

    /// Whether nobody has connected since the last one was accepted.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A backend's side of an HTTP/1.1 conversation.
pub(super) struct Http1 {
    pub(super) pipe: DuplexStream,
    heard: Vec<u8>,
}

impl Http1 {
    pub(super) fn new(pipe: DuplexStream) -> Self {
        Self {
            pipe,
            heard: Vec::new(),
        }
    }

    /// Hears up to and including `end`.
    pub(super) async fn hear(&mut self, end: &str) -> String {
        loop {
            let found = self
                .heard
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            if let Some(at) = found {
                let rest = self.heard.split_off(at + end.len());
                let text = std::mem::replace(&mut self.heard, rest);
                return String::from_utf8(text).unwrap();
            }
            let read = soon("more of the request", self.pipe.read_buf(&mut self.heard))
                .await
                .unwrap();
            assert!(
                read > 0,
                "ended after {:?}",
                String::from_utf8_lossy(&self.heard)
            );
        }
    }

    /// Hears a head.
    pub(super) async fn head(&mut self) -> String {
        self.hear("\r\n\r\n").await
    }

    pub(super) async fn say(&mut self, text: impl AsRef<[u8]>) {
        self.pipe.write_all(text.as_ref()).await.unwrap();
    }

    /// Hears a head and says a whole response.
    pub(super) async fn answer(&mut self, body: &str) -> String {
        let head = self.head().await;
        self.say(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        head
    }

    /// Waits until the proxy closes the connection.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A pipe that was dropped half-written counts as closed too.
        let _end = soon("the connection's end", self.pipe.read_to_end(&mut rest)).await;
    }
}

/// A backend's side of an HTTP/2 connection.
pub(super) struct Http2 {
    requests: mpsc::UnboundedReceiver<Received>,
}

/// A request on a stream, and the way to answer it.
pub(super) type Received = (Request<RecvStream>, SendResponse<Bytes>);

impl Http2 {
    pub(super) async fn built(pipe: DuplexStream, builder: &h2::server::Builder) -> Self {
        let mut connection = builder.handshake(pipe).await.unwrap();
        let (arrive, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(request)) = connection.accept().await {
                // A test that is done with this backend still has its answers sent.
                let _done = arrive.send(request);
            }
        });
        Self { requests }
    }

    pub(super) async fn request(&mut self) -> Received {
        soon("a request at the backend", self.requests.recv())
            .await
            .unwrap()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.requests.is_empty()
    }
}

/// Answers a stream with a whole body.
pub(super) fn answer(respond: &mut SendResponse<Bytes>, body: &'static str) {
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream
        .send_data(Bytes::from_static(body.as_bytes()), true)
        .unwrap();
}
