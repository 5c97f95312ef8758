//! How long a response is fresh, and how old it is (RFC 9111 §4.2).

use std::time::Duration;

use lb_cache::CacheRules;

use crate::machine::{Case, play};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case("§4.2 fresh while the lifetime exceeds the age", "", "cache-control: max-age=60", 59, "", "hit 59"),
    Case("§4.2 stale when they are equal", "", "cache-control: max-age=60", 60, "", "validate: stale"),
    Case("§4.2.1 s-maxage before a longer max-age", "", "cache-control: max-age=3600, s-maxage=1", 2, "", "validate: stale"),
    Case("§4.2.1 s-maxage before a shorter max-age", "", "cache-control: max-age=1, s-maxage=3600", 9, "", "hit 9"),
    Case("§4.2.1 s-maxage in another line", "", "cache-control: max-age=3600 | cache-control: s-maxage=1", 2, "", "validate: stale"),
    Case("§4.2.1 max-age before Expires", "", "cache-control: max-age=3600 | expires: {-1} | date: {0}", 9, "", "hit 9"),
    Case("§4.2.1 max-age=0 before Expires", "", "cache-control: max-age=0 | expires: {99} | etag: \"a\"", 1, "", "validate: stale"),
    Case("§4.2.1 max-age before an invalid Expires", "", "cache-control: max-age=3600 | expires: 0", 9, "", "hit 9"),
    Case("§4.2.1 the first of two max-age", "", "cache-control: max-age=5, max-age=3600", 6, "", "validate: stale"),
    Case("§4.2.1 no number is stale", "", "cache-control: max-age=a | etag: \"a\"", 0, "", "validate: stale"),
    Case("§4.2.1 trailing letters are no number", "", "cache-control: max-age=60a | etag: \"a\"", 0, "", "validate: stale"),
    Case("§4.2.1 a negative number is none", "", "cache-control: max-age=-60 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§4.2.1 a decimal is none", "", "cache-control: max-age=60.0 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§4.2.1 an unreadable s-maxage is stale even so", "", "cache-control: s-maxage=x, max-age=60 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.2 a quoted number", "", "cache-control: max-age=\"60\"", 9, "", "hit 9"),
    Case("§5.2 single quotes are not quotes", "", "cache-control: max-age='60' | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.2 a space before = makes another name", "", "cache-control: max-age =60", 0, "", "refused no-freshness"),
    Case("§5.2 a space behind = makes no number", "", "cache-control: max-age= 60 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.2 what is quoted is no directive", "", "cache-control: x=\"max-age=100\", max-age=1", 2, "", "validate: stale"),
    Case("§5.2 nor behind an escaped quote", "", "cache-control: x=\"\\\", max-age=100\", max-age=1", 2, "", "validate: stale"),
    Case("§5.2 an open quote takes the rest", "", "cache-control: max-age=60, x=\"no-store", 9, "", "hit 9"),
    Case("§1.2.2 2^31", "", "cache-control: max-age=2147483648", 2_147_483_647, "", "hit 2147483647"),
    Case("§1.2.2 more saturates", "", "cache-control: max-age=99999999999999999999999", 2_147_483_648, "", "validate: stale"),
    Case("§1.2.2 leading zeros", "", "cache-control: max-age=0060", 59, "", "hit 59"),
    Case("§5.3 Expires", "", "expires: {60} | date: {0}", 59, "", "hit 59"),
    Case("§5.3 Expires is past", "", "expires: {60} | date: {0}", 60, "", "validate: stale"),
    Case("§5.3 Expires is measured from Date", "", "expires: {60} | date: {-30}", 59, "", "hit 89"),
    Case("§5.3 Expires without Date", "", "expires: {60}", 59, "", "hit 59"),
    Case("§5.3 Expires equals Date", "", "expires: {0} | date: {0} | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.3 Expires of 0", "", "expires: 0 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.3 Expires twice", "", "expires: {60} | expires: {60} | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.3 RFC 850", "", "expires: Thursday, 01-Jan-26 12:01:00 GMT", 59, "", "hit 59"),
    Case("§5.3 asctime", "", "expires: Thu Jan  1 12:01:00 2026", 59, "", "hit 59"),
    Case("§5.3 another zone", "", "expires: Thu, 01 Jan 2026 12:01:00 UTC | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.3 no comma", "", "expires: Thu 01 Jan 2026 12:01:00 GMT | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.3 names in another case", "", "expires: THU, 01 JAN 2026 12:01:00 gmt", 59, "", "hit 59"),
    Case("§5.3 far away", "", "expires: Fri, 31 Dec 9999 23:59:59 GMT", 9_999, "", "hit 9999"),
    Case("§4.2.3 Age counts", "", "cache-control: max-age=60 | age: 30", 29, "", "hit 59"),
    Case("§4.2.3 Age makes stale", "", "cache-control: max-age=60 | age: 61 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§4.2.3 the first Age counts", "", "cache-control: max-age=60 | age: 10, 99", 1, "", "hit 11"),
    Case("§4.2.3 the first line of Age counts", "", "cache-control: max-age=60 | age: 10 | age: 99", 1, "", "hit 11"),
    Case("§5.1 a decimal Age is ignored", "", "cache-control: max-age=60 | age: 7200.0", 1, "", "hit 1"),
    Case("§5.1 a word is ignored", "", "cache-control: max-age=60 | age: abc", 1, "", "hit 1"),
    Case("§5.1 a negative Age is ignored", "", "cache-control: max-age=60 | age: -9", 1, "", "hit 1"),
    Case("§1.2.2 an Age beyond all is stale", "", "cache-control: max-age=60 | age: 99999999999 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§4.2.3 apparent age", "", "cache-control: max-age=60 | date: {-40}", 1, "", "hit 41"),
    Case("§4.2.3 apparent age, older than Age", "", "cache-control: max-age=60 | date: {-40} | age: 10", 1, "", "hit 41"),
    Case("§4.2.3 Age, older than apparent", "", "cache-control: max-age=60 | date: {-10} | age: 40", 1, "", "hit 41"),
    Case("§4.2.3 a Date ahead of our clock", "", "cache-control: max-age=60 | date: {9999}", 1, "", "hit 1"),
    Case("§4.2.3 an unreadable Date", "", "cache-control: max-age=60 | date: yesterday", 1, "", "hit 1"),
    Case("§4.2.3 the delay of the response", "", ":delay: 5 | cache-control: max-age=60 | age: 10", 1, "", "hit 16"),
    Case("§4.2.3 the delay alone", "", ":delay: 5 | cache-control: max-age=60", 1, "", "hit 6"),
    Case("§4.2.2 no guess unless it is asked for", "", "last-modified: {-99999} | date: {0}", 0, "", "refused no-freshness"),
];

