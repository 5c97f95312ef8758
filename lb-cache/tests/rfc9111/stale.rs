//! What may be sent although it is stale (RFC 9111 §4.2.4, RFC 5861).

use std::time::Duration;

use lb_cache::{CacheRules, Failure, RequestDirectives};

use crate::machine::{Case, Head, play, store};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case("5861 §3 within the window", "", "cache-control: max-age=60, stale-while-revalidate=30", 89, "", "stale -29"),
    Case("5861 §3 at its end", "", "cache-control: max-age=60, stale-while-revalidate=30", 90, "", "validate: stale"),
    Case("5861 §3 fresh is no matter of it", "", "cache-control: max-age=60, stale-while-revalidate=30", 59, "", "hit 59"),
    Case("5861 §3 with a lifetime of zero", "", "cache-control: max-age=0, stale-while-revalidate=30", 1, "", "stale -1"),
    Case("5861 §3 stale when it came", "", "cache-control: max-age=60, stale-while-revalidate=30 | age: 70", 1, "", "stale -11"),
    Case("5861 §3 no number", "", "cache-control: max-age=60, stale-while-revalidate=x", 61, "", "validate: stale"),
    Case("§5.2.2.2 must-revalidate forbids", "", "cache-control: max-age=60, stale-while-revalidate=30, must-revalidate", 61, "", "validate: stale"),
    Case("§5.2.2.8 proxy-revalidate forbids", "", "cache-control: max-age=60, stale-while-revalidate=30, proxy-revalidate", 61, "", "validate: stale"),
    Case("§5.2.2.10 s-maxage forbids", "", "cache-control: s-maxage=60, stale-while-revalidate=30", 61, "", "validate: stale"),
    Case("§5.2.2.4 no-cache forbids", "", "cache-control: no-cache, max-age=60, stale-while-revalidate=30 | etag: \"a\"", 1, "", "validate: no-cache"),
    Case("§5.2.1.1 a client with max-age wants nothing stale", "", "cache-control: max-age=60, stale-while-revalidate=30", 61, "cache-control: max-age=99", "validate: stale"),
    Case("§5.2.1.3 nor one with min-fresh", "", "cache-control: max-age=60, stale-while-revalidate=30", 61, "cache-control: min-fresh=1", "validate: stale"),
    Case("§5.2.1.4 nor one with no-cache", "", "cache-control: max-age=60, stale-while-revalidate=30", 61, "cache-control: no-cache", "validate: request"),
    Case("§5.2.1.7 only-if-cached takes it", "", "cache-control: max-age=60, stale-while-revalidate=30", 61, "cache-control: only-if-cached", "stale -1"),
];

/// Half a minute while revalidating is the operator's word.
#[rustfmt::skip]
pub(crate) const WITH_WINDOWS: &[Case] = &[
    Case("§4.2.4 the operator's window", "", "cache-control: max-age=60", 89, "", "stale -29"),
    Case("§4.2.4 at its end", "", "cache-control: max-age=60", 90, "", "validate: stale"),
    Case("5861 §3 the response's own goes before it", "", "cache-control: max-age=60, stale-while-revalidate=5", 66, "", "validate: stale"),
    Case("§4.2.4 a lifetime of zero means it", "", "cache-control: max-age=0 | etag: \"a\"", 1, "", "validate: stale"),
    Case("§5.2.2.2 must-revalidate goes before it", "", "cache-control: max-age=60, must-revalidate", 61, "", "validate: stale"),
];

#[rustfmt::skip]
pub(crate) const BESIDE_S_MAXAGE: &[Case] = &[
    Case("§5.2.2.10 both, and both meant", "", "cache-control: s-maxage=60, stale-while-revalidate=30", 61, "", "stale -1"),
    Case("§5.2.2.10 s-maxage alone still forbids", "", "cache-control: s-maxage=60", 61, "", "validate: stale"),
    Case("§5.2.2.2 must-revalidate still forbids", "", "cache-control: s-maxage=60, stale-while-revalidate=30, must-revalidate", 61, "", "validate: stale"),
];

