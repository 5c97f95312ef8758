//! What a browser finds at the admin address.

use http::HeaderValue;
use http::Response;
use http::header::{CONTENT_SECURITY_POLICY, X_FRAME_OPTIONS};

use super::dashboard;
use super::reply::{Reply, text_of};

const TEXT: &str = "\
The admin API of a load balancer.

  /api/v1/status         how everything is
  /api/v1/events         what happens, as server-sent events
  /api/v1/openapi.json   everything that can be asked for
  /livez  /readyz        health, for orchestrators
";

/// The page. It holds nothing that has to be kept: what it shows it asks for.
pub(super) fn answer(has_dashboard: bool) -> Response<Reply> {
    if has_dashboard {
        return dashboard::response();
    }
    let mut response = text_of("text/plain; charset=utf-8", TEXT);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}
