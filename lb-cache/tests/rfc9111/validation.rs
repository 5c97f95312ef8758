//! What the answer to a validation means (RFC 9111 §4.3).

use std::time::Duration;

use http::header::DATE;
use http::{HeaderMap, Method};
use lb_cache::{
    CacheRules, HeadUpdate, Refreshed, Storability, Validated, ask_for_fill, ask_to_validate,
    stored_fields,
};

use crate::machine::{Head, arrived, start, store};

const STALE: &str = "cache-control: max-age=60 | date: {0} | etag: \"a\" | x: 1";

/// Section, stored response, answer after 100 seconds, what it means, and a field of what is stored then.
#[rustfmt::skip]
pub(crate) const CASES: &[(&str, &str, &str, &str, &str)] = &[
    ("§4.3.3 304", STALE, ":status: 304", "fresh for 60", "x: 1"),
    ("§3.2 a field is replaced", STALE, ":status: 304 | x: 2", "fresh for 60", "x: 2"),
    ("§3.2 all lines of it are", "cache-control: max-age=60 | etag: \"a\" | x: 1 | x: 2", ":status: 304 | x: 3", "fresh for 60", "x: 3"),
    ("§3.2 by all new lines", STALE, ":status: 304 | x: 2 | x: 3", "fresh for 60", "x: 2, 3"),
    ("§3.2 a field is added", STALE, ":status: 304 | y: 2", "fresh for 60", "y: 2"),
    ("§3.2 the lifetime is replaced", STALE, ":status: 304 | cache-control: max-age=5", "fresh for 5", "cache-control: max-age=5"),
    ("§3.2 Content-Type is replaced", "cache-control: max-age=60 | etag: \"a\" | content-type: a/b", ":status: 304 | content-type: c/d", "fresh for 60", "content-type: c/d"),
    ("§3.2 Content-Length is kept", "cache-control: max-age=60 | etag: \"a\" | content-length: 7", ":status: 304 | content-length: 0", "fresh for 60", "content-length: 7"),
    ("§3.2 Content-Encoding is kept", "cache-control: max-age=60 | etag: \"a\" | content-encoding: gzip", ":status: 304 | content-encoding: br", "fresh for 60", "content-encoding: gzip"),
    ("§3.1 a field of the connection is not taken", STALE, ":status: 304 | connection: y | y: 2", "fresh for 60", "y: "),
    ("§7.3 a Set-Cookie is for this client", STALE, ":status: 304 | set-cookie: a=b", "fresh for 60", "set-cookie: "),
    ("§4.2.3 Age of the 304 counts", STALE, ":status: 304 | age: 20", "fresh for 40", "age: "),
    ("9110 §6.6.1 the date is now if it has none", STALE, ":status: 304", "fresh for 60", "date: Thu, 01 Jan 2026 12:00:00 GMT"),
    ("§4.2.3 an old date of the 304 counts", STALE, ":status: 304 | date: {-30}", "fresh for 30", "x: 1"),
    ("§4.3.4 the same tag, weak", STALE, ":status: 304 | etag: W/\"a\"", "fresh for 60", "etag: W/\"a\""),
    ("§4.3.4 another tag", STALE, ":status: 304 | etag: \"b\"", "unusable", ""),
    ("§3 now no-store", STALE, ":status: 304 | cache-control: no-store", "refused no-store", "x: 1"),
    ("§3 now private", STALE, ":status: 304 | cache-control: private", "refused private", "x: 1"),
    ("§4.1 now *", STALE, ":status: 304 | vary: *", "refused vary", "x: 1"),
    ("§4.3.3 a new response", STALE, "cache-control: max-age=60", "replaced", ""),
    ("§4.3.3 404 is a response", STALE, ":status: 404", "replaced", ""),
    ("§4.3.3 503 is, too", STALE, ":status: 503", "replaced", ""),
    ("5861 §4 503 with leave", "cache-control: max-age=60, stale-if-error=99 | etag: \"a\"", ":status: 503", "serve stale", ""),
    ("5861 §4 500 with leave", "cache-control: max-age=60, stale-if-error=99 | etag: \"a\"", ":status: 500", "serve stale", ""),
    ("5861 §4 501 is no such error", "cache-control: max-age=60, stale-if-error=99 | etag: \"a\"", ":status: 501", "replaced", ""),
    ("5861 §4 leave that has ended", "cache-control: max-age=60, stale-if-error=40 | etag: \"a\"", ":status: 502", "replaced", ""),
];

