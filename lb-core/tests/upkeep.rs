//! A pool keeps its promises whatever its backends do: events at random under virtual time, with everything watched.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lb_core::{
    Algorithm, Backend, BackendId, BreakerPolicy, BreakerState, BudgetPolicy, Cause, HealthEvent,
    HealthPolicy, Outcome, OutlierPolicy, Pick, PickHint, Picked, Pool, PoolParameters, PoolPolicy,
    ProbeResult, RetryBudget, SlowStart, SuccessRatePolicy, Verdict, hash,
};
use proptest::prelude::*;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn now() -> Instant {
    Instant::now()
}

/// Random numbers that follow from a seed.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        hash::key(&self.0.to_le_bytes())
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn everything() -> PoolPolicy {
    let outlier =
        OutlierPolicy::default().success_rate(SuccessRatePolicy::default().min_requests(20));
    PoolPolicy::default()
        .health(HealthPolicy::default())
        .outlier(outlier)
        .breaker(BreakerPolicy::default())
        .slow_start(SlowStart::default())
}

fn pool(algorithm: Algorithm, policy: PoolPolicy, count: usize, now: Instant) -> Pool {
    let backends = (0..count).map(|index| Backend::new(format!("b{index}")));
    Pool::with_policy(
        PoolParameters::new(algorithm),
        policy,
        backends.collect(),
        now,
    )
    .expect("the parameters are right")
}

fn place(id: &BackendId) -> usize {
    id.as_str()[1..].parse().expect("ids are numbered")
}

/// What each backend is by the news alone.
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Told {
    unhealthy: bool,
    ejected: bool,
    breaker: u8,
}

/// Takes the news and checks that each says something new and possible.
fn read_news(pool: &Pool, told: &mut [Told], panic: &mut bool, now: Instant) {
    for change in pool.take_changes(now) {
        let Some(id) = &change.id else {
            let began = matches!(change.event, HealthEvent::PanicBegan { .. });
            assert_ne!(began, *panic, "{}", change.event);
            *panic = began;
            continue;
        };
        let told = &mut told[place(id)];
        let before = *told;
        match &change.event {
            HealthEvent::Unhealthy(_) => told.unhealthy = true,
            HealthEvent::Healthy(_) => told.unhealthy = false,
            HealthEvent::Ejected(_) => told.ejected = true,
            HealthEvent::Readmitted => told.ejected = false,
            HealthEvent::Breaker(state) => {
                told.breaker = match state {
                    BreakerState::Closed => 0,
                    BreakerState::Open { .. } => 1,
                    BreakerState::HalfOpen => 2,
                };
                let possible = [(0, 1), (1, 2), (2, 0), (2, 1)];
                assert!(
                    possible.contains(&(before.breaker, told.breaker)),
                    "{before:?} {told:?}"
                );
            }
            other => unreachable!("{other} is no change of a backend"),
        }
        let is_first = matches!(&change.event, HealthEvent::Healthy(_)) && !before.unhealthy;
        assert!(*told != before || is_first, "{} twice", change.event);
    }
}

/// A request that runs, the backend, and how and when it ends.
struct Running {
    picked: Picked,
    ends: Instant,
    outcome: Outcome,
    answers: bool,
}

/// What goes wrong with backends in phases of some seconds.
fn outcome(sickness: u64, draws: &mut Draws) -> (Outcome, Duration) {
    let latency = Duration::from_millis(1 + draws.below(20));
    let causes = [
        Cause::Connect,
        Cause::Timeout,
        Cause::Reset,
        Cause::Protocol,
        Cause::Gateway,
        Cause::ServerError,
    ];
    let cause = causes[usize::try_from(draws.below(6)).expect("below 6")];
    let rate = [0, 0, 5, 60, 100][usize::try_from(sickness % 5).expect("below 5")];
    match draws.below(100) {
        0 => (Outcome::Cancelled, latency),
        n if n < rate => (Outcome::failure(latency, cause), latency),
        _ => (Outcome::success(latency), latency),
    }
}

