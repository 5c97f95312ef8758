//! Short ways to answer from a request handler.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::body::Body;
use crate::handler::Response;

/// Answers with a value as JSON; a value that cannot be one becomes status 500.
///
/// # Examples
/// ```
/// let reply = lb_server::reply::json(200, &["Ada", "Linus"]);
/// assert_eq!(reply.headers()["content-type"], "application/json");
/// ```
pub fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => with_type(status, "application/json", Bytes::from(bytes)),
        Err(error) => {
            tracing::error!(%error, "a reply could not be written as JSON");
            self::status(500)
        }
    }
}

/// Answers with text.
pub fn text(status: u16, text: impl Into<String>) -> Response {
    with_type(
        status,
        "text/plain; charset=utf-8",
        Bytes::from(text.into()),
    )
}

/// Answers without a body; a number that is no status becomes 500.
pub fn status(status: u16) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn with_type(status: u16, content_type: &'static str, body: Bytes) -> Response {
    let mut response = self::status(status);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *response.body_mut() = Body::from(body);
    response
}