/// Section, stored response, response to HEAD, what it means, and a field of what is stored then.
#[rustfmt::skip]
pub(crate) const HEADS: &[(&str, &str, &str, &str, &str)] = &[
    ("§4.3.5 the same", STALE, "etag: \"a\" | x: 2", "fresh for 60", "x: 2"),
    ("§4.3.5 nothing to compare", STALE, "x: 2", "fresh for 60", "x: 2"),
    ("§4.3.5 another tag", STALE, "etag: \"b\"", "outdated", ""),
    ("§4.3.5 another date", "cache-control: max-age=60 | last-modified: {-9}", "last-modified: {-8}", "outdated", ""),
    ("§4.3.5 another length", "cache-control: max-age=60 | etag: \"a\" | content-length: 7", "content-length: 8", "outdated", ""),
    ("§4.3.5 the same length", "cache-control: max-age=60 | etag: \"a\" | content-length: 7", "content-length: 7", "fresh for 60", "content-length: 7"),
    ("§4.3.5 another status", STALE, ":status: 404", "unrelated", ""),
];

fn described(refreshed: Refreshed) -> (String, HeaderMap) {
    let text = match refreshed.storability {
        Storability::Refuse(why) => format!("refused {why}"),
        Storability::Store(policy) => {
            let freshness = policy.freshness();
            // Ages count from the arrival of the 304.
            let left = (0..).find(|&seconds| {
                let now = start() + Duration::from_secs(seconds + 100);
                freshness.stale_for(now).is_some()
            });
            format!("fresh for {}", left.unwrap_or(0))
        }
    };
    (text, refreshed.headers)
}

fn field(headers: &HeaderMap, expected: &str) -> String {
    let (name, _) = expected.split_once(':').unwrap();
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    format!("{name}: {}", values.join(", "))
}

#[test]
fn answers_to_a_validation() {
    let rules = CacheRules::default();
    for &(section, stored, answer, meaning, kept) in CASES {
        let (request, stored, answer) = (Head::of(""), Head::of(stored), Head::of(answer));
        let (policy, received) = store(&request, &stored, &rules).unwrap();
        let fields = stored_fields(&stored.headers, &arrived(received, Duration::ZERO), &rules);
        let times = arrived(received + Duration::from_secs(100), Duration::ZERO);
        let validated = Validated::of(
            &policy,
            &fields,
            &request.request(),
            &answer.response(),
            &times,
            &rules,
        );
        let (text, headers) = match validated {
            Validated::Refreshed(refreshed) => described(*refreshed),
            Validated::Replaced => ("replaced".into(), HeaderMap::new()),
            Validated::ServeStale => ("serve stale".into(), HeaderMap::new()),
            Validated::Unusable => ("unusable".into(), HeaderMap::new()),
        };
        assert_eq!(text, meaning, "{section}");
        if !kept.is_empty() {
            assert_eq!(field(&headers, kept), kept, "{section}");
        }
    }
}

#[test]
fn answers_to_head() {
    let rules = CacheRules::default();
    for &(section, stored, answer, meaning, kept) in HEADS {
        let (request, stored, answer) = (Head::of(""), Head::of(stored), Head::of(answer));
        let (policy, received) = store(&request, &stored, &rules).unwrap();
        let head = Head::of(":method: HEAD");
        let times = arrived(received + Duration::from_secs(100), Duration::ZERO);
        let update = HeadUpdate::of(
            &policy,
            &stored.headers,
            &head.request(),
            &answer.response(),
            &times,
            &rules,
        );
        let (text, headers) = match update {
            HeadUpdate::Refreshed(refreshed) => described(*refreshed),
            HeadUpdate::Outdated => ("outdated".into(), HeaderMap::new()),
            HeadUpdate::Unrelated => ("unrelated".into(), HeaderMap::new()),
        };
        assert_eq!(text, meaning, "{section}");
        if !kept.is_empty() {
            assert_eq!(field(&headers, kept), kept, "{section}");
        }
    }
}

/// RFC 9111 §4.3.1.
#[test]
fn asks_with_what_is_stored_and_not_with_what_the_client_has() {
    let mut headers = Head::of("if-none-match: \"mine\" | if-match: \"mine\" | range: bytes=0-1 | if-range: \"mine\" | foo: 1").headers;
    let stored = Head::of("etag: W/\"a\" | last-modified: {-9}").headers;
    assert!(ask_to_validate(&mut headers, &stored));
    let expected = Head::of("if-none-match: W/\"a\" | if-modified-since: {-9} | foo: 1").headers;
    assert_eq!(headers, expected);
    assert!(!ask_to_validate(&mut headers, &HeaderMap::new()));
    assert_eq!(headers, Head::of("foo: 1").headers);
}

