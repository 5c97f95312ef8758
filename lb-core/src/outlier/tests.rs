//! Streaks, rates, ejection times and their bounds, piece by piece; the whole is tested with the pool.

use proptest::prelude::*;

use super::*;
use crate::draw::Draws;
use crate::testing::now;

const SECOND: Duration = Duration::from_secs(1);

fn exact() -> OutlierPolicy {
    OutlierPolicy::default().jitter_percent(0)
}

#[test]
fn the_fifth_failure_in_a_row_ejects_and_a_success_begins_anew() {
    let (policy, streaks) = (exact(), Streaks::default());
    let fail = || streaks.failed(&policy, Cause::ServerError, Ended::default());
    assert!((0..4).all(|_| fail().is_none()));
    streaks.succeeded();
    assert!((0..4).all(|_| fail().is_none()));
    assert_eq!(fail(), Some(EjectionCause::ConsecutiveErrors));
    assert!(fail().is_none());
}

#[test]
fn gateway_errors_count_by_themselves() {
    let policy = exact().consecutive_gateway_errors(3);
    let streaks = Streaks::default();
    let fail = |cause| streaks.failed(&policy, cause, Ended::default());
    assert!(fail(Cause::Connect).is_none() && fail(Cause::Gateway).is_none());
    // The program ran: no gateway error.
    assert!(fail(Cause::ServerError).is_none());
    assert!(fail(Cause::Timeout).is_none());
    assert_eq!(fail(Cause::Reset), Some(EjectionCause::ConsecutiveErrors));
    assert!(fail(Cause::Reset).is_none() && fail(Cause::Reset).is_none());
    assert_eq!(
        fail(Cause::Protocol),
        Some(EjectionCause::ConsecutiveGatewayErrors)
    );
}

#[test]
fn a_response_that_breaks_off_had_not_ended_the_streak() {
    let (policy, streaks) = (exact(), Streaks::default());
    for round in 1..=5 {
        let ended = streaks.succeeded();
        assert_eq!(streaks.errors(), 0);
        assert_eq!(
            streaks.failed(&policy, Cause::Reset, ended).is_some(),
            round == 5
        );
    }
}

#[test]
fn nothing_is_off_by_zero() {
    let policy = exact().consecutive_errors(0);
    let streaks = Streaks::default();
    for _ in 0..200_000 {
        assert!(
            streaks
                .failed(&policy, Cause::Connect, Ended::default())
                .is_none()
        );
    }
    assert_eq!(streaks.errors(), 0xffff);
}

#[test]
fn only_the_backend_far_below_the_others_is_an_outlier() {
    let policy = SuccessRatePolicy::default();
    let least = |rates: &[f64]| least_success_rate(&policy, rates);
    assert_eq!(least(&[1.0, 1.0, 1.0, 0.1]), None);
    // Mean 0.9, standard deviation 0.2: computed by hand.
    let threshold = least(&[1.0, 1.0, 1.0, 1.0, 0.5]).unwrap();
    assert!((threshold - (0.9 - 1.9 * 0.2)).abs() < 1e-6, "{threshold}");
    assert!(0.5 < threshold);
    // All alike: none is an outlier, however bad.
    let rates = [0.333_333_333_3; 7];
    assert!(rates[0] >= least(&rates).unwrap());
    assert_eq!(least(&[]), None);
}

#[test]
fn rates_need_enough_requests_and_begin_anew() {
    let rate = Rate::default();
    (0..100).for_each(|n| rate.count(n % 4 == 0));
    rate.correct();
    assert_eq!(rate.take(100), Some(0.74));
    (0..99).for_each(|_| rate.count(true));
    assert_eq!(rate.take(100), None);
    rate.correct();
    assert_eq!(rate.take(0), None);
}

