//! Connections to backends, and one exchange on them.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use crate::body::BodyError;
use crate::transport::Transport;
use connections::BackendConnections;

pub(crate) mod connect;
pub(crate) mod connections;
mod dial;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod response;
mod waiting;

/// Why no connection to a backend could be had.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connecting took longer than allowed")]
    Timeout,
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// It is there, but speaks something else.
    #[error("{0}")]
    Protocol(Arc<str>),
    #[error("TLS: {0}")]
    Tls(Arc<str>),
}

/// Why an exchange with a backend broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The backend says that it did not process the request (RFC 9113 §8.7).
    #[error("the backend refused the request unprocessed")]
    Unprocessed,
    /// The connection or stream ended before the response head.
    #[error("the connection ended before the response head")]
    Reset,
    #[error("the response is malformed: {0}")]
    BadResponse(Box<str>),
    /// The connection or stream ended within the response's body.
    #[error("the response was cut off: {0}")]
    Incomplete(Box<str>),
    #[error("the request's body broke off")]
    RequestBody(#[source] BodyError),
    #[error("the request cannot be written: {0}")]
    BadRequest(Box<str>),
}

/// A part of a response head.
#[derive(Debug)]
pub(crate) enum Event {
    /// 1xx other than 101.
    Interim(http::Response<()>),
    Final(http::Response<()>),
}

/// One request under way on a connection, whatever its protocol. Polling for the response drives
/// the upload too.
///
/// Boxed, because it moves from hand to hand until its response's body has it.
pub(crate) enum Attempt {
    /// And where its connection goes at its end.
    Http1(Box<http1::Exchange<Transport>>, Arc<BackendConnections>),
    Http2(Box<http2::Exchange>),
}

impl Attempt {
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, UpstreamError>> {
        match self {
            Self::Http1(exchange, _) => exchange.poll_head(cx).map(|head| match head {
                Ok(http1::Event::Informational(interim)) => Ok(Event::Interim(interim)),
                Ok(http1::Event::Final(response)) => Ok(Event::Final(response)),
                Err(error) => match UpstreamError::from(error) {
                    // It had closed before it could take anything.
                    UpstreamError::Reset if !exchange.sent_any() => Err(UpstreamError::Unprocessed),
                    error => Err(error),
                },
            }),
            Self::Http2(exchange) => exchange.poll_head(cx),
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match self {
            Self::Http1(exchange, _) => exchange.poll_frame(cx).map_err(UpstreamError::from),
            Self::Http2(exchange) => exchange.poll_frame(cx),
        }
    }

    /// Goes on with the upload while nobody takes the response.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1(exchange, _) => exchange.poll_upload(cx),
            Self::Http2(exchange) => exchange.drive(cx),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(exchange, _) => exchange.is_end_stream(),
            Self::Http2(exchange) => exchange.is_end_stream(),
        }
    }

    /// The exact length of the response's body, where its head told it.
    pub(crate) fn body_length(&self, head: &http::HeaderMap) -> Option<u64> {
        match self {
            Self::Http1(exchange, _) => exchange.body_length(),
            // `h2` holds the stream to it.
            Self::Http2(_) => head
                .get(http::header::CONTENT_LENGTH)?
                .to_str()
                .ok()?
                .parse()
                .ok(),
        }
    }

    /// Whether the backend has the whole request, so that the answer is its turn.
    pub(crate) fn is_upload_done(&self) -> bool {
        match self {
            Self::Http1(exchange, _) => exchange.is_upload_done(),
            Self::Http2(exchange) => exchange.is_upload_done(),
        }
    }
}

impl From<http1::Http1Error> for UpstreamError {
    fn from(error: http1::Http1Error) -> Self {
        use http1::Http1Error;
        match error {
            Http1Error::Closed { .. } | Http1Error::Io(_) => Self::Reset,
            Http1Error::BadResponse(text) => Self::BadResponse(text.into()),
            Http1Error::Truncated => Self::Incomplete("the connection ended early".into()),
            Http1Error::RequestBody(error) => Self::RequestBody(error),
            Http1Error::MalformedRequest(text) => Self::BadRequest(text.into()),
        }
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Http1(..) => "Attempt::Http1",
            Self::Http2(_) => "Attempt::Http2",
        })
    }
}
