//! What of a stored response a request gets (RFC 9111 §4.3.2, RFC 9110 §13 and §14).

use std::time::Duration;

use lb_cache::{Answer, CacheRules};

use crate::machine::{Head, store};

const TAGGED: &str = "cache-control: max-age=60 | etag: \"a\" | last-modified: {-100} | date: {0}";
const WEAK: &str = "cache-control: max-age=60 | etag: W/\"a\" | date: {0}";
const DATED: &str = "cache-control: max-age=60 | last-modified: {-100} | date: {0}";

/// Section, stored response, request, what it gets of ten bytes.
#[rustfmt::skip]
pub(crate) const CASES: &[(&str, &str, &str, &str)] = &[
    ("9110 §13.1.2 the same tag", TAGGED, "if-none-match: \"a\"", "304"),
    ("9110 §13.1.2 another tag", TAGGED, "if-none-match: \"b\"", "200"),
    ("9110 §13.1.2 one of several", TAGGED, "if-none-match: \"b\", \"a\", \"c\"", "304"),
    ("9110 §13.1.2 in another line", TAGGED, "if-none-match: \"b\" | if-none-match: \"a\"", "304"),
    ("9110 §13.1.2 any", TAGGED, "if-none-match: *", "304"),
    ("9110 §13.1.2 any, without a tag", DATED, "if-none-match: *", "304"),
    ("9110 §13.1.2 compared weakly", TAGGED, "if-none-match: W/\"a\"", "304"),
    ("9110 §13.1.2 compared weakly, stored weak", WEAK, "if-none-match: \"a\"", "304"),
    ("9110 §8.8.3 unquoted is another", TAGGED, "if-none-match: a", "200"),
    ("9110 §8.8.3 a lower-case w is none", WEAK, "if-none-match: w/\"a\"", "200"),
    ("9110 §13.1.2 no tag is stored", DATED, "if-none-match: \"a\"", "200"),
    ("9110 §13.1.2 before If-Modified-Since", TAGGED, "if-none-match: \"a\" | if-modified-since: {-999}", "304"),
    ("9110 §13.1.3 which counts only without it", TAGGED, "if-none-match: \"b\" | if-modified-since: {0}", "200"),
    ("9110 §13.1.3 as new as the client's", DATED, "if-modified-since: {-100}", "304"),
    ("9110 §13.1.3 older than the client's", DATED, "if-modified-since: {-50}", "304"),
    ("9110 §13.1.3 newer than the client's", DATED, "if-modified-since: {-101}", "200"),
    ("9110 §13.1.3 in RFC 850", DATED, "if-modified-since: Thursday, 01-Jan-26 12:00:00 GMT", "304"),
    ("9110 §13.1.3 in asctime", DATED, "if-modified-since: Thu Jan  1 12:00:00 2026", "304"),
    ("9110 §13.1.3 what is no date", DATED, "if-modified-since: now", "200"),
    ("§4.3.2 without Last-Modified, by Date", "cache-control: max-age=60 | date: {-5}", "if-modified-since: {-5}", "304"),
    ("§4.3.2 Date is newer", "cache-control: max-age=60 | date: {-5}", "if-modified-since: {-6}", "200"),
    ("§4.3.2 without both, by arrival", "cache-control: max-age=60", "if-modified-since: {0}", "304"),
    ("9110 §13.2.1 only a 200 has conditions", ":status: 404 | cache-control: max-age=60 | etag: \"a\"", "if-none-match: \"a\"", "404"),
    ("9110 §13.1.1 If-Match is for the origin", TAGGED, "if-match: \"b\"", "200"),
    ("9110 §13.1.2 HEAD", TAGGED, ":method: HEAD | if-none-match: \"a\"", "304"),
    ("9110 §14.2 a range", TAGGED, "range: bytes=0-1", "206 0-1/10"),
    ("9110 §14.1.2 to the end", TAGGED, "range: bytes=4-", "206 4-9/10"),
    ("9110 §14.1.2 beyond the end", TAGGED, "range: bytes=4-99", "206 4-9/10"),
    ("9110 §14.1.2 from the end", TAGGED, "range: bytes=-3", "206 7-9/10"),
    ("9110 §14.1.2 more than all from the end", TAGGED, "range: bytes=-99", "206 0-9/10"),
    ("9110 §14.1 the unit knows no case", TAGGED, "range: BYTES=0-0", "206 0-0/10"),
    ("9110 §14.1.1 another unit", TAGGED, "range: lines=0-1", "200"),
    ("9110 §14.1.1 backwards", TAGGED, "range: bytes=3-1", "200"),
    ("9110 §14.1.1 no number", TAGGED, "range: bytes=a-", "200"),
    ("9110 §15.5.17 behind the end", TAGGED, "range: bytes=10-", "416"),
    ("9110 §15.5.17 nothing from the end", TAGGED, "range: bytes=-0", "416"),
    ("9110 §14.1.2 one of two behind the end", TAGGED, "range: bytes=0-1, 99-", "206 0-1/10"),
    ("9110 §15.3.7 overlapping ones are one", TAGGED, "range: bytes=0-5, 3-7", "206 0-7/10"),
    ("9110 §14.2 HEAD has no ranges", TAGGED, ":method: HEAD | range: bytes=0-1", "200"),
    ("9110 §14.2 nor has what is no 200", ":status: 404 | cache-control: max-age=60", "range: bytes=0-1", "404"),
    ("9110 §13.2.2 conditions come first", TAGGED, "if-none-match: \"a\" | range: bytes=0-1", "304"),
    ("9110 §13.1.5 If-Range, the same", TAGGED, "if-range: \"a\" | range: bytes=0-1", "206 0-1/10"),
    ("9110 §13.1.5 If-Range, another", TAGGED, "if-range: \"b\" | range: bytes=0-1", "200"),
    ("9110 §13.1.5 If-Range, weak", WEAK, "if-range: W/\"a\" | range: bytes=0-1", "200"),
    ("9110 §13.1.5 If-Range, the same date", DATED, "if-range: {-100} | range: bytes=0-1", "206 0-1/10"),
    ("9110 §13.1.5 If-Range, a later date", DATED, "if-range: {-99} | range: bytes=0-1", "200"),
    ("9110 §8.8.2.2 a date that is weak", "cache-control: max-age=60 | last-modified: {0} | date: {0}", "if-range: {0} | range: bytes=0-1", "200"),
    ("9110 §13.1.5 If-Range without what it compares", "cache-control: max-age=60 | date: {0}", "if-range: {0} | range: bytes=0-1", "200"),
];

