//! Refusals: the one vocabulary of reasons, and the only mapping from one to what a client sees.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::body::Body;

/// Why a request got an answer of ours instead of its target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reject {
    /// The head cannot be taken: what is wrong with it.
    BadRequest(&'static str),
    /// `CONNECT` and other methods that are not served here.
    MethodRefused,
    /// An expectation other than `100-continue`.
    ExpectationFailed,
    /// Too many fields or too large a head.
    HeadTooLarge,
    /// A body beyond a handler's limit.
    BodyTooLarge,
    /// The request's body did not come.
    RequestTimeout,
    NoRoute,
    /// Beyond a rate limit: which, if the client may know, and in how many seconds it may come again.
    RateLimited {
        policy: Option<Box<str>>,
        retry_after: Option<u64>,
    },
    /// The store that decides about it gives no answer, and without one nothing passes.
    StoreUnavailable,
    /// Our own mark is in `Via` already.
    Loop,
    /// Nobody to pick; after this time there may be.
    NoHealthyBackend(Option<Duration>),
    /// The same, and only because of circuit breakers.
    CircuitOpen(Option<Duration>),
    /// Every eligible backend is at its `max_connections`, and as many wait as may.
    QueueFull,
    /// No backend had room for it in time.
    QueueTimeout,
    /// The process holds as many bytes as it may.
    Overloaded,
    ConnectRefused,
    ConnectTimeout,
    TlsFailed(Box<str>),
    /// The connection ended before the response head.
    BackendReset,
    ResponseTimeout,
    BadResponse(Box<str>),
    HandlerFailed,
    Internal(&'static str),
    /// The client left; nobody sees the answer.
    ClientClosed,
}

impl Reject {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
            Self::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Loop
            | Self::ConnectRefused
            | Self::TlsFailed(_)
            | Self::BackendReset
            | Self::BadResponse(_) => StatusCode::BAD_GATEWAY,
            Self::NoHealthyBackend(_)
            | Self::CircuitOpen(_)
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::StoreUnavailable
            | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectTimeout | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::HandlerFailed | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            // nginx's number for it; never on the wire.
            Self::ClientClosed => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        }
    }

    /// The word for logs and metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) | Self::MethodRefused | Self::ExpectationFailed => "bad_request",
            Self::HeadTooLarge | Self::BodyTooLarge => "request_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::NoRoute => "no_route",
            Self::RateLimited { .. } => "rate_limited",
            Self::StoreUnavailable => "store_unavailable",
            Self::Loop => "loop_detected",
            Self::NoHealthyBackend(_) => "no_healthy_backend",
            Self::CircuitOpen(_) => "circuit_open",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Overloaded => "overloaded",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFailed(_) => "tls_failed",
            Self::BackendReset => "backend_reset",
            Self::ResponseTimeout => "response_timeout",
            Self::BadResponse(_) => "bad_response",
            Self::HandlerFailed => "handler_failed",
            Self::Internal(_) => "internal",
            Self::ClientClosed => "client_closed",
        }
    }

    /// The error type of RFC 9209 §2.3.
    fn proxy_status(&self) -> &'static str {
        match self {
            Self::BadRequest(_)
            | Self::MethodRefused
            | Self::ExpectationFailed
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::RequestTimeout
            | Self::ClientClosed => "http_request_error",
            Self::NoRoute => "destination_not_found",
            Self::RateLimited { .. } => "http_request_denied",
            Self::Loop => "proxy_loop_detected",
            Self::NoHealthyBackend(_) | Self::CircuitOpen(_) => "destination_unavailable",
            Self::QueueFull | Self::QueueTimeout => "connection_limit_reached",
            Self::Overloaded => "proxy_internal_response",
            Self::ConnectRefused => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::TlsFailed(_) => "tls_protocol_error",
            Self::BackendReset => "connection_terminated",
            Self::ResponseTimeout => "http_response_timeout",
            Self::BadResponse(_) => "http_protocol_error",
            Self::HandlerFailed | Self::Internal(_) | Self::StoreUnavailable => {
                "proxy_internal_error"
            }
        }
    }

    /// What went wrong beyond the reason, for operators.
    pub(crate) fn details(&self) -> Option<&str> {
        match self {
            Self::BadRequest(text) | Self::Internal(text) => Some(text),
            Self::TlsFailed(text) | Self::BadResponse(text) => Some(text),
            _ => None,
        }
    }

    /// In how many seconds the client may try again.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            Self::NoHealthyBackend(after) | Self::CircuitOpen(after) => {
                // Rounded up: a client that comes early comes in vain.
                let after = after.map_or(1, |after| after.as_millis().div_ceil(1000));
                Some(u64::try_from(after).unwrap_or(u64::MAX).max(1))
            }
            Self::QueueFull | Self::QueueTimeout | Self::Overloaded | Self::StoreUnavailable => {
                Some(1)
            }
            _ => None,
        }
    }

    /// Builds the answer: problem details (RFC 9457), or a page where a browser asks for one.
    pub(crate) fn response(&self, about: &RejectAbout<'_>) -> http::Response<Body> {
        let status = self.status();
        let mut headers = HeaderMap::with_capacity(5);
        let (content_type, body) = if about.wants_html {
            ("text/html; charset=utf-8", self.html(about.request_id))
        } else {
            ("application/problem+json", self.problem(about.request_id))
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after));
        }
        if let Ok(value) = HeaderValue::try_from(self.proxy_status_field(about)) {
            headers.insert(HeaderName::from_static("proxy-status"), value);
        }
        let mut response = http::Response::new(Body::from(Bytes::from(body)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn proxy_status_field(&self, about: &RejectAbout<'_>) -> String {
        let mut field = format!("{}; error={}", about.pseudonym, self.proxy_status());
        if about.expose_details
            && let Some(details) = self.details()
        {
            // A structured-field string (RFC 9651 §3.3.3) holds printable ASCII only.
            let text: String = details
                .chars()
                .filter(|c| c.is_ascii_graphic() || *c == ' ')
                .filter(|c| !matches!(c, '"' | '\\'))
                .collect();
            field.push_str(&format!("; details=\"{text}\""));
        }
        field
    }

    fn problem(&self, request_id: &str) -> String {
        let status = self.status();
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "reason": self.reason(),
            "request_id": request_id,
        });
        // What is wrong with a client's own request helps the client; what is wrong behind us does not.
        if let Self::BadRequest(detail) = self {
            problem["detail"] = serde_json::Value::from(*detail);
        }
        if let Self::RateLimited {
            policy: Some(policy),
            ..
        } = self
        {
            // As draft-ietf-httpapi-ratelimit-headers-10, section 6, names it.
            problem["type"] = QUOTA_EXCEEDED.into();
            problem["violated-policies"] = serde_json::json!([policy]);
        }
        problem.to_string()
    }

    fn html(&self, request_id: &str) -> String {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or("Error");
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code} {title}</title>\
             <h1>{code} {title}</h1><p>Request {request_id}</p></html>\n",
            code = status.as_u16(),
        )
    }
}

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// What an answer of ours says about its circumstances.
#[derive(Debug)]
pub(crate) struct RejectAbout<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) pseudonym: &'a str,
    pub(crate) wants_html: bool,
    pub(crate) expose_details: bool,
}

/// Whether the client is a browser that navigates: it prefers HTML by name, before JSON.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .and_then(|accept| {
            accept
                .split(',')
                .map(str::trim_start)
                .find(|part| part.starts_with("text/html") || part.starts_with("application/"))
        })
        .is_some_and(|first| first.starts_with("text/html"))
}