#[rustfmt::skip]
pub(crate) const WITH_HEURISTICS: &[Case] = &[
    Case("§4.2.2 a tenth of the time since Last-Modified", "", "last-modified: {-1000} | date: {0}", 99, "", "hit 99"),
    Case("§4.2.2 and no longer", "", "last-modified: {-1000} | date: {0}", 100, "", "validate: stale"),
    Case("§4.2.2 at most a day", "", "last-modified: {-99999999} | date: {0}", 86_400, "", "validate: stale"),
    Case("§4.2.2 only where nothing is explicit", "", "cache-control: max-age=5 | last-modified: {-1000} | date: {0}", 6, "", "validate: stale"),
    Case("§4.2.2 only some statuses", "", ":status: 500 | last-modified: {-1000} | date: {0}", 0, "", "refused no-freshness"),
    Case("§4.2.2 410", "", ":status: 410 | last-modified: {-1000} | date: {0}", 99, "", "hit 99"),
    Case("§4.2.2 a public 500", "", ":status: 500 | cache-control: public | last-modified: {-1000} | date: {0}", 99, "", "hit 99"),
    Case("§4.2.2 modified in the future", "", "last-modified: {1000} | date: {0}", 0, "", "validate: stale"),
];

#[rustfmt::skip]
pub(crate) const WITH_DEFAULT_TTL: &[Case] = &[
    Case("§4.2.2 the operator's lifetime", "", "", 29, "", "hit 29"),
    Case("§4.2.2 and no longer", "", "", 30, "", "validate: stale"),
    Case("§4.2.2 what is explicit goes before it", "", "cache-control: max-age=5", 6, "", "validate: stale"),
    Case("§4.2.2 only some statuses", "", ":status: 302", 0, "", "refused no-freshness"),
    Case("§5.3 an invalid Expires is explicit", "", "expires: 0 | etag: \"a\"", 0, "", "validate: stale"),
    Case("§5.2.2.5 no-store", "", "cache-control: no-store", 0, "", "refused no-store"),
];

#[test]
fn by_default() {
    play(CASES, &CacheRules::default());
}

#[test]
fn with_heuristics() {
    let mut rules = CacheRules::default();
    rules.heuristic_percent = 10;
    play(WITH_HEURISTICS, &rules);
}

#[test]
fn with_a_default_ttl() {
    let mut rules = CacheRules::default();
    rules.default_ttl = Duration::from_secs(30);
    play(WITH_DEFAULT_TTL, &rules);
}