/// Runs so many steps of random traffic on sick and healthy backends and checks everything that is promised; returns how
/// many requests were picked and how many of them failed.
fn run(algorithm: Algorithm, count: usize, steps: u32, seed: u64) -> (u32, u32) {
    let start = now();
    let policy = everything().max_in_flight(NonZeroU32::new(40));
    let pool = pool(algorithm, policy, count, start);
    let mut draws = Draws(seed);
    let mut running: Vec<Running> = Vec::new();
    let mut told = vec![Told::default(); count];
    let (mut panic, mut at) = (false, start);
    let (mut picks, mut failures) = (0, 0);
    for step in 0..steps {
        at += Duration::from_micros(draws.below(4000));
        let sickness = |index: u64| {
            hash::key(
                &[(at - start).as_secs() / 20, index, seed]
                    .map(u64::to_le_bytes)
                    .concat(),
            )
        };
        while let Some(place) = running.iter().position(|running| running.ends <= at) {
            let Running {
                mut picked,
                outcome,
                answers,
                ..
            } = running.swap_remove(place);
            failures += u32::from(matches!(outcome, Outcome::Failure { .. }));
            if answers {
                picked.answered(outcome, at);
            } else {
                picked.finish(outcome, at);
            }
        }
        let due = if step % 16 == 0 {
            pool.due_probes(at)
        } else {
            Vec::new()
        };
        for id in due {
            let is_sick = sickness(place(&id) as u64) % 5 >= 3;
            let result = if is_sick {
                ProbeResult::failed("503", Duration::ZERO)
            } else {
                ProbeResult::passed("200", Duration::ZERO)
            };
            assert!(pool.probed(&id, result, draws.next(), at));
        }
        let hint = PickHint::new(draws.next()).key(draws.next());
        let explained = (step % 16 == 0).then(|| pool.explain(&hint, at).verdict);
        let picked = pool.pick(&hint, at);
        if let Some(explained) = explained {
            let same = match &picked {
                Pick::Picked(picked) => explained == Verdict::Picked(picked.id().clone()),
                Pick::AllFull => explained == Verdict::AllFull,
                Pick::NoneEligible => explained == Verdict::NoneEligible,
            };
            assert!(same, "{algorithm}: {explained:?} but {picked:?}");
        }
        match picked {
            Pick::Picked(picked) => {
                picks += 1;
                let (outcome, takes) = outcome(sickness(place(picked.id()) as u64), &mut draws);
                let answers = draws.below(2) == 0;
                running.push(Running {
                    picked,
                    ends: at + takes,
                    outcome,
                    answers,
                });
            }
            Pick::AllFull => {}
            Pick::NoneEligible => assert!(pool.retry_after(at).is_some()),
        }
        if step % 16 == 0 {
            read_news(&pool, &mut told, &mut panic, at);
            check(&pool, &told, panic, &running, at);
        }
    }
    running.clear();
    assert_eq!(pool.status(at).in_flight, 0);
    // Two minutes of health and all are back: the longest ejection is over, or a probe ends it.
    for second in 0..400 {
        at += Duration::from_secs(1);
        for id in pool.due_probes(at) {
            pool.probed(&id, ProbeResult::passed("200", Duration::ZERO), second, at);
        }
        for n in 0..40 {
            if let Some(picked) = pool.pick(&PickHint::new(draws.next()).key(n), at).picked() {
                picked.finish(Outcome::success(Duration::from_millis(1)), at);
            }
        }
    }
    let status = pool.backends(at);
    assert!(
        status
            .iter()
            .all(|status| status.exclusion.is_none() && status.in_flight == 0),
        "{status:?}"
    );
    (picks, failures)
}

