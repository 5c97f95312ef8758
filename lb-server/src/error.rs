//! The one error of the public API.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::body::BodyError;
use crate::reject::Reject;

/// Why something could not be done.
///
/// From a request handler it becomes the answer: [`Error::status`] and the matching problem
/// details, never the text, which may say more than a client should know.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    reject: Option<Reject>,
}

/// What an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration contradicts itself or names what does not exist.
    Config,
    /// A certificate, key or authority cannot be used.
    Tls,
    /// An address cannot be listened on.
    Listen,
    /// The operating system refused what a start needs.
    Start,
    /// The request could not be forwarded; the answer is ours.
    Rejected,
    /// The request's body is too large, broken, or not what was expected.
    Body,
    /// The request handler failed.
    Handler,
    /// The deadline passed before every exchange had finished.
    ShutdownTimeout,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            reject: None,
        }
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn rejected(reject: Reject) -> Self {
        Self {
            kind: ErrorKind::Rejected,
            message: format!("the request was not forwarded: {}", reject.reason()).into(),
            source: None,
            reject: Some(reject),
        }
    }

    /// Wraps whatever a request handler failed with; the client sees status 500.
    pub fn handler(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Handler, "the request handler failed").with_source(source)
    }

    /// What the error is about.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The status that a client gets for it.
    pub fn status(&self) -> StatusCode {
        self.reject
            .as_ref()
            .map_or(StatusCode::INTERNAL_SERVER_ERROR, Reject::status)
    }

    pub(crate) fn into_reject(self) -> Reject {
        self.reject.unwrap_or(Reject::HandlerFailed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        let reject = match &error {
            BodyError::TooLarge { .. } => Reject::BodyTooLarge,
            BodyError::Incomplete(_) => Reject::ClientClosed,
            BodyError::Idle(_) => Reject::RequestTimeout,
            BodyError::Json(_) => Reject::BadRequest("the body is not the expected JSON"),
        };
        Self {
            kind: ErrorKind::Body,
            message: error.to_string().into(),
            source: Some(error.into()),
            reject: Some(reject),
        }
    }
}
