//! Probes, ejections, breakers and the pool's limit, as picks see them.

use super::*;
use crate::backend::Cause;
use crate::breaker::{BreakerPolicy, BreakerState};
use crate::health::{Health, HealthPolicy, ProbeResult};
use crate::outlier::{OutlierPolicy, SuccessRatePolicy};
use crate::watch::HealthEvent;

mod warming;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn watched(algorithm: Algorithm, policy: PoolPolicy, count: usize, now: Instant) -> Pool {
    Pool::with_policy(
        PoolParameters::new(algorithm),
        policy,
        backends(&vec![1; count]),
        now,
    )
    .unwrap()
}

fn outliers() -> PoolPolicy {
    PoolPolicy::default().outlier(OutlierPolicy::default().jitter_percent(0))
}

fn probes() -> PoolPolicy {
    PoolPolicy::default().health(HealthPolicy::default().jitter_percent(0))
}

fn breakers() -> PoolPolicy {
    PoolPolicy::default().breaker(BreakerPolicy::default().jitter_percent(0))
}

fn picked_at(pool: &Pool, name: &str, now: Instant) -> Picked {
    let id = id(name);
    let picked = pool
        .pick(&PickHint::new(0).affinity(&id), now)
        .picked()
        .unwrap();
    assert_eq!(*picked.id(), id);
    picked
}

fn fail(pool: &Pool, name: &str, times: usize, now: Instant) {
    for _ in 0..times {
        picked_at(pool, name, now).finish(Outcome::failure(MILLISECOND, Cause::Connect), now);
    }
}

fn succeed(pool: &Pool, name: &str, now: Instant) {
    picked_at(pool, name, now).finish(Outcome::success(MILLISECOND), now);
}

fn probe(pool: &Pool, name: &str, passes: bool, now: Instant) {
    let result = if passes {
        ProbeResult::passed("200", MILLISECOND)
    } else {
        ProbeResult::failed("connection refused", MILLISECOND)
    };
    assert!(pool.probed(&id(name), result, 0, now));
}

fn news(pool: &Pool, now: Instant) -> Vec<String> {
    let changes = pool.take_changes(now);
    let line = |change: crate::HealthChange| {
        let id = change.id.as_ref().map_or("pool", BackendId::as_str);
        format!("{id} {}", change.event)
    };
    changes.into_iter().map(line).collect()
}

fn exclusions(pool: &Pool, now: Instant) -> Vec<Option<Exclusion>> {
    pool.backends(now)
        .iter()
        .map(|status| status.exclusion)
        .collect()
}

#[test]
fn five_failures_in_a_row_eject_until_the_time_is_over() {
    let start = now();
    for algorithm in Algorithm::ALL {
        let pool = watched(algorithm, outliers(), 3, start);
        fail(&pool, "b0", 4, start);
        succeed(&pool, "b0", start);
        fail(&pool, "b0", 5, start);
        assert!(picked_ids(&pool, 50, start).iter().all(|id| id != "b0"));
        assert_eq!(
            exclusions(&pool, start),
            [Some(Exclusion::Ejected), None, None]
        );
        assert_eq!(
            news(&pool, start),
            ["b0 ejected: consecutive_errors for 30.0 s"]
        );
        assert!(news(&pool, start).is_empty());
        assert_eq!(pool.next_change(start), Some(start + 30 * SECOND));

        let status = &pool.backends(start)[0];
        assert_eq!((status.since, status.ejections), (Some(start), 1));
        assert_eq!(status.why.as_deref(), Some("consecutive_errors for 30.0 s"));
        let explained = pool.explain(&PickHint::new(0), start);
        assert_eq!(explained.candidates[0].why, status.why);
        assert!(
            explained
                .to_string()
                .contains("ejected: consecutive_errors for 30.0 s")
        );

        let later = start + 30 * SECOND;
        // To the last tick of the pool's clock.
        assert!(exclusions(&pool, later - MILLISECOND)[0].is_some());
        drop(picked_at(&pool, "b0", later));
        assert_eq!(news(&pool, later), ["b0 readmitted"]);
        // The next one is twice as long.
        fail(&pool, "b0", 5, later);
        assert_eq!(
            news(&pool, later),
            ["b0 ejected: consecutive_errors for 60.0 s, 2 times in a row"]
        );
    }
}

