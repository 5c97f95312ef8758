use super::*;
use crate::decision::Outcome;
use crate::testing::{key, millis, now, quota, window};

#[test]
fn keys_do_not_share() {
    let (start, policy) = (now(), Policy::from(quota(1, 1)));
    let limiter = KeyedLimiter::new(100, start);
    for number in 0..50 {
        assert!(limiter.check(key(number), &policy, 1, start).is_admitted());
    }
    for number in 0..50 {
        assert!(!limiter.check(key(number), &policy, 1, start).is_admitted());
    }
    assert_eq!(limiter.stats(&policy, start).keys, 50);
    assert_eq!(limiter.stats(&policy, start + millis(1_000)).keys, 0);
}

#[test]
fn looking_counts_nothing() {
    let start = now();
    for policy in [Policy::from(quota(2, 1)), Policy::from(window(2, 1))] {
        let limiter = KeyedLimiter::new(100, start);
        assert!(limiter.check(key(1), &policy, 1, start).is_admitted());
        for _ in 0..5 {
            let peeked = limiter.peek(key(1), &policy, 1, start);
            assert!(peeked.is_admitted());
            assert_eq!(peeked.remaining(), 1);
        }
        let ahead = limiter.peek(key(1), &policy, 1, start + millis(5_000));
        assert_eq!(ahead.remaining(), 2);
        assert_eq!(limiter.peek(key(1), &policy, 1, start).remaining(), 1);
        assert_eq!(
            limiter.peek(key(2), &policy, 3, start).outcome(),
            Outcome::Never
        );
    }
}

#[test]
fn an_operator_can_forget_a_key() {
    let start = now();
    for policy in [Policy::from(quota(1, 60)), Policy::from(window(1, 60))] {
        let limiter = KeyedLimiter::new(100, start);
        assert!(limiter.check(key(1), &policy, 1, start).is_admitted());
        assert!(!limiter.check(key(1), &policy, 1, start).is_admitted());
        limiter.reset(key(1), &policy, start);
        assert!(limiter.check(key(1), &policy, 1, start).is_admitted());
    }
}

#[test]
fn new_numbers_apply_to_what_was_counted() {
    let start = now();
    let limiter = KeyedLimiter::new(100, start);
    assert!(
        limiter
            .check(key(1), &quota(10, 10).into(), 10, start)
            .is_admitted()
    );
    let decision = limiter.peek(key(1), &quota(20, 20).into(), 1, start);
    assert_eq!(decision.remaining(), 10);
}

#[test]
fn another_algorithm_starts_anew() {
    let start = now();
    let limiter = KeyedLimiter::new(100, start);
    let (bucket, sliding) = (Policy::from(quota(1, 60)), Policy::from(window(1, 60)));
    assert!(limiter.check(key(1), &bucket, 1, start).is_admitted());
    assert!(limiter.check(key(1), &sliding, 1, start).is_admitted());
    assert!(!limiter.check(key(1), &sliding, 1, start).is_admitted());
}

#[test]
fn memory_is_at_most_24_bytes_per_key() {
    for keys in [1_000, 10_000, 123_456, 1_000_000] {
        let start = now();
        let stats = KeyedLimiter::new(keys, start).stats(&quota(1, 1).into(), start);
        assert!(stats.bytes <= keys * 24, "{} for {keys}", stats.bytes);
        assert!(stats.slots * 10 >= keys * 16, "{} for {keys}", stats.slots);
    }
}

#[test]
fn a_limiter_for_nobody_still_limits() {
    let (start, policy) = (now(), Policy::from(quota(1, 60)));
    let limiter = KeyedLimiter::new(0, start);
    assert!(limiter.check(key(1), &policy, 1, start).is_admitted());
    assert!(!limiter.check(key(1), &policy, 1, start).is_admitted());
}

fn checks<'a>(limiters: &'a [KeyedLimiter; 2], policies: &'a [Policy; 2]) -> [Check<'a>; 2] {
    [0, 1].map(|index| Check {
        limiter: &limiters[index],
        key: key(7),
        policy: &policies[index],
        cost: 1,
        enforcement: Enforcement::Enforce,
    })
}

#[test]
fn all_policies_count_or_none() {
    let start = now();
    let limiters = [KeyedLimiter::new(10, start), KeyedLimiter::new(10, start)];
    let policies = [Policy::from(quota(5, 60)), Policy::from(window(2, 60))];
    let checks = checks(&limiters, &policies);
    let mut decisions = Vec::new();
    assert!(check_all(&checks, &mut decisions, start));
    assert!(check_all(&checks, &mut decisions, start));
    decisions.clear();
    assert!(!check_all(&checks, &mut decisions, start));
    assert_eq!(decisions.len(), 2);
    assert_eq!(decisions[0].remaining(), 3);
    assert!(!decisions[1].is_admitted());
    assert_eq!(
        limiters[0].peek(key(7), &policies[0], 1, start).remaining(),
        3
    );
}

#[test]
fn a_policy_that_observes_refuses_nothing() {
    let start = now();
    let limiters = [KeyedLimiter::new(10, start), KeyedLimiter::new(10, start)];
    let policies = [Policy::from(quota(1, 60)), Policy::from(quota(5, 60))];
    let mut checks = checks(&limiters, &policies);
    checks[0].enforcement = Enforcement::Observe;
    let mut decisions = Vec::new();
    assert!(check_all(&checks, &mut decisions, start));
    assert!(check_all(&checks, &mut decisions, start));
    assert!(!decisions[2].is_admitted());
    assert_eq!(decisions[3].remaining(), 3);
}
