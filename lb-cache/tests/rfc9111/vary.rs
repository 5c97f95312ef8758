//! Which requests a stored response answers (RFC 9111 §4.1).

use std::num::NonZeroUsize;
use std::time::Duration;

use lb_cache::{CacheRequest, CacheRules, Lookup, Miss, Variants};

use crate::machine::{Case, Head, play, store};

const FRESH: &str = "cache-control: max-age=60 | vary: foo";

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case("§4.1 the same", "foo: 1", FRESH, 1, "foo: 1", "hit 1"),
    Case("§4.1 another", "foo: 1", FRESH, 1, "foo: 2", "miss: vary"),
    Case("§4.1 none any more", "foo: 1", FRESH, 1, "", "miss: vary"),
    Case("§4.1 none before", "", FRESH, 1, "foo: 1", "miss: vary"),
    Case("§4.1 none at all", "", FRESH, 1, "", "hit 1"),
    Case("§4.1 other fields do not count", "foo: 1 | bar: 1", FRESH, 1, "foo: 1 | bar: 2", "hit 1"),
    Case("§4.1 white space between members", "foo: 1,2", FRESH, 1, "foo: 1 ,  2", "hit 1"),
    Case("§4.1 lines are combined", "foo: 1, 2", FRESH, 1, "foo: 1 | foo: 2", "hit 1"),
    Case("§4.1 the order counts", "foo: 1, 2", FRESH, 1, "foo: 2, 1", "miss: vary"),
    Case("§4.1 the case counts", "foo: a", FRESH, 1, "foo: A", "miss: vary"),
    Case("§4.1 a comma in quotes parts nothing", "foo: \"1, 2\"", FRESH, 1, "foo: \"1,2\"", "miss: vary"),
    Case("§4.1 names know no case", "foo: 1", "cache-control: max-age=60 | vary: FOO", 1, "foo: 2", "miss: vary"),
    Case("§4.1 two fields", "foo: 1 | bar: 2", "cache-control: max-age=60 | vary: foo, bar", 1, "foo: 1 | bar: 2", "hit 1"),
    Case("§4.1 two fields, one differs", "foo: 1 | bar: 2", "cache-control: max-age=60 | vary: foo, bar", 1, "foo: 1 | bar: 3", "miss: vary"),
    Case("§4.1 two lines of Vary", "foo: 1 | bar: 2", "cache-control: max-age=60 | vary: foo | vary: bar", 1, "foo: 1 | bar: 3", "miss: vary"),
    Case("§4.1 an empty Vary", "foo: 1", "cache-control: max-age=60 | vary: ,", 1, "foo: 2", "hit 1"),
    Case("§4.1 * among others", "foo: 1", "cache-control: max-age=60 | vary: foo, *", 1, "foo: 1", "refused vary"),
    Case("§4.1 * in a second line", "foo: 1", "cache-control: max-age=60 | vary: foo | vary: *", 1, "foo: 1", "refused vary"),
    Case("§4.1 what is no name", "foo: 1", "cache-control: max-age=60 | vary: f oo", 1, "foo: 1", "refused vary"),
    Case("§4.1 languages in another order", "accept-language: en, de", "cache-control: max-age=60 | vary: accept-language", 1, "accept-language: DE,en", "hit 1"),
    Case("§4.1 languages with other weights", "accept-language: en, de", "cache-control: max-age=60 | vary: accept-language", 1, "accept-language: de, en;q=0.5", "miss: vary"),
    Case("§4.1 encodings in another order", "accept-encoding: gzip, br", "cache-control: max-age=60 | vary: accept-encoding", 1, "accept-encoding: br, gzip", "hit 1"),
    Case("§4.1 fewer encodings", "accept-encoding: gzip, br", "cache-control: max-age=60 | vary: accept-encoding", 1, "accept-encoding: br, br", "miss: vary"),
];

#[test]
fn by_default() {
    play(CASES, &CacheRules::default());
}

