//! Millions of keys: memory is hard-capped, and a flood frees nobody who is limited.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lb_ratelimit::{Key, KeyedLimiter, Keyer, Policy, Prefixes, Quota, Window};

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

const MINUTE: Duration = Duration::from_secs(60);

fn policies(limit: u32) -> [Policy; 2] {
    [
        Quota::try_new(number(limit), MINUTE)
            .expect("a rate")
            .into(),
        Window::try_new(number(limit), MINUTE)
            .expect("a window")
            .into(),
    ]
}

/// One of as many IPv6 networks as an attacker may own.
fn network(keyer: &Keyer, number: u64) -> Key {
    let address =
        std::net::Ipv6Addr::from_bits(u128::from(0x2001_0db8_0000_0000 + number) << 64 | 1);
    keyer
        .start()
        .address(address.into(), Prefixes::default())
        .finish()
}

#[test]
fn two_million_keys_stay_within_the_memory_of_a_hundred_thousand() {
    let (start, keyer) = (now(), Keyer::new(1));
    for policy in policies(100) {
        let limiter = KeyedLimiter::new(100_000, start);
        let bytes = limiter.stats(&policy, start).bytes;
        assert!(bytes <= 2_400_000);
        for number in 0..2_000_000 {
            let _ = limiter.check(network(&keyer, number), &policy, 1, start);
        }
        let stats = limiter.stats(&policy, start);
        assert_eq!(stats.bytes, bytes);
        assert!(stats.keys <= stats.slots && stats.keys >= 100_000);
        assert!(stats.evictions > 1_800_000);
    }
}

#[test]
fn as_many_keys_as_promised_are_kept_but_for_a_few_in_a_million() {
    let start = now();
    for (seed, policy) in (2..).zip(policies(2)) {
        let keyer = Keyer::new(seed);
        let limiter = KeyedLimiter::new(200_000, start);
        let mut refused = [0, 0, 0];
        for refused in &mut refused {
            for number in 0..200_000 {
                let decision = limiter.check(network(&keyer, number), &policy, 1, start);
                *refused += u32::from(!decision.is_admitted());
            }
        }
        let stats = limiter.stats(&policy, start);
        assert!(stats.evictions <= 2, "{}", stats.evictions);
        // Who comes after an eviction may start with one request counted already.
        assert!(refused[0] == 0 && refused[1] <= 2, "{refused:?}");
        assert_eq!(refused[2], 200_000);
        assert!(stats.keys + 2 >= 200_000);
    }
}

/// The attack on tables that evict the oldest: be limited, push yourself out with other keys, begin anew.
#[test]
fn a_spray_of_keys_does_not_free_a_limited_key() {
    let (start, keyer) = (now(), Keyer::new(3));
    for policy in policies(50) {
        let limiter = KeyedLimiter::new(1_000, start);
        let limited: Vec<Key> = (0..100)
            .map(|number| keyer.start().number(number).finish())
            .collect();
        for &key in &limited {
            assert!(limiter.check(key, &policy, 50, start).is_admitted());
        }
        for number in 0..200_000 {
            let at = start + Duration::from_micros(number);
            let _ = limiter.check(network(&keyer, number), &policy, 1, at);
            let key = limited[usize::try_from(number).expect("small") % limited.len()];
            assert!(!limiter.check(key, &policy, 1, at).is_admitted());
        }
        assert!(limiter.stats(&policy, start).evictions > 0);
    }
}

/// What the strictness of an overrun table costs those who did nothing.
#[test]
fn newcomers_pass_while_a_flood_is_slower_than_the_table_forgets() {
    let (start, keyer) = (now(), Keyer::new(4));
    let [policy, _] = policies(60);
    let limiter = KeyedLimiter::new(10_000, start);
    // A token returns in a second, so 10,000 keys forget 10,000 requests a second; the flood brings 9,000.
    for second in 0..20 {
        for number in 0..9_000 {
            let at = start + Duration::from_secs(second) + Duration::from_micros(number * 111);
            let key = network(&keyer, second * 9_000 + number);
            assert!(limiter.check(key, &policy, 1, at).is_admitted());
        }
    }
    assert_eq!(limiter.stats(&policy, start).evictions, 0);
}

#[test]
fn threads_share_one_bucket_exactly() {
    let (start, keyer) = (now(), Keyer::new(5));
    for policy in policies(1_000) {
        let limiter = KeyedLimiter::new(10, start);
        let key = keyer.start().bytes(b"shared").finish();
        let admitted = || {
            let admits = |_: &u32| limiter.check(key, &policy, 1, start).is_admitted();
            (0..1_000).filter(admits).count()
        };
        let total: usize = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(admitted));
            let counts = threads.map(|thread| thread.join().expect("a count"));
            counts.into_iter().sum()
        });
        assert_eq!(total, 1_000);
    }
}
