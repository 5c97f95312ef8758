//! What holds for any policy, keys, costs and order of events, against naive models with unlimited memory.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::FakeRelativeClock;
use governor::{NotUntil, RateLimiter};
use lb_ratelimit::{
    Decision, Key, KeyedLimiter, Keyer, Outcome, Policy, Quota, SlidingWindow, TokenBucket, Window,
};
use proptest::prelude::*;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn now() -> Instant {
    Instant::now()
}

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).expect("not 0")
}

fn key(number: u64) -> Key {
    Keyer::new(0x5eed).start().number(number).finish()
}

fn quota(limit: u32, window: Duration, burst: u32) -> Quota {
    let quota = Quota::try_new(number(limit), window).expect("a rate");
    quota.with_burst(number(burst)).expect("a burst")
}

/// Pauses that are often nothing, often about a token, sometimes long.
fn pause(window: Duration, limit: u32) -> impl Strategy<Value = Duration> {
    let token = u64::try_from(window.as_nanos()).expect("short") / u64::from(limit);
    prop_oneof![
        2 => Just(0),
        4 => 0..=2 * token,
        1 => Just(token),
        1 => 0..=40 * token,
    ]
    .prop_map(Duration::from_nanos)
}

fn policies() -> impl Strategy<Value = (u32, Duration, u32)> {
    let windows = prop::sample::select(vec![
        Duration::from_nanos(997),
        Duration::from_millis(1),
        Duration::from_secs(1),
        Duration::from_secs(60),
        Duration::from_secs(86_400),
    ]);
    (1_u32..50, windows, 1_u32..60)
}

/// What happens to a policy of (limit, window, burst): events of (pause, key, cost).
#[derive(Clone, Debug)]
struct Schedule {
    policy: (u32, Duration, u32),
    events: Vec<(Duration, u64, u32)>,
}