#[test]
fn never_more_than_the_share_is_ejected() {
    let now = now();
    let pool = watched(Algorithm::RoundRobin, outliers(), 5, now);
    for name in ["b0", "b1", "b2", "b3"] {
        fail(&pool, name, 5, now);
    }
    let ejected = exclusions(&pool, now).into_iter().flatten().count();
    assert_eq!((ejected, pool.status(now).ejections_refused), (2, 2));
    let alone = watched(Algorithm::RoundRobin, outliers(), 1, now);
    fail(&alone, "b0", 50, now);
    assert!(alone.pick(&PickHint::new(0), now).picked().is_some());
}

#[test]
fn a_response_that_always_breaks_off_ejects() {
    let now = now();
    let pool = watched(Algorithm::RoundRobin, outliers(), 2, now);
    for _ in 0..5 {
        let mut picked = picked_at(&pool, "b0", now);
        picked.answered(Outcome::success(MILLISECOND), now);
        picked.finish(Outcome::failure(MILLISECOND, Cause::Reset), now);
    }
    assert_eq!(exclusions(&pool, now), [Some(Exclusion::Ejected), None]);
    // A failure that was told with the head counts once, however it ends.
    let mut picked = picked_at(&pool, "b1", now);
    picked.answered(Outcome::failure(MILLISECOND, Cause::ServerError), now);
    picked.finish(Outcome::failure(MILLISECOND, Cause::Reset), now);
    assert_eq!(pool.backends(now)[1].errors_in_a_row, 1);
}

#[test]
fn cancelled_requests_say_nothing() {
    let now = now();
    let pool = watched(Algorithm::RoundRobin, outliers(), 2, now);
    fail(&pool, "b0", 4, now);
    for _ in 0..20 {
        drop(picked_at(&pool, "b0", now));
        picked_at(&pool, "b0", now).finish(Outcome::Cancelled, now);
    }
    assert_eq!(pool.backends(now)[0].errors_in_a_row, 4);
}

#[test]
fn the_backend_that_succeeds_least_is_ejected() {
    let start = now();
    let rates = SuccessRatePolicy::default();
    let policy = OutlierPolicy::default()
        .consecutive_errors(0)
        .success_rate(rates);
    let pool = watched(
        Algorithm::RoundRobin,
        PoolPolicy::default().outlier(policy),
        6,
        start,
    );
    for n in 0..1200_u32 {
        let picked = pick(&pool, 0, start + MILLISECOND * n);
        let fails = picked.id().as_str() == "b3" && n % 2 == 1;
        let outcome = if fails {
            Outcome::failure(MILLISECOND, Cause::ServerError)
        } else {
            Outcome::success(MILLISECOND)
        };
        picked.finish(outcome, start + MILLISECOND * n);
    }
    assert!(
        exclusions(&pool, start + 9 * SECOND)
            .iter()
            .all(Option::is_none)
    );
    assert_eq!(
        exclusions(&pool, start + 10 * SECOND)[3],
        Some(Exclusion::Ejected)
    );
    assert_eq!(
        exclusions(&pool, start + 10 * SECOND)
            .iter()
            .flatten()
            .count(),
        1
    );
}

#[test]
fn probes_take_out_and_bring_back() {
    let start = now();
    let pool = watched(Algorithm::LeastConnections, probes(), 2, start);
    assert!(
        pool.due_probes(start + SECOND).len() == 2 && pool.due_probes(start + SECOND).is_empty()
    );
    assert_eq!(pool.backends(start)[0].health, Health::Unknown);
    probe(&pool, "b0", false, start);
    probe(&pool, "b1", true, start);
    assert_eq!(exclusions(&pool, start), [Some(Exclusion::Unhealthy), None]);
    assert_eq!(
        news(&pool, start),
        ["b0 unhealthy: connection refused", "b1 healthy: 200"]
    );
    assert_eq!(
        pool.backends(start)[0].why.as_deref(),
        Some("connection refused")
    );
    // A fifth of the interval, while unhealthy.
    assert_eq!(pool.next_probe_at(), Some(start + 2 * SECOND));
    assert_eq!(pool.due_probes(start + 2 * SECOND), [id("b0")]);
    probe(&pool, "b1", false, start);
    probe(&pool, "b1", false, start);
    assert_eq!(exclusions(&pool, start)[1], None);
    probe(&pool, "b1", false, start);
    assert!(matches!(
        pool.pick(&PickHint::new(0), start),
        Pick::NoneEligible
    ));
    assert_eq!(pool.retry_after(start), Some(2 * SECOND));
    let later = start + 2 * SECOND;
    probe(&pool, "b0", true, later);
    probe(&pool, "b0", true, later);
    assert_eq!(pick(&pool, 0, later).id().as_str(), "b0");
    assert_eq!(pool.retry_after(later), None);
    assert!(!pool.probed(&id("nobody"), ProbeResult::passed("", SECOND), 0, later));
}

