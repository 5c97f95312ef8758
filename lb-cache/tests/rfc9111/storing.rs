//! What is stored (RFC 9111 §3).

use lb_cache::CacheRules;

use crate::machine::{Case, play};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case("§3 explicit freshness is stored", "", "cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 nothing is said", "", "", 0, "", "refused no-freshness"),
    Case("§3 a validator alone is no freshness", "", "etag: \"a\" | last-modified: {-9999}", 0, "", "refused no-freshness"),
    Case("§3 public alone is no freshness", "", "cache-control: public", 0, "", "refused no-freshness"),
    Case("§3 POST", ":method: POST", "cache-control: max-age=60", 0, "", "refused method"),
    Case("§3 PUT", ":method: PUT", "cache-control: max-age=60", 0, "", "refused method"),
    Case("§3 OPTIONS", ":method: OPTIONS", "cache-control: max-age=60", 0, "", "refused method"),
    Case("§3 HEAD has nothing to store", ":method: HEAD", "cache-control: max-age=60", 0, "", "refused method"),
    Case("§3 unknown method", ":method: BREW", "cache-control: max-age=60", 0, "", "refused method"),
    Case("9110 §9.3.1 a GET with a body is not keyed by it", ":body: 1", "cache-control: max-age=60", 0, "", "refused method"),
    Case("§3 204", "", ":status: 204 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 203", "", ":status: 203 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 unknown 2xx", "", ":status: 299 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 301", "", ":status: 301 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 302", "", ":status: 302 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 307", "", ":status: 307 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 unknown 3xx", "", ":status: 399 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 400", "", ":status: 400 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 404", "", ":status: 404 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 410", "", ":status: 410 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 unknown 4xx", "", ":status: 499 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 500", "", ":status: 500 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 503", "", ":status: 503 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 unknown 5xx", "", ":status: 599 | cache-control: max-age=60", 1, "", "hit 1"),
    Case("§3 beyond 5xx", "", ":status: 600 | cache-control: max-age=60", 0, "", "refused status"),
    Case("§3 interim", "", ":status: 103 | cache-control: max-age=60", 0, "", "refused status"),
    Case("§3.3 a part", "", ":status: 206 | cache-control: max-age=60 | content-range: bytes 0-1/9", 0, "", "refused status"),
    Case("§3.3 a part that says 200", "", "cache-control: max-age=60 | content-range: bytes 0-1/9", 0, "", "refused status"),
    Case("§4.3.4 304 without anything stored", "", ":status: 304 | cache-control: max-age=60", 0, "", "refused status"),
    Case("§5.2.2.5 no-store", "", "cache-control: no-store", 0, "", "refused no-store"),
    Case("§5.2.2.5 no-store beside freshness", "", "cache-control: max-age=60, no-store | expires: {60}", 0, "", "refused no-store"),
    Case("§5.2.2.5 no-store in a second line", "", "cache-control: max-age=60 | cache-control: no-store", 0, "", "refused no-store"),
    Case("§5.2 names know no case", "", "cache-control: MAX-AGE=60, No-StOrE", 0, "", "refused no-store"),
    Case("§5.2.1.5 no-store of the request", "cache-control: no-store", "cache-control: max-age=60", 0, "", "refused request-no-store"),
    Case("§5.2.2.7 private", "", "cache-control: private, max-age=60", 0, "", "refused private"),
    Case("§5.2.2.7 private of some fields", "", "cache-control: private=\"x-user\", max-age=60 | x-user: 1", 1, "", "hit 1"),
    Case("§5.2.2.7 private of what is no field", "", "cache-control: private=\"a b\", max-age=60", 0, "", "refused private"),
    Case("§5.2.2.3 must-understand overrides no-store", "", "cache-control: no-store, must-understand, max-age=60", 1, "", "hit 1"),
    Case("§5.2.2.3 must-understand of an unknown status", "", ":status: 299 | cache-control: must-understand, max-age=60", 0, "", "refused not-understood"),
    Case("§5.2.2.3 the same beside no-store", "", ":status: 599 | cache-control: no-store, must-understand, max-age=60", 0, "", "refused not-understood"),
    Case("§3.5 Authorization", "authorization: Basic eA==", "cache-control: max-age=60", 0, "", "refused authorization"),
    Case("§3.5 with Expires only", "authorization: Basic eA==", "expires: {60}", 0, "", "refused authorization"),
    Case("§3.5 public", "authorization: Basic eA==", "cache-control: max-age=60, public", 1, "", "hit 1"),
    Case("§3.5 must-revalidate", "authorization: Basic eA==", "cache-control: max-age=60, must-revalidate", 1, "", "hit 1"),
    Case("§3.5 s-maxage", "authorization: Basic eA==", "cache-control: s-maxage=60", 1, "", "hit 1"),
    Case("§3.5 proxy-revalidate is not named there", "authorization: Basic eA==", "cache-control: max-age=60, proxy-revalidate", 0, "", "refused authorization"),
    Case("§3.5 the second request may be authorised", "", "cache-control: max-age=60", 1, "authorization: Basic eA==", "hit 1"),
    Case("§7.3 Set-Cookie", "", "cache-control: max-age=60 | set-cookie: a=b", 0, "", "refused set-cookie"),
    Case("§5.2.2.4 a Set-Cookie that is left out", "", "cache-control: max-age=60, no-cache=\"Set-Cookie\" | set-cookie: a=b", 1, "", "hit 1"),
    Case("§5.2.2.7 a Set-Cookie that is private", "", "cache-control: max-age=60, private=set-cookie | set-cookie: a=b", 1, "", "hit 1"),
    Case("§7.3 a Cookie of the request is no obstacle", "cookie: a=b", "cache-control: max-age=60", 1, "cookie: c=d", "hit 1"),
    Case("§4.1 Vary: *", "", "cache-control: max-age=60 | vary: *", 0, "", "refused vary"),
    Case("§3 stale at once and without validator", "", "cache-control: max-age=0", 0, "", "refused useless"),
    Case("§5.2.2.4 no-cache without validator", "", "cache-control: no-cache, max-age=60", 0, "", "refused useless"),
    Case("§5.2.2.4 no-cache with a validator", "", "cache-control: no-cache | etag: \"a\"", 0, "", "validate: no-cache"),
    Case("§3 no-cache is no freshness for a 302", "", ":status: 302 | cache-control: no-cache | etag: \"a\"", 0, "", "refused no-freshness"),
    Case("§3 a body that says it is too large", "", "cache-control: max-age=60 | content-length: 4194305", 0, "", "refused too-large"),
    Case("§3 a body that just fits", "", "cache-control: max-age=60 | content-length: 4194304", 1, "", "hit 1"),
    Case("§5.4 Pragma means nothing", "", "cache-control: max-age=60 | pragma: no-cache", 1, "pragma: no-cache", "hit 1"),
    Case("§5.2.3 unknown directives are passed over", "", "cache-control: x, y=\"no-store\", max-age=60", 1, "", "hit 1"),
    Case("9110 §7.8 an upgrade is no request for a stored response", "", "cache-control: max-age=60", 1, "upgrade: websocket", "bypass upgrade"),
];

#[rustfmt::skip]
pub(crate) const WITH_SET_COOKIE: &[Case] = &[
    Case("§7.3 Set-Cookie where it is wanted", "", "cache-control: max-age=60 | set-cookie: a=b", 1, "", "hit 1"),
    Case("§7.3 private still is", "", "cache-control: private | set-cookie: a=b", 0, "", "refused private"),
];

#[test]
fn by_default() {
    play(CASES, &CacheRules::default());
}

#[test]
fn with_set_cookie() {
    let mut rules = CacheRules::default();
    rules.store_set_cookie = true;
    play(WITH_SET_COOKIE, &rules);
}