fn schedule() -> impl Strategy<Value = Schedule> {
    policies().prop_flat_map(|policy| {
        let (limit, window, burst) = policy;
        let event = (pause(window, limit), 0_u64..4, 0..=burst + 2);
        let events = prop::collection::vec(event, 1..200);
        events.prop_map(move |events| Schedule { policy, events })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_governor(Schedule { policy, events } in schedule()) {
        let (limit, window, burst) = policy;
        let quota = quota(limit, window, burst);
        let clock = FakeRelativeClock::default();
        let theirs = governor::Quota::with_period(quota.emission_interval())
            .expect("not empty")
            .allow_burst(number(burst));
        let governor = RateLimiter::dashmap_with_clock(theirs, clock.clone());
        let start = now();
        let limiter = KeyedLimiter::new(100, start);
        let policy = Policy::from(quota);
        let mut elapsed = Duration::ZERO;
        for (pause, number, cost) in events {
            elapsed += pause;
            clock.advance(pause);
            // They know no request that costs nothing.
            let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
            let ours = limiter.check(key(number), &policy, cost.get(), start + elapsed).outcome();
            let expected = match governor.check_key_n(&number, cost) {
                Ok(Ok(())) => Outcome::Admitted,
                Ok(Err(refused)) => {
                    let refused: NotUntil<_> = refused;
                    let at = Duration::from_nanos(elapsed.as_nanos().try_into().expect("short"));
                    Outcome::RetryAfter(refused.wait_time_from(at.into()))
                }
                Err(_) => Outcome::Never,
            };
            prop_assert_eq!(ours, expected);
        }
    }

    #[test]
    fn a_refusal_is_admitted_exactly_when_it_says(Schedule { policy, events } in schedule(), sliding: bool) {
        let (policy, start) = (made(policy, sliding), now());
        let limiter = KeyedLimiter::new(100, start);
        let mut elapsed = Duration::ZERO;
        for (pause, number, cost) in events {
            elapsed += pause;
            let at = start + elapsed;
            let decision = limiter.check(key(number), &policy, cost, at);
            match decision.outcome() {
                Outcome::Admitted => prop_assert!(cost <= policy.burst()),
                Outcome::Never => prop_assert!(cost > policy.burst()),
                Outcome::RetryAfter(wait) => {
                    prop_assert!(wait > Duration::ZERO);
                    prop_assert!(decision.more_in().is_some_and(|more| more <= wait));
                    let then = |wait| limiter.peek(key(number), &policy, cost, at + wait);
                    prop_assert!(!then(wait - Duration::from_nanos(1)).is_admitted());
                    prop_assert!(then(wait).is_admitted());
                }
            }
        }
    }

    #[test]
    fn what_is_reported_is_what_is_there(Schedule { policy, events } in schedule(), sliding: bool) {
        let (policy, start) = (made(policy, sliding), now());
        let mut one = One::new(policy, start);
        let mut elapsed = Duration::ZERO;
        for (pause, _, cost) in events {
            elapsed += pause;
            let at = start + elapsed;
            let before = one.peek(0, at);
            let peeked = one.peek(cost, at);
            let decision = one.check(cost, at);
            prop_assert_eq!(decision.outcome(), peeked.outcome());
            prop_assert_eq!(peeked.remaining(), before.remaining());
            let taken = if decision.is_admitted() { cost } else { 0 };
            prop_assert_eq!(decision.remaining(), before.remaining() - taken);
            prop_assert!(decision.remaining() <= decision.limit());
            // Exactly what remains is admitted, and no more.
            prop_assert!(one.peek(decision.remaining(), at).is_admitted());
            prop_assert!(!one.peek(decision.remaining() + 1, at).is_admitted());
            if let Outcome::RetryAfter(wait) = decision.outcome() {
                prop_assert!(!one.peek(cost, at + wait - Duration::from_nanos(1)).is_admitted());
                prop_assert!(one.peek(cost, at + wait).is_admitted());
            }
            let more = |wait| one.peek(0, at + wait).remaining();
            match decision.more_in() {
                None => prop_assert_eq!(decision.remaining(), decision.limit()),
                Some(wait) => {
                    prop_assert_eq!(more(wait - Duration::from_nanos(1)), decision.remaining());
                    prop_assert!(more(wait) > decision.remaining());
                }
            }
            prop_assert_eq!(more(decision.reset()), decision.limit());
        }
    }

    #[test]
    fn no_interval_admits_more_than_burst_and_rate(Schedule { policy, events } in schedule()) {
        let (limit, window, burst) = policy;
        let (quota, start) = (quota(limit, window, burst), now());
        let mut bucket = TokenBucket::new(start);
        let mut admitted: Vec<(Duration, u64)> = Vec::new();
        let mut elapsed = Duration::ZERO;
        for (pause, _, cost) in events {
            elapsed += pause;
            if bucket.check(&quota, cost, start + elapsed).is_admitted() {
                admitted.push((elapsed, u64::from(cost)));
            }
        }
        for (from, &(begin, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for &(at, cost) in &admitted[from..] {
                sum += cost;
                let returned = (at - begin).as_nanos() / quota.emission_interval().as_nanos();
                prop_assert!(u128::from(sum) <= u128::from(burst) + returned);
            }
        }
    }

    #[test]
    fn no_window_admits_twice_the_maximum(Schedule { policy, events } in schedule()) {
        let (limit, window, _) = policy;
        let (parameters, start) = (Window::try_new(number(limit), window).expect("a window"), now());
        let mut sliding = SlidingWindow::new(start);
        let mut admitted: Vec<(Duration, u32)> = Vec::new();
        let mut elapsed = Duration::ZERO;
        for (pause, _, cost) in events {
            elapsed += pause;
            if sliding.check(&parameters, cost, start + elapsed).is_admitted() {
                admitted.push((elapsed, cost));
            }
        }
        for &(begin, _) in &admitted {
            let within = |at: Duration| at >= begin && at - begin < window;
            let sum: u32 = admitted.iter().filter(|(at, _)| within(*at)).map(|(_, cost)| cost).sum();
            prop_assert!(sum < 2 * limit);
            // Nor a window of the grid more than the maximum.
            let index = |at: Duration| at.as_nanos() / window.as_nanos();
            let sum: u32 = admitted
                .iter()
                .filter(|(at, _)| index(*at) == index(begin))
                .map(|(_, cost)| cost)
                .sum();
            prop_assert!(sum <= limit);
        }
    }

    /// The claim of the keyed limiter: overrun by keys it gets stricter, never looser.
    #[test]
    fn never_admits_what_unlimited_memory_would_refuse(
        limit in 1_u32..6,
        sliding: bool,
        events in prop::collection::vec((0_u64..300, 0_u64..60, 1_u32..3), 1..1_500),
    ) {
        let start = now();
        let policy = made((limit, Duration::from_secs(1), limit), sliding);
        let limiter = KeyedLimiter::new(1, start);
        let mut exact: HashMap<u64, One> = HashMap::new();
        let mut at = start;
        for (pause, number, cost) in events {
            at += Duration::from_millis(pause / 30);
            let ours = limiter.check(key(number), &policy, cost, at);
            let model = exact.entry(number).or_insert_with(|| One::new(policy, start));
            if ours.is_admitted() {
                prop_assert!(model.check(cost, at).is_admitted());
            }
        }
        prop_assert!(limiter.stats(&policy, at).keys <= limiter.stats(&policy, at).slots);
    }

    #[test]
    fn any_clock_and_any_cost_is_survived(
        events in prop::collection::vec((any::<u32>(), 0_u64..50, any::<u32>(), 0..4_u8), 1..300),
        limit in 1..=u32::MAX,
        sliding: bool,
    ) {
        let start = now();
        let policy = made((limit, Duration::from_secs(60), limit), sliding);
        let limiter = KeyedLimiter::new(3, start + Duration::from_secs(1_000));
        for (seconds, number, cost, operation) in events {
            let at = start + Duration::from_secs(u64::from(seconds));
            match operation {
                0 => limiter.refund(key(number), &policy, cost, at),
                1 => limiter.reset(key(number), &policy, at),
                2 => drop(format!("{:?}", limiter.peek(key(number), &policy, cost, at))),
                _ => {
                    let decision = limiter.check(key(number), &policy, cost, at);
                    prop_assert!(decision.remaining() <= decision.limit());
                    let _ = (decision.reset(), decision.more_in());
                }
            }
        }
    }

    /// However far the clock was set back, a key is admitted again once the new time has run for a full bucket.
    #[test]
    fn a_clock_set_back_locks_nobody_out(
        ahead in 0_u64..1_000_000_000,
        spent in 1_u32..20,
        sliding: bool,
    ) {
        let start = now();
        let policy = made((10, Duration::from_secs(10), 10), sliding);
        let limiter = KeyedLimiter::new(1, start);
        let later = start + Duration::from_secs(100 + ahead);
        for number in 0..60 {
            for _ in 0..spent {
                let _ = limiter.check(key(number), &policy, 1, later);
            }
        }
        let back = start + Duration::from_secs(50);
        for number in 0..60 {
            let _ = limiter.check(key(number), &policy, 1, back);
        }
        let full = back + Duration::from_secs(40);
        prop_assert!(limiter.check(key(7), &policy, 10, full).is_admitted());
        prop_assert!(limiter.check(key(1_000), &policy, 1, full).is_admitted());
    }
}

fn made((limit, window, burst): (u32, Duration, u32), sliding: bool) -> Policy {
    if sliding {
        Window::try_new(number(limit), window)
            .expect("a window")
            .into()
    } else {
        quota(limit, window, burst).into()
    }
}

/// One key with memory of its own.
enum One {
    Bucket(Quota, TokenBucket),
    Window(Window, SlidingWindow),
}

impl One {
    fn new(policy: Policy, epoch: Instant) -> Self {
        match policy {
            Policy::TokenBucket(quota) => Self::Bucket(quota, TokenBucket::new(epoch)),
            Policy::SlidingWindow(window) => Self::Window(window, SlidingWindow::new(epoch)),
        }
    }

    fn check(&mut self, cost: u32, now: Instant) -> Decision {
        match self {
            Self::Bucket(quota, bucket) => bucket.check(quota, cost, now),
            Self::Window(window, sliding) => sliding.check(window, cost, now),
        }
    }

    fn peek(&self, cost: u32, now: Instant) -> Decision {
        match self {
            Self::Bucket(quota, bucket) => bucket.peek(quota, cost, now),
            Self::Window(window, sliding) => sliding.peek(window, cost, now),
        }
    }
}