#[test]
fn a_probe_that_began_after_the_ejection_ends_it() {
    let start = now();
    for readmits in [true, false] {
        let outlier = OutlierPolicy::default().readmit_on_probe(readmits);
        let pool = watched(Algorithm::RoundRobin, probes().outlier(outlier), 2, start);
        fail(&pool, "b0", 5, start);
        assert_eq!(exclusions(&pool, start)[0], Some(Exclusion::Ejected));
        // It took a millisecond, so it began before.
        probe(&pool, "b0", true, start);
        assert_eq!(exclusions(&pool, start)[0], Some(Exclusion::Ejected));
        probe(&pool, "b0", true, start + SECOND);
        assert_eq!(exclusions(&pool, start + SECOND)[0].is_none(), readmits);
    }
}

#[test]
fn in_a_panic_the_ejected_serve_and_the_unhealthy_do_not() {
    let start = now();
    let policy = probes().outlier(OutlierPolicy::default().jitter_percent(0));
    let pool = watched(Algorithm::RoundRobin, policy, 4, start);
    fail(&pool, "b0", 5, start);
    probe(&pool, "b1", false, start);
    assert_eq!(exclusions(&pool, start).iter().flatten().count(), 2);
    news(&pool, start);
    // One of four is left: fewer than half.
    probe(&pool, "b2", false, start);
    let unhealthy = Some(Exclusion::Unhealthy);
    assert_eq!(exclusions(&pool, start), [None, unhealthy, unhealthy, None]);
    assert_eq!(
        news(&pool, start),
        [
            "b2 unhealthy: connection refused",
            "pool panic_began: 1 of 4 are usable"
        ]
    );
    assert_eq!(pool.status(start).panic_since, Some(start));
    probe(&pool, "b2", true, start);
    probe(&pool, "b2", true, start);
    assert_eq!(news(&pool, start), ["b2 healthy: 200", "pool panic_ended"]);
    assert_eq!(
        exclusions(&pool, start),
        [Some(Exclusion::Ejected), unhealthy, None, None]
    );
}

#[test]
fn a_panic_may_disregard_probes_too() {
    let start = now();
    let policy = probes().outlier(OutlierPolicy::default().panic_ignores_probes(true));
    let pool = watched(Algorithm::RoundRobin, policy, 2, start);
    probe(&pool, "b0", false, start);
    assert!(pool.status(start).panic_since.is_none());
    probe(&pool, "b1", false, start);
    assert_eq!(exclusions(&pool, start), [None, None]);
    let calm = probes().outlier(OutlierPolicy::default().panic_below_percent(0));
    pool.set_policy(calm, start);
    assert_eq!(exclusions(&pool, start), [Some(Exclusion::Unhealthy); 2]);
}

#[test]
fn an_open_breaker_lets_nobody_pass_and_a_half_open_one_a_few() {
    let start = now();
    for algorithm in Algorithm::ALL {
        let pool = watched(algorithm, breakers(), 1, start);
        fail(&pool, "b0", 20, start);
        assert!(matches!(
            pool.pick(&PickHint::new(0), start),
            Pick::NoneEligible
        ));
        assert_eq!(exclusions(&pool, start), [Some(Exclusion::BreakerOpen)]);
        assert_eq!(
            pool.backends(start)[0].why.as_deref(),
            Some("open for 10.0 s")
        );
        assert_eq!(pool.retry_after(start + SECOND), Some(9 * SECOND));

        let later = start + 10 * SECOND;
        let mut trials: Vec<Picked> = (0..5).map(|n| pick(&pool, n, later)).collect();
        assert!(trials.iter().all(Picked::is_trial));
        assert!(matches!(pool.pick(&PickHint::new(0), later), Pick::AllFull));
        let explained = pool.explain(&PickHint::new(0), later);
        assert_eq!(
            explained.candidates[0].exclusion,
            Some(Exclusion::TrialsTaken)
        );
        // One that is dropped gives its slot back; four succeed; the fifth decides.
        drop(trials.pop());
        trials.push(pick(&pool, 5, later));
        for mut trial in trials.drain(..4) {
            trial.answered(Outcome::success(MILLISECOND), later);
        }
        assert!(matches!(pool.pick(&PickHint::new(0), later), Pick::AllFull));
        trials
            .pop()
            .unwrap()
            .finish(Outcome::success(MILLISECOND), later);
        assert!(!pick(&pool, 6, later).is_trial());
        let news = news(&pool, later);
        assert_eq!(
            news,
            [
                "b0 breaker_opened",
                "b0 breaker_half_open",
                "b0 breaker_closed"
            ]
        );
        assert_eq!(pool.backends(later)[0].breaker_opens, 1);
        assert_eq!(pool.backends(later)[0].in_flight, 0);
    }
}