/// Section, response, seconds, request, whether it stands in for a 5xx, and for no response at all.
#[rustfmt::skip]
pub(crate) const FAILURES: &[(&str, &str, u64, &str, bool, bool)] = &[
    ("§4.2.4 cut off", "cache-control: max-age=60", 61, "", false, true),
    ("§4.2.4 cut off for ten minutes", "cache-control: max-age=60", 659, "", false, true),
    ("§4.2.4 and no longer", "cache-control: max-age=60", 660, "", false, false),
    ("5861 §4 stale-if-error", "cache-control: max-age=60, stale-if-error=30", 89, "", true, true),
    ("5861 §4 at its end", "cache-control: max-age=60, stale-if-error=30", 90, "", false, false),
    ("5861 §4 stale-if-error=0", "cache-control: max-age=60, stale-if-error=0", 61, "", false, false),
    ("5861 §4 of the request", "cache-control: max-age=60", 61, "cache-control: stale-if-error=9", true, true),
    ("§5.2.2.2 must-revalidate", "cache-control: max-age=60, must-revalidate, stale-if-error=99", 61, "cache-control: stale-if-error=9", false, false),
    ("§5.2.2.8 proxy-revalidate", "cache-control: max-age=60, proxy-revalidate", 61, "", false, false),
    ("§5.2.2.10 s-maxage", "cache-control: s-maxage=60, stale-if-error=99", 61, "", false, false),
    ("§5.2.2.4 no-cache", "cache-control: no-cache, max-age=60, stale-if-error=99 | etag: \"a\"", 1, "", false, false),
    ("§5.2.1.4 no-cache of the request", "cache-control: max-age=60, stale-if-error=99", 1, "cache-control: no-cache", false, false),
    ("§4.3.3 fresh, but the client wanted it validated", "cache-control: max-age=60, stale-if-error=99", 1, "cache-control: max-age=0", true, true),
];

#[test]
fn by_default() {
    play(CASES, &CacheRules::default());
}

#[test]
fn with_windows() {
    let mut rules = CacheRules::default();
    rules.stale_while_revalidate = Duration::from_secs(30);
    play(WITH_WINDOWS, &rules);
}

#[test]
fn beside_s_maxage() {
    let mut rules = CacheRules::default();
    rules.stale_beside_s_maxage = true;
    play(BESIDE_S_MAXAGE, &rules);
}

#[test]
fn in_place_of_a_failure() {
    let rules = CacheRules::default();
    for &(section, response, seconds, request, status, unreachable) in FAILURES {
        let (policy, received) = store(&Head::of(""), &Head::of(response), &rules).unwrap();
        let now = received + Duration::from_secs(seconds);
        let directives = RequestDirectives::parse(&Head::of(request).headers);
        let serves = |failure| policy.serves_on(failure, &directives, &rules, now);
        assert_eq!(serves(Failure::Status), status, "{section}: 5xx");
        assert_eq!(
            serves(Failure::Unreachable),
            unreachable,
            "{section}: unreachable"
        );
    }
}

#[test]
fn the_operator_may_allow_it_for_errors() {
    let mut rules = CacheRules::default();
    rules.stale_if_error = Duration::from_secs(700);
    let (policy, received) = store(
        &Head::of(""),
        &Head::of("cache-control: max-age=60"),
        &rules,
    )
    .unwrap();
    for (seconds, serves) in [(759, true), (760, false)] {
        let now = received + Duration::from_secs(seconds);
        for failure in [Failure::Status, Failure::Unreachable] {
            let here = policy.serves_on(failure, &RequestDirectives::default(), &rules, now);
            assert_eq!(here, serves, "{failure:?} after {seconds} s");
        }
    }
}
