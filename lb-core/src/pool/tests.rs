//! Eligibility, limits, affinity, changes and explanations. Threads and random pools are in `tests/`.

use std::time::Duration;

use super::*;
use crate::backend::{Cause, Exclusion, LatencyParameters, Outcome};
use crate::hash;
use crate::testing::{backends, now};

mod changes;
mod upkeep;

fn pool(algorithm: Algorithm, backends: Vec<Backend>, now: Instant) -> Pool {
    Pool::new(PoolParameters::new(algorithm), backends, now).unwrap()
}

fn limited(backends: Vec<Backend>, limit: u32) -> Vec<Backend> {
    backends
        .into_iter()
        .map(|backend| backend.max_connections(NonZeroU32::new(limit)))
        .collect()
}

fn id(name: &str) -> BackendId {
    BackendId::new(name)
}

/// Picks with bits and key that follow from `n`.
fn pick(pool: &Pool, n: u64, now: Instant) -> Picked {
    pool.pick(&PickHint::new(hash::mix(n)).key(n), now)
        .picked()
        .unwrap()
}

fn picked_ids(pool: &Pool, count: u64, now: Instant) -> Vec<String> {
    (0..count)
        .map(|n| pick(pool, n, now).id().to_string())
        .collect()
}

#[test]
fn a_guard_counts_in_flight_until_it_ends() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, backends(&[1]), now);
        let (first, second) = (pick(&pool, 0, now), pick(&pool, 1, now));
        assert_eq!(pool.backends(now)[0].in_flight, 2);
        first.finish(
            Outcome::Success {
                latency: Duration::ZERO,
            },
            now,
        );
        assert_eq!(pool.backends(now)[0].in_flight, 1);
        drop(second);
        assert_eq!(pool.backends(now)[0].in_flight, 0);
    }
}

#[test]
fn full_is_told_apart_from_not_eligible() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, limited(backends(&[1, 1]), 2), now);
        let guards: Vec<Picked> = (0..4).map(|n| pick(&pool, n, now)).collect();
        assert!(
            matches!(pool.pick(&PickHint::new(0), now), Pick::AllFull),
            "{algorithm}"
        );
        assert_eq!(
            pool.explain(&PickHint::new(0), now).verdict,
            Verdict::AllFull
        );
        drop(guards);
        assert!(pool.set_enabled(&id("b0"), false) && pool.set_draining(&id("b1"), true));
        assert!(
            matches!(pool.pick(&PickHint::new(0), now), Pick::NoneEligible),
            "{algorithm}"
        );
        assert_eq!(
            pool.explain(&PickHint::new(0), now).verdict,
            Verdict::NoneEligible
        );
    }
}

#[test]
fn an_empty_pool_has_nobody() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, Vec::new(), now);
        assert!(matches!(
            pool.pick(&PickHint::new(0), now),
            Pick::NoneEligible
        ));
        assert_eq!(
            pool.explain(&PickHint::new(0), now).verdict,
            Verdict::NoneEligible
        );
    }
}

#[test]
fn tried_backends_are_skipped_until_none_is_left() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, backends(&[1; 5]), now);
        let mut tried = Vec::new();
        while let Pick::Picked(picked) = pool.pick(&PickHint::new(9).key(9).tried(&tried), now) {
            assert!(!tried.contains(picked.id()));
            tried.push(picked.id().clone());
        }
        assert_eq!(tried.len(), 5, "{algorithm}");
    }
}

#[test]
fn a_disabled_backend_gets_nothing_and_its_share_goes_to_all_others() {
    let now = now();
    let pool = pool(Algorithm::RoundRobin, backends(&[1; 4]), now);
    assert!(pool.set_enabled(&id("b1"), false));
    assert_eq!(
        picked_ids(&pool, 6, now),
        ["b0", "b2", "b3", "b0", "b2", "b3"]
    );
    assert!(pool.set_enabled(&id("b1"), true));
    let mut picked = picked_ids(&pool, 4, now);
    picked.sort();
    assert_eq!(picked, ["b0", "b1", "b2", "b3"]);
}

