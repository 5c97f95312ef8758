use std::time::Duration;

use super::*;
use crate::decision::Outcome;
use crate::testing::{millis, now, number, quota};

#[test]
fn a_burst_passes_then_one_per_interval() {
    let (start, quota) = (now(), quota(10, 1));
    let mut bucket = TokenBucket::new(start);
    for _ in 0..10 {
        assert!(bucket.check(&quota, 1, start).is_admitted());
    }
    for step in 1..=20 {
        let at = start + millis(100 * step);
        assert!(!bucket.check(&quota, 1, at - millis(1)).is_admitted());
        assert!(bucket.check(&quota, 1, at).is_admitted());
    }
}

#[test]
fn a_decision_says_what_is_left_and_when_more_comes() {
    let (start, quota) = (now(), quota(10, 1));
    let mut bucket = TokenBucket::new(start);
    let decision = bucket.check(&quota, 3, start + millis(50));
    assert_eq!((decision.limit(), decision.remaining()), (10, 7));
    assert_eq!(decision.reset(), millis(300));
    assert_eq!(decision.more_in(), Some(millis(100)));
    let decision = bucket.check(&quota, 9, start + millis(80));
    assert_eq!(decision.outcome(), Outcome::RetryAfter(millis(170)));
    assert_eq!(decision.remaining(), 7);
    assert_eq!(decision.more_in(), Some(millis(70)));
    let full = bucket.peek(&quota, 0, start + millis(350));
    assert_eq!((full.remaining(), full.more_in()), (10, None));
}

#[test]
fn a_cost_above_the_burst_never_passes() {
    let (start, quota) = (now(), quota(10, 1));
    let mut bucket = TokenBucket::new(start);
    for cost in [11, u32::MAX] {
        let decision = bucket.check(&quota, cost, start);
        assert_eq!(decision.outcome(), Outcome::Never);
        assert_eq!(decision.retry_after(), None);
    }
    assert!(bucket.check(&quota, 10, start).is_admitted());
}

#[test]
fn nothing_costs_nothing() {
    let (start, quota) = (now(), quota(1, 1));
    let mut bucket = TokenBucket::new(start);
    assert!(bucket.check(&quota, 1, start).is_admitted());
    assert!(bucket.check(&quota, 0, start).is_admitted());
    assert_eq!(
        bucket.check(&quota, 1, start).retry_after(),
        Some(millis(1_000))
    );
}

#[test]
fn a_refund_gives_back_what_was_taken() {
    let (start, quota) = (now(), quota(5, 1));
    let mut bucket = TokenBucket::new(start);
    assert!(bucket.check(&quota, 5, start).is_admitted());
    bucket.refund(&quota, 2);
    assert_eq!(bucket.peek(&quota, 1, start).remaining(), 2);
    bucket.refund(&quota, u32::MAX);
    assert_eq!(bucket.peek(&quota, 1, start).remaining(), 5);
}

#[test]
fn a_smaller_quota_applies_at_once() {
    let (start, before, after) = (now(), quota(60, 60), quota(5, 5));
    let mut bucket = TokenBucket::new(start);
    assert!(bucket.check(&before, 60, start).is_admitted());
    // 60 s of debt in a bucket that holds 5 s.
    let refused = bucket.check(&after, 1, start);
    assert_eq!(refused.retry_after(), Some(millis(1_000)));
    assert!(bucket.check(&after, 1, start + millis(1_000)).is_admitted());
}

#[test]
fn a_clock_that_steps_back_costs_at_most_one_bucket() {
    let (start, quota) = (now(), quota(5, 5));
    let mut bucket = TokenBucket::new(start);
    let later = start + Duration::from_secs(86_400);
    assert!(bucket.check(&quota, 5, later).is_admitted());
    let refused = bucket.check(&quota, 1, start);
    assert_eq!(refused.retry_after(), Some(millis(1_000)));
    assert!(bucket.check(&quota, 1, start + millis(1_000)).is_admitted());
}

#[test]
fn threads_with_slightly_older_instants_gain_nothing() {
    let (start, quota) = (now(), quota(1, 1));
    let mut bucket = TokenBucket::new(start);
    let later = start + millis(500);
    assert!(bucket.check(&quota, 1, later).is_admitted());
    assert!(!bucket.check(&quota, 1, later - millis(1)).is_admitted());
    let next = later + millis(1_000);
    assert!(!bucket.check(&quota, 1, next - millis(1)).is_admitted());
    assert!(bucket.check(&quota, 1, next).is_admitted());
}

#[test]
fn instants_before_the_epoch_are_the_epoch() {
    let (start, quota) = (now(), quota(2, 1));
    let mut bucket = TokenBucket::new(start + millis(10_000));
    assert!(bucket.check(&quota, 2, start).is_admitted());
    assert!(
        !bucket
            .check(&quota, 1, start + millis(10_000))
            .is_admitted()
    );
}

#[test]
fn the_extremes_do_not_overflow() {
    let century = Duration::from_nanos(crate::time::MAX_NANOS);
    for limit in [1, 3, u32::MAX] {
        let quota = Quota::try_new(number(limit), century).unwrap();
        for now in [0, 1, u64::MAX / 2, u64::MAX] {
            for arrival in [0, now, u64::MAX] {
                for cost in [0, 1, limit, u32::MAX] {
                    let (_, decision) = decide(&quota, arrival, cost, now);
                    let _ = (decision.remaining(), decision.reset(), decision.more_in());
                }
            }
        }
    }
}
