//! Transitions, trial slots, pauses, and a random walk of a million steps.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::draw::Draws;
use crate::testing::now;

const SECOND: Duration = Duration::from_secs(1);

fn exact() -> BreakerPolicy {
    BreakerPolicy::default().jitter_percent(0)
}

/// A breaker that opened at `now`.
fn opened(policy: &BreakerPolicy, now: Instant) -> Breaker {
    let breaker = Breaker::new(now);
    let opens = (0..policy.min_requests).filter_map(|_| breaker.failed(policy, 0, now));
    assert_eq!(opens.count(), 1);
    breaker
}

fn trials(breaker: &Breaker, policy: &BreakerPolicy) -> Vec<Trial> {
    std::iter::from_fn(|| breaker.try_trial(policy)).collect()
}

#[test]
fn it_opens_at_the_ratio_and_not_before_there_are_enough_requests() {
    let (policy, now) = (exact(), now());
    let breaker = Breaker::new(now);
    assert!((0..19).all(|_| breaker.failed(&policy, 0, now).is_none()));
    let breaker = Breaker::new(now);
    (0..11).for_each(|_| breaker.succeeded(&policy, now));
    assert!((0..10).all(|_| breaker.failed(&policy, 0, now).is_none()));
    let until = now + 10 * SECOND;
    assert_eq!(
        breaker.failed(&policy, 0, now),
        Some(BreakerState::Open { until })
    );
    assert_eq!(
        (breaker.state(), breaker.opens()),
        (BreakerState::Open { until }, 1)
    );
    // What was in flight counts for nothing.
    assert!(breaker.failed(&policy, 0, now).is_none());
}

#[test]
fn old_failures_are_forgotten() {
    let (policy, start) = (exact(), now());
    let breaker = Breaker::new(start);
    (0..19).for_each(|_| assert!(breaker.failed(&policy, 0, start).is_none()));
    assert!(breaker.failed(&policy, 0, start + 10 * SECOND).is_none());
}

#[test]
fn a_response_that_breaks_off_turns_a_success_into_a_failure() {
    let (policy, now) = (exact(), now());
    let breaker = Breaker::new(now);
    (0..20).for_each(|_| breaker.succeeded(&policy, now));
    assert!((0..9).all(|_| breaker.broke_off(&policy, 0, now).is_none()));
    assert!(breaker.broke_off(&policy, 0, now).is_some());
}

#[test]
fn as_many_trials_pass_as_must_succeed() {
    let (policy, start) = (exact(), now());
    let breaker = opened(&policy, start);
    assert!(breaker.try_trial(&policy).is_none());
    assert!(
        breaker
            .poll(start + 10 * SECOND - Duration::from_nanos(1))
            .is_none()
    );
    let now = start + 10 * SECOND;
    assert_eq!(breaker.poll(now), Some(BreakerState::HalfOpen));
    assert!(breaker.poll(now).is_none());
    let taken = trials(&breaker, &policy);
    assert_eq!(taken.len(), 5);
    // A slot comes back from a trial that said nothing, not from one that succeeded.
    assert!(breaker.trial_succeeded(taken[0], &policy, now).is_none());
    assert!(breaker.try_trial(&policy).is_none());
    breaker.trial_cancelled(taken[1]);
    let again = breaker.try_trial(&policy).unwrap();
    assert!(breaker.try_trial(&policy).is_none());
    for trial in [taken[2], taken[3], taken[4]] {
        assert!(breaker.trial_succeeded(trial, &policy, now).is_none());
    }
    assert_eq!(
        breaker.trial_succeeded(again, &policy, now),
        Some(BreakerState::Closed)
    );
    assert!(breaker.try_trial(&policy).is_none());
}

#[test]
fn a_failed_trial_opens_for_twice_as_long_and_a_success_forgets_that() {
    let policy = exact();
    let mut at = now();
    let breaker = opened(&policy, at);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let BreakerState::Open { until } = breaker.state() else {
            unreachable!("a trial failed")
        };
        pauses.push((until - at).as_secs());
        at = until;
        breaker.poll(at);
        let taken = trials(&breaker, &policy);
        assert!(breaker.trial_failed(taken[0], &policy, 0, at).is_some());
        // Those beside it are of a time that is over.
        assert!(breaker.trial_failed(taken[1], &policy, 0, at).is_none());
        assert!(breaker.trial_succeeded(taken[2], &policy, at).is_none());
        breaker.trial_cancelled(taken[3]);
    }
    assert_eq!(pauses, [10, 20, 40, 80, 120, 120]);
    at += 120 * SECOND;
    breaker.poll(at);
    for trial in trials(&breaker, &policy) {
        breaker.trial_succeeded(trial, &policy, at);
    }
    let opened = (0..20).find_map(|_| breaker.failed(&policy, 0, at));
    assert_eq!(
        opened,
        Some(BreakerState::Open {
            until: at + 10 * SECOND
        })
    );
}