#[test]
fn backups_serve_only_while_no_other_is_eligible() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let mut listed = limited(backends(&[1, 1, 1]), 1);
        listed[2].backup = true;
        let pool = pool(algorithm, listed, now);
        let guards = [pick(&pool, 0, now), pick(&pool, 1, now)];
        assert!(guards.iter().all(|picked| picked.id().as_str() != "b2"));
        assert!(
            matches!(pool.pick(&PickHint::new(0), now), Pick::AllFull),
            "{algorithm} spills over"
        );
        assert!(pool.set_draining(&id("b0"), true) && pool.set_enabled(&id("b1"), false));
        let backup = pick(&pool, 2, now);
        assert_eq!(backup.id().as_str(), "b2");
        assert!(
            matches!(pool.pick(&PickHint::new(0), now), Pick::AllFull),
            "{algorithm}"
        );
        assert!(pool.set_draining(&id("b0"), false));
        drop(guards);
        assert_eq!(pick(&pool, 3, now).id().as_str(), "b0");
    }
}

#[test]
fn a_request_that_was_tried_everywhere_goes_to_a_backup() {
    let now = now();
    let pool = pool(
        Algorithm::LeastConnections,
        vec![Backend::new("a"), Backend::new("b").backup(true)],
        now,
    );
    let tried = [id("a")];
    assert_eq!(
        pool.pick(&PickHint::new(0).tried(&tried), now)
            .picked()
            .unwrap()
            .id()
            .as_str(),
        "b"
    );
}

#[test]
fn affinity_wins_while_its_backend_is_usable() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, limited(backends(&[1; 3]), 1), now);
        let (b2, stranger) = (id("b2"), id("x"));
        let hint = PickHint::new(0).affinity(&b2);
        assert_eq!(
            pool.explain(&hint, now).verdict,
            Verdict::Affinity(b2.clone())
        );
        let guard = pool.pick(&hint, now).picked().unwrap();
        assert_eq!(*guard.id(), b2);
        assert_ne!(
            *pool.pick(&hint, now).picked().unwrap().id(),
            b2,
            "it is full"
        );
        drop(guard);
        assert!(pool.set_enabled(&b2, false));
        assert_ne!(
            *pool.pick(&hint, now).picked().unwrap().id(),
            b2,
            "it is disabled"
        );
        assert!(
            pool.pick(&PickHint::new(0).affinity(&stranger), now)
                .picked()
                .is_some()
        );
    }
}

#[test]
fn a_draining_backend_keeps_the_clients_bound_to_it() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, limited(backends(&[1; 2]), 1), now);
        let b0 = id("b0");
        assert!(pool.set_draining(&b0, true));
        let (bound, unbound) = (PickHint::new(0).affinity(&b0), PickHint::new(0));
        assert_eq!(
            pool.exclusion(&b0, &unbound),
            Some(Exclusion::Draining),
            "{algorithm}"
        );
        assert_eq!(
            pool.explain(&bound, now).verdict,
            Verdict::Affinity(b0.clone())
        );
        let mine = pool.pick(&bound, now).picked().unwrap();
        assert_eq!(*mine.id(), b0, "{algorithm}");
        let other = pool.pick(&bound, now).picked().unwrap();
        assert_ne!(*other.id(), b0, "it is full");
        drop((mine, other));
        let other = pool.pick(&unbound, now).picked().unwrap();
        assert_ne!(*other.id(), b0, "nobody new goes there");
        drop(other);
        let tried = [b0.clone()];
        let other = pool.pick(&bound.tried(&tried), now).picked().unwrap();
        assert_ne!(*other.id(), b0, "it was tried");
        drop(other);
        assert!(pool.set_enabled(&b0, false));
        let other = pool.pick(&bound, now).picked().unwrap();
        assert_ne!(*other.id(), b0, "it is disabled");
        drop(other);
        let left = pool.backends(now);
        assert!(left.iter().all(|status| status.in_flight == 0));
    }
}