fn check(pool: &Pool, told: &[Told], panic: bool, running: &[Running], at: Instant) {
    let status = pool.backends(at);
    assert_eq!(pool.status(at).panic_since.is_some(), panic);
    assert!(pool.status(at).in_flight <= 40);
    let ejected = status
        .iter()
        .filter(|status| status.ejected.is_some())
        .count();
    assert!(ejected * 2 <= status.len(), "{ejected} of {}", status.len());
    let mut trials: HashMap<usize, u32> = HashMap::new();
    for running in running.iter().filter(|running| running.picked.is_trial()) {
        *trials.entry(place(running.picked.id())).or_default() += 1;
    }
    for (index, (status, told)) in status.iter().zip(told).enumerate() {
        assert_eq!(status.ejected.is_some(), told.ejected);
        assert!((1..=100).contains(&status.percent));
        let is_out = told.unhealthy || told.breaker == 1 || (told.ejected && !panic);
        assert_eq!(status.exclusion.is_some(), is_out, "{status:?} {told:?}");
        assert_eq!(status.exclusion.is_some(), status.since.is_some());
        assert!(status.since.is_none_or(|since| since <= at));
        if status.breaker == BreakerState::HalfOpen {
            assert!(trials.get(&index).is_none_or(|&trials| trials <= 5));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_whatever_backends_do(
        algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
        count in 1_usize..12,
        seed in any::<u64>(),
    ) {
        run(algorithm, count, 10_000, seed);
    }
}

/// A million requests, half an hour: what backends fail is known, what clients see of it is much less.
#[test]
fn a_million_steps_keep_requests_from_sick_backends() {
    let (picks, failures) = run(Algorithm::LeastConnections, 10, 1_000_000, 7);
    // In two phases of five a backend fails 60 or 100 % of what it gets: 32 % of requests spread evenly.
    let share = f64::from(failures) / f64::from(picks);
    assert!(picks > 900_000 && share < 0.08, "{failures} of {picks}");
}

/// With every backend answering 503, attempts stay below 1.2 × the requests and ten a second.
#[test]
fn a_storm_is_not_multiplied() {
    let start = now();
    for policy in [
        PoolPolicy::default(),
        PoolPolicy::recommended(),
        everything(),
    ] {
        let pool = pool(Algorithm::RoundRobin, policy, 2, start);
        let (terms, budget) = (BudgetPolicy::default(), RetryBudget::new(start));
        let (mut attempts, mut draws) = (0_u32, Draws(3));
        for request in 0..10_000_u32 {
            // 2,000 a second for five seconds.
            let at = start + Duration::from_micros(500) * request;
            budget.deposit(&terms, at);
            let mut tried = Vec::new();
            for attempt in 0..3 {
                if attempt > 0 && !budget.try_retry(&terms, Cause::Gateway, at) {
                    break;
                }
                let hint = PickHint::new(draws.next()).tried(&tried);
                let Pick::Picked(picked) = pool.pick(&hint, at) else {
                    break;
                };
                tried.push(picked.id().clone());
                attempts += 1;
                picked.finish(Outcome::of_status(503, Duration::from_millis(1)), at);
            }
        }
        assert!(attempts <= 12_000 + 50 + 10, "{attempts}");
    }
}

/// A backend dies under 2,000 requests a second with 20 ms each: it fails what it has and what is picked until it is
/// ejected, all of that finds another one, and nothing after.
#[test]
fn a_death_costs_what_was_in_flight() {
    let start = now();
    for algorithm in Algorithm::ALL {
        let pool = pool(algorithm, PoolPolicy::recommended(), 2, start);
        let (terms, budget) = (BudgetPolicy::default(), RetryBudget::new(start));
        let mut draws = Draws(9);
        let mut running: std::collections::VecDeque<(Instant, Picked)> =
            std::collections::VecDeque::new();
        let (mut lost, mut refused) = (0, 0);
        let death = start + Duration::from_secs(2);
        let mut retry = |at: Instant, failed: &Picked, draws: &mut Draws| {
            lost += 1;
            let tried = [failed.id().clone()];
            let hint = PickHint::new(draws.next()).key(draws.next()).tried(&tried);
            match pool.pick(&hint, at) {
                Pick::Picked(picked) if budget.try_retry(&terms, Cause::Reset, at) => {
                    assert_ne!(picked.id().as_str(), "b0");
                    picked.finish(Outcome::success(Duration::from_millis(20)), at);
                }
                _ => refused += 1,
            }
        };
        for request in 0..8_000_u32 {
            let at = start + Duration::from_micros(500) * request;
            let is_dead = at >= death;
            while running.front().is_some_and(|(ends, _)| *ends <= at) {
                let (_, picked) = running.pop_front().expect("there is one");
                if is_dead && picked.id().as_str() == "b0" {
                    retry(at, &picked, &mut draws);
                    picked.finish(
                        Outcome::failure(Duration::from_millis(20), Cause::Reset),
                        at,
                    );
                } else {
                    picked.finish(Outcome::success(Duration::from_millis(20)), at);
                }
            }
            budget.deposit(&terms, at);
            let hint = PickHint::new(draws.next()).key(draws.next());
            let picked = pool.pick(&hint, at).picked().expect("one is eligible");
            if is_dead && picked.id().as_str() == "b0" {
                retry(at, &picked, &mut draws);
                picked.finish(Outcome::failure(Duration::ZERO, Cause::Connect), at);
            } else {
                running.push_back((at + Duration::from_millis(20), picked));
            }
        }
        assert!(
            lost <= 50 && refused == 0,
            "{algorithm}: {lost} lost, {refused} refused"
        );
    }
}
