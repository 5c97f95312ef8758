//! Refusals of the admin API, as problem details (RFC 9457).

use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use crate::error::{Error, ErrorKind};

/// Why the admin API did not do what it was asked for: `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The way out.
    pub help: String,
    /// A field that the reply has besides.
    #[serde(skip)]
    #[schemars(skip)]
    field: Option<Box<(&'static str, String)>>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        detail: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            help: help.into(),
            field: None,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail, help)
    }

    pub(crate) fn forbidden(detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail, help)
    }

    pub(crate) fn not_found(detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail, help)
    }

    pub(crate) fn unauthorized(detail: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            detail,
            "send `Authorization: Bearer TOKEN` with the token of [admin]",
        );
        problem.field = Some(Box::new((
            WWW_AUTHENTICATE.as_str(),
            "Bearer realm=\"lb admin\"".into(),
        )));
        problem
    }

    pub(crate) fn method(allowed: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this method is not for this path",
            format!("use one of: {allowed}"),
        );
        problem.field = Some(Box::new((ALLOW.as_str(), allowed.to_owned())));
        problem
    }

    pub(crate) fn busy(detail: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            detail,
            "try again in a moment",
        );
        problem.field = Some(Box::new((RETRY_AFTER.as_str(), "1".to_owned())));
        problem
    }

    /// The problem that an error of the server is to whoever asked; `help` is the way out where it does not say.
    pub(crate) fn of(error: &Error, help: &str) -> Self {
        let status = match error.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Config | ErrorKind::Tls | ErrorKind::Listen => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ErrorKind::Session => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, chain(error), help)
    }

    /// The answer that says so.
    pub(crate) fn response(&self) -> Response<Reply> {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = Response::new(Reply::full(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some((name, value)) = self.field.as_deref()
            && let Ok(value) = HeaderValue::from_str(value)
        {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// An error with all its causes, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