#[test]
fn by_the_conditions_and_the_range_of_a_request() {
    let rules = CacheRules::default();
    for &(section, stored, request, expected) in CASES {
        let (stored, request) = (Head::of(stored), Head::of(request));
        let (policy, _) = store(&Head::of(""), &stored, &rules).unwrap();
        let answer = Answer::of(&request.request(), &policy, &stored.headers, Some(10));
        let mut headers = stored.headers.clone();
        let _ = answer.apply(&mut headers, Duration::from_secs(7), 1);
        assert_eq!(headers["age"], "7", "{section}");
        let status = answer.status(&policy);
        let mut text = status.as_str().to_owned();
        if status == 206 {
            text += " ";
            text += headers["content-range"]
                .to_str()
                .unwrap()
                .strip_prefix("bytes ")
                .unwrap();
        }
        assert_eq!(text, expected, "{section}");
    }
}

/// RFC 9110 §15.4.5: what tells of the content stays with the client's copy.
#[test]
fn a_304_has_the_fields_that_it_must_have() {
    let rules = CacheRules::default();
    let kept = "cache-control: max-age=60 | content-location: /a | date: {0} | etag: \"a\" | expires: {60} | vary: x | csp: y";
    let stored = Head::of(&format!(
        "{kept} | content-type: a/b | content-length: 9 | content-encoding: gzip | content-language: en"
    ));
    let (policy, _) = store(&Head::of(""), &stored, &rules).unwrap();
    let request = Head::of("if-none-match: \"a\"");
    let answer = Answer::of(&request.request(), &policy, &stored.headers, Some(9));
    let mut headers = stored.headers;
    assert_eq!(answer.apply(&mut headers, Duration::from_secs(1), 0), None);
    assert_eq!(headers, Head::of(&format!("{kept} | age: 1")).headers);
}

#[test]
fn several_parts_are_framed() {
    let rules = CacheRules::default();
    let stored = Head::of("cache-control: max-age=60 | content-type: a/b");
    let (policy, _) = store(&Head::of(""), &stored, &rules).unwrap();
    let request = Head::of("range: bytes=0-9, 500-509");
    let answer = Answer::of(&request.request(), &policy, &stored.headers, Some(1_000));
    let mut headers = stored.headers;
    let multipart = answer.apply(&mut headers, Duration::ZERO, 0xabc).unwrap();
    assert_eq!(
        headers["content-type"],
        "multipart/byteranges; boundary=0000000000000abc"
    );
    assert_eq!(
        headers["content-length"],
        multipart.content_length().to_string()
    );
    assert!(!headers.contains_key("content-range"));
    let parts: Vec<_> = multipart
        .parts()
        .map(|(_, part)| (part.start, part.end))
        .collect();
    assert_eq!(parts, [(0, 10), (500, 510)]);
}

#[test]
fn a_416_tells_the_length() {
    let rules = CacheRules::default();
    let stored = Head::of("cache-control: max-age=60 | content-type: a/b | content-length: 10");
    let (policy, _) = store(&Head::of(""), &stored, &rules).unwrap();
    let request = Head::of("range: bytes=10-");
    let answer = Answer::of(&request.request(), &policy, &stored.headers, Some(10));
    let mut headers = stored.headers;
    let _ = answer.apply(&mut headers, Duration::ZERO, 0);
    assert_eq!(headers["content-range"], "bytes */10");
    assert_eq!(headers["content-length"], "0");
    assert!(!headers.contains_key("content-type"));
}

#[test]
fn a_body_of_unknown_length_has_no_ranges() {
    let rules = CacheRules::default();
    let stored = Head::of("cache-control: max-age=60");
    let (policy, _) = store(&Head::of(""), &stored, &rules).unwrap();
    let request = Head::of("range: bytes=0-1");
    let answer = Answer::of(&request.request(), &policy, &stored.headers, None);
    assert_eq!(answer, Answer::Full);
}
