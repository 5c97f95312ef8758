//! A stored response as bytes: it is read as it was written, and nothing else is read without harm.

use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lb_cache::{
    CacheRules, Entry as _, Received, RequestHead, ResponseHead, ResponsePolicy, StoredBody,
    StoredResponse, Vary,
};
use proptest::prelude::*;

const CONTROL: &[&str] = &[
    "max-age=60",
    "max-age=60, must-revalidate",
    "s-maxage=60",
    "max-age=1, stale-while-revalidate=30, stale-if-error=600",
    "no-cache",
    "public, max-age=4294967296",
];

#[expect(clippy::disallowed_methods, reason = "tests need a first instant")]
fn first_instant() -> Instant {
    Instant::now()
}

fn response(control: usize, body: Vec<Bytes>, vary: bool, now: Instant) -> StoredResponse {
    let mut asked = HeaderMap::new();
    asked.insert("accept-language", HeaderValue::from_static("de, en;q=0.5"));
    let mut fields = HeaderMap::new();
    fields.insert("cache-control", HeaderValue::from_static(CONTROL[control]));
    fields.insert("etag", HeaderValue::from_static("\"1\""));
    fields.append(
        "x-opaque",
        HeaderValue::from_bytes(b"\xe4").expect("is opaque"),
    );
    fields.append("x-opaque", HeaderValue::from_static(""));
    if vary {
        fields.insert(
            "vary",
            HeaderValue::from_static("Accept-Language, X-Absent"),
        );
    }
    let head = RequestHead {
        method: &Method::GET,
        headers: &asked,
        has_body: false,
    };
    let received = ResponseHead {
        status: StatusCode::OK,
        headers: &fields,
    };
    let times = Received {
        requested: now,
        received: now,
        wall: UNIX_EPOCH,
    };
    let policy = ResponsePolicy::of(&head, &received, &times, &CacheRules::default());
    let policy = policy.policy().expect("may be stored");
    StoredResponse::new(policy, fields, StoredBody::new(body), ["a", "news"])
}

fn bytes_of(body: &StoredBody) -> Vec<u8> {
    body.chunks().concat()
}

proptest! {
    #[test]
    fn it_is_read_as_it_was_written(
        control in 0..CONTROL.len(),
        body in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..4),
        vary in any::<bool>(),
        waited in 0..1_000_u64,
        resident in 0..1_000_u64,
    ) {
        let (waited, resident) = (Duration::from_secs(waited), Duration::from_secs(resident));
        let start = first_instant();
        let written = response(control, body.into_iter().map(Bytes::from).collect(), vary, start);
        let mut record = b"before".to_vec();
        prop_assert!(written.encode(&mut record, start + waited));
        let later = start + Duration::from_secs(5_000);
        let read = StoredResponse::decode(&record[6..], resident, later).unwrap();
        prop_assert_eq!(read.headers(), written.headers());
        prop_assert_eq!(bytes_of(read.body()), bytes_of(written.body()));
        prop_assert!(read.tags().eq(written.tags()));
        prop_assert_eq!(read.policy().vary(), written.policy().vary());
        if vary {
            let names = || read.policy().vary().names();
            let mut own = Vec::new();
            read.policy().vary().write_own_selection(&mut own, |_| true);
            let mut same = HeaderMap::new();
            same.append("accept-language", HeaderValue::from_static("EN;q=0.5"));
            same.append("accept-language", HeaderValue::from_static("de"));
            let mut asked = Vec::new();
            Vary::write_selection(&mut asked, names(), &same);
            prop_assert_eq!(&own, &asked);
            same.insert("x-absent", HeaderValue::from_static(""));
            asked.clear();
            Vary::write_selection(&mut asked, names(), &same);
            prop_assert_ne!(&own, &asked);
        }
        let names = read.policy().vary().names().map(HeaderName::as_str);
        let expected: &[&str] = if vary { &["accept-language", "x-absent"] } else { &[] };
        prop_assert!(names.eq(expected.iter().copied()));
        // Whoever reads it sees the same age as whoever kept it, without a clock in common.
        let here = start + waited + resident;
        prop_assert_eq!(read.policy().freshness().age(later), written.policy().freshness().age(here));
        let rules = CacheRules::default();
        let left = |policy: &ResponsePolicy, now| policy.useful_for(&rules, now).as_secs();
        prop_assert_eq!(left(read.policy(), later), left(written.policy(), here));
    }

    #[test]
    fn a_record_cut_in_its_head_is_none(control in 0..CONTROL.len(), cut in any::<prop::sample::Index>()) {
        let now = first_instant();
        let mut record = Vec::new();
        prop_assert!(response(control, Vec::new(), true, now).encode(&mut record, now));
        record.truncate(cut.index(record.len()));
        prop_assert!(StoredResponse::decode(&record, Duration::ZERO, now).is_none());
    }

    #[test]
    fn whatever_is_read_is_written_again(
        control in 0..CONTROL.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let now = first_instant();
        let mut record = Vec::new();
        prop_assert!(response(control, vec!["body".into()], true, now).encode(&mut record, now));
        for (at, byte) in edits {
            let at = at.index(record.len());
            record[at] = byte;
        }
        if let Some(read) = StoredResponse::decode(&record, Duration::ZERO, now) {
            let mut again = Vec::new();
            prop_assert!(read.encode(&mut again, now));
            let read_again = StoredResponse::decode(&again, Duration::ZERO, now);
            prop_assert!(read_again.is_some_and(|one| one.headers() == read.headers()));
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let now = first_instant();
        let _read = StoredResponse::decode(&bytes, Duration::MAX, now);
        let mut versioned = vec![1];
        versioned.extend_from_slice(&bytes);
        let _read = StoredResponse::decode(&versioned, Duration::MAX, now);
    }
}
