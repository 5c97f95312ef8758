//! Which fields are stored, and how a 304 changes them (RFC 9111 §3.1, §3.2).

use http::header::{
    AGE, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, HeaderName,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use super::CacheRules;
use super::date::HttpDate;
use super::directives::named_fields;
use super::freshness::Received;
use super::list::members;

/// Fields of one connection, those of authentication at a proxy, and the age, which is counted anew.
const NEVER_STORED: [HeaderName; 8] = [
    AGE,
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const NEVER_STORED_TOO: [&str; 3] = [
    "keep-alive",
    "proxy-authentication-info",
    "proxy-connection",
];
/// Fields that belong to the stored body, whatever a 304 says.
const OF_THE_BODY: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE];

/// The fields of a response that are stored.
///
/// Left out are those of the connection, those that `no-cache` or `private` name, `Age`, and `Set-Cookie` unless
/// [`CacheRules::store_set_cookie`]. A response without `Date` gets the time of its arrival.
///
/// # Complexity
/// O(fields); one new map.
///
/// # References
/// RFC 9111 §3.1, §5.2.2.4, §5.2.2.7; RFC 9110 §6.6.1.
pub fn stored_fields(headers: &HeaderMap, times: &Received, rules: &CacheRules) -> HeaderMap {
    let mut stored = headers.clone();
    drop_unstored(&mut stored, headers, rules);
    if !stored.contains_key(DATE) {
        stored.insert(DATE, arrival(times));
    }
    stored
}

/// The date of a response that came without one.
fn arrival(times: &Received) -> HeaderValue {
    value(&HttpDate::from(times.wall).to_string())
}

/// Removes from `fields` what `said`, the response that they come from, keeps from being stored.
fn drop_unstored(fields: &mut HeaderMap, said: &HeaderMap, rules: &CacheRules) {
    let listed = said
        .get_all(CONNECTION)
        .into_iter()
        .flat_map(|line| members(line.as_bytes()))
        .filter_map(|name| HeaderName::from_bytes(name).ok());
    for name in listed.chain(named_fields(said)).chain(NEVER_STORED) {
        fields.remove(name);
    }
    for name in NEVER_STORED_TOO {
        fields.remove(name);
    }
    if !rules.store_set_cookie {
        fields.remove(SET_COOKIE);
    }
}

/// The stored fields after a 304: those that it brings replace all lines of their name. Its `Date` is now if it has none,
/// else its age would be counted from the date of the response that it renews.
pub(crate) fn merged(
    stored: &HeaderMap,
    not_modified: &HeaderMap,
    times: &Received,
    rules: &CacheRules,
) -> HeaderMap {
    let mut news = not_modified.clone();
    drop_unstored(&mut news, not_modified, rules);
    for name in OF_THE_BODY {
        news.remove(name);
    }
    let mut merged = stored.clone();
    for name in news.keys() {
        merged.remove(name);
    }
    let mut last: Option<HeaderName> = None;
    for (name, value) in news {
        // Further lines of a name come without it.
        last = name.or(last);
        if let Some(name) = &last {
            merged.append(name, value);
        }
    }
    // What the 304 names must not be sent any more, even if it was stored before.
    drop_unstored(&mut merged, not_modified, rules);
    if !not_modified.contains_key(DATE) {
        merged.insert(DATE, arrival(times));
    }
    merged
}

/// A field value that this crate wrote itself.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
