//! The rules of HTTP caching case by case, each with the section that says so.
//!
//! A row is a request with the response that came for it, a time, a second request, and what becomes of that. Fields are
//! written `name: value`, joined by ` | `; `{-60}` stands for the date a minute before the response arrived.

#![expect(
    clippy::unwrap_used,
    reason = "a row that cannot be read is a mistake in the row"
)]

mod answers;
mod freshness;
mod invalidation;
mod machine;
mod requests;
mod stale;
mod storing;
mod targeted;
mod validation;
mod vary;

/// Every table must be here, so that what is claimed about their number stays true.
#[test]
fn there_are_at_least_150_cases() {
    let exchanges = [
        storing::CASES,
        storing::WITH_SET_COOKIE,
        freshness::CASES,
        freshness::WITH_HEURISTICS,
        freshness::WITH_DEFAULT_TTL,
        requests::CASES,
        requests::DISOBEYED,
        stale::CASES,
        stale::WITH_WINDOWS,
        stale::BESIDE_S_MAXAGE,
        targeted::CASES,
        vary::CASES,
    ];
    let exchanges: usize = exchanges.iter().map(|cases| cases.len()).sum();
    let others = [
        stale::FAILURES.len(),
        answers::CASES.len(),
        validation::CASES.len(),
        validation::HEADS.len(),
        invalidation::CASES.len(),
    ];
    let all = exchanges + others.iter().sum::<usize>();
    assert!(all >= 150, "{all} cases");
}
