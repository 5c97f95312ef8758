use std::time::Duration;

use super::*;
use crate::decision::Outcome;
use crate::testing::{millis, now, number, window};

#[test]
fn admits_the_maximum_then_fades() {
    let (start, window) = (now(), window(10, 10));
    let mut sliding = SlidingWindow::new(start);
    assert!(sliding.check(&window, 10, start).is_admitted());
    assert!(
        !sliding
            .check(&window, 1, start + millis(9_999))
            .is_admitted()
    );
    // One second into the next window nine tenths of the ten still count.
    assert!(
        !sliding
            .check(&window, 1, start + millis(10_999))
            .is_admitted()
    );
    assert!(
        sliding
            .check(&window, 1, start + millis(11_000))
            .is_admitted()
    );
    assert!(
        !sliding
            .check(&window, 1, start + millis(11_000))
            .is_admitted()
    );
    assert!(
        sliding
            .check(&window, 9, start + millis(30_000))
            .is_admitted()
    );
}

#[test]
fn a_decision_says_what_is_left_and_when_more_comes() {
    let (start, window) = (now(), window(10, 10));
    let mut sliding = SlidingWindow::new(start);
    let decision = sliding.check(&window, 4, start + millis(1_000));
    assert_eq!((decision.limit(), decision.remaining()), (10, 6));
    // The four have faded to three a quarter into the next window.
    assert_eq!(decision.more_in(), Some(millis(11_500)));
    assert_eq!(decision.reset(), millis(19_000));
    let refused = sliding.check(&window, 7, start + millis(1_000));
    assert_eq!(refused.outcome(), Outcome::RetryAfter(millis(11_500)));
    let later = sliding.peek(&window, 1, start + millis(15_000));
    assert_eq!((later.remaining(), later.reset()), (8, millis(5_000)));
}

#[test]
fn a_cost_above_the_maximum_never_passes() {
    let (start, window) = (now(), window(3, 10));
    let mut sliding = SlidingWindow::new(start);
    for cost in [4, u32::MAX] {
        assert_eq!(
            sliding.check(&window, cost, start).outcome(),
            Outcome::Never
        );
    }
    assert!(sliding.check(&window, 3, start).is_admitted());
    assert!(sliding.check(&window, 0, start).is_admitted());
}

#[test]
fn a_refund_survives_the_turn_of_the_window() {
    let (start, window) = (now(), window(10, 10));
    let mut sliding = SlidingWindow::new(start);
    assert!(sliding.check(&window, 10, start).is_admitted());
    assert!(
        !sliding
            .check(&window, 1, start + millis(10_000))
            .is_admitted()
    );
    sliding.refund(4);
    assert_eq!(
        sliding.peek(&window, 1, start + millis(10_000)).remaining(),
        4
    );
}

#[test]
fn a_clock_that_steps_back_goes_on_in_a_window_of_its_time() {
    let (start, window) = (now(), window(10, 10));
    let mut sliding = SlidingWindow::new(start);
    let later = start + Duration::from_secs(86_400);
    assert!(sliding.check(&window, 10, later).is_admitted());
    assert!(!sliding.check(&window, 1, start).is_admitted());
    assert!(
        sliding
            .check(&window, 1, start + millis(11_000))
            .is_admitted()
    );
}

#[test]
fn another_length_keeps_what_was_counted_as_long_as_it_may_matter() {
    let (start, short, long) = (now(), window(10, 10), window(10, 60));
    let mut sliding = SlidingWindow::new(start);
    assert!(
        sliding
            .check(&short, 10, start + millis(5_000))
            .is_admitted()
    );
    assert!(
        !sliding
            .check(&long, 1, start + millis(30_000))
            .is_admitted()
    );
}

#[test]
fn a_lower_maximum_refuses_until_enough_has_faded() {
    let (start, before, after) = (now(), window(10, 10), window(2, 10));
    let mut sliding = SlidingWindow::new(start);
    assert!(sliding.check(&before, 10, start).is_admitted());
    let refused = sliding.check(&after, 1, start);
    assert_eq!(refused.remaining(), 0);
    assert_eq!(refused.retry_after(), Some(millis(19_000)));
}

#[test]
fn the_extremes_do_not_overflow() {
    let century = Duration::from_nanos(crate::time::MAX_NANOS);
    for length in [Duration::from_nanos(1), century] {
        let window = Window::try_new(number(u32::MAX), length).unwrap();
        for now in [0, 1, u64::MAX / 2, u64::MAX] {
            for counts in [0, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
                for cost in [0, 1, u32::MAX] {
                    let turn = Turn::at(&window, now, now);
                    let (_, decision) = decide(&window, turn.began, counts, cost, now);
                    let _ = (decision.remaining(), decision.reset(), decision.more_in());
                }
            }
        }
    }
}
