//! What is stored, and for how long it is fresh (RFC 9111 §3, §4.2).

use super::{Case, play};

#[rustfmt::skip]
const STORED: &[Case] = &[
    Case("§3 explicit freshness", "", "cache-control: max-age=60", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("§3 no freshness", "", "", 0, "", "", "2 200 lb; fwd=uri-miss; detail=no-freshness"),
    Case("§3 a validator is no freshness", "", "etag: \"a\" | last-modified: {-999}", 0, "", "", "2 200 lb; fwd=uri-miss; detail=no-freshness"),
    Case("§3 203", "", ":status: 203 | cache-control: max-age=60", 1, "", "", "1 203 lb; hit; ttl=59"),
    Case("§3 unknown 2xx", "", ":status: 299 | cache-control: max-age=60", 1, "", "", "1 299 lb; hit"),
    Case("§3 301", "", ":status: 301 | location: /x | cache-control: max-age=60", 1, "", "", "1 301 lb; hit"),
    Case("§3 404", "", ":status: 404 | cache-control: max-age=60", 1, "", "", "1 404 lb; hit"),
    Case("§3 410", "", ":status: 410 | cache-control: max-age=60", 1, "", "", "1 410 lb; hit"),
    Case("§3 unknown 4xx", "", ":status: 499 | cache-control: max-age=60", 1, "", "", "1 499 lb; hit"),
    Case("§3 503", "", ":status: 503 | cache-control: max-age=60", 1, "", "", "1 503 lb; hit"),
    Case("§3 unknown 5xx", "", ":status: 599 | cache-control: max-age=60", 1, "", "", "1 599 lb; hit"),
    Case("§3 300", "", ":status: 300 | cache-control: max-age=60", 1, "", "", "1 300 lb; hit; ttl=59"),
    Case("§3 302", "", ":status: 302 | location: /x | cache-control: max-age=60", 1, "", "", "1 302 lb; hit; ttl=59"),
    Case("§3 307", "", ":status: 307 | location: /x | cache-control: max-age=60", 1, "", "", "1 307 lb; hit; ttl=59"),
    Case("§3 308", "", ":status: 308 | location: /x | cache-control: max-age=60", 1, "", "", "1 308 lb; hit; ttl=59"),
    Case("§3 400", "", ":status: 400 | cache-control: max-age=60", 1, "", "", "1 400 lb; hit; ttl=59"),
    Case("§3 403", "", ":status: 403 | cache-control: max-age=60", 1, "", "", "1 403 lb; hit; ttl=59"),
    Case("§3 405", "", ":status: 405 | cache-control: max-age=60", 1, "", "", "1 405 lb; hit; ttl=59"),
    Case("§3 414", "", ":status: 414 | cache-control: max-age=60", 1, "", "", "1 414 lb; hit; ttl=59"),
    Case("§3 451", "", ":status: 451 | cache-control: max-age=60", 1, "", "", "1 451 lb; hit; ttl=59"),
    Case("§3 500", "", ":status: 500 | cache-control: max-age=60", 1, "", "", "1 500 lb; hit; ttl=59"),
    Case("§3 501", "", ":status: 501 | cache-control: max-age=60", 1, "", "", "1 501 lb; hit; ttl=59"),
    Case("§3 502", "", ":status: 502 | cache-control: max-age=60", 1, "", "", "1 502 lb; hit; ttl=59"),
    Case("§3 504", "", ":status: 504 | cache-control: max-age=60", 1, "", "", "1 504 lb; hit; ttl=59"),
    Case("§5.2.2.9 public is no freshness", "", "cache-control: public", 0, "", "", "2 200 lb; fwd=uri-miss; detail=no-freshness"),
    Case("§5.2.2.6 no-transform", "", "cache-control: no-transform, max-age=60", 1, "", "", "1 200 lb; hit"),
    Case("§5.2.2.8 proxy-revalidate, fresh", "", "cache-control: proxy-revalidate, max-age=60", 1, "", "", "1 200 lb; hit"),
    Case("§3.3 a part", "range: bytes=0-9", ":status: 206 | content-range: bytes 0-9/20 | cache-control: max-age=60", 0, "", "", "2 206 lb; fwd=uri-miss; detail=status"),
    Case("§3 HEAD stores nothing", ":method: HEAD", "cache-control: max-age=60", 0, "", "", "2 200 lb; fwd=uri-miss; ttl=60; stored"),
    Case("§5.2.2.5 no-store", "", "cache-control: no-store, max-age=60", 0, "", "", "2 200 lb; fwd=uri-miss; detail=no-store"),
    Case("§5.2 names know no case", "", "cache-control: MAX-AGE=60, No-StOrE", 0, "", "", "2 200 lb; fwd=uri-miss; detail=no-store"),
    Case("§5.2.2.7 private", "", "cache-control: private, max-age=60", 0, "", "", "2 200 lb; fwd=uri-miss; detail=private"),
    Case("§5.2.2.3 must-understand", "", "cache-control: no-store, must-understand, max-age=60", 1, "", "", "1 200 lb; hit"),
    Case("§5.2.2.3 not understood", "", ":status: 299 | cache-control: must-understand, max-age=60", 0, "", "", "2 299 lb; fwd=uri-miss; detail=not-understood"),
    Case("§3.5 Authorization", "authorization: Basic eA==", "cache-control: max-age=60", 0, "", "", "2 200 lb; fwd=uri-miss; ttl=60; stored"),
    Case("§3.5 Authorization, told", "", "", 0, "authorization: Basic eA==", "cache-control: max-age=60", "2 200 lb; fwd=uri-miss; detail=authorization"),
    Case("§3.5 public", "authorization: Basic eA==", "cache-control: max-age=60, public", 1, "", "", "1 200 lb; hit"),
    Case("§3.5 must-revalidate", "authorization: Basic eA==", "cache-control: max-age=60, must-revalidate", 1, "", "", "1 200 lb; hit"),
    Case("§3.5 s-maxage", "authorization: Basic eA==", "cache-control: s-maxage=60", 1, "", "", "1 200 lb; hit"),
    Case("§7.3 Set-Cookie", "", "cache-control: max-age=60 | set-cookie: a=b", 0, "", "", "2 200 lb; fwd=uri-miss; detail=set-cookie"),
    Case("§5.2.2.4 a Set-Cookie that is left out", "", "cache-control: max-age=60, no-cache=\"set-cookie\" | set-cookie: a=b", 1, "", "", "1 200 lb; hit"),
    Case("§7.3 a Cookie is no obstacle", "cookie: a=b", "cache-control: max-age=60", 1, "cookie: c=d", "", "1 200 lb; hit"),
    Case("§4.1 Vary: *", "", "cache-control: max-age=60 | vary: *", 0, "", "", "2 200 lb; fwd=uri-miss; detail=vary"),
    Case("9110 §10.1.1 framing is no field", "", "cache-control: max-age=60 | keep-alive: timeout=5", 1, "", "", "1 200 lb; hit"),
];

#[rustfmt::skip]
const FRESH: &[Case] = &[
    Case("§4.2.1 s-maxage before max-age", "", "cache-control: max-age=1, s-maxage=60", 2, "", "", "1 200 lb; hit; ttl=58"),
    Case("§4.2.1 max-age before Expires", "", "cache-control: max-age=60 | expires: {-60}", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("§5.3 Expires", "", "expires: {3600}", 1, "", "", "1 200 lb; hit; ttl=359"),
    Case("§5.3 Expires in the past", "", "expires: {-60} | etag: \"a\"", 1, "", ":status: 304 | expires: {-60}", "2 200 lb; fwd=stale; fwd-status=304"),
    Case("§5.3 Expires that is no date", "", "expires: 0", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§5.3 two lines of Expires", "", "expires: {3600} | expires: {3600}", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§5.1 Age counts", "", "cache-control: max-age=60 | age: 50", 5, "", "", "1 200 lb; hit; ttl=5"),
    Case("§5.1 only the first Age", "", "cache-control: max-age=60 | age: 50, 70", 5, "", "", "1 200 lb; hit; ttl=5"),
    Case("§5.1 Age that is no number", "", "cache-control: max-age=60 | age: 5.0", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("§5.1 Age beyond the lifetime", "", "cache-control: max-age=60 | age: 60", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§4.2.3 a Date long ago", "", "cache-control: max-age=3600 | date: {-1800}", 1, "", "", "1 200 lb; hit; ttl=179"),
    Case("§4.2.3 a Date to come", "", "cache-control: max-age=60 | date: {1800}", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("§4.2 fresh to the last second", "", "cache-control: max-age=10", 9, "", "", "1 200 lb; hit; ttl=1"),
    Case("§4.2 stale at its end", "", "cache-control: max-age=10", 10, "", "", "2 200 lb; fwd=stale; ttl=10; stored"),
    Case("§5.2.2.1 no lifetime", "", "cache-control: max-age=0", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§5.2.2.10 no shared lifetime", "", "cache-control: max-age=60, s-maxage=0", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§4.2.1 below zero is no number", "", "cache-control: max-age=-1", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("9110 §5.3 lines are one list", "", "cache-control: public | cache-control: max-age=60", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("9110 §5.6.1 blanks and empty members", "", "cache-control: , max-age=60 ,, public", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("§5.2.2.1 a quoted number", "", "cache-control: max-age=\"60\"", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("§4.2.1 no number is stale", "", "cache-control: max-age=6x0", 0, "", "", "2 200 lb; fwd=uri-miss; detail=useless"),
    Case("§1.2.2 an absurd number", "", "cache-control: max-age=99999999999999999999", 1, "", "", "1 200 lb; hit; ttl=214748364"),
    Case("§5.2 an unknown directive", "", "cache-control: max-age=60, x=\"no-store\"", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("9213 §2 targeted before plain", "", "cdn-cache-control: max-age=60 | cache-control: no-store", 1, "", "", "1 200 lb; hit; ttl=59"),
    Case("9213 §2.1 broken is not there", "", "cdn-cache-control: max-age=\"60 | cache-control: max-age=30", 1, "", "", "1 200 lb; hit; ttl=29"),
    Case("9213 §2 targeted no-store", "", "cdn-cache-control: no-store | cache-control: max-age=60", 0, "", "", "2 200 lb; fwd=uri-miss; detail=no-store"),
];

#[tokio::test(start_paused = true)]
async fn stores_what_may_be_stored() {
    play("", STORED).await;
}

#[tokio::test(start_paused = true)]
async fn is_fresh_for_as_long_as_it_says() {
    play("", FRESH).await;
}

#[tokio::test(start_paused = true)]
async fn obeys_the_operator() {
    #[rustfmt::skip]
    let assumed = [
        Case("§4.2.2 an assumed lifetime", "", "", 5, "", "", "1 200 lb; hit; ttl=5"),
        Case("§4.2.2 of a status that allows it", "", ":status: 404", 5, "", "", "1 404 lb; hit; ttl=5"),
        Case("§4.2.2 of none that does not", "", ":status: 403", 5, "", "", "2 403 lb; fwd=uri-miss; detail=no-freshness"),
        Case("§4.2.2 its own word before", "", "cache-control: max-age=3", 5, "", "", "2 200 lb; fwd=stale"),
    ];
    play("default_ttl = \"10s\"", &assumed).await;
    #[rustfmt::skip]
    let deaf = [
        Case("§5.2.1.4 no-cache of the request", "", "cache-control: max-age=60", 1, "cache-control: no-cache", "", "1 200 lb; hit"),
        Case("§5.2.1.5 no-store of the request", "cache-control: no-store", "cache-control: max-age=60", 1, "", "", "1 200 lb; hit"),
    ];
    play("obey_requests = false", &deaf).await;
    #[rustfmt::skip]
    let cookies = [
        Case("§7.3 Set-Cookie where it is wanted", "", "cache-control: max-age=60 | set-cookie: a=b", 1, "", "", "1 200 lb; hit"),
    ];
    play("store_set_cookie = true", &cookies).await;
    #[rustfmt::skip]
    let apart = [
        Case("§2 a field that is part of the key", "accept: a", "cache-control: max-age=60", 1, "accept: b", "", "2 200 lb; fwd=vary-miss"),
        Case("§2 the same value of it", "accept: a", "cache-control: max-age=60", 1, "accept: a", "", "1 200 lb; hit"),
    ];
    play("vary = [\"accept\"]", &apart).await;
}
