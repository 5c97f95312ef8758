//! Order, deadlines and bounds, against a list that is searched.

use super::*;
use crate::draw::Draws;
use crate::testing::now;

const MILLISECOND: Duration = Duration::from_millis(1);

fn ticket<T>(queued: Queued<T>) -> Option<Ticket> {
    match queued {
        Queued::Waiting(ticket) | Queued::Displacing(ticket, _) => Some(ticket),
        Queued::Full(_) => None,
    }
}

#[test]
fn who_arrived_first_goes_first_and_equals_in_order() {
    let (policy, now, mut queue) = (QueuePolicy::default(), now(), Queue::new());
    for (name, arrived) in [("b", 1), ("c", 1), ("a", 0), ("d", 1)] {
        assert!(ticket(queue.push(&policy, name, now + MILLISECOND * arrived, now)).is_some());
    }
    assert_eq!(queue.oldest(), Some(now));
    let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
    assert!(queue.is_empty() && queue.next_deadline().is_none());
}

#[test]
fn a_full_queue_refuses_the_young_and_takes_the_old() {
    let (policy, now, mut queue) = (QueuePolicy::default().size(2), now(), Queue::new());
    let second = ticket(queue.push(&policy, 2, now + 2 * MILLISECOND, now));
    assert!(ticket(queue.push(&policy, 3, now + 3 * MILLISECOND, now)).is_some());
    assert!(matches!(
        queue.push(&policy, 4, now + 3 * MILLISECOND, now),
        Queued::Full(4)
    ));
    assert!(matches!(
        queue.push(&policy, 1, now, now),
        Queued::Displacing(_, 3)
    ));
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.cancel(second.unwrap()), Some(2));
    assert_eq!(queue.cancel(second.unwrap()), None);
    let none = QueuePolicy::default().size(0);
    assert!(matches!(
        Queue::new().push(&none, 1, now, now),
        Queued::Full(1)
    ));
}

#[test]
fn nobody_is_served_at_or_after_its_deadline() {
    let (policy, now, mut queue) = (QueuePolicy::default(), now(), Queue::new());
    assert!(ticket(queue.push(&policy, "late", now, now)).is_some());
    let deadline = now + MILLISECOND;
    assert!(ticket(queue.push_until(&policy, "soon", now, deadline)).is_some());
    assert_eq!(queue.next_deadline(), Some(deadline));
    assert_eq!(queue.expire(deadline - Duration::from_nanos(1)), None);
    assert_eq!(queue.pop_where(deadline, |&name| name == "soon"), None);
    assert_eq!(queue.expire(deadline), Some("soon"));
    assert_eq!(queue.expire(deadline), None);
    assert_eq!(queue.pop(now + policy.timeout), None);
    assert_eq!(queue.expire(now + policy.timeout), Some("late"));
}

#[test]
fn what_cannot_use_a_slot_keeps_its_place() {
    let (policy, now, mut queue) = (QueuePolicy::default(), now(), Queue::new());
    for number in 0..4 {
        assert!(ticket(queue.push(&policy, number, now, now)).is_some());
    }
    assert_eq!(queue.pop_where(now, |number| number % 2 == 1), Some(1));
    assert_eq!(queue.pop(now), Some(0));
}

/// A million operations against a list that is searched from front to back.
#[test]
fn a_million_operations_agree_with_a_list() {
    let policy = QueuePolicy::default().size(50).timeout(40 * MILLISECOND);
    let mut draws = Draws::new(8);
    let mut at = now();
    let mut queue = Queue::new();
    let mut list: Vec<(Instant, u32, Instant, Ticket)> = Vec::new();
    for step in 0..1_000_000_u32 {
        at += Duration::from_micros(draws.next() % 2000);
        match draws.below(8) {
            0..4 => {
                let arrived = at - MILLISECOND * u32::try_from(draws.below(60)).unwrap();
                let queued = queue.push(&policy, step, arrived, at);
                let youngest = list
                    .iter()
                    .map(|&(arrived, number, ..)| (arrived, number))
                    .max();
                match queued {
                    Queued::Waiting(ticket) => {
                        assert!(list.len() < 50);
                        list.push((arrived, step, at + policy.timeout, ticket));
                    }
                    Queued::Displacing(ticket, other) => {
                        assert!(list.len() == 50 && youngest.unwrap() > (arrived, step));
                        assert_eq!(other, youngest.unwrap().1);
                        list.retain(|&(_, number, ..)| number != other);
                        list.push((arrived, step, at + policy.timeout, ticket));
                    }
                    Queued::Full(number) => {
                        assert!(list.len() == 50 && number == step);
                        assert!(youngest.unwrap() < (arrived, step));
                    }
                }
            }
            4 => {
                let first = list
                    .iter()
                    .filter(|&&(_, _, deadline, _)| deadline > at)
                    .min_by_key(|entry| (entry.0, entry.1));
                let first = first.map(|&(_, number, ..)| number);
                assert_eq!(queue.pop(at), first);
                list.retain(|&(_, number, ..)| Some(number) != first);
            }
            5 if !list.is_empty() => {
                let (_, number, _, ticket) = list.swap_remove(draws.below(list.len()));
                assert_eq!(queue.cancel(ticket), Some(number));
            }
            _ => {
                let next = list.iter().map(|&(_, _, deadline, _)| deadline).min();
                assert_eq!(queue.next_deadline(), next);
                match queue.expire(at) {
                    Some(number) => {
                        let place = list.iter().position(|entry| entry.1 == number).unwrap();
                        assert!(list[place].2 <= at);
                        list.swap_remove(place);
                    }
                    None => assert!(next.is_none_or(|next| next > at)),
                }
            }
        }
        assert_eq!(queue.len(), list.len());
    }
}
