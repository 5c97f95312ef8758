//! What a request may ask of a cache (RFC 9111 §5.2.1).

use lb_cache::CacheRules;

use crate::machine::{Case, play};

const HOUR: &str = "cache-control: max-age=3600";

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case("§5.2.1.1 max-age=0", "", HOUR, 1, "cache-control: max-age=0", "validate: request"),
    Case("§5.2.1.1 young enough", "", HOUR, 9, "cache-control: max-age=10", "hit 9"),
    Case("§5.2.1.1 as old as may be", "", HOUR, 10, "cache-control: max-age=10", "hit 10"),
    Case("§5.2.1.1 too old", "", HOUR, 11, "cache-control: max-age=10", "validate: request"),
    Case("§5.2.1.1 Age counts", "", "cache-control: max-age=3600 | age: 1800", 0, "cache-control: max-age=600", "validate: request"),
    Case("§5.2.1.1 what is no number says nothing", "", HOUR, 11, "cache-control: max-age=x", "hit 11"),
    Case("§5.2.1.2 max-stale", "", "cache-control: max-age=60", 70, "cache-control: max-stale=10", "hit 70"),
    Case("§5.2.1.2 not as stale as that", "", "cache-control: max-age=60", 71, "cache-control: max-stale=10", "validate: stale"),
    Case("§5.2.1.2 however stale", "", "cache-control: max-age=60", 9_999, "cache-control: max-stale", "hit 9999"),
    Case("§5.2.1.2 max-stale beside max-age", "", "cache-control: max-age=60", 65, "cache-control: max-age=99, max-stale=10", "hit 65"),
    Case("§5.2.2.2 not against must-revalidate", "", "cache-control: max-age=60, must-revalidate", 65, "cache-control: max-stale", "validate: stale"),
    Case("§5.2.2.8 not against proxy-revalidate", "", "cache-control: max-age=60, proxy-revalidate", 65, "cache-control: max-stale", "validate: stale"),
    Case("§5.2.2.10 not against s-maxage", "", "cache-control: s-maxage=60", 65, "cache-control: max-stale", "validate: stale"),
    Case("§5.2.1.3 min-fresh", "", "cache-control: max-age=60", 50, "cache-control: min-fresh=10", "hit 50"),
    Case("§5.2.1.3 not as fresh as that", "", "cache-control: max-age=60", 51, "cache-control: min-fresh=10", "validate: request"),
    Case("§5.2.1.4 no-cache", "", HOUR, 1, "cache-control: no-cache", "validate: request"),
    Case("§5.2.1.4 no-cache in another case and line", "", HOUR, 1, "cache-control: x | cache-control: NO-CACHE", "validate: request"),
    Case("§5.2.1.5 no-store forbids storing, not sending", "", HOUR, 1, "cache-control: no-store", "hit 1"),
    Case("§5.2.1.7 only-if-cached, and it is", "", HOUR, 1, "cache-control: only-if-cached", "hit 1"),
    Case("§5.2.1.7 only-if-cached, but stale", "", "cache-control: max-age=60", 61, "cache-control: only-if-cached", "504"),
    Case("§5.2.1.7 only-if-cached, but another", "foo: 1", "cache-control: max-age=60 | vary: foo", 1, "cache-control: only-if-cached", "504"),
    Case("§4 HEAD is answered by a stored GET", "", HOUR, 1, ":method: HEAD", "hit 1"),
    Case("§4 POST is not", "", HOUR, 1, ":method: POST", "bypass method"),
    Case("§4 DELETE is not", "", HOUR, 1, ":method: DELETE", "bypass method"),
    Case("§4 OPTIONS is not", "", HOUR, 1, ":method: OPTIONS", "bypass method"),
    Case("§4 a GET with a body is not", "", HOUR, 1, ":body: 1", "bypass body"),
    Case("§4 nor one whose body has no length", "", HOUR, 1, "transfer-encoding: chunked", "bypass body"),
];

#[rustfmt::skip]
pub(crate) const DISOBEYED: &[Case] = &[
    Case("§5.2.1 requests need not be obeyed", "", HOUR, 1, "cache-control: no-cache, max-age=0", "hit 1"),
    Case("§5.2.1.5 not even in storing", "cache-control: no-store", HOUR, 1, "", "hit 1"),
    Case("§5.2.2.4 responses always are", "", "cache-control: no-cache | etag: \"a\"", 1, "cache-control: max-stale", "validate: no-cache"),
];

#[test]
fn by_default() {
    play(CASES, &CacheRules::default());
}

#[test]
fn where_requests_do_not_count() {
    let mut rules = CacheRules::default();
    rules.obey_requests = false;
    play(DISOBEYED, &rules);
}
