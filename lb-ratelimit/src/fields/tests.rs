use sfv::{List, ListEntry, Parser};

use super::*;
use crate::bucket::TokenBucket;
use crate::testing::{millis, now, number, quota, window};

fn name(name: &str) -> PolicyName {
    PolicyName::try_new(name).unwrap()
}

#[test]
fn writes_the_fields_of_the_draft() {
    let (start, quota) = (now(), quota(100, 60));
    let mut bucket = TokenBucket::new(start);
    let decision = bucket.check(&quota, 58, start);
    let (per_client, login) = (name("per-client"), name("login"));
    let (policy, sliding) = (Policy::from(quota), Policy::from(window(5, 60)));
    let one = Advertised::new(&per_client, &policy);
    let mut other = Advertised::new(&login, &sliding);
    other.partition = Some(b"hello");
    other.unit = Unit::ContentBytes;
    assert_eq!(
        rate_limit_policy([one, other]),
        r#""per-client";q=100;w=60, "login";q=5;qu="content-bytes";w=60;pk=:aGVsbG8=:"#
    );
    assert_eq!(rate_limit([(one, &decision)]), r#""per-client";r=42;t=1"#);
    assert_eq!(
        rate_limit([(other, &decision)]),
        r#""login";r=42;t=1;pk=:aGVsbG8=:"#
    );
    assert_eq!(rate_limit_policy([]), "");
    assert_eq!(
        legacy(&decision),
        [
            ("ratelimit-limit", 100),
            ("ratelimit-remaining", 42),
            ("ratelimit-reset", 35)
        ]
    );
}

#[test]
fn a_refusal_says_when_to_come_back_in_both_fields() {
    let (start, quota) = (now(), quota(10, 60));
    let mut bucket = TokenBucket::new(start);
    assert!(bucket.check(&quota, 10, start).is_admitted());
    let refused = bucket.check(&quota, 2, start + millis(100));
    assert_eq!(retry_after_secs(&refused), Some(12));
    let (name, policy) = (name("a"), Policy::from(quota));
    let field = rate_limit([(Advertised::new(&name, &policy), &refused)]);
    assert_eq!(field, r#""a";r=0;t=12"#);
}

#[test]
fn retry_after_is_never_too_early_and_never_nothing() {
    let start = now();
    for limit in [1, 3, 7, 1_000, 1_000_000] {
        let quota = quota(limit, 60);
        let mut bucket = TokenBucket::new(start);
        assert!(bucket.check(&quota, limit, start).is_admitted());
        let refused = bucket.check(&quota, limit / 2 + 1, start + millis(3));
        let seconds = retry_after_secs(&refused).unwrap();
        assert!(seconds >= 1);
        let then = start + millis(3) + Duration::from_secs(seconds);
        assert!(bucket.check(&quota, limit / 2 + 1, then).is_admitted());
    }
}

#[test]
fn a_window_below_a_second_is_left_out() {
    let policy = Policy::from(crate::policy::Quota::try_new(number(5), millis(200)).unwrap());
    let name = name("fast");
    assert_eq!(
        rate_limit_policy([Advertised::new(&name, &policy)]),
        r#""fast";q=5"#
    );
}

#[test]
fn names_are_quoted_or_refused() {
    assert_eq!(&*name(r#"a "b" \c"#).quoted, r#""a \"b\" \\c""#);
    for wrong in ["", "ü", "a\nb", "\u{7f}"] {
        let error = PolicyNameError(wrong.to_owned());
        assert_eq!(PolicyName::try_new(wrong), Err(error));
    }
    assert_eq!(
        PolicyName::try_new("a\n").unwrap_err().to_string(),
        r#"name of a rate limit must be printable ASCII and not empty, got "a\n""#
    );
}

/// All printable names, extreme numbers and partitions of any bytes, read back by another's parser.
#[test]
fn any_field_is_read_back_by_a_parser() {
    let start = now();
    for seed in 0..500_u32 {
        let letter = |at: u32| char::from(b' ' + u8::try_from((seed * 7 + at * 31) % 95).unwrap());
        let text: String = (0..=seed % 12).map(letter).collect();
        let bytes: Vec<u8> = (0..seed % 9)
            .map(|at| (seed * 13 + at * 71).to_le_bytes()[0])
            .collect();
        let limit = seed.wrapping_mul(0x9e37_79b9).max(1);
        let length = Duration::from_secs(u64::from(seed) * 6_000_000 + 5);
        let policy = Policy::from(crate::policy::Window::try_new(number(limit), length).unwrap());
        let name = name(&text);
        let mut advertised = Advertised::new(&name, &policy);
        advertised.partition = Some(&bytes);
        let Policy::SlidingWindow(window) = policy else {
            unreachable!("it is a window");
        };
        let decision = crate::window::SlidingWindow::new(start).check(&window, 1, start);
        let fields = [
            (rate_limit_policy([advertised, advertised]), "q", limit),
            (
                rate_limit([(advertised, &decision), (advertised, &decision)]),
                "r",
                limit - 1,
            ),
        ];
        for (field, parameter, expected) in fields {
            let list: List = Parser::new(&field).parse().unwrap();
            assert_eq!(list.len(), 2);
            for entry in &list {
                let ListEntry::Item(item) = entry else {
                    panic!("{field} has an inner list");
                };
                assert_eq!(item.bare_item.as_string().unwrap().as_str(), text);
                let number = item.params[parameter].as_integer().unwrap();
                assert_eq!(i64::from(number), i64::from(expected));
                assert_eq!(item.params["pk"].as_byte_sequence().unwrap(), bytes);
            }
        }
    }
}
