//! One HTTP/1.1 connection to a backend.
//!
//! The framing towards the backend is built here and never copied from the client, and a response
//! whose framing leaves room for doubt is refused (RFC 9112 §6.3, §11): two readers that disagree
//! about where a message ends are how requests are smuggled.

mod chunked;
mod encode;
mod exchange;
mod head;
mod upload;

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::Context;

use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, ReadBuf};

use crate::body::BodyError;
use crate::headers::Forwarding;

pub(crate) use exchange::{Event, Exchange};

/// A connection between two exchanges; it owns no buffer.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    io: S,
}

impl<S: AsyncRead + Unpin> Connection<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io }
    }

    /// Whether nothing can be read and the backend has not closed; the waker is woken when that
    /// changes.
    ///
    /// After `false` the connection must be dropped: the byte that was found is gone, and a
    /// response that came before its request would answer somebody else's.
    pub(crate) fn poll_is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        Pin::new(&mut self.io)
            .poll_read(cx, &mut buffer)
            .is_pending()
    }
}

/// What the request line and the fields are written from.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    /// Begins with `/`, or is `*` for OPTIONS.
    pub(crate) path_and_query: &'a str,
    /// The value of the one `host` field.
    pub(crate) host: &'a str,
    /// End-to-end fields. Of the connection-specific ones only `te: trailers` is honoured.
    pub(crate) headers: &'a HeaderMap,
    /// Fields that tell who asked; `headers` has none of them then.
    pub(crate) forwarding: Option<Forwarding<'a>>,
    /// Whether the backend is asked to close afterwards.
    pub(crate) close: bool,
}

/// What a backend may make us read before its response is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseLimits {
    /// Bytes of one head, or of the trailers. Default 64 KiB.
    pub(crate) head_bytes: usize,
    /// Fields of one head, or of the trailers. Default 100.
    pub(crate) fields: usize,
    /// Interim (1xx) responses before the final one. Default 10.
    pub(crate) interim_responses: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            fields: 100,
            interim_responses: 10,
        }
    }
}

/// Why an exchange failed. Its connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Http1Error {
    /// The end of the connection came before the end of the response head.
    #[error("the backend closed the connection before it answered")]
    Closed {
        /// Whether at least one byte of a response had arrived.
        received_any: bool,
    },
    #[error("the response is not acceptable: {0}")]
    BadResponse(&'static str),
    #[error("the response was cut off")]
    Truncated,
    #[error("the connection to the backend failed")]
    Io(#[source] io::Error),
    #[error("the body of the request failed")]
    RequestBody(#[source] BodyError),
    /// What was to be sent is not one well-formed message.
    #[error("the request cannot be sent: {0}")]
    MalformedRequest(&'static str),
}

/// Whether the peer is gone, rather than our side in trouble.
fn is_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected
    )
}