#[test]
fn a_failed_trial_opens_again_and_late_ones_do_not_matter() {
    let start = now();
    let pool = watched(Algorithm::RoundRobin, breakers(), 1, start);
    fail(&pool, "b0", 20, start);
    let later = start + 10 * SECOND;
    let (first, late) = (pick(&pool, 0, later), pick(&pool, 1, later));
    first.finish(Outcome::failure(MILLISECOND, Cause::Timeout), later);
    assert_eq!(pool.retry_after(later), Some(20 * SECOND));
    let half_open = later + 20 * SECOND;
    assert!(pick(&pool, 2, half_open).is_trial());
    drop(late);
    assert_eq!(pool.backends(half_open)[0].breaker, BreakerState::HalfOpen);
    let trials = (0..9).filter_map(|n| pool.pick(&PickHint::new(n), half_open).picked());
    assert_eq!(trials.collect::<Vec<_>>().len(), 5);
}

#[test]
fn max_connections_hold_for_trials_as_well() {
    let start = now();
    let listed = limited(backends(&[1]), 2);
    let pool = Pool::with_policy(PoolParameters::default(), breakers(), listed, start).unwrap();
    fail(&pool, "b0", 20, start);
    let later = start + 10 * SECOND;
    let trials = [pick(&pool, 0, later), pick(&pool, 1, later)];
    assert!(matches!(pool.pick(&PickHint::new(0), later), Pick::AllFull));
    let explained = pool.explain(&PickHint::new(0), later);
    assert_eq!(explained.candidates[0].exclusion, Some(Exclusion::Full));
    drop(trials);
    assert!(pool.pick(&PickHint::new(0), later).picked().is_some());
}

#[test]
fn a_pool_has_no_more_in_flight_than_it_may() {
    let now = now();
    for algorithm in Algorithm::ALL {
        let policy = PoolPolicy::default().max_in_flight(NonZeroU32::new(3));
        let pool = watched(algorithm, policy, 4, now);
        let mut held: Vec<Picked> = (0..3).map(|n| pick(&pool, n, now)).collect();
        assert!(matches!(pool.pick(&PickHint::new(0), now), Pick::AllFull));
        let explained = pool.explain(&PickHint::new(0), now);
        assert!(explained.is_pool_full && explained.verdict == Verdict::AllFull);
        assert_eq!(pool.status(now).in_flight, 3);
        held.pop();
        held.push(picked_at(&pool, "b2", now));
        let tried: Vec<BackendId> = ["b0", "b1", "b2", "b3"].map(id).into();
        let nobody = pool.pick(&PickHint::new(0).tried(&tried), now);
        assert!(matches!(nobody, Pick::NoneEligible));
        drop(held);
        // A pick that finds nobody leaves no count behind.
        assert!(
            pool.pick(&PickHint::new(0).tried(&tried), now)
                .picked()
                .is_none()
        );
        assert_eq!(pool.status(now).in_flight, 0);
    }
}

#[test]
fn a_reload_keeps_what_was_found_and_a_new_backend_begins_anew() {
    let start = now();
    let policy = probes().outlier(OutlierPolicy::default());
    let pool = watched(Algorithm::RoundRobin, policy, 4, start);
    fail(&pool, "b0", 5, start);
    probe(&pool, "b1", false, start);
    let before = exclusions(&pool, start);
    assert_eq!(before.iter().flatten().count(), 2);
    let mut listed = backends(&[2, 2, 2, 2]);
    listed.push(Backend::new("b4"));
    let parameters = PoolParameters::new(Algorithm::LeastConnections);
    pool.update(parameters, listed, start).unwrap();
    assert_eq!(exclusions(&pool, start)[..4], before);
    assert_eq!(pool.backends(start)[4].health, Health::Unknown);
    // Removed while a request runs there, and back: its count is the old one, its health is not.
    let held = picked_at(&pool, "b2", start);
    probe(&pool, "b2", false, start);
    assert!(pool.remove(&id("b2")));
    pool.add(Backend::new("b2"), start).unwrap();
    let status = pool.backends(start).pop().unwrap();
    assert_eq!((status.in_flight, status.exclusion), (1, None));
    drop(held);
}