#[test]
fn affinity_is_charged_to_weighted_round_robin() {
    let now = now();
    let pool = pool(Algorithm::WeightedRoundRobin, backends(&[1, 1]), now);
    let b0 = id("b0");
    drop(pool.pick(&PickHint::new(0).affinity(&b0), now));
    assert_eq!(picked_ids(&pool, 3, now), ["b1", "b0", "b1"]);
}

#[test]
fn bounded_loads_even_out_a_single_popular_key() {
    let now = now();
    let parameters = PoolParameters::new(Algorithm::ConsistentHashing).balance_factor(1.25);
    let pool = Pool::new(parameters, backends(&[1, 1, 2]), now).unwrap();
    let (mut guards, mut over_bound) = (Vec::new(), 0);
    for total in 1..=400_u32 {
        let explained = pool.explain(&PickHint::new(0).key(42), now);
        let is_over = |candidate: &&Candidate| candidate.exclusion == Some(Exclusion::OverBound);
        over_bound += explained.candidates.iter().filter(is_over).count();
        guards.push(pool.pick(&PickHint::new(0).key(42), now).picked().unwrap());
        for (status, share) in pool.backends(now).iter().zip([0.25, 0.25, 0.5]) {
            let bound = (1.25 * f64::from(total) * share).ceil();
            assert!(
                f64::from(status.in_flight) <= bound,
                "{} of {total} at {}",
                status.in_flight,
                status.backend.id
            );
        }
    }
    assert!(over_bound > 0);
    drop(guards);
    let first = pick(&pool, 42, now).id().clone();
    assert!(
        (0..10).all(|_| *pick(&pool, 42, now).id() == first),
        "keys come home when the rush is over"
    );
}

#[test]
fn a_bound_gives_way_before_a_request_has_nowhere_to_go() {
    let now = now();
    let parameters = PoolParameters::new(Algorithm::IpHash).balance_factor(1.0);
    let pool = Pool::new(parameters, backends(&[1, 1]), now).unwrap();
    let tried = [id("b0")];
    let guards: Vec<_> = (0..5)
        .map(|_| pool.pick(&PickHint::new(0).tried(&tried), now).picked())
        .collect();
    assert!(guards.iter().all(Option::is_some));
}

#[test]
fn a_backend_that_hangs_is_avoided_before_it_answers() {
    let start = now();
    let pool = pool(Algorithm::LeastResponseTime, backends(&[1, 1]), start);
    let warm = |pool: &Pool, name: &str, at: Instant| {
        let mut picked = pool
            .pick(&PickHint::new(0).affinity(&id(name)), at)
            .picked()
            .unwrap();
        picked.answered(
            Outcome::Success {
                latency: Duration::from_millis(5),
            },
            at,
        );
    };
    warm(&pool, "b0", start);
    warm(&pool, "b1", start);
    let b0 = id("b0");
    let hung = pool
        .pick(&PickHint::new(0).affinity(&b0), start)
        .picked()
        .unwrap();
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let b1 = id("b1");
            let mut picked = pool
                .pick(&PickHint::new(0).affinity(&b1), start)
                .picked()
                .unwrap();
            picked.answered(
                Outcome::Success {
                    latency: Duration::from_millis(5),
                },
                start,
            );
            picked
        })
        .collect();
    assert_eq!(
        *pick(&pool, 1, start).id(),
        b0,
        "one in flight is less than four"
    );
    let later = start + Duration::from_secs(1);
    assert_eq!(
        pick(&pool, 1, later).id().as_str(),
        "b1",
        "but it waits since a second"
    );
    drop((hung, busy));
}

