//! Who leads, who follows, who passes.

use super::*;
use crate::testing::now;

fn fills() -> Fills<u32> {
    Fills::new(FillParameters {
        max_followers: 2,
        max_keys: 4,
        ..FillParameters::default()
    })
}

fn lead(fills: &mut Fills<u32>, key: u32, now: Instant) -> FillId {
    match fills.join(key, now) {
        Join::Lead(fill) => fill,
        other => panic!("{key} leads, not {other:?}"),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn one_leads_and_the_others_follow() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    let follow = Join::Follow {
        fill,
        deadline: now + 5 * SECOND,
    };
    assert_eq!(fills.join(1, now), follow);
    lead(&mut fills, 2, now);
    assert_eq!(fills.finish(&1, fill, FillOutcome::Stored, now), 1);
    lead(&mut fills, 1, now);
}

#[test]
fn followers_are_bounded_and_counted_out() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    assert!(matches!(fills.join(1, now), Join::Follow { .. }));
    assert!(matches!(fills.join(1, now), Join::Follow { .. }));
    assert_eq!(fills.join(1, now), Join::Pass(Pass::TooManyFollowers));
    fills.leave(&1, fill);
    assert!(matches!(fills.join(1, now), Join::Follow { .. }));
    assert_eq!(fills.finish(&1, fill, FillOutcome::Failed, now), 2);
}

#[test]
fn nobody_waits_again_for_what_cannot_be_stored() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    let _ = fills.join(1, now);
    fills.finish(&1, fill, FillOutcome::Uncacheable, now);
    for after in [Duration::ZERO, 119 * SECOND] {
        assert_eq!(fills.join(1, now + after), Join::Pass(Pass::HitForMiss));
    }
    lead(&mut fills, 1, now + 120 * SECOND);
}

#[test]
fn a_mark_ends_when_something_was_stored() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    let _ = fills.join(1, now);
    fills.finish(&1, fill, FillOutcome::Uncacheable, now);
    fills.unmark(&1);
    assert!(fills.is_empty());
    lead(&mut fills, 1, now);
    fills.unmark(&1);
    assert!(matches!(fills.join(1, now), Join::Follow { .. }));
}

#[test]
fn what_nobody_waited_for_leaves_no_mark() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    fills.finish(&1, fill, FillOutcome::Uncacheable, now);
    assert!(fills.is_empty());
}

#[test]
fn a_failure_makes_one_of_those_who_waited_lead() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    let _ = fills.join(1, now);
    fills.finish(&1, fill, FillOutcome::Failed, now);
    lead(&mut fills, 1, now);
    assert!(matches!(fills.join(1, now), Join::Follow { .. }));
}

#[test]
fn a_leader_that_is_lost_is_replaced_and_ends_nothing() {
    let (mut fills, now) = (fills(), now());
    let lost = lead(&mut fills, 1, now);
    assert!(matches!(
        fills.join(1, now + 4 * SECOND),
        Join::Follow { .. }
    ));
    let second = lead(&mut fills, 1, now + 5 * SECOND);
    assert_ne!(lost, second);
    assert_eq!(fills.finish(&1, lost, FillOutcome::Uncacheable, now), 0);
    assert!(matches!(
        fills.join(1, now + 5 * SECOND),
        Join::Follow { .. }
    ));
}

#[test]
fn one_that_goes_on_is_not_lost() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    fills.progress(&1, fill, now + 4 * SECOND);
    assert!(matches!(
        fills.join(1, now + 8 * SECOND),
        Join::Follow { .. }
    ));
    lead(&mut fills, 1, now + 9 * SECOND);
}

#[test]
fn keys_are_bounded_and_what_is_over_makes_room() {
    let (mut fills, now) = (fills(), now());
    for key in 0..4 {
        lead(&mut fills, key, now);
    }
    assert_eq!(fills.join(4, now), Join::Pass(Pass::TooManyFills));
    assert_eq!(fills.len(), 4);
    lead(&mut fills, 5, now + 5 * SECOND);
    assert_eq!(fills.len(), 1);
}

#[test]
fn a_clock_that_steps_back_does_no_harm() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now + 100 * SECOND);
    assert!(matches!(fills.join(1, now), Join::Follow { .. }));
    assert_eq!(fills.finish(&1, fill, FillOutcome::Stored, now), 1);
}

#[test]
fn what_began_before_a_purge_is_not_stored() {
    let (mut fills, now) = (fills(), now());
    let before = lead(&mut fills, 1, now);
    let _ = fills.join(1, now);
    assert!(fills.may_store(&1, before));
    assert_eq!(fills.discard(&1, now), 1);
    let after = lead(&mut fills, 1, now);
    assert!(!fills.may_store(&1, before) && fills.may_store(&1, after));
    assert_eq!(fills.finish(&1, before, FillOutcome::Stored, now), 0);
    assert_eq!(fills.finish(&1, after, FillOutcome::Stored, now), 0);
    assert!(!fills.may_store(&1, before), "even when the next has ended");
    let next = lead(&mut fills, 1, now);
    assert!(!fills.may_store(&1, before) && fills.may_store(&1, next));
    assert_eq!(fills.discard(&2, now), 0);
    assert!(fills.may_store(&2, before));
}

#[test]
fn a_purge_reaches_all_keys_that_match() {
    let (mut fills, now) = (fills(), now());
    let [one, two, three] = [1, 2, 3].map(|key| lead(&mut fills, key, now));
    let _ = fills.join(1, now);
    assert_eq!(fills.discard_where(|&key| key < 3, now), 1);
    assert!(!fills.may_store(&1, one) && !fills.may_store(&2, two));
    assert!(fills.may_store(&3, three));
}

#[test]
fn a_purge_ends_a_mark() {
    let (mut fills, now) = (fills(), now());
    let fill = lead(&mut fills, 1, now);
    let _ = fills.join(1, now);
    fills.finish(&1, fill, FillOutcome::Uncacheable, now);
    assert_eq!(fills.discard(&1, now), 0);
    lead(&mut fills, 1, now);
}
