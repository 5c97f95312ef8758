//! The one error of the public API.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::body::BodyError;
use crate::config::ConfigError;
use crate::reject::Reject;

/// Why something could not be done.
///
/// From a request handler it becomes the answer: [`Error::status`] and the matching problem
/// details, never the text, which may say more than a client should know.
///
/// Its text says what failed and leaves why to [`source`](StdError::source), so that a report of the
/// whole chain says each thing once.
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
    /// There is nothing of this name.
    NotFound,
    /// There is something of this name already.
    Conflict,
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
    /// A session cannot be read, changed or stored as asked for.
    Session,
    /// The server takes nothing new any more.
    Draining,
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

    pub(crate) fn config(source: ConfigError) -> Self {
        Self::new(ErrorKind::Config, "the configuration cannot be used").with_source(source)
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
            message: "the body of the request cannot be used".into(),
            source: Some(error.into()),
            reject: Some(reject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;
    use crate::config::Config;

    /// Asserts that no text of the chain stands in the one before it.
    fn says_each_thing_once(error: &Error) {
        let mut link: &dyn StdError = error;
        while let Some(source) = link.source() {
            let (text, cause) = (link.to_string(), source.to_string());
            assert!(!text.contains(&cause), "`{text}` repeats `{cause}`");
            link = source;
        }
        assert!(error.source().is_some(), "{error}");
    }

    #[test]
    fn a_body_says_each_thing_once() {
        says_each_thing_once(&Error::from(BodyError::TooLarge { limit: 1 }));
        let json = serde_json::from_str::<u8>("x").unwrap_err();
        says_each_thing_once(&Error::from(BodyError::Json(json)));
    }

    #[test]
    fn a_configuration_says_each_thing_once() {
        says_each_thing_once(&Server::from_config(Config::default()).unwrap_err());
    }

    #[tokio::test]
    async fn files_of_tls_say_each_thing_once() {
        let listener = r#"
            listen = "127.0.0.1:0"
            backends = ["http://127.0.0.1:1"]
            tls = { cert = "missing.crt", key = "missing.key" }
        "#;
        let pool = r#"
            listen = "127.0.0.1:0"
            [pools.api]
            backends = ["https://127.0.0.1:1"]
            tls = { ca = "missing.crt" }
        "#;
        for text in [listener, pool] {
            let config = Config::from_toml(text, "lb.toml").unwrap();
            let server = Server::from_config(config).unwrap();
            let error = server.start().await.map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Tls);
            says_each_thing_once(&error);
        }
    }
}