#[test]
fn a_body_that_streams_does_not_look_like_waiting() {
    let start = now();
    let pool = pool(Algorithm::LeastResponseTime, backends(&[1, 1]), start);
    let mut streaming = pick(&pool, 0, start);
    streaming.answered(
        Outcome::Success {
            latency: Duration::from_millis(2),
        },
        start,
    );
    let hour = start + Duration::from_secs(3600);
    let streams = pool.explain(&PickHint::new(0), hour).candidates;
    assert!(
        streams
            .iter()
            .all(|candidate| candidate.score.unwrap() <= 2.0),
        "{streams:?}"
    );
    streaming.finish(
        Outcome::Success {
            latency: Duration::from_secs(3600),
        },
        hour,
    );
    assert!(pool.backends(hour).iter().all(|status| {
        status
            .latency
            .is_none_or(|latency| latency < Duration::from_millis(3))
    }));
}

#[test]
fn a_failing_backend_is_avoided_and_tried_again_later() {
    let start = now();
    let pool = pool(Algorithm::LeastResponseTime, backends(&[1, 1]), start);
    let latency = Duration::from_millis(20);
    for (name, outcome) in [
        ("b0", Outcome::failure(Duration::ZERO, Cause::Timeout)),
        ("b1", Outcome::Success { latency }),
    ] {
        let id = id(name);
        pool.pick(&PickHint::new(0).affinity(&id), start)
            .picked()
            .unwrap()
            .finish(outcome, start);
    }
    assert!((0..100).all(|n| pick(&pool, n, start).id().as_str() == "b1"));
    // As long as b1 goes on answering as it does, b0 decays to its level.
    let mut at = start;
    let back = (0..120).find(|&second| {
        at = start + Duration::from_secs(second);
        let picked = pick(&pool, second, at);
        let is_back = picked.id().as_str() == "b0";
        picked.finish(Outcome::Success { latency }, at);
        is_back
    });
    assert!((30..50).contains(&back.unwrap()), "back after {back:?} s");
}

#[test]
fn explanations_agree_with_picks() {
    let now = now();
    for algorithm in Algorithm::ALL {
        for size in [3, 40, 100] {
            let pool = pool(algorithm, limited(backends(&vec![1; size]), 3), now);
            assert!(pool.set_draining(&id("b1"), true));
            let mut guards = Vec::new();
            for n in 0..size as u64 {
                let hint = PickHint::new(hash::mix(n)).key(n);
                let Verdict::Picked(explained) = pool.explain(&hint, now).verdict else {
                    unreachable!()
                };
                guards.push(pool.pick(&hint, now).picked().unwrap());
                assert_eq!(
                    explained,
                    *guards[guards.len() - 1].id(),
                    "{algorithm} at {n} of {size}"
                );
            }
        }
    }
}

#[test]
fn an_explanation_reads_well() {
    let now = now();
    let mut listed = backends(&[1, 2, 1, 1]);
    listed[3].backup = true;
    let pool = pool(Algorithm::LeastConnections, listed, now);
    assert!(pool.set_draining(&id("b2"), true));
    let b0 = id("b0");
    let _guard = pool.pick(&PickHint::new(0).affinity(&b0), now);
    assert_eq!(
        pool.explain(&PickHint::new(255), now).to_string(),
        "\
least-connections: b1
rule: the fewest requests in flight per weight
draw: least of 2 eligible, ties drawn by weight; random 0x00000000000000ff
backend  weight  in flight       score  out because
b0            1          1       1.000
b1            2          0       0.000
b2            1          0       0.000  draining
b3            1          0       0.000  backup"
    );
}

#[test]
fn a_pool_with_room_grows_without_moving_its_keys() {
    let now = now();
    let owners = |parameters: &PoolParameters, size| -> Vec<BackendId> {
        let pool = Pool::new(parameters.clone(), backends(&vec![1; size]), now).unwrap();
        (0..2000)
            .map(|n| pick(&pool, n, now).id().clone())
            .collect()
    };
    let moved = |parameters: &PoolParameters| {
        let (before, after) = (owners(parameters, 160), owners(parameters, 161));
        before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after)
            .count()
    };
    let parameters = PoolParameters::new(Algorithm::ConsistentHashing);
    assert!(moved(&parameters) > 1900);
    assert!(moved(&parameters.expected_backends(200)) < 50);
}
