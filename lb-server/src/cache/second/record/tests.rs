//! A value is used if it is whole, ours, and of this key.

use http::{HeaderMap, StatusCode};
use lb_cache::{Entry as _, Received, ResponsePolicy, StoredBody};
use proptest::prelude::*;

use super::*;
use crate::clock;

const KEY: &str = "http://a/";

fn response(now: Instant) -> StoredResponse {
    let times = Received {
        requested: now,
        received: now,
        wall: clock::wall(),
    };
    let policy = ResponsePolicy::lasting(StatusCode::OK, Duration::from_secs(60), &times);
    let body = StoredBody::new(vec!["some text".into()]);
    StoredResponse::new(policy, HeaderMap::new(), body, ["tag"])
}

fn stamp() -> Stamp {
    Stamp {
        position: 7,
        written: UNIX_EPOCH + Duration::from_secs(1_000_000),
        lives: Duration::from_secs(60),
    }
}

fn values(now: Instant) -> [Vec<u8>; 2] {
    let names = [
        HeaderName::from_static("accept"),
        HeaderName::from_static("x"),
    ];
    [
        of_response(KEY, &response(now), &stamp(), now).unwrap(),
        of_index(KEY, names.iter(), &stamp()).unwrap(),
    ]
}

#[test]
fn its_age_is_what_the_store_and_the_clocks_agree_on_at_least() {
    let now = clock::now();
    let [value, _] = values(now);
    let second = Duration::from_secs(1);
    for (left, clock, age) in [
        (60, 0, 0),
        (50, 0, 10),
        (50, 10, 10),
        // A clock that is behind, or ahead; a command that was held up.
        (50, -500, 10),
        (50, 30, 30),
        // Somebody gave it a longer life.
        (1_000, 5, 5),
    ] {
        let wall = UNIX_EPOCH + Duration::from_secs(1_000_000).saturating_add_signed(clock);
        let read = read(KEY, &value, second * left, now, wall);
        let Some(Record::Response(response, stamp)) = read else {
            panic!("it is a response");
        };
        assert_eq!(response.policy().freshness().age(now), second * age);
        assert_eq!(stamp.position, 7);
    }
}

trait AddSigned {
    fn saturating_add_signed(self, seconds: i64) -> Self;
}

impl AddSigned for Duration {
    fn saturating_add_signed(self, seconds: i64) -> Self {
        Self::from_secs(self.as_secs().saturating_add_signed(seconds))
    }
}

#[test]
fn fields_that_tell_responses_apart_are_read_as_written() {
    let [_, index] = values(clock::now());
    let read = read(KEY, &index, Duration::ZERO, clock::now(), clock::wall());
    let Some(Record::Index(names)) = read else {
        panic!("it is an index");
    };
    assert_eq!(names, ["accept", "x"]);
}

#[test]
fn a_value_with_one_bit_flipped_is_none() {
    let now = clock::now();
    for value in values(now) {
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = read(KEY, &flipped, Duration::ZERO, now, clock::wall());
            assert!(read.is_none(), "bit {bit}");
        }
    }
}

#[test]
fn a_value_of_another_key_or_cut_off_is_none() {
    let now = clock::now();
    for value in values(now) {
        assert!(read("http://b/", &value, Duration::ZERO, now, clock::wall()).is_none());
        for length in 0..value.len() {
            let cut = &value[..length];
            assert!(read(KEY, cut, Duration::ZERO, now, clock::wall()).is_none());
        }
    }
}

proptest! {
    #[test]
    fn any_value_is_read_without_harm(
        content in prop::collection::vec(any::<u8>(), 0..200),
        kind in 0..3_u8,
        length in 0..12_u64,
    ) {
        let now = clock::now();
        let _read = read(KEY, &content, Duration::ZERO, now, clock::wall());
        // With a checksum that is right, so that the rest is reached.
        let mut value = MAGIC.to_vec();
        value.extend_from_slice(&[0; CHECKSUM]);
        value.push(kind);
        value.extend_from_slice(&[0xff; 24]);
        value.extend_from_slice(&length.to_le_bytes());
        value.extend_from_slice(KEY.as_bytes());
        value.extend_from_slice(&content);
        let _read = read(KEY, &sealed(value), Duration::MAX, now, clock::wall());
    }
}
