//! Reloads, single changes, and parameters that are refused.

use super::*;

#[test]
fn update_goes_by_difference_and_keeps_state() {
    let now = now();
    let pool = pool(Algorithm::RoundRobin, backends(&[1, 1, 1]), now);
    let guard = pick(&pool, 0, now);
    assert!(pool.set_draining(&id("b1"), true));
    let list = vec![
        Backend::new("b1"),
        Backend::new("b0").weight(Weight::try_new(2).unwrap()),
        Backend::new("new"),
    ];
    let changes = pool.update(pool.parameters(), list.clone(), now).unwrap();
    assert_eq!(changes.added, [id("new")]);
    assert_eq!(changes.removed, [id("b2")]);
    assert_eq!(changes.changed, [id("b0")]);
    assert!(!changes.parameters);
    let status = pool.backends(now);
    assert_eq!(
        status
            .iter()
            .map(|status| status.in_flight)
            .collect::<Vec<_>>(),
        [0, 1, 0]
    );
    assert!(status[0].is_draining && status[1].is_eligible());
    assert!(
        pool.update(pool.parameters(), list, now)
            .unwrap()
            .is_empty()
    );
    drop(guard);
}

#[test]
fn a_plan_is_checked_before_anything_changes() {
    let now = now();
    let pool = pool(Algorithm::RoundRobin, backends(&[1, 1]), now);
    let twice = vec![Backend::new("a"), Backend::new("a")];
    let error = PoolPlan::try_new(pool.parameters(), twice).unwrap_err();
    assert_eq!(error, PoolError::Duplicate { id: id("a") });
    let plan = PoolPlan::try_new(
        PoolParameters::new(Algorithm::LeastConnections),
        vec![Backend::new("b1"), Backend::new("a")],
    );
    assert_eq!(pool.backends(now)[0].backend.id, id("b0"));
    let changes = pool.apply(plan.unwrap(), now);
    assert!(changes.parameters);
    assert_eq!(
        (changes.added, changes.removed),
        (vec![id("a")], vec![id("b0")])
    );
    assert_eq!(pool.algorithm(), Algorithm::LeastConnections);
}

#[test]
fn an_update_that_changes_nothing_keeps_the_turn() {
    let now = now();
    for algorithm in [Algorithm::RoundRobin, Algorithm::WeightedRoundRobin] {
        let pool = pool(algorithm, backends(&[1, 1, 1]), now);
        assert_eq!(picked_ids(&pool, 2, now), ["b0", "b1"]);
        pool.update(pool.parameters(), backends(&[1, 1, 1]), now)
            .unwrap();
        assert_eq!(picked_ids(&pool, 2, now), ["b2", "b0"]);
        let latency = LatencyParameters::default().default_rtt(Duration::from_millis(1));
        assert!(
            pool.update(
                pool.parameters().latency(latency),
                backends(&[1, 1, 1]),
                now
            )
            .unwrap()
            .parameters
        );
        assert_eq!(picked_ids(&pool, 2, now), ["b1", "b2"]);
    }
}

#[test]
fn an_update_can_change_the_algorithm_in_flight() {
    let now = now();
    let pool = pool(Algorithm::RoundRobin, backends(&[1, 1]), now);
    for algorithm in Algorithm::ALL.into_iter().cycle().take(13) {
        let guard = pick(&pool, 1, now);
        assert!(
            pool.update(PoolParameters::new(algorithm), backends(&[1, 1]), now)
                .is_ok()
        );
        assert_eq!(pool.algorithm(), algorithm);
        guard.finish(
            Outcome::Success {
                latency: Duration::from_millis(3),
            },
            now,
        );
    }
    assert!(
        pool.backends(now)
            .iter()
            .all(|status| status.in_flight == 0)
    );
}

#[test]
fn a_failed_update_changes_nothing() {
    let now = now();
    let pool = pool(Algorithm::RoundRobin, backends(&[1, 1]), now);
    let before = pool.backends(now);
    let twice = vec![Backend::new("x"), Backend::new("x")];
    let error = pool
        .update(PoolParameters::new(Algorithm::IpHash), twice, now)
        .unwrap_err();
    assert_eq!(error.to_string(), "two backends have the id `x`");
    assert_eq!(
        (pool.backends(now), pool.algorithm()),
        (before, Algorithm::RoundRobin)
    );
}

#[test]
fn a_backend_that_returns_finds_its_requests_again() {
    let now = now();
    let pool = pool(Algorithm::RoundRobin, limited(backends(&[1]), 1), now);
    let guard = pick(&pool, 0, now);
    assert!(pool.remove(&id("b0")) && !pool.remove(&id("b0")));
    pool.add(limited(backends(&[1]), 1).remove(0), now).unwrap();
    assert!(matches!(pool.pick(&PickHint::new(0), now), Pick::AllFull));
    drop(guard);
    assert!(pool.pick(&PickHint::new(0), now).picked().is_some());
}

#[test]
fn backends_are_changed_one_by_one() {
    let now = now();
    let pool = pool(Algorithm::WeightedRoundRobin, backends(&[1, 1]), now);
    assert!(pool.set_weight(&id("b1"), Weight::try_new(3).unwrap()));
    assert_eq!(
        picked_ids(&pool, 4, now)
            .iter()
            .filter(|name| *name == "b1")
            .count(),
        3
    );
    assert!(pool.set_max_connections(&id("b1"), NonZeroU32::new(1)));
    let held = [
        pick(&pool, 0, now),
        pick(&pool, 1, now),
        pick(&pool, 2, now),
    ];
    assert_eq!(
        held.iter()
            .filter(|picked| picked.id().as_str() == "b1")
            .count(),
        1
    );
    assert!(!pool.set_weight(&id("x"), Weight::ONE) && !pool.set_enabled(&id("x"), true));
    assert_eq!(
        pool.add(Backend::new("b0"), now).unwrap_err(),
        PoolError::Duplicate { id: id("b0") }
    );
}

#[test]
fn wrong_parameters_are_named() {
    let now = now();
    let error = |parameters| {
        Pool::new(parameters, Vec::new(), now)
            .unwrap_err()
            .to_string()
    };
    for factor in [0.9, f64::NAN, f64::INFINITY, -1.0] {
        let text = error(PoolParameters::new(Algorithm::IpHash).balance_factor(factor));
        assert_eq!(
            text,
            format!("balance factor must be a number of at least 1, got {factor}")
        );
    }
    let text = error(PoolParameters::new(Algorithm::RoundRobin).balance_factor(1.5));
    assert_eq!(
        text,
        "balance factor has no effect with `round-robin`, only with `consistent-hashing` and `ip-hash`"
    );
    let many = (0..65_536)
        .map(|index| Backend::new(index.to_string()))
        .collect();
    let error = Pool::new(PoolParameters::default(), many, now).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a pool has at most 65535 backends, got 65536"
    );
}
