//! Fields that speak to this cache alone (RFC 9213).

use http::HeaderName;
use lb_cache::CacheRules;

use crate::machine::{Case, play};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case("9213 §2 alone", "", "cdn-cache-control: max-age=60", 9, "", "hit 9"),
    Case("9213 §2.2 a longer lifetime", "", "cdn-cache-control: max-age=60 | cache-control: max-age=1", 9, "", "hit 9"),
    Case("9213 §2.2 a shorter lifetime", "", "cdn-cache-control: max-age=1 | cache-control: max-age=60", 9, "", "validate: stale"),
    Case("9213 §2.2 Expires says nothing beside it", "", "cdn-cache-control: must-revalidate | expires: {60}", 0, "", "refused no-freshness"),
    Case("9213 §2.2 a past Expires neither", "", "cdn-cache-control: max-age=60 | expires: {-60} | date: {0}", 9, "", "hit 9"),
    Case("9213 §2.2 no-store of Cache-Control neither", "", "cdn-cache-control: max-age=60 | cache-control: no-store", 9, "", "hit 9"),
    Case("9213 §2.2 no-store", "", "cdn-cache-control: no-store | cache-control: max-age=60", 0, "", "refused no-store"),
    Case("9213 §2.2 private", "", "cdn-cache-control: private | cache-control: max-age=60", 0, "", "refused private"),
    Case("9213 §2.2 no-cache", "", "cdn-cache-control: no-cache, max-age=60 | etag: \"a\"", 9, "", "validate: no-cache"),
    Case("9213 §2.2 must-revalidate", "", "cdn-cache-control: max-age=60, must-revalidate", 61, "cache-control: max-stale", "validate: stale"),
    Case("9213 §2.2 max-age=0", "", "cdn-cache-control: max-age=0 | expires: {60} | etag: \"a\"", 0, "", "validate: stale"),
    Case("9213 §2.1 an empty one is not there", "", "cdn-cache-control: | cache-control: max-age=60", 9, "", "hit 9"),
    Case("9213 §2.1 a broken one is not there", "", "cdn-cache-control: max-age=60, &&& | cache-control: no-store", 0, "", "refused no-store"),
    Case("9213 §2.1 nor one of the wrong type", "", "cdn-cache-control: max-age=\"60\" | cache-control: no-store", 0, "", "refused no-store"),
    Case("9213 §2.1 keys are lower-case", "", "cdn-cache-control: MAX-AGE=60 | cache-control: max-age=5", 6, "", "validate: stale"),
    Case("9213 §2.1 parameters are passed over", "", "cdn-cache-control: max-age=60;x=1, y=(a b)", 9, "", "hit 9"),
    Case("9213 §2.1 no more than fifteen digits", "", "cdn-cache-control: max-age=99999999999", 9, "", "hit 9"),
    Case("9213 §2.2 Age counts all the same", "", "cdn-cache-control: max-age=60 | age: 61 | etag: \"a\"", 0, "", "validate: stale"),
    Case("9213 §2.2 s-maxage", "", "cdn-cache-control: max-age=1, s-maxage=60", 9, "", "hit 9"),
    Case("§3.5 it may allow sharing", "authorization: Basic eA==", "cdn-cache-control: max-age=60, public", 9, "", "hit 9"),
];

#[test]
fn by_default() {
    play(CASES, &CacheRules::default());
}

/// RFC 9213 §2.2: the first of the list that is there and says anything.
#[test]
fn the_list_is_in_order() {
    let mut rules = CacheRules::default();
    rules
        .targets
        .insert(0, HeaderName::from_static("lb-cache-control"));
    let cases = [
        Case(
            "own",
            "",
            "cdn-cache-control: max-age=1 | lb-cache-control: max-age=60",
            9,
            "",
            "hit 9",
        ),
        Case(
            "other",
            "",
            "cdn-cache-control: max-age=60 | lb-cache-control: &",
            9,
            "",
            "hit 9",
        ),
    ];
    play(&cases, &rules);
    rules.targets.clear();
    let none = Case(
        "none",
        "",
        "cdn-cache-control: max-age=60",
        0,
        "",
        "refused no-freshness",
    );
    play(&[none], &rules);
}
