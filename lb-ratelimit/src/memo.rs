//! Refusals remembered, so that a key known to be refused costs no round trip to a store.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::key::Key;
use crate::table::{Group, Rule, Shard, groups_for};
use crate::time::{nanos, since};

/// Remembers until when a store that others share refuses a key.
///
/// Only refusals are remembered: nothing that happens elsewhere makes a refused request pass earlier, except an operator
/// or a new policy. So that these are noticed, the store is asked again every ten seconds. Where requests of a key differ
/// in cost, the cost belongs into the key, since a cheaper request may pass earlier.
///
/// Memory is fixed, as in [`KeyedLimiter`](crate::KeyedLimiter). A refusal that had to give way costs a round trip.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
/// use lb_ratelimit::{Keyer, RefusalMemo};
///
/// let now = Instant::now();
/// let memo = RefusalMemo::new(10_000, now);
/// let key = Keyer::new(42).start().bytes(b"client").finish();
/// assert_eq!(memo.retry_after(key, now), None); // ask the store
/// memo.note(key, Duration::from_secs(2), now); // it refused
/// let wait = memo.retry_after(key, now + Duration::from_secs(1)).unwrap();
/// assert!(wait >= Duration::from_secs(1) && wait <= Duration::from_millis(1_002));
/// assert_eq!(memo.retry_after(key, now + Duration::from_secs(2)), None);
/// ```
#[derive(Debug)]
pub struct RefusalMemo {
    shard: Mutex<Shard>,
    epoch: Instant,
}

impl RefusalMemo {
    /// Makes a memo for `max_keys` refused keys; instants before `epoch` count as `epoch`.
    pub fn new(max_keys: usize, epoch: Instant) -> Self {
        Self {
            shard: Mutex::new(Shard::new(groups_for(max_keys))),
            epoch,
        }
    }

    /// Remembers that the store refused `key` for `retry_after` from `asked`, the time before the round trip.
    pub fn note(&self, key: Key, retry_after: Duration, asked: Instant) {
        let now = since(self.epoch, asked);
        let state = Refusal::new(now, nanos(retry_after)).packed();
        let mut shard = self.shard.lock();
        shard.update(key.0, &Refusals, now, |_| (Some(state), ()));
    }

    /// Returns how long `key` is still refused, up to 2 ms more than that; `None` if the store has to be asked.
    pub fn retry_after(&self, key: Key, now: Instant) -> Option<Duration> {
        let now = since(self.epoch, now);
        let held = self.shard.lock().look(key.0, &Refusals, now);
        let left = Refusal::unpacked(held.state).left(now);
        // Rounded down twice, and the client must not come too early.
        (left > 0).then(|| Duration::from_millis(left + 1))
    }

    /// Forgets a key, for an operator who has reset it in the store.
    pub fn forget(&self, key: Key) {
        self.shard.lock().revise(key.0, &Refusals, 0, |_| 0);
    }

    /// Forgets all keys, for a policy that has changed.
    pub fn clear(&self) {
        self.shard.lock().clear();
    }
}

/// How long a refusal is believed, in seconds.
const BELIEVED_SECS: u64 = 10;

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// 40 bits of milliseconds until when, 34 years, and 24 bits of seconds since when.
const SINCE_BITS: u32 = 24;
const SINCE_MASK: u64 = (1 << SINCE_BITS) - 1;

struct Refusal {
    until_millis: u64,
    since_secs: u64,
}

impl Refusal {
    /// The end is rounded down, so that nothing is refused that the store would admit.
    fn new(now: u64, wait: u64) -> Self {
        Self {
            until_millis: (now.saturating_add(wait) / NANOS_PER_MILLI).min(u64::MAX >> SINCE_BITS),
            since_secs: (now / NANOS_PER_SEC) & SINCE_MASK,
        }
    }

    const fn packed(&self) -> u64 {
        self.until_millis << SINCE_BITS | self.since_secs
    }

    const fn unpacked(state: u64) -> Self {
        Self {
            until_millis: state >> SINCE_BITS,
            since_secs: state & SINCE_MASK,
        }
    }

    /// Milliseconds left, or 0 if it is over or too old to be believed. A clock set back makes it look very old.
    const fn left(&self, now: u64) -> u64 {
        let age = (now / NANOS_PER_SEC).wrapping_sub(self.since_secs) & SINCE_MASK;
        if age > BELIEVED_SECS {
            return 0;
        }
        self.until_millis.saturating_sub(now / NANOS_PER_MILLI)
    }
}

/// Nothing depends on a forgotten refusal, so there is no floor.
struct Refusals;

impl Rule for Refusals {
    fn settle(&self, _group: &mut Group, now: u64) -> u64 {
        now
    }

    fn sober(&self, _group: &mut Group, _now: u64) {}

    fn rank(&self, _group: &Group, state: u64, now: u64) -> u64 {
        Refusal::unpacked(state).left(now)
    }

    fn at_least(&self, _a: u64, _b: u64) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Keyer;
    use crate::testing::now;

    fn key(number: u64) -> Key {
        Keyer::new(1).start().number(number).finish()
    }

    fn memo() -> (RefusalMemo, Instant) {
        let now = now();
        (RefusalMemo::new(100, now), now)
    }

    #[test]
    fn never_refuses_beyond_the_time_it_was_told() {
        let (memo, start) = memo();
        for micros in [0, 1, 999, 1_000, 1_999, 7_777_777] {
            let asked = start + Duration::from_micros(micros * 3);
            let wait = Duration::from_micros(micros);
            memo.note(key(micros), wait, asked);
            assert_eq!(memo.retry_after(key(micros), asked + wait), None);
            if let Some(left) = memo.retry_after(key(micros), asked) {
                assert!(left >= wait && left <= wait + Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn asks_the_store_again_after_a_while() {
        let (memo, start) = memo();
        memo.note(key(1), Duration::from_secs(3_600), start);
        let after = |secs| memo.retry_after(key(1), start + Duration::from_secs(secs));
        assert!(after(10).is_some_and(|left| left >= Duration::from_secs(3_590)));
        assert_eq!(after(11), None);
    }

    #[test]
    fn does_not_believe_a_clock_that_was_set_back() {
        let (memo, start) = memo();
        let later = start + Duration::from_secs(7_200);
        memo.note(key(1), Duration::from_secs(5), later);
        assert_eq!(memo.retry_after(key(1), start), None);
    }

    #[test]
    fn forgets_when_told() {
        let (memo, start) = memo();
        for number in 0..3 {
            memo.note(key(number), Duration::from_secs(5), start);
        }
        memo.forget(key(0));
        assert_eq!(memo.retry_after(key(0), start), None);
        assert!(memo.retry_after(key(1), start).is_some());
        memo.clear();
        assert_eq!(memo.retry_after(key(1), start), None);
    }

    #[test]
    fn a_flood_of_refusals_stays_within_its_memory() {
        let (memo, start) = memo();
        for number in 0..10_000 {
            memo.note(key(number), Duration::from_secs(5), start);
        }
        let known = (0..10_000).filter(|&number| memo.retry_after(key(number), start).is_some());
        let known = known.count();
        assert!((100..=180).contains(&known), "{known}");
        memo.note(key(77), Duration::MAX, start);
        assert!(memo.retry_after(key(77), start).is_some());
    }
}