fn policy(request: &str, response: &str) -> lb_cache::ResponsePolicy {
    let rules = CacheRules::default();
    let (policy, _) = store(&Head::of(request), &Head::of(response), &rules).unwrap();
    policy
}

#[test]
fn variants_stand_side_by_side_and_are_bounded() {
    let most = NonZeroUsize::new(2).unwrap();
    let mut variants = Variants::default();
    for value in 1..=2 {
        let displaced = variants.insert(policy(&format!("foo: {value}"), FRESH), most);
        assert!(displaced.is_empty());
    }
    let displaced = variants.insert(policy("foo: 2", FRESH), most);
    assert_eq!((displaced.len(), variants.len()), (1, 2));
    let displaced = variants.insert(policy("foo: 3", FRESH), most);
    assert_eq!((displaced.len(), variants.len()), (1, 2));
    let found = |request: &str| variants.select(&Head::of(request).headers).is_some();
    assert_eq!(
        ["foo: 1", "foo: 2", "foo: 3"].map(found),
        [false, true, true]
    );
}

/// RFC 9111 §4.1: of several that match, the most recent.
#[test]
fn the_latest_date_is_preferred() {
    let most = NonZeroUsize::new(9).unwrap();
    let mut variants = Variants::default();
    let late = policy(
        "foo: 1",
        "cache-control: max-age=60 | vary: foo | date: {0}",
    );
    let early = policy("foo: 1", "cache-control: max-age=60 | date: {-9}");
    let _ = variants.insert(late.clone(), most);
    let _ = variants.insert(early, most);
    assert_eq!(variants.select(&Head::of("foo: 1").headers), Some(&late));
}

#[test]
fn what_varies_by_too_much_is_not_stored() {
    let rules = CacheRules::default();
    let long = format!("foo: {}", "x".repeat(5_000));
    let names: Vec<String> = (0..17).map(|at| format!("f{at}")).collect();
    let many = format!("cache-control: max-age=60 | vary: {}", names.join(","));
    for (request, response) in [(long.as_str(), FRESH), ("", many.as_str())] {
        let refused = store(&Head::of(request), &Head::of(response), &rules).err();
        assert_eq!(refused.as_deref(), Some("refused vary"));
    }
}

#[test]
fn misses_that_differ_are_not_collapsed() {
    let mut variants = Variants::default();
    assert_eq!(variants.fingerprint(&Head::of("foo: 1").headers), 0);
    let _ = variants.insert(policy("foo: 1", FRESH), NonZeroUsize::MIN);
    let fingerprint = |request: &str| variants.fingerprint(&Head::of(request).headers);
    assert_eq!(fingerprint("foo: 2, 3"), fingerprint("foo: 2 | foo: 3"));
    assert_ne!(fingerprint("foo: 2"), fingerprint("foo: 3"));
    let now = crate::machine::start() + Duration::from_secs(1);
    let rules = CacheRules::default();
    let other = Head::of("foo: 9");
    let head = other.request();
    let request = CacheRequest::of(&head, &rules).unwrap();
    assert_eq!(
        request.lookup(Some(&variants), &rules, now),
        Lookup::Miss(Miss::Vary)
    );
}

/// A validation by a client that spells its languages otherwise renews what is stored.
#[test]
fn another_spelling_is_the_same_variant() {
    let most = NonZeroUsize::new(9).unwrap();
    let response = "cache-control: max-age=60 | vary: accept-language, foo";
    let mut variants = Variants::default();
    let _ = variants.insert(policy("accept-language: en, de", response), most);
    let displaced = variants.insert(policy("accept-language: DE,en", response), most);
    assert_eq!((displaced.len(), variants.len()), (1, 1));
    let _ = variants.insert(policy("accept-language: de | foo: 1", response), most);
    let _ = variants.insert(
        policy(
            "accept-language: de",
            "cache-control: max-age=60 | vary: accept-language",
        ),
        most,
    );
    assert_eq!(variants.len(), 3);
}
