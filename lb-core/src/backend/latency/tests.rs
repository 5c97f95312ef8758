//! Unevenly spaced samples, decay, ages, and what another thread's clock reading does.

use super::*;
use crate::backend::Cause;

const PARAMETERS: LatencyParameters = LatencyParameters {
    default_rtt: Duration::from_millis(30),
    decay: Duration::from_secs(10),
    failure_penalty: Duration::from_secs(1),
};

/// [`PARAMETERS`] as a rule.
fn rule() -> LatencyRule {
    LatencyRule::of(&PARAMETERS)
}

fn tick(millis: u64) -> Tick {
    Tick(millis * 4096 / 1000)
}

fn latency() -> Latency {
    Latency::new(&PARAMETERS, tick(0))
}

fn success(latency: &Latency, sample: u64, at: u64) {
    let outcome = Outcome::Success {
        latency: Duration::from_millis(sample),
    };
    latency.record(outcome, Duration::ZERO, rule(), tick(at));
}

fn expected(latency: &Latency, at: u64) -> f64 {
    latency.expected_millis(rule(), tick(at))
}

fn assert_near(actual: f64, wanted: f64) {
    assert!(
        (actual - wanted).abs() <= wanted * 0.01 + 0.001,
        "{actual} is not about {wanted}"
    );
}

#[test]
fn starts_at_the_default_and_decays_unmeasured() {
    let latency = latency();
    assert_near(expected(&latency, 0), 30.0);
    assert_near(expected(&latency, 10_000), 30.0 / std::f64::consts::E);
    assert_eq!(latency.measured(rule(), tick(0)), None);
}

#[test]
fn first_sample_replaces_the_seed() {
    let latency = latency();
    success(&latency, 5, 1);
    assert_near(expected(&latency, 1), 5.0);
    assert!(latency.measured(rule(), tick(1)).is_some());
}

#[test]
fn a_peak_replaces_and_a_lower_sample_blends() {
    let latency = latency();
    success(&latency, 10, 0);
    success(&latency, 100, 1000);
    assert_near(expected(&latency, 1000), 100.0);
    success(&latency, 10, 2000);
    assert_near(expected(&latency, 2000), 10.0 + 90.0 * (-0.1_f64).exp());
}

#[test]
fn decays_while_unused() {
    let latency = latency();
    success(&latency, 1000, 0);
    assert_near(expected(&latency, 20_000), 1000.0 * (-2.0_f64).exp());
}

#[test]
fn a_quick_failure_counts_as_slow_and_a_slow_one_as_long_as_it_took() {
    for (took, counted) in [(0, 1000.0), (3000, 3000.0)] {
        let latency = latency();
        let outcome = Outcome::failure(Duration::from_millis(took), Cause::Timeout);
        latency.record(outcome, Duration::ZERO, rule(), tick(10));
        assert_near(expected(&latency, 10), counted);
    }
}

#[test]
fn a_cancelled_request_raises_the_estimate_but_never_lowers_it() {
    let latency = latency();
    success(&latency, 50, 0);
    latency.record(
        Outcome::Cancelled,
        Duration::from_millis(1),
        rule(),
        tick(0),
    );
    assert_near(expected(&latency, 0), 50.0);
    latency.record(Outcome::Cancelled, Duration::from_secs(7), rule(), tick(0));
    assert_near(expected(&latency, 0), 7000.0);
}

#[test]
fn requests_that_wait_are_seen_by_their_mean_age() {
    let latency = latency();
    success(&latency, 10, 0);
    latency.begin(tick(0));
    latency.begin(tick(4000));
    assert_near(expected(&latency, 8000), 6000.0);
    latency.end(tick(0));
    assert_near(expected(&latency, 8000), 4000.0);
    latency.end(tick(4000));
    assert!(expected(&latency, 8000) < 10.0);
}

#[test]
fn a_clock_reading_from_the_future_is_no_age_at_all() {
    let latency = latency();
    success(&latency, 10, 5001);
    latency.begin(tick(5002));
    assert_near(expected(&latency, 5000), 10.0);
}

#[test]
fn the_sum_of_ages_survives_its_overflow() {
    let latency = latency();
    let year = 365 * 24 * 3600 * 1000;
    for i in 0..1000 {
        latency.begin(tick(year + i));
    }
    assert_near(
        latency.mean_age_millis(tick(year + 60_000)),
        60_000.0 - 499.5,
    );
}

#[test]
fn extreme_parameters_give_finite_scores() {
    let extreme = LatencyParameters {
        default_rtt: Duration::MAX,
        decay: Duration::from_nanos(1),
        failure_penalty: Duration::MAX,
    };
    let rule = LatencyRule::of(&extreme);
    let latency = Latency::new(&extreme, tick(0));
    assert!(latency.expected_millis(rule, tick(0)).is_finite());
    latency.record(
        Outcome::failure(Duration::ZERO, Cause::Timeout),
        Duration::ZERO,
        rule,
        tick(1),
    );
    assert!(latency.measured(rule, tick(1)).is_some());
    assert!(latency.expected_millis(rule, tick(100_000)).is_finite());
}
