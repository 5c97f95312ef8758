//! What it costs to watch over the backends: a pick, its outcome, and the end of its guard.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lb_core::{
    Algorithm, BreakerPolicy, BudgetPolicy, Cause, Outcome, OutlierPolicy, Pick, PickHint, Pool,
    PoolParameters, PoolPolicy, Queue, QueuePolicy, Queued, RetryBudget, SuccessRatePolicy,
};

use crate::measure::Entry;
use crate::ours::{backends, next};

pub(crate) fn add_to(entries: &mut Vec<Entry>, size: usize) {
    let off = PoolPolicy::default();
    let rates = OutlierPolicy::default().success_rate(SuccessRatePolicy::default());
    let breaker = PoolPolicy::recommended().breaker(BreakerPolicy::default());
    for (name, policy) in [
        ("request: nothing watched", off),
        ("request: probes, outliers", PoolPolicy::recommended()),
        (
            "request: and a limit of the pool",
            PoolPolicy::recommended().max_in_flight(NonZeroU32::new(1_000_000)),
        ),
        (
            "request: probes, outliers, success rates",
            PoolPolicy::recommended().outlier(rates),
        ),
        ("request: probes, outliers, breaker", breaker),
    ] {
        requests(entries, name, size, policy, None);
    }
    // One in ten fails, never five in a row at one backend.
    requests(
        entries,
        "request: outliers, 10 % fail",
        size,
        PoolPolicy::recommended(),
        Some(10),
    );
    if size == 10 {
        add_single(entries);
    }
}

fn requests(
    entries: &mut Vec<Entry>,
    name: &'static str,
    size: usize,
    policy: PoolPolicy,
    fails: Option<u64>,
) {
    let now = Instant::now();
    let parameters = PoolParameters::new(Algorithm::RoundRobin);
    let pool = Pool::with_policy(parameters, policy, backends(size), now).expect("they are right");
    let latency = Duration::from_millis(5);
    let (mut count, mut random) = (0_u64, 88_172_645_463_325_252);
    entries.push(Entry::new(name, size, move |times| {
        for _ in 0..times {
            count += 1;
            let Pick::Picked(mut picked) = pool.pick(&PickHint::new(next(&mut random)), now) else {
                continue;
            };
            let is_failure = fails.is_some_and(|fails| (count / size as u64).is_multiple_of(fails));
            let outcome = if is_failure {
                Outcome::failure(latency, Cause::ServerError)
            } else {
                Outcome::success(latency)
            };
            picked.answered(outcome, now + latency);
            black_box(picked.id());
        }
    }));
}

/// What is asked for by itself.
fn add_single(entries: &mut Vec<Entry>) {
    let start = Instant::now();
    let (policy, budget) = (BudgetPolicy::default(), RetryBudget::new(start));
    let mut now = start;
    entries.push(Entry::new("retry budget: deposit", 10, move |times| {
        for _ in 0..times {
            now += Duration::from_micros(10);
            budget.deposit(&policy, now);
        }
    }));
    let budget = RetryBudget::new(start);
    entries.push(Entry::new("retry budget: try_retry", 10, move |times| {
        for _ in 0..times {
            now += Duration::from_micros(10);
            black_box(budget.try_retry(&policy, Cause::Reset, now));
        }
    }));
    let (policy, mut queue) = (QueuePolicy::default(), Queue::new());
    for _ in 0..512 {
        drop(queue.push(&policy, 0_u64, start, start));
    }
    let mut at = start;
    entries.push(Entry::new("queue of 512: push, pop", 10, move |times| {
        for _ in 0..times {
            at += Duration::from_nanos(1);
            if let Queued::Full(value) = queue.push(&policy, 0_u64, at, start) {
                black_box(value);
            }
            black_box(queue.pop(start));
        }
    }));
}
