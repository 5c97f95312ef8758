//! The one body type: what a request or a response carries, from wherever it comes.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use serde::de::DeserializeOwned;

use crate::upstream::response::ResponseBody;

/// A streamed message body with optional trailers.
///
/// It yields chunks as they arrive and buffers nothing: a peer may send more only after the
/// chunk before was taken. Dropping it unfinished resets the stream it comes from.
pub struct Body {
    kind: Kind,
}

enum Kind {
    Empty,
    Bytes(Bytes),
    H2(H2Body),
    Http1(hyper::body::Incoming),
    Backend(Box<ResponseBody>),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

/// The receiving half of an HTTP/2 stream. The window of a chunk is given back when the next one
/// is asked for, so that what a slow reader has not taken is never asked for again.
struct H2Body {
    stream: h2::RecvStream,
    held_bytes: usize,
    data_ended: bool,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer reset the stream, broke the framing or closed the connection.
    #[error("the body was cut off: {0}")]
    Incomplete(Box<str>),
    /// More bytes than the reader allowed.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Nothing moved for longer than allowed.
    #[error("the body stood still for longer than {0:?}")]
    Idle(std::time::Duration),
    /// The bytes are not the expected JSON.
    #[error("the body is not the expected JSON")]
    Json(#[source] serde_json::Error),
}

impl Body {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    pub(crate) fn from_h2(stream: h2::RecvStream) -> Self {
        if stream.is_end_stream() {
            return Self::empty();
        }
        Self {
            kind: Kind::H2(H2Body {
                stream,
                held_bytes: 0,
                data_ended: false,
            }),
        }
    }

    pub(crate) fn from_http1(incoming: hyper::body::Incoming) -> Self {
        Self {
            kind: Kind::Http1(incoming),
        }
    }

    pub(crate) fn from_backend(body: ResponseBody) -> Self {
        Self {
            kind: Kind::Backend(Box::new(body)),
        }
    }

    /// Whether a backend's response streams through here.
    pub(crate) fn is_from_backend(&self) -> bool {
        matches!(self.kind, Kind::Backend(_))
    }

    /// The backend whose response this is, if any pool has affinity.
    pub(crate) fn backend(&self) -> Option<&lb_core::BackendId> {
        match &self.kind {
            Kind::Backend(body) => body.backend(),
            _ => None,
        }
    }

    /// Goes on with the other direction of the exchange that this body comes from, while nobody
    /// takes this one.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Kind::Backend(body) = &mut self.kind {
            body.drive(cx);
        }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] as soon as there are more than `limit` bytes, and whatever ended the
    /// body early.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await {
            let Ok(chunk) = frame?.into_data() else {
                continue;
            };
            if whole.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Reads the whole body as JSON.
    ///
    /// # Errors
    /// As [`Body::bytes`], and [`BodyError::Json`].
    pub async fn json<T: DeserializeOwned>(self, limit: usize) -> Result<T, BodyError> {
        let bytes = self.bytes(limit).await?;
        serde_json::from_slice(&bytes).map_err(BodyError::Json)
    }

    /// Wraps any body of the `http-body` world.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Self {
            kind: Kind::Boxed(Box::pin(body)),
        }
    }

    /// Whether nothing more will come; `false` where it is not known.
    pub fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Bytes(bytes) => bytes.is_empty(),
            Kind::H2(body) => body.stream.is_end_stream(),
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Backend(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    /// Yields the next chunk or the trailers.
    ///
    /// # Errors
    /// A [`BodyError`] where the body ends before its end; nothing follows it.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                if bytes.is_empty() {
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::H2(body) => body.poll_frame(cx),
            Kind::Http1(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| BodyError::Incomplete(error.to_string().into())),
            Kind::Backend(body) => body.poll_frame(cx),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }
}

impl H2Body {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.release();
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(chunk)) => {
                    self.held_bytes = chunk.len();
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(incomplete(&error)))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(incomplete(&error)))),
        }
    }

    fn release(&mut self) {
        let held = std::mem::take(&mut self.held_bytes);
        // An error says that the stream is gone, and its window with it.
        let _gone = self.stream.flow_control().release_capacity(held);
    }
}

fn incomplete(error: &h2::Error) -> BodyError {
    BodyError::Incomplete(error.to_string().into())
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Self::poll_frame(self.get_mut(), cx)
    }

    fn is_end_stream(&self) -> bool {
        Self::is_end_stream(self)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::H2(_) => SizeHint::default(),
            Kind::Http1(body) => body.size_hint(),
            Kind::Backend(body) if body.is_end_stream() => SizeHint::with_exact(0),
            Kind::Backend(body) => body
                .length()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Bytes(bytes),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "Empty",
            Kind::Bytes(_) => "Bytes",
            Kind::H2(_) => "H2",
            Kind::Http1(_) => "Http1",
            Kind::Backend(_) => "Backend",
            Kind::Boxed(_) => "Boxed",
        };
        formatter.debug_tuple("Body").field(&kind).finish()
    }
}
