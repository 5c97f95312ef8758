//! One request at a time over HTTP/1.1, on a runtime of its own: commands are done one after another.

use std::fmt;
use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lb_server::{AdminToken, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use super::address::Unusable;
use super::error::Refusal;
use super::events::Events;
use super::token::Token;
use super::{AdminAddress, AdminError};
use crate::args::AdminArguments;
use crate::failure::Failure;
use crate::layers::Layers;
use crate::locate::locate;

/// A server on this machine or near it answers at once; only a reload takes a while.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer lists than this are no status.
const LONGEST: usize = 64 * 1024 * 1024;

/// A way to the admin API.
pub(crate) struct Client {
    address: AdminAddress,
    token: Option<Token>,
    patience: Duration,
    runtime: Runtime,
}

/// An answer of the admin API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
}

impl Client {
    /// Finds the server and the token: flags over variables over the configuration over the usual.
    ///
    /// # Errors
    ///
    /// An address or token that was given cannot be used.
    pub(crate) fn new(arguments: &AdminArguments) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let given = arguments.admin.clone().or_else(|| variable("LB_ADMIN"));
        // A server that was named is asked even where this machine has no readable configuration.
        let config = match &given {
            Some(_) => configuration(arguments).ok().flatten(),
            None => configuration(arguments)?,
        };
        let admin = config.as_ref().and_then(|config| config.admin.as_ref());
        let unusable = |error: Unusable| Failure::usage(anyhow::anyhow!(error.what), error.next);
        let address = match (&given, admin) {
            (Some(text), _) => AdminAddress::parse(text).map_err(unusable)?,
            (None, Some(admin)) => AdminAddress::of_config(admin).map_err(unusable)?,
            (None, None) => AdminAddress::usual(),
        };
        let token = token(
            arguments,
            variable,
            admin.and_then(|admin| admin.token.as_ref()),
        )?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Failure::failed(error, "raise the limits of the process (`ulimit -a`)")
            })?;
        Ok(Self {
            address,
            token,
            patience: PATIENCE,
            runtime,
        })
    }

    /// Waits no longer than this for an answer.
    #[must_use]
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Where it asks.
    pub(crate) fn address(&self) -> &AdminAddress {
        &self.address
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    ///
    /// There is nobody, or no such answer.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        let answer = self.ask(Method::GET, path, Bytes::new())?;
        self.read(&answer.body)
    }

    /// Asks for something to be done, and reads the answer.
    ///
    /// # Errors
    ///
    /// There is nobody, or it is refused.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, AdminError> {
        let answer = self.ask(method, path, json(body))?;
        self.read(&answer.body)
    }

    /// Asks for something to be done that has no answer but that it is done.
    ///
    /// # Errors
    ///
    /// There is nobody, or it is refused.
    pub(crate) fn order(&self, method: Method, path: &str) -> Result<(), AdminError> {
        self.ask(method, path, Bytes::new()).map(|_done| ())
    }

    /// Asks, and gives the answer as it is.
    ///
    /// # Errors
    ///
    /// There is nobody, or it is refused.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, AdminError> {
        let answered = self.block_on(self.exchange(method, path, body))?;
        self.accepted(answered)
    }

    /// Asks, and gives the answer even if it is a refusal.
    ///
    /// # Errors
    ///
    /// There is nobody, or no whole answer.
    pub(crate) fn answer(&self, path: &str) -> Result<Answer, AdminError> {
        self.block_on(self.exchange(Method::GET, path, Bytes::new()))
    }

    /// Runs something on the client's runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Opens the stream of events.
    ///
    /// # Errors
    ///
    /// There is nobody, or it is refused.
    pub(crate) async fn events(&self) -> Result<Events, AdminError> {
        let response = self
            .in_time(self.respond(Method::GET, "/api/v1/events", Bytes::new()))
            .await?;
        if response.status().is_success() {
            return Ok(Events::new(response.into_body()));
        }
        let answer = self.in_time(self.whole(response)).await?;
        Err(match self.accepted(answer) {
            Err(error) => error,
            Ok(answer) => AdminError::Foreign(self.address.clone(), answer.head.status),
        })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, AdminError> {
        self.in_time(async {
            let response = self.respond(method, path, body).await?;
            self.whole(response).await
        })
        .await
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, AdminError>>,
    ) -> Result<T, AdminError> {
        tokio::time::timeout(self.patience, asking)
            .await
            .unwrap_or_else(|_late| {
                let seconds = self.patience.as_secs_f64();
                Err(self.broken(format!("no answer within {seconds} s")))
            })
    }

    async fn respond(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, AdminError> {
        let unreachable = |error| AdminError::Unreachable(self.address.clone(), error);
        match &self.address {
            AdminAddress::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await.map_err(unreachable)?;
                self.over(stream, method, path, body).await
            }
            AdminAddress::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
                self.over(stream, method, path, body).await
            }
        }
    }

    async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, AdminError> {
        let broken = |error: hyper::Error| self.broken(chain(&error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Ends with the answer; what went wrong on the connection is told by the answer as well.
        tokio::spawn(connection);
        let has_body = !body.is_empty();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.host())
            .header(USER_AGENT, concat!("lb-cli/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json, text/event-stream, */*");
        if has_body {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.field());
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| self.broken(error.to_string()))?;
        sender.send_request(request).await.map_err(broken)
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Answer, AdminError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST).collect().await;
        let body = body.map_err(|error| self.broken(error.to_string()))?;
        Ok(Answer {
            head,
            body: body.to_bytes(),
        })
    }

    fn accepted(&self, answer: Answer) -> Result<Answer, AdminError> {
        if answer.head.status.is_success() {
            return Ok(answer);
        }
        Err(match serde_json::from_slice::<Refusal>(&answer.body) {
            Ok(refusal) => AdminError::Refused(refusal),
            Err(_) => AdminError::Foreign(self.address.clone(), answer.head.status),
        })
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, AdminError> {
        serde_json::from_slice(body).map_err(|error| {
            self.broken(format!(
                "the answer is not understood ({error}); is the server of another version than {}?",
                env!("CARGO_PKG_VERSION")
            ))
        })
    }

    fn broken(&self, what: String) -> AdminError {
        AdminError::Broken(self.address.clone(), what)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The configuration that `serve` would use here, if there is one.
fn configuration(arguments: &AdminArguments) -> Result<Option<Config>, Failure> {
    let layers = Layers::of_environment(locate(arguments.config.as_deref()));
    if layers.is_empty() {
        return Ok(None);
    }
    layers.load().map(|loaded| Some(loaded.config))
}

fn token(
    arguments: &AdminArguments,
    variable: impl Fn(&str) -> Option<String>,
    configured: Option<&AdminToken>,
) -> Result<Option<Token>, Failure> {
    let next = "take the token from `token_file` of [admin] in the server's configuration";
    let read = |path: &std::path::Path| {
        Token::read(path).map(Some).map_err(|error| {
            let error = anyhow::Error::new(error)
                .context(format!("cannot read the token in `{}`", path.display()));
            Failure::failed(error, next)
        })
    };
    if let Some(path) = &arguments.token_file {
        return read(path);
    }
    if let Some(text) = variable("LB_ADMIN_TOKEN") {
        let token = Token::new(&text);
        return token.map(Some).map_err(|error| {
            let error = anyhow::Error::new(error).context("LB_ADMIN_TOKEN is no token");
            Failure::usage(error, next)
        });
    }
    if let Some(path) = variable("LB_ADMIN_TOKEN_FILE") {
        return read(path.as_ref());
    }
    match configured {
        Some(AdminToken::File(path)) => read(path),
        Some(AdminToken::Text(text)) => Token::new(text.as_str())
            .map(Some)
            .map_err(|error| Failure::failed(error, next)),
        _ => Ok(None),
    }
}

/// A text as one segment of a path (RFC 3986 §3.3).
pub(crate) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing into a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_one_segment_whatever_it_is_called() {
        assert_eq!(
            segment("http://10.0.0.1:80/ä?"),
            "http%3A%2F%2F10.0.0.1%3A80%2F%C3%A4%3F"
        );
        assert_eq!(segment("a-1.b_~"), "a-1.b_~");
    }
}
