//! Storms, deaths, and bounds that hold over any time.

use proptest::prelude::*;

use super::*;
use crate::draw::Draws;
use crate::testing::now;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Requests at a rate for a time, each of which is retried until it is refused; returns requests and retries.
fn storm(
    budget: &RetryBudget,
    start: Instant,
    millis: u32,
    per_ms: u32,
    cause: Cause,
) -> (u32, u32) {
    let policy = BudgetPolicy::default();
    let mut retries = 0;
    for millisecond in 0..millis {
        let now = start + MILLISECOND * millisecond;
        for _ in 0..per_ms {
            budget.deposit(&policy, now);
            while budget.try_retry(&policy, cause, now) {
                retries += 1;
            }
        }
    }
    (millis * per_ms, retries)
}

#[test]
fn while_all_answer_503_attempts_stay_below_the_share_and_the_minimum() {
    let start = now();
    let budget = RetryBudget::new(start);
    // An hour of peace before does not add to it.
    for second in 0..3600 {
        for _ in 0..100 {
            budget.deposit(
                &BudgetPolicy::default(),
                start + Duration::from_secs(second),
            );
        }
    }
    let start = start + Duration::from_secs(3600);
    let (requests, retries) = storm(&budget, start, 5000, 2, Cause::Gateway);
    let bound = f64::from(requests) * 0.2 + 10.0 * 5.0 + 11.0;
    assert!(f64::from(retries) <= bound, "{retries} above {bound}");
    assert!(f64::from(retries) > bound - 15.0, "{retries} of {bound}");
}

#[test]
fn the_requests_in_flight_at_a_dead_backend_can_all_go_elsewhere() {
    let start = now();
    let (policy, budget) = (BudgetPolicy::default(), RetryBudget::new(start));
    for millisecond in 0..5000 {
        budget.deposit(&policy, start + MILLISECOND * millisecond);
        budget.deposit(&policy, start + MILLISECOND * millisecond);
    }
    let now = start + Duration::from_secs(5);
    // One second of half of 2,000 requests a second: all that hang until a timeout of a second.
    let granted = (0..1000)
        .filter(|_| budget.try_retry(&policy, Cause::Timeout, now))
        .count();
    assert!(granted >= 950, "{granted}");
}

#[test]
fn savings_are_spent_once() {
    let start = now();
    let budget = RetryBudget::new(start);
    for millisecond in 0..5000 {
        budget.deposit(&BudgetPolicy::default(), start + MILLISECOND * millisecond);
    }
    let start = start + Duration::from_secs(5);
    let (requests, retries) = storm(&budget, start, 20_000, 1, Cause::Timeout);
    // 3 s × 1,000/s × 20 % were saved.
    let bound = f64::from(requests) * 0.2 + 10.0 * 20.0 + 11.0 + 600.0;
    assert!(f64::from(retries) <= bound, "{retries} above {bound}");
}

#[test]
fn an_idle_pool_has_the_minimum() {
    let start = now();
    let (policy, budget) = (BudgetPolicy::default(), RetryBudget::new(start));
    assert_eq!(budget.available(&policy, start), (10, 10));
    let granted = |now| {
        (0..100)
            .filter(|_| budget.try_retry(&policy, Cause::Gateway, now))
            .count()
    };
    assert_eq!(granted(start), 10);
    assert_eq!(granted(start + Duration::from_millis(501)), 5);
    assert_eq!(granted(start + Duration::from_secs(86_400)), 10);
}

#[test]
fn nothing_is_granted_where_nothing_is_allowed() {
    let start = now();
    let policy = BudgetPolicy::default().percent(0).min_per_second(0);
    let budget = RetryBudget::new(start);
    for _ in 0..1000 {
        budget.deposit(&policy, start);
        assert!(!budget.try_retry(&policy, Cause::Connect, start + Duration::from_secs(9)));
        assert!(!budget.try_hedge(&policy, start));
    }
}

/// A million steps of four years, in which the stamps wrap some thirty times.
#[test]
fn time_that_wraps_grants_nothing_that_is_not_due() {
    let start = now();
    let (policy, budget) = (BudgetPolicy::default(), RetryBudget::new(start));
    let mut draws = Draws::new(5);
    let mut now = start;
    for _ in 0..1_000_000 {
        now += Duration::from_millis(draws.next() % 250_000);
        let (answered, other) = budget.available(&policy, now);
        assert!(answered <= 10 && other <= 10, "{answered} {other}");
        let _ = budget.try_retry(&policy, Cause::Reset, now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Over any time: what was there before, what requests paid, and the minimum.
    #[test]
    fn retries_are_paid_for(
        percent in 0_u32..150,
        min_per_second in 0_u32..50,
        seed in any::<u64>(),
    ) {
        let start = now();
        let policy = BudgetPolicy::default().percent(percent).min_per_second(min_per_second);
        let budget = RetryBudget::new(start);
        let mut draws = Draws::new(seed);
        let mut now = start;
        let (mut paid, mut after_answers, mut retries) = (0.0, 0_u32, 0_u32);
        for _ in 0..10_000 {
            now += Duration::from_micros(draws.next() % 3000);
            match draws.next() % 4 {
                0 | 1 => {
                    budget.deposit(&policy, now);
                    paid += f64::from(percent) / 100.0;
                }
                2 => {
                    let granted = u32::from(budget.try_retry(&policy, Cause::Gateway, now));
                    after_answers += granted;
                    retries += granted;
                }
                _ => retries += u32::from(budget.try_retry(&policy, Cause::Reset, now)),
            }
            let due = paid + f64::from(min_per_second) * ((now - start).as_secs_f64() + 1.0);
            prop_assert!(f64::from(after_answers) <= due * 1.001 + 2.0, "{} above {}", after_answers, due);
            prop_assert!(f64::from(retries) <= due * 1.001 + 3.0, "{} above {}", retries, due);
        }
    }
}