#[test]
fn what_a_policy_no_longer_asks_for_is_forgotten() {
    let start = now();
    let policy = PoolPolicy::recommended().breaker(BreakerPolicy::default());
    let pool = watched(Algorithm::RoundRobin, policy, 4, start);
    let held: Vec<Picked> = (0..30).map(|_| picked_at(&pool, "b0", start)).collect();
    for picked in held {
        picked.finish(Outcome::failure(MILLISECOND, Cause::Reset), start);
    }
    probe(&pool, "b1", false, start);
    assert_eq!(exclusions(&pool, start).iter().flatten().count(), 2);
    pool.set_policy(PoolPolicy::default(), start);
    assert_eq!(exclusions(&pool, start), [None; 4]);
    assert_eq!(pool.backends(start)[0].breaker, BreakerState::Closed);
    assert_eq!(pool.next_change(start), None);
    assert!(pool.due_probes(start + 60 * SECOND).is_empty());
    pool.set_policy(policy, start);
    assert_eq!(exclusions(&pool, start), [None; 4]);
}

#[test]
fn a_disabled_backend_counts_for_no_share_and_is_not_probed() {
    let start = now();
    let policy = probes().outlier(OutlierPolicy::default());
    let pool = watched(Algorithm::RoundRobin, policy, 3, start);
    assert!(pool.set_enabled(&id("b2"), false));
    fail(&pool, "b0", 5, start);
    fail(&pool, "b1", 5, start);
    assert_eq!(
        exclusions(&pool, start),
        [Some(Exclusion::Ejected), None, Some(Exclusion::Disabled)]
    );
    assert_eq!(pool.due_probes(start + SECOND), [id("b0"), id("b1")]);
}

#[test]
fn news_that_nobody_takes_are_bounded() {
    let start = now();
    let pool = watched(Algorithm::RoundRobin, probes(), 1, start);
    for _ in 0..600 {
        (0..3).for_each(|_| probe(&pool, "b0", false, start));
        (0..3).for_each(|_| probe(&pool, "b0", true, start));
    }
    assert_eq!(pool.status(start).lost_changes, 1200 - 1024);
    let changes = pool.take_changes(start);
    assert_eq!(changes.len(), 1024);
    assert!(matches!(changes[0].event, HealthEvent::Unhealthy(_)));
}

#[test]
fn who_fails_now_takes_the_place_of_who_failed_longest_ago() {
    let start = now();
    let pool = watched(Algorithm::RoundRobin, outliers(), 2, start);
    fail(&pool, "b0", 5, start);
    assert_eq!(exclusions(&pool, start), [Some(Exclusion::Ejected), None]);
    // Half of the pool is out, and nobody has been for a second.
    fail(&pool, "b1", 5, start + 999 * MILLISECOND);
    let both = |now| exclusions(&pool, now);
    assert_eq!(
        both(start + 999 * MILLISECOND),
        [Some(Exclusion::Ejected), None]
    );
    let later = start + SECOND;
    fail(&pool, "b1", 5, later);
    assert_eq!(both(later), [None, Some(Exclusion::Ejected)]);
    assert_eq!(
        news(&pool, later)[1..],
        ["b0 readmitted", "b1 ejected: consecutive_errors for 30.0 s"]
    );
}

#[test]
fn the_ejected_are_the_last_resort() {
    let start = now();
    let pool = watched(Algorithm::RoundRobin, outliers(), 2, start);
    assert!(!pool.has_ejected(&[]) && pool.pick_ejected(&[], start).is_none());
    fail(&pool, "b0", 5, start);
    assert!(picked_ids(&pool, 10, start).iter().all(|id| id == "b1"));
    let tried = [id("b1")];
    assert!(pool.has_untried(&[], start) && !pool.has_untried(&tried, start));
    let picked = pool.pick_ejected(&tried, start).unwrap();
    assert_eq!(picked.id().as_str(), "b0");
    assert_eq!(pool.backends(start)[0].in_flight, 1);
    drop(picked);
    assert_eq!(pool.backends(start)[0].in_flight, 0);
    assert!(pool.pick_ejected(&[id("b0")], start).is_none());
    pool.set_draining(&id("b0"), true);
    assert!(!pool.has_ejected(&tried));
}
