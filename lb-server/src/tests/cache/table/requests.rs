//! What requests select and ask for (RFC 9111 §4.1, §5.2.1; RFC 9110 §13, §14).

use super::{Case, play};

const MINUTE: &str = "cache-control: max-age=60 | etag: \"a\" | last-modified: {-999}";
const SAME: &str = ":status: 304 | cache-control: max-age=60";

#[rustfmt::skip]
const SELECTING: &[Case] = &[
    Case("§4.1 the same value", "accept: a", "cache-control: max-age=60 | vary: accept", 1, "accept: a", "", "1 200 lb; hit"),
    Case("§4.1 another value", "accept: a", "cache-control: max-age=60 | vary: accept", 1, "accept: b", "", "2 200 lb; fwd=vary-miss; ttl=60; stored"),
    Case("§4.1 no value", "accept: a", "cache-control: max-age=60 | vary: accept", 1, "", "", "2 200 lb; fwd=vary-miss"),
    Case("§4.1 none both times", "", "cache-control: max-age=60 | vary: accept", 1, "", "", "1 200 lb; hit"),
    Case("§4.1 another field", "accept: a", "cache-control: max-age=60 | vary: accept", 1, "accept: a | x: y", "", "1 200 lb; hit"),
    Case("§4.1 white space and lines", "accept: a, b", "cache-control: max-age=60 | vary: accept", 1, "accept: a | accept: b", "", "1 200 lb; hit"),
    Case("§4.1 several fields", "accept: a | x: 1", "cache-control: max-age=60 | vary: accept, x", 1, "accept: a | x: 2", "", "2 200 lb; fwd=vary-miss"),
    Case("§4.1 * among others", "accept: a", "cache-control: max-age=60 | vary: accept, *", 1, "accept: a", "", "2 200 lb; fwd=uri-miss; detail=vary"),
    Case("§4 HEAD is answered from GET", "", "cache-control: max-age=60", 1, ":method: HEAD", "", "1 200 lb; hit; ttl=59"),
    Case("§4 POST is not", "", "cache-control: max-age=60", 1, ":method: POST", "", "2 200 lb; fwd=method"),
    Case("§4 OPTIONS is not", "", "cache-control: max-age=60", 1, ":method: OPTIONS", "", "2 200 lb; fwd=method"),
    Case("§4.1 names know no case", "accept: a", "cache-control: max-age=60 | vary: ACCEPT", 1, "accept: b", "", "2 200 lb; fwd=vary-miss"),
    Case("§4.1 two lines of Vary", "accept: a | x: 1", "cache-control: max-age=60 | vary: accept | vary: x", 1, "accept: a | x: 2", "", "2 200 lb; fwd=vary-miss"),
    Case("§4 PUT is not", "", "cache-control: max-age=60", 1, ":method: PUT", "", "2 200 lb; fwd=method"),
    Case("§4 DELETE is not", "", "cache-control: max-age=60", 1, ":method: DELETE", "", "2 200 lb; fwd=method"),
    Case("§4 PATCH is not", "", "cache-control: max-age=60", 1, ":method: PATCH", "", "2 200 lb; fwd=method"),
    Case("§4 an unknown method is not", "", "cache-control: max-age=60", 1, ":method: BREW", "", "2 200 lb; fwd=method"),
];

#[rustfmt::skip]
const ASKING: &[Case] = &[
    Case("§5.2.1.4 no-cache", "", MINUTE, 1, "cache-control: no-cache", SAME, "2 200 lb; fwd=request; fwd-status=304; ttl=60; stored"),
    Case("§5.2.1.1 max-age that it exceeds", "", MINUTE, 5, "cache-control: max-age=4", SAME, "2 200 lb; fwd=request; fwd-status=304"),
    Case("§5.2.1.1 max-age that it does not", "", MINUTE, 5, "cache-control: max-age=5", SAME, "1 200 lb; hit; ttl=55"),
    Case("§5.2.1.3 min-fresh that is left", "", MINUTE, 5, "cache-control: min-fresh=55", SAME, "1 200 lb; hit"),
    Case("§5.2.1.3 min-fresh that is not", "", MINUTE, 5, "cache-control: min-fresh=56", SAME, "2 200 lb; fwd=request"),
    Case("§5.2.1.2 max-stale", "", MINUTE, 70, "cache-control: max-stale=10", SAME, "1 200 lb; hit; ttl=-10"),
    Case("§5.2.1.2 staler", "", MINUTE, 70, "cache-control: max-stale=9", SAME, "2 200 lb; fwd=stale; fwd-status=304"),
    Case("§5.2.1.2 any staleness", "", MINUTE, 700, "cache-control: max-stale", SAME, "1 200 lb; hit"),
    Case("§5.2.2.2 but must-revalidate", "", "cache-control: max-age=60, must-revalidate", 70, "cache-control: max-stale", "", "2 200 lb; fwd=stale"),
    Case("§5.2.1.7 only-if-cached, stored", "", MINUTE, 1, "cache-control: only-if-cached", "", "1 200 lb; hit"),
    Case("§5.2.1.7 only-if-cached, stale", "", MINUTE, 70, "cache-control: only-if-cached", "", "1 504"),
    Case("§5.2.1.7 only-if-cached, nothing", "", "", 0, "cache-control: only-if-cached", "", "1 504"),
    Case("§5.2.1.5 no-store takes what is stored", "", MINUTE, 1, "cache-control: no-store", "", "1 200 lb; hit"),
    Case("§5.2.1.5 no-store stores nothing", "cache-control: no-store", MINUTE, 1, "", "", "2 200 lb; fwd=uri-miss; ttl=60; stored"),
    Case("§5.2.1.1 max-age=0", "", MINUTE, 1, "cache-control: max-age=0", SAME, "2 200 lb; fwd=request; fwd-status=304"),
    Case("§5.2.1.6 no-transform", "", MINUTE, 1, "cache-control: no-transform", SAME, "1 200 lb; hit"),
    Case("§5.2.1 an unknown directive", "", MINUTE, 1, "cache-control: x=y", SAME, "1 200 lb; hit"),
    Case("§5.4 Pragma is of the past", "", MINUTE, 1, "pragma: no-cache", "", "1 200 lb; hit; ttl=59"),
];