#[test]
fn asks_for_all_of_it_on_a_miss() {
    let mut headers = Head::of("if-none-match: \"a\" | if-modified-since: {-9} | foo: 1").headers;
    assert!(ask_for_fill(&Method::GET, &mut headers));
    assert_eq!(headers, Head::of("foo: 1").headers);
    for fields in [
        "range: bytes=0-1 | if-none-match: \"a\"",
        "if-match: \"a\"",
        "if-unmodified-since: {0}",
    ] {
        let mut headers = Head::of(fields).headers;
        let before = headers.clone();
        assert!(!ask_for_fill(&Method::GET, &mut headers), "{fields}");
        assert_eq!(headers, before);
    }
    assert!(!ask_for_fill(&Method::HEAD, &mut HeaderMap::new()));
}

/// RFC 9111 §3.1: which fields are stored.
#[test]
fn stores_what_is_not_of_the_connection() {
    let received = Head::of(
        "connection: x-hop, keep-alive | x-hop: 1 | keep-alive: 5 | proxy-authenticate: Basic | te: x | upgrade: h2c \
         | transfer-encoding: weird | proxy-connection: close | proxy-authentication-info: x | trailer: y | age: 7 \
         | cache-control: no-cache=\"a\", private=\"b\", max-age=60 | a: 1 | b: 2 | set-cookie: s=1 | c: 3 | date: {0}",
    );
    let mut rules = CacheRules::default();
    let times = arrived(start(), Duration::ZERO);
    let mut stored = stored_fields(&received.headers, &times, &rules);
    assert!(stored.remove(DATE).is_some());
    let expected = "cache-control: no-cache=\"a\", private=\"b\", max-age=60 | c: 3";
    assert_eq!(stored, Head::of(expected).headers);
    rules.store_set_cookie = true;
    assert!(stored_fields(&received.headers, &times, &rules).contains_key("set-cookie"));
}

/// RFC 9111 §4.4: stale from now on, and never sent before it is validated.
#[test]
fn what_is_invalidated_is_validated() {
    let rules = CacheRules::default();
    let text = "cache-control: max-age=60, stale-if-error=99, stale-while-revalidate=99";
    let (policy, received) = store(&Head::of(""), &Head::of(text), &rules).unwrap();
    let policy = policy.invalidated(received);
    assert_eq!(policy.freshness().ttl_seconds(received), 0);
    let directives = lb_cache::RequestDirectives::default();
    assert!(!lb_cache::stands_in(&policy, &directives, &rules, received));
}

/// RFC 9110 §6.6.1: without `Date`, the time of arrival is what later ages are told by.
#[test]
fn stores_a_date_with_what_has_none() {
    let rules = CacheRules::default();
    let times = arrived(start(), Duration::ZERO);
    let stored = stored_fields(&Head::of("x: 1").headers, &times, &rules);
    assert_eq!(stored, Head::of("x: 1 | date: {0}").headers);
    let stored = stored_fields(&Head::of("date: {-9}").headers, &times, &rules);
    assert_eq!(stored, Head::of("date: {-9}").headers);
}

/// RFC 9111 §5.2.1.5: what a client asks for itself takes nothing from others.
#[test]
fn a_request_that_must_not_be_stored_removes_nothing() {
    let rules = CacheRules::default();
    let stored = Head::of(STALE);
    let (policy, received) = store(&Head::of(""), &stored, &rules).unwrap();
    let times = arrived(received + Duration::from_secs(100), Duration::ZERO);
    let refused = |request: &str, answer: &str| {
        let (request, answer) = (Head::of(request), Head::of(answer));
        let validated = Validated::of(
            &policy,
            &stored.headers,
            &request.request(),
            &answer.response(),
            &times,
            &rules,
        );
        match validated {
            Validated::Refreshed(refreshed) => match refreshed.storability {
                Storability::Refuse(why) => Some(why.is_about_request()),
                Storability::Store(_) => None,
            },
            _ => None,
        }
    };
    for request in ["cache-control: no-store", "authorization: Basic eA=="] {
        assert_eq!(refused(request, ":status: 304"), Some(true), "{request}");
    }
    let private = ":status: 304 | cache-control: private";
    assert_eq!(refused("", private), Some(false));
    assert_eq!(refused("cache-control: no-store", private), Some(false));
}
