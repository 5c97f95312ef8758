//! What is counted, for monitoring systems.

use http::Response;
use http::header::ACCEPT;

use crate::admin::reply::{Reply, text_of};
use crate::admin::service::{Call, Service};
use crate::metrics::MetricsFormat;

/// The text in the format that is asked for.
pub(super) fn text(service: &Service, call: &Call) -> Response<Reply> {
    let accept = call.headers.get(ACCEPT);
    let format = MetricsFormat::accepted(accept.and_then(|accept| accept.to_str().ok()));
    text_of(format.content_type(), service.handle.exposition(format))
}