#[test]
fn ejections_grow_and_shrink_by_one_for_each_healthy_interval() {
    let policy = exact();
    let mut at = now();
    let mut ejection = Ejection::default();
    let mut eject = |at: &mut Instant, healthy: u64| {
        *at += SECOND * u32::try_from(healthy).unwrap();
        let ejected = ejection.begin(&policy, EjectionCause::ConsecutiveErrors, 0, *at);
        let time = ejected.until - *at;
        assert!(!ejection.end(ejected.until - Duration::from_nanos(1), false));
        assert!(ejection.end(ejected.until, false));
        *at = ejected.until;
        time.as_secs()
    };
    let times = [0, 1, 9, 10, 25, 3600].map(|healthy| eject(&mut at, healthy));
    assert_eq!(times, [30, 60, 90, 90, 60, 30]);
    let times = [0; 12].map(|healthy| eject(&mut at, healthy));
    assert_eq!(
        times,
        [60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300, 300]
    );
    // Ten in a row are as far as it goes.
    assert_eq!(eject(&mut at, 80), 90);
}

#[test]
fn a_passing_probe_ends_an_ejection_early() {
    let start = now();
    let mut ejection = Ejection::default();
    ejection.begin(&exact(), EjectionCause::SuccessRate, 0, start);
    assert!(ejection.end(start + SECOND, true));
    assert!(!ejection.end(start + SECOND, true));
    assert!(ejection.current().is_none() && ejection.count() == 1);
}

/// Two million requests at random against a count by hand.
#[test]
fn streaks_agree_with_a_naive_count() {
    let policy = exact().consecutive_gateway_errors(4);
    let streaks = Streaks::default();
    let mut draws = Draws::new(3);
    let (mut errors, mut gateway) = (0, 0);
    for _ in 0..2_000_000 {
        let (cause, is_gateway) = match draws.below(5) {
            0 => {
                streaks.succeeded();
                (errors, gateway) = (0, 0);
                continue;
            }
            1 => (Cause::ServerError, false),
            2 => (Cause::Gateway, true),
            3 => (Cause::Timeout, true),
            _ => (Cause::Connect, true),
        };
        errors += 1;
        gateway = if is_gateway { gateway + 1 } else { 0 };
        let wanted = if gateway == 4 {
            Some(EjectionCause::ConsecutiveGatewayErrors)
        } else if errors == 5 {
            Some(EjectionCause::ConsecutiveErrors)
        } else {
            None
        };
        if wanted.is_some() {
            (errors, gateway) = (0, 0);
        }
        assert_eq!(streaks.failed(&policy, cause, Ended::default()), wanted);
        assert_eq!(streaks.errors(), errors);
    }
}

proptest! {
    #[test]
    fn the_bounds_are_percentages_rounded_down(percent in 0_u32..120, ejected in 0_usize..200, all in 0_usize..200) {
        let policy = exact().max_ejected_percent(percent);
        let allowed = (all as f64 * f64::from(percent) / 100.0 + 1e-9).floor();
        prop_assert_eq!(policy.has_room(ejected, all), (ejected as f64 + 1.0) <= allowed);
    }

    #[test]
    fn any_policy_ejects_for_a_time_that_ends(
        eject_for in any::<u64>(),
        longest in any::<u64>(),
        jitter in any::<u32>(),
        steps in prop::collection::vec((any::<u32>(), any::<u64>()), 1..100),
    ) {
        let policy = OutlierPolicy::default()
            .eject_for(Duration::from_nanos(eject_for))
            .max_eject_for(Duration::from_nanos(longest))
            .jitter_percent(jitter);
        let most = Duration::from_nanos(longest.max(eject_for));
        let mut at = now();
        let mut ejection = Ejection::default();
        for (wait, random) in steps {
            at += Duration::from_millis(u64::from(wait));
            let ejected = ejection.begin(&policy, EjectionCause::SuccessRate, random, at);
            prop_assert!(ejected.until >= at && ejected.until - at <= most);
            ejection.end(at, true);
        }
    }
}
