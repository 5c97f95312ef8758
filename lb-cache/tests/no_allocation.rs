//! A hit is decided without allocation, and what is kept for it is small.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lb_cache::{
    Answer, CacheRequest, CacheRules, Lookup, Received, RequestHead, ResponseHead, ResponsePolicy,
    TargetUri, Variants, write_key,
};

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |&(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    fields.iter().map(field).collect()
}

fn get(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: &Method::GET,
        headers,
        has_body: false,
    }
}

#[test]
fn a_policy_has_at_most_256_bytes() {
    assert!(size_of::<ResponsePolicy>() <= 256);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn key_lookup_and_answer_do_not_allocate() {
    let rules = CacheRules::default();
    let asked = headers(&[
        ("accept-encoding", "gzip, br"),
        ("accept-language", "de, en;q=0.8"),
        ("cache-control", "max-age=300, x=\"no-cache\""),
        ("if-none-match", "\"b\", \"a\""),
        ("x-custom-selecting-field", "a, b"),
    ]);
    let stored = headers(&[
        ("cache-control", "max-age=600, stale-while-revalidate=30"),
        ("etag", "\"a\""),
        (
            "vary",
            "accept-encoding, accept-language, x-custom-selecting-field",
        ),
    ]);
    let now = Instant::now();
    let times = Received {
        requested: now,
        received: now,
        wall: UNIX_EPOCH + Duration::from_secs(1_767_268_800),
    };
    let response = ResponseHead {
        status: StatusCode::OK,
        headers: &stored,
    };
    let policy = ResponsePolicy::of(&get(&asked), &response, &times, &rules).policy();
    let policy = policy.expect("it is fresh");
    let copied = allocation_counter::measure(|| drop(policy.clone()));
    assert!(policy.heap_bytes() as u64 >= copied.bytes_total);
    let mut variants = Variants::default();
    let _ = variants.insert(policy, NonZeroUsize::MIN);
    let mut key = String::with_capacity(100);
    let uri = TargetUri {
        scheme: "https",
        authority: "Example.com:443",
        path: "/a?b",
    };
    // The same fields, spelt in another way.
    let mut spelt = asked.clone();
    spelt.insert("accept-encoding", HeaderValue::from_static("br,gzip"));
    for (headers, seconds) in [(&asked, 1), (&spelt, 1)] {
        let head = get(headers);
        let allocated = allocation_counter::measure(|| {
            assert!(write_key(&mut key, &uri, rules.max_key_bytes));
            let Ok(request) = CacheRequest::of(&head, &rules) else {
                panic!("a plain GET");
            };
            let later = now + Duration::from_secs(seconds);
            let Lookup::Hit(found) = request.lookup(Some(&variants), &rules, later) else {
                panic!("it is fresh");
            };
            let answer = Answer::of(&head, found.entry, &stored, Some(100));
            assert!(matches!(answer, Answer::NotModified));
        });
        assert_eq!(allocated.count_total, 0);
    }
}
