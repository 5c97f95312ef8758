//! What is measured: one check of a random key that is known already.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::RateLimiter;
use governor::clock::FakeRelativeClock;
use lb_ratelimit::{Key, KeyedLimiter, Keyer, Policy, Prefixes, Quota, Window};

use crate::measure::Entry;

pub(crate) const OURS: &str = "token bucket, u64 key";
pub(crate) const REFUSED: &str = "token bucket, refused";
pub(crate) const THEIRS: &str = "governor";
pub(crate) const THEIRS_REFUSED: &str = "governor, refused";

static KEYER: Keyer = Keyer::new(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);
const INTERVAL: Duration = Duration::from_millis(600);
const LIMIT: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// So many that none is refused while it is measured.
const BURST: NonZeroU32 = NonZeroU32::new(1_000_000_000).unwrap();

pub(crate) fn number(key: u64) -> Key {
    KEYER.start().number(key).finish()
}

fn address(key: u64) -> Key {
    #[expect(clippy::cast_possible_truncation, reason = "keys are below 2^32")]
    let address = IpAddr::V4(Ipv4Addr::from_bits(key as u32));
    KEYER.start().address(address, Prefixes::default()).finish()
}

pub(crate) fn quota() -> Quota {
    let quota = Quota::try_new(LIMIT, INTERVAL * 100).expect("a rate");
    quota.with_burst(BURST).expect("a burst")
}

pub(crate) fn governors_quota() -> governor::Quota {
    let quota = governor::Quota::with_period(INTERVAL).expect("not empty");
    quota.allow_burst(BURST)
}

/// One key of `keys` after the other, in no order.
fn each(seed: u64, count: u64, keys: u64, mut operation: impl FnMut(u64)) {
    let mut random = seed | 1;
    for _ in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // The high half of the product, as a remainder costs as much as the rest.
        operation(((u128::from(random) * u128::from(keys)) >> 64) as u64);
    }
}

/// A limiter that has seen all keys.
fn filled(policy: Policy, key: impl Fn(u64) -> Key, keys: u64) -> KeyedLimiter {
    let start = Instant::now();
    let limiter = KeyedLimiter::new(usize::try_from(keys).expect("a size"), start);
    for number in 0..keys {
        let _ = limiter.check(key(number), &policy, 1, start);
    }
    limiter
}

fn ours(
    name: &'static str,
    keys: u64,
    policy: Policy,
    key: impl Fn(u64) -> Key + Sync + 'static,
) -> Entry {
    let limiter = filled(policy, &key, keys);
    Entry::new(name, keys, move |seed, count| {
        // As a server reads it, once for all that a turn of its loop does.
        let now = Instant::now();
        each(seed, count, keys, |number| {
            let _ = black_box(limiter.check(key(number), &policy, 1, now));
        });
    })
}

pub(crate) fn add_to(entries: &mut Vec<Entry>, keys: u64) {
    let policy = Policy::from(quota());
    entries.push(ours(OURS, keys, policy, number));
    entries.push(ours("token bucket, IPv4 address", keys, policy, address));
    let limiter = filled(policy, number, keys);
    entries.push(Entry::new(
        "token bucket, u64 key, clock read each time",
        keys,
        move |seed, count| {
            each(seed, count, keys, |key| {
                let _ = black_box(limiter.check(number(key), &policy, 1, Instant::now()));
            });
        },
    ));
    let limiter = filled(policy, number, keys);
    entries.push(Entry::new(
        "token bucket, with what remains",
        keys,
        move |seed, count| {
            let now = Instant::now();
            each(seed, count, keys, |key| {
                let decision = limiter.check(number(key), &policy, 1, now);
                black_box((decision.remaining(), decision.reset()));
            });
        },
    ));
    let hourly = Quota::try_new(NonZeroU32::MIN, Duration::from_secs(3_600)).expect("a rate");
    entries.push(ours(REFUSED, keys, hourly.into(), number));
    let window = Window::try_new(BURST, Duration::from_secs(3_600)).expect("a window");
    entries.push(ours("sliding window, u64 key", keys, window.into(), number));
    let limiter = filled(policy, number, keys);
    entries.push(Entry::new(
        "token bucket, new key each time, table full",
        keys,
        move |seed, count| {
            let now = Instant::now();
            each(seed, count, u64::MAX, |key| {
                let _ = black_box(limiter.check(number(key), &policy, 1, now));
            });
        },
    ));

    let governor = RateLimiter::dashmap(governors_quota());
    (0..keys).for_each(|key| drop(governor.check_key(&key)));
    entries.push(Entry::new(THEIRS, keys, move |seed, count| {
        each(seed, count, keys, |key| {
            drop(black_box(governor.check_key(&key)));
        });
    }));
    let governor = RateLimiter::dashmap_with_clock(governors_quota(), FakeRelativeClock::default());
    (0..keys).for_each(|key| drop(governor.check_key(&key)));
    entries.push(Entry::new(
        "governor, without its clock",
        keys,
        move |seed, count| {
            each(seed, count, keys, |key| {
                drop(black_box(governor.check_key(&key)));
            });
        },
    ));
    let hourly = governor::Quota::per_hour(NonZeroU32::MIN);
    let governor = RateLimiter::dashmap(hourly);
    (0..keys).for_each(|key| drop(governor.check_key(&key)));
    entries.push(Entry::new(THEIRS_REFUSED, keys, move |seed, count| {
        each(seed, count, keys, |key| {
            drop(black_box(governor.check_key(&key)));
        });
    }));
}