#[test]
fn a_trial_of_an_earlier_time_says_nothing_about_a_later_one() {
    let (policy, start) = (exact(), now());
    let breaker = opened(&policy, start);
    breaker.poll(start + 10 * SECOND);
    let (late, failed) = (
        breaker.try_trial(&policy).unwrap(),
        breaker.try_trial(&policy).unwrap(),
    );
    breaker.trial_failed(failed, &policy, 0, start + 10 * SECOND);
    breaker.poll(start + 30 * SECOND);
    breaker.trial_cancelled(late);
    assert_eq!(trials(&breaker, &policy).len(), 5);
    assert!(
        breaker
            .trial_failed(late, &policy, 0, start + 31 * SECOND)
            .is_none()
    );
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

/// A million random events: never more trials than slots, never one outside of half-open, pauses within their bounds, and
/// it always gets closed again once the backend has recovered.
#[test]
fn a_million_events_break_no_promise() {
    let policy = BreakerPolicy::default();
    let mut draws = Draws::new(4);
    let mut at = now();
    let breaker = Breaker::new(at);
    let mut held: Vec<Trial> = Vec::new();
    let mut counts = [0_u32; 3];
    for step in 0..1_000_000_u32 {
        at += Duration::from_micros(draws.next() % 60_000);
        if breaker.poll(at).is_some() {
            held.clear();
        }
        let is_sick = step / 50_000 % 2 == 1;
        let fails = draws.below(100) < if is_sick { 90 } else { 1 };
        let before = breaker.state();
        let after = match before {
            BreakerState::Closed if fails => breaker.failed(&policy, draws.next(), at),
            BreakerState::Closed => {
                breaker.succeeded(&policy, at);
                None
            }
            BreakerState::Open { until } => {
                assert!(until > at && until - at <= policy.max_open_for);
                assert!(breaker.try_trial(&policy).is_none());
                None
            }
            BreakerState::HalfOpen => {
                held.extend(breaker.try_trial(&policy));
                assert!(held.len() <= 5);
                match held.pop() {
                    Some(trial) if draws.below(4) == 0 => {
                        breaker.trial_cancelled(trial);
                        None
                    }
                    Some(trial) if fails => breaker.trial_failed(trial, &policy, draws.next(), at),
                    Some(trial) => breaker.trial_succeeded(trial, &policy, at),
                    None => unreachable!("the slots of trials that succeed close it"),
                }
            }
        };
        if let Some(after) = after {
            assert_ne!(after, before);
            assert_eq!((after, breaker.since()), (breaker.state(), at));
            held.clear();
        }
        if step % 50_000 == 49_999 {
            counts[usize::from(is_sick)] += u32::from(breaker.state() == BreakerState::Closed);
        }
    }
    assert_eq!(
        counts[..2],
        [10, 0],
        "closed at the end of ten healthy and ten sick times"
    );
}

proptest! {
    #[test]
    fn any_policy_opens_for_a_time_that_ends(
        ratio in prop_oneof![any::<f64>(), 0.0..1.0],
        min_requests in 0_u32..30,
        times in any::<(u64, u64, u64)>(),
        jitter in any::<u32>(),
        outcomes in prop::collection::vec((any::<bool>(), any::<u32>(), any::<u64>()), 1..200),
    ) {
        let policy = BreakerPolicy::default()
            .failure_ratio(ratio)
            .min_requests(min_requests)
            .window(Duration::from_nanos(times.0))
            .open_for(Duration::from_nanos(times.1))
            .max_open_for(Duration::from_nanos(times.2))
            .jitter_percent(jitter);
        let longest = Duration::from_nanos(times.1.max(times.2));
        let mut at = now();
        let breaker = Breaker::new(at);
        for (fails, wait, random) in outcomes {
            at += Duration::from_micros(u64::from(wait));
            breaker.poll(at);
            match breaker.try_trial(&policy) {
                Some(trial) if fails => drop(breaker.trial_failed(trial, &policy, random, at)),
                Some(trial) => drop(breaker.trial_succeeded(trial, &policy, at)),
                None if fails => drop(breaker.failed(&policy, random, at)),
                None => breaker.succeeded(&policy, at),
            }
            if let BreakerState::Open { until } = breaker.state() {
                prop_assert!(until <= at + longest);
            }
        }
    }
}