#[rustfmt::skip]
const CONDITIONAL: &[Case] = &[
    Case("9110 §13.1.2 the same tag", "", MINUTE, 1, "if-none-match: \"a\"", "", "1 304 lb; hit; ttl=59"),
    Case("9110 §13.1.2 weakly the same", "", MINUTE, 1, "if-none-match: \"b\", W/\"a\"", "", "1 304 lb; hit"),
    Case("9110 §13.1.2 another tag", "", MINUTE, 1, "if-none-match: \"b\"", "", "1 200 lb; hit"),
    Case("9110 §13.1.2 any", "", MINUTE, 1, "if-none-match: *", "", "1 304 lb; hit"),
    Case("9110 §13.1.3 not modified since", "", MINUTE, 1, "if-modified-since: {-500}", "", "1 304 lb; hit"),
    Case("9110 §13.1.3 modified since", "", MINUTE, 1, "if-modified-since: {-5000}", "", "1 200 lb; hit"),
    Case("9110 §13.2.2 the tag decides", "", MINUTE, 1, "if-none-match: \"b\" | if-modified-since: {-500}", "", "1 200 lb; hit"),
    Case("9110 §14.2 a range", "", MINUTE, 1, "range: bytes=0-4", "", "1 206 lb; hit"),
    Case("9110 §14.1.2 the last bytes", "", MINUTE, 1, "range: bytes=-3", "", "1 206 lb; hit"),
    Case("9110 §14.1.2 to the end", "", MINUTE, 1, "range: bytes=5-", "", "1 206 lb; hit"),
    Case("9110 §14.1.1 backwards is no range", "", MINUTE, 1, "range: bytes=5-4", "", "1 200 lb; hit"),
    Case("9110 §13.1.3 no date is no condition", "", MINUTE, 1, "if-modified-since: x", "", "1 200 lb; hit"),
    Case("9110 §13.1.2 HEAD with the same tag", "", MINUTE, 1, ":method: HEAD | if-none-match: \"a\"", "", "1 304 lb; hit"),
    Case("9110 §14.2 behind the end", "", MINUTE, 1, "range: bytes=10-", "", "1 416 lb; hit"),
    Case("9110 §14.2 another unit", "", MINUTE, 1, "range: lines=0-4", "", "1 200 lb; hit"),
    Case("9110 §14.2 only of GET", "", MINUTE, 1, ":method: HEAD | range: bytes=0-4", "", "1 200 lb; hit"),
    Case("9110 §13.1.5 If-Range, the same", "", MINUTE, 1, "range: bytes=0-4 | if-range: \"a\"", "", "1 206 lb; hit"),
    Case("9110 §13.1.5 If-Range, weakly", "", MINUTE, 1, "range: bytes=0-4 | if-range: W/\"a\"", "", "1 200 lb; hit"),
    Case("9110 §13.1.5 If-Range, another", "", MINUTE, 1, "range: bytes=0-4 | if-range: \"b\"", "", "1 200 lb; hit"),
    Case("§4.3.2 a 304 for a miss too", "", "", 0, "if-none-match: \"a\"", MINUTE, "2 304 lb; fwd=uri-miss; ttl=60; stored"),
    Case("§3.3 a range of nothing stored passes", "", "", 0, "range: bytes=0-9", ":status: 206 | content-range: bytes 0-9/20", "2 206 lb; fwd=uri-miss; detail=range"),
];

#[tokio::test(start_paused = true)]
async fn select_what_answers_them() {
    play("", SELECTING).await;
}

#[tokio::test(start_paused = true)]
async fn are_obeyed() {
    play("", ASKING).await;
}

#[tokio::test(start_paused = true)]
async fn are_answered_in_part_or_by_word() {
    play("", CONDITIONAL).await;
}
