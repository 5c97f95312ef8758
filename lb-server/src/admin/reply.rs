//! What the admin API answers with: a text that is there, or events as they happen.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::mpsc;

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Reply {
    Full(Bytes),
    /// Ends when its sender is dropped.
    Events(mpsc::Receiver<Bytes>),
}

impl Reply {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(bytes.into())
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => None,
            Self::Full(bytes) => Some(std::mem::take(bytes)),
            Self::Events(events) => std::task::ready!(events.poll_recv(cx)),
        };
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// A reply of JSON.
pub(crate) fn json(value: &impl Serialize) -> Response<Reply> {
    with_status(StatusCode::OK, value)
}

pub(crate) fn with_status(status: StatusCode, value: &impl Serialize) -> Response<Reply> {
    match serde_json::to_vec(value) {
        Ok(mut text) => {
            text.push(b'\n');
            let mut response = text_of("application/json", text);
            *response.status_mut() = status;
            response
        }
        Err(error) => {
            tracing::error!(%error, "a reply of the admin API cannot be written as JSON");
            let mut response = Response::new(Reply::full(Bytes::new()));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// A reply of text.
pub(crate) fn text_of(content_type: &'static str, text: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::full(text));
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

/// A reply that says by its status alone that it is done.
pub(crate) fn done() -> Response<Reply> {
    let mut response = Response::new(Reply::full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
