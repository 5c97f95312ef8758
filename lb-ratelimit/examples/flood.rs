//! A flood from a million networks against a limiter with room for ten thousand: `cargo run -p lb-ratelimit --example flood`.
//!
//! In virtual time. A hundred clients ask once a second, within their limit. One has used up its bucket and goes on asking.
//! From the tenth to the twentieth second an attacker sends from another network with each request.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::Ipv6Addr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lb_ratelimit::{KeyedLimiter, Keyer, Policy, Prefixes, Quota};

const FLOOD_PER_SECOND: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let limit = NonZeroU32::new(120).ok_or("a limit")?;
    let policy = Policy::from(Quota::try_new(limit, Duration::from_secs(60))?);
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise"
    )]
    let start = Instant::now();
    let limiter = KeyedLimiter::new(10_000, start);
    let keyer = Keyer::new(42);
    let network = |number: u64| {
        let address = Ipv6Addr::from_bits(u128::from(0x2001_0db8_0000_0000 + number) << 64 | 1);
        keyer
            .start()
            .address(address.into(), Prefixes::default())
            .finish()
    };
    let greedy = network(0);
    let _ = limiter.check(greedy, &policy, 120, start);

    println!("second  clients of 100  greedy of 100  flood of 100,000  keys in use  evicted");
    let mut fresh = 1_000;
    for second in 0..30_u64 {
        let (mut clients, mut greed, mut flood) = (0, 0, 0);
        for step in 0..100 {
            let at = start + Duration::from_millis(second * 1_000 + step * 10);
            let passes = |key| u32::from(limiter.check(key, &policy, 1, at).is_admitted());
            clients += passes(network(1 + step));
            greed += passes(greedy);
            if (10..20).contains(&second) {
                for _ in 0..FLOOD_PER_SECOND / 100 {
                    fresh += 1;
                    flood += passes(network(fresh));
                }
            }
        }
        let stats = limiter.stats(&policy, start + Duration::from_secs(second + 1));
        println!(
            "{second:>6} {clients:>15} {greed:>14} {flood:>17} {:>12} {:>8}",
            stats.keys, stats.evictions
        );
    }
    Ok(())
}
