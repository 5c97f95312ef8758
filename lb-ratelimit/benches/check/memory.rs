//! Bytes per key, by what the table says of itself, and by what the process grows by.

use std::fs;
use std::time::Instant;

use governor::RateLimiter;
use lb_ratelimit::{KeyedLimiter, Policy};

use crate::entries::{governors_quota, number, quota};

#[expect(clippy::print_stdout, reason = "the table is the purpose")]
pub(crate) fn print() {
    println!(
        "\n{:<24} {:>10} {:>15} {:>17} {:>10}",
        "keys in use", "bytes/key", "process grew by", "governor grew by", "evicted"
    );
    for keys in [10_000_u64, 1_000_000] {
        let (start, policy) = (Instant::now(), Policy::from(quota()));
        let before = resident_bytes();
        let limiter = KeyedLimiter::new(usize::try_from(keys).expect("a size"), start);
        for key in 0..keys {
            let _ = limiter.check(number(key), &policy, 1, start);
        }
        let grown = resident_bytes() - before;
        let stats = limiter.stats(&policy, start);
        let before = resident_bytes();
        let governor = RateLimiter::dashmap(governors_quota());
        (0..keys).for_each(|key| drop(governor.check_key(&key)));
        let theirs = resident_bytes() - before;
        drop(governor);
        println!(
            "{keys:<24} {:>10.2} {:>15.2} {:>17.2} {:>10}",
            stats.bytes as f64 / keys as f64,
            grown / keys as f64,
            theirs / keys as f64,
            stats.evictions,
        );
    }
}

/// What the process has in memory; not a number where `/proc` is missing.
fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0)
}
