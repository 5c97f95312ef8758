//! A client that speaks HTTP/2 through the `h2` crate.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::soon;

pub(super) struct Client {
    pub(super) sender: SendRequest<Bytes>,
    /// Ends with the connection.
    pub(super) connection: JoinHandle<Result<(), h2::Error>>,
}

/// A reply read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: Response<()>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Reply {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// A field's value; empty where there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.head
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The word that our own error bodies give.
    pub(super) fn reason(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        problem["reason"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(super) async fn new(pipe: DuplexStream) -> Self {
        Self::built(pipe, &h2::client::Builder::new()).await
    }

    pub(super) async fn built(pipe: DuplexStream, builder: &h2::client::Builder) -> Self {
        let (sender, connection) = builder.handshake(pipe).await.unwrap();
        Self {
            sender,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a head; the body is sent through the stream that is returned.
    pub(super) async fn open(
        &mut self,
        request: Request<()>,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        self.start(request, false).await
    }

    pub(super) async fn start(
        &mut self,
        request: Request<()>,
        is_end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        soon(
            "room for a stream",
            poll_fn(|cx| self.sender.poll_ready(cx)),
        )
        .await
        .unwrap();
        self.sender.send_request(request, is_end).unwrap()
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send(get(path)).await
    }

    pub(super) async fn send(&mut self, request: Request<()>) -> Reply {
        self.try_send(request).await.unwrap()
    }

    pub(super) async fn try_send(&mut self, request: Request<()>) -> Result<Reply, h2::Error> {
        let (response, _) = self.start(request, true).await;
        read(response).await
    }

    pub(super) async fn post(
        &mut self,
        path: &str,
        body: &'static str,
    ) -> Result<Reply, h2::Error> {
        let (response, mut stream) = self.open(post(path)).await;
        stream.send_data(Bytes::from_static(body.as_bytes()), true)?;
        read(response).await
    }

    /// Waits for the connection's end.
    pub(super) async fn closed(self) -> Result<(), h2::Error> {
        soon("the connection's end", self.connection).await.unwrap()
    }
}

pub(super) fn get(path: &str) -> Request<()> {
    Request::get(format!("http://app.example{path}"))
        .body(())
        .unwrap()
}

pub(super) fn post(path: &str) -> Request<()> {
    Request::post(format!("http://app.example{path}"))
        .body(())
        .unwrap()
}

/// Reads a reply to its end.
pub(super) async fn read(response: ResponseFuture) -> Result<Reply, h2::Error> {
    let (head, stream) = soon("a response", response).await?.into_parts();
    let (body, trailers) = read_body(stream).await?;
    Ok(Reply {
        head: Response::from_parts(head, ()),
        body,
        trailers,
    })
}

/// Reads a body to its end, giving back the window of every chunk.
pub(super) async fn read_body(
    mut stream: RecvStream,
) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = soon("a chunk", stream.data()).await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let trailers = soon("the end of a body", stream.trailers()).await?;
    Ok((body, trailers))
}

/// Sends a whole body as the window allows.
pub(super) async fn write_body(stream: &mut SendStream<Bytes>, mut body: Bytes, is_end: bool) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let granted = soon("room in the window", poll_fn(|cx| stream.poll_capacity(cx)))
            .await
            .unwrap()
            .unwrap();
        let chunk = body.split_to(granted.min(body.len()));
        let is_last = is_end && body.is_empty();
        stream.send_data(chunk, is_last).unwrap();
    }
}

/// The reason for which the far end reset a stream.
pub(super) fn reset_reason(error: &h2::Error) -> Option<Reason> {
    (error.is_reset() && error.is_remote())
        .then(|| error.reason())
        .flatten()
}
