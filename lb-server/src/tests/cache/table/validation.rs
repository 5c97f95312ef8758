//! Validation, what is sent stale, and invalidation (RFC 9111 §4.2.4, §4.3, §4.4; RFC 5861).

use super::{Case, play};

const SHORT: &str = "cache-control: max-age=10 | etag: \"a\"";

#[rustfmt::skip]
const VALIDATED: &[Case] = &[
    Case("§4.3.4 304 renews", "", SHORT, 20, "", ":status: 304 | cache-control: max-age=30", "2 200 lb; fwd=stale; fwd-status=304; ttl=30; stored"),
    Case("§4.3.4 its fields stay", "", SHORT, 20, "", ":status: 304", "2 200 lb; fwd=stale; fwd-status=304; ttl=10; stored"),
    Case("§4.3.4 304 that forbids to store", "", SHORT, 20, "", ":status: 304 | cache-control: no-store", "2 200 lb; fwd=stale; fwd-status=304; detail=no-store"),
    Case("§4.3.3 200 replaces", "", SHORT, 20, "", "cache-control: max-age=30", "2 200 lb; fwd=stale; ttl=30; stored"),
    Case("§4.3.3 200 that is not stored", "", SHORT, 20, "", "cache-control: no-store", "2 200 lb; fwd=stale; fwd-status=200; detail=no-store"),
    Case("§4.3.3 404 is the answer", "", SHORT, 20, "", ":status: 404", "2 404 lb; fwd=stale; fwd-status=404; detail=no-freshness"),
    Case("§4.3.3 410 is the answer", "", SHORT, 20, "", ":status: 410", "2 410 lb; fwd=stale; fwd-status=410; detail=no-freshness"),
    Case("§5.2.2.8 proxy-revalidate, stale", "", "cache-control: max-age=10, proxy-revalidate", 20, "cache-control: max-stale", "", "2 200 lb; fwd=stale"),
    Case("§4.3.3 500 is the answer too", "", SHORT, 20, "", ":status: 500", "2 500 lb; fwd=stale; fwd-status=500; detail=no-freshness"),
    Case("§4.3.4 the client's condition after it", "", SHORT, 20, "if-none-match: \"a\"", ":status: 304", "2 304 lb; fwd=stale; fwd-status=304"),
    Case("§4.3.4 the client's range after it", "", SHORT, 20, "range: bytes=1-2", ":status: 304", "2 206 lb; fwd=stale; fwd-status=304"),
    Case("§5.2.2.4 no-cache validates each time", "", "cache-control: no-cache, max-age=60 | etag: \"a\"", 1, "", ":status: 304", "2 200 lb; fwd=stale; fwd-status=304; ttl=60; stored"),
    Case("§5.2.2.4 no-cache without validator", "", "cache-control: no-cache, max-age=60", 1, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§4.3.1 by date", "", "cache-control: max-age=10 | last-modified: {-999}", 20, "", ":status: 304", "2 200 lb; fwd=stale; fwd-status=304; ttl=10; stored"),
    Case("§4.3.5 HEAD validates", "", SHORT, 20, ":method: HEAD", ":status: 304", "2 200 lb; fwd=stale; fwd-status=304"),
    Case("§5.2.2.2 must-revalidate, fresh", "", "cache-control: max-age=10, must-revalidate", 5, "", "", "1 200 lb; hit; ttl=5"),
];

#[rustfmt::skip]
const STALE: &[Case] = &[
    Case("5861 §3 while it is validated", "", "cache-control: max-age=10, stale-while-revalidate=30", 15, "", "", "2 200 lb; hit; ttl=-5; detail=stale-while-revalidate"),
    Case("5861 §3 no longer than it says", "", "cache-control: max-age=10, stale-while-revalidate=30", 40, "", "", "2 200 lb; fwd=stale"),
    Case("5861 §3 not against must-revalidate", "", "cache-control: max-age=10, stale-while-revalidate=30, must-revalidate", 15, "", "", "2 200 lb; fwd=stale"),
    Case("5861 §4 in place of an error", "", "cache-control: max-age=10, stale-if-error=30", 15, "", ":status: 503", "2 200 lb; fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error"),
    Case("5861 §4 in place of 500", "", "cache-control: max-age=10, stale-if-error=30", 15, "", ":status: 500", "2 200 lb; fwd=stale; fwd-status=500; ttl=-5; detail=stale-if-error"),
    Case("5861 §4 in place of 502", "", "cache-control: max-age=10, stale-if-error=30", 15, "", ":status: 502", "2 200 lb; fwd=stale; fwd-status=502; ttl=-5; detail=stale-if-error"),
    Case("5861 §4 in place of 504", "", "cache-control: max-age=10, stale-if-error=30", 15, "", ":status: 504", "2 200 lb; fwd=stale; fwd-status=504; ttl=-5; detail=stale-if-error"),
    Case("5861 §4 in place of no 404", "", "cache-control: max-age=10, stale-if-error=30", 15, "", ":status: 404", "2 404 lb; fwd=stale"),
    Case("5861 §4 of no other status", "", "cache-control: max-age=10, stale-if-error=30", 15, "", ":status: 501", "2 501 lb; fwd=stale"),
    Case("5861 §4 no longer than it says", "", "cache-control: max-age=10, stale-if-error=30", 40, "", ":status: 503", "2 503 lb; fwd=stale"),
    Case("5861 §4 not against s-maxage", "", "cache-control: s-maxage=10, stale-if-error=30", 15, "", ":status: 503", "2 503 lb; fwd=stale"),
    Case("5861 §4 not against no-cache", "", "cache-control: no-cache, stale-if-error=30 | etag: \"a\"", 15, "", ":status: 503", "2 503 lb; fwd=stale"),
    Case("5861 §4 asked for by the request", "", "cache-control: max-age=10", 15, "cache-control: stale-if-error=30", ":status: 503", "2 200 lb; fwd=stale; fwd-status=503"),
];

#[tokio::test(start_paused = true)]
async fn asks_whether_it_is_still_right() {
    play("", VALIDATED).await;
}

#[tokio::test(start_paused = true)]
async fn sends_what_is_stale_only_where_it_may() {
    play("", STALE).await;
}
