//! Thresholds, intervals, texts, and a naive model beside it.

use proptest::prelude::*;

use super::*;
use crate::draw::Draws;
use crate::testing::now;

const POLICY: HealthPolicy = HealthPolicy {
    interval: Duration::from_secs(10),
    unhealthy_interval: None,
    jitter_percent: 0,
    timeout: Duration::from_secs(2),
    healthy_after: NonZeroU32::new(2).unwrap(),
    unhealthy_after: NonZeroU32::new(3).unwrap(),
};

fn result(passed: bool) -> ProbeResult {
    if passed {
        ProbeResult::passed("200", Duration::ZERO)
    } else {
        ProbeResult::failed("connection refused", Duration::ZERO)
    }
}

/// The states after each of a row of results, a second apart.
fn states(results: &[bool]) -> Vec<Health> {
    let start = now();
    let mut check = HealthCheck::new(&POLICY, 0, start);
    let state = |(second, &passed)| {
        check.record(
            &POLICY,
            result(passed),
            0,
            start + Duration::from_secs(second),
        );
        check.health()
    };
    (1..).zip(results).map(state).collect()
}

#[test]
fn the_first_result_decides_and_then_it_takes_a_row() {
    use Health::{Healthy, Unhealthy};
    assert_eq!(states(&[true, false, false, true]), [Healthy; 4]);
    assert_eq!(
        states(&[true, false, false, false, true, true]),
        [Healthy, Healthy, Healthy, Unhealthy, Unhealthy, Healthy]
    );
    assert_eq!(
        states(&[false, true, false, true, true]),
        [Unhealthy, Unhealthy, Unhealthy, Unhealthy, Healthy]
    );
}

#[test]
fn probes_come_faster_while_unhealthy_or_in_doubt() {
    let mut at = now();
    let mut check = HealthCheck::new(&POLICY, 0, at);
    let mut pause = |passed| {
        check.record(&POLICY, result(passed), 0, at);
        let pause = check.next_at() - at;
        at = check.next_at();
        pause.as_secs()
    };
    let pauses = [true, false, true, false, false, false, true, true].map(&mut pause);
    assert_eq!(pauses, [10, 2, 10, 2, 2, 2, 2, 10]);
}

#[test]
fn a_probe_is_given_out_once_and_again_if_it_is_lost() {
    let start = now();
    let mut check = HealthCheck::new(&POLICY, u64::MAX, start);
    assert!(!check.begin(&POLICY, start));
    let due = check.next_at();
    assert!(due - start <= Duration::from_millis(500));
    assert!(check.begin(&POLICY, due));
    assert!(!check.begin(&POLICY, due + POLICY.timeout));
    assert!(check.begin(&POLICY, due + POLICY.timeout + POLICY.interval));
}

#[test]
fn a_shorter_interval_takes_effect_at_once() {
    let start = now();
    let mut check = HealthCheck::new(&POLICY, 0, start);
    check.record(&POLICY, result(true), 0, start);
    check.reschedule(&POLICY.interval(Duration::from_secs(1)), 0, start);
    assert_eq!(check.next_at(), start + Duration::from_secs(1));
    check.reschedule(&POLICY, 0, start);
    assert_eq!(check.next_at(), start + Duration::from_secs(1));
}

#[test]
fn jitter_stays_within_its_percentage_and_is_spread() {
    let start = now();
    let policy = POLICY.jitter_percent(10);
    let mut draws = Draws::new(1);
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    for _ in 0..10_000 {
        let mut check = HealthCheck::new(&policy, draws.next(), start);
        check.record(&policy, result(true), draws.next(), start);
        let pause = check.next_at() - start;
        (least, most) = (least.min(pause), most.max(pause));
    }
    assert!(least >= Duration::from_secs(9) && least < Duration::from_millis(9_010));
    assert!(most <= Duration::from_secs(11) && most > Duration::from_millis(10_990));
}

#[test]
fn texts_are_one_bounded_line() {
    let text = "a\r\n\u{1b}[31m".to_owned() + &"ü".repeat(500);
    let kept = ProbeResult::failed(&text, Duration::ZERO).text;
    assert!(kept.len() <= ProbeResult::TEXT_MAX && kept.len() > ProbeResult::TEXT_MAX - 4);
    assert!(kept.starts_with("a   [31mü"));
}

/// A million results against the definition, read backwards over the row.
#[test]
fn a_million_results_agree_with_the_definition() {
    let start = now();
    let mut draws = Draws::new(11);
    let mut check = HealthCheck::new(&POLICY, 0, start);
    let mut at = start;
    let (mut state, mut row, mut since) = (None, (0_u32, false), start);
    for step in 0..1_000_000_u32 {
        at = check.next_at();
        // Flapping for a while, then long rows.
        let passed = if step / 1000 % 2 == 0 {
            draws.next().is_multiple_of(2)
        } else {
            step / 100 % 2 == 0
        };
        row = if row.1 == passed {
            (row.0 + 1, passed)
        } else {
            (1, passed)
        };
        let before = state;
        state = match (state, row) {
            (None, _) => Some(passed),
            (Some(false), (2.., true)) => Some(true),
            (Some(true), (3.., false)) => Some(false),
            _ => state,
        };
        if state != before {
            since = at;
        }
        let changed = check.record(&POLICY, result(passed), draws.next(), at);
        assert_eq!(changed, state != before);
        assert_eq!(check.health() == Health::Healthy, state == Some(true));
        assert_eq!(check.since(), since);
        let pause = check.next_at() - at;
        assert!(pause == POLICY.interval || pause == POLICY.interval / 5);
    }
    assert!(at - start > Duration::from_secs(2_000_000));
}

proptest! {
    #[test]
    fn any_policy_keeps_time_moving(
        interval in 0_u64..100_000,
        jitter in any::<u32>(),
        results in prop::collection::vec((any::<bool>(), any::<u64>()), 1..200),
    ) {
        let policy = POLICY.interval(Duration::from_millis(interval)).jitter_percent(jitter);
        let mut at = now();
        let mut check = HealthCheck::new(&policy, 3, at);
        for (passed, random) in results {
            check.record(&policy, result(passed), random, at);
            prop_assert!(check.next_at() > at);
            prop_assert!(check.next_at() <= at + Duration::from_millis(interval * 2 + 2));
            at = check.next_at();
        }
    }
}
