//! Limits by key, for many threads, in fixed memory.

use std::time::Instant;

use parking_lot::Mutex;

use crate::decision::Decision;
use crate::key::Key;
use crate::policy::{Policy, Quota, Window};
use crate::table::{Group, Held, Rule, SHARD_BITS, Shard, groups_for};
use crate::time::{SKEW_NANOS, since};
use crate::window::Turn;
use crate::{bucket, window};

/// Groups a shard has at least, where the table is large enough for several shards.
const SHARD_GROUPS: usize = 64;

/// Keeps one bucket or window per key, for any number of keys in memory that never grows.
///
/// The state of a key is one word. A key that has nothing counted any more is forgotten by being overwritten; there is
/// nothing to sweep. If more keys are in use than there is room for, the ones that have counted least are evicted, and
/// newcomers to their part of the table start with as much counted as the evicted had. So it **never admits what a
/// limiter with unlimited memory would refuse**, however many keys an attacker sends; when it is overrun it refuses
/// newcomers early instead. To overrun it takes more keys in use at a time than `max_keys`, and newcomers are refused
/// only once the flood sends more than `max_keys` times the rate of a single key.
///
/// A limiter belongs to one policy. The policy itself arrives with each check, since its numbers may change while what
/// was counted stays. If its algorithm changes, what was counted is dropped.
///
/// # Examples
/// ```
/// use std::num::NonZeroU32;
/// use std::time::{Duration, Instant};
/// use lb_ratelimit::{KeyedLimiter, Keyer, Policy, Prefixes, Quota};
///
/// let now = Instant::now();
/// let limiter = KeyedLimiter::new(100_000, now);
/// let keyer = Keyer::new(42); // from the system's randomness
/// let quota = Quota::try_new(NonZeroU32::new(2).unwrap(), Duration::from_secs(1))?;
/// let policy = Policy::from(quota);
///
/// let client = "192.0.2.1".parse()?;
/// let key = keyer.start().address(client, Prefixes::default()).finish();
/// assert_eq!(limiter.check(key, &policy, 1, now).remaining(), 1);
/// assert_eq!(limiter.check(key, &policy, 1, now).remaining(), 0);
/// let refused = limiter.check(key, &policy, 1, now);
/// assert_eq!(refused.retry_after(), Some(Duration::from_millis(500)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Complexity
/// A check takes one lock of up to 64 and reads one or two groups of 128 bytes. Memory is at most 24 bytes per key of
/// `max_keys`, above 1,000 of them, and taken at once.
#[derive(Debug)]
pub struct KeyedLimiter {
    shards: Box<[Locked]>,
    epoch: Instant,
}

/// A shard on cache lines of its own, so that locking one does not slow its neighbours down.
#[derive(Debug)]
#[repr(align(64))]
struct Locked(Mutex<Tables>);

#[derive(Debug)]
struct Tables {
    shard: Shard,
    algorithm: Algorithm,
}

/// What the states of a shard mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    TokenBucket,
    SlidingWindow,
}

impl Tables {
    /// The shard, emptied if its states belong to another algorithm.
    #[inline]
    fn of(&mut self, policy: &Policy) -> &mut Shard {
        let algorithm = match policy {
            Policy::TokenBucket(_) => Algorithm::TokenBucket,
            Policy::SlidingWindow(_) => Algorithm::SlidingWindow,
        };
        if algorithm != self.algorithm {
            self.shard.clear();
            self.algorithm = algorithm;
        }
        &mut self.shard
    }
}

impl KeyedLimiter {
    /// Makes a limiter with room for `max_keys` keys in use at a time; instants before `epoch` count as `epoch`.
    ///
    /// With `max_keys` in use about one in a million has been evicted; the hard limit is 1.6 times as many.
    ///
    /// # Panics
    /// If 24 bytes for each of `max_keys` are more than can be addressed.
    pub fn new(max_keys: usize, epoch: Instant) -> Self {
        let groups = groups_for(max_keys);
        let shards = (groups / SHARD_GROUPS).clamp(1, 1 << SHARD_BITS);
        // Shards are chosen by the upper bits of a key, so their number is a power of two.
        let shards = 1 << shards.ilog2();
        let locked = || {
            Locked(Mutex::new(Tables {
                shard: Shard::new(groups.div_ceil(shards)),
                algorithm: Algorithm::TokenBucket,
            }))
        };
        Self {
            shards: (0..shards).map(|_| locked()).collect(),
            epoch,
        }
    }

    /// Decides on a request that costs `cost`, and counts it if it is admitted.
    ///
    /// A cost of 0 is always admitted and counts nothing; one above the burst or the maximum never is.
    #[inline]
    pub fn check(&self, key: Key, policy: &Policy, cost: u32, now: Instant) -> Decision {
        let now = since(self.epoch, now);
        let mut tables = self.shard(key).lock();
        let shard = tables.of(policy);
        let keep = |held: Held, state, decision: Decision| {
            // A refused newcomer must not push anybody out.
            let kept = !held.is_newcomer || decision.is_admitted() && cost > 0;
            (kept.then_some(state), decision)
        };
        match policy {
            Policy::TokenBucket(quota) => shard.update(key.0, quota, now, |held| {
                let (state, decision) = bucket::decide(quota, held.state, cost, held.now);
                keep(held, state, decision)
            }),
            Policy::SlidingWindow(window) => shard.update(key.0, window, now, |held| {
                let (state, decision) =
                    window::decide(window, held.began, held.state, cost, held.now);
                keep(held, state, decision)
            }),
        }
    }

    /// Decides as [`check`](Self::check) would, counts nothing and reports what is there without the request.
    pub fn peek(&self, key: Key, policy: &Policy, cost: u32, now: Instant) -> Decision {
        let now = since(self.epoch, now);
        let mut tables = self.shard(key).lock();
        let shard = tables.of(policy);
        match policy {
            Policy::TokenBucket(quota) => {
                let held = shard.look(key.0, quota, now);
                bucket::preview(quota, held.state, cost, held.now)
            }
            Policy::SlidingWindow(window) => {
                let held = shard.look(key.0, window, now);
                window::preview(window, held.began, held.state, cost, held.now)
            }
        }
    }

    /// Gives back what an admitted request was counted, because it was not served after all.
    ///
    /// If the key was evicted meanwhile, nothing happens.
    pub fn refund(&self, key: Key, policy: &Policy, cost: u32, now: Instant) {
        self.rewrite(key, policy, now, |state| match policy {
            Policy::TokenBucket(quota) => bucket::refunded(quota, state, cost),
            Policy::SlidingWindow(_) => window::refunded(state, cost),
        });
    }

    /// Forgets what a key has counted, by order of an operator.
    ///
    /// A key that was evicted keeps what its part of the table remembers of it.
    pub fn reset(&self, key: Key, policy: &Policy, now: Instant) {
        self.rewrite(key, policy, now, |_| 0);
    }

    /// Changes the state of a key that has one.
    fn rewrite(&self, key: Key, policy: &Policy, now: Instant, change: impl Fn(u64) -> u64) {
        let now = since(self.epoch, now);
        let mut tables = self.shard(key).lock();
        let shard = tables.of(policy);
        match policy {
            Policy::TokenBucket(quota) => shard.revise(key.0, quota, now, change),
            Policy::SlidingWindow(window) => shard.revise(key.0, window, now, change),
        }
    }

    /// Counts the keys in use and the evictions.
    ///
    /// # Complexity
    /// Reads the whole table, shard by shard: about 1 ms for 100,000 keys. For an operator, not for a request.
    pub fn stats(&self, policy: &Policy, now: Instant) -> LimiterStats {
        let now = since(self.epoch, now);
        let mut stats = LimiterStats::default();
        for locked in &self.shards {
            let mut tables = locked.0.lock();
            let shard = tables.of(policy);
            stats.keys += match policy {
                Policy::TokenBucket(quota) => shard.in_use(quota, now),
                Policy::SlidingWindow(window) => shard.in_use(window, now),
            };
            stats.slots += shard.slots();
            stats.bytes += shard.bytes() + size_of::<Locked>();
            stats.evictions += shard.evictions();
        }
        stats
    }

    #[inline]
    fn shard(&self, key: Key) -> &Mutex<Tables> {
        let index = key.0 >> (64 - SHARD_BITS);
        // The number of shards is a power of two, so the mask keeps the index below it.
        let index = index as usize & (self.shards.len() - 1);
        &self.shards[index].0
    }
}

/// What a limiter holds, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimiterStats {
    /// Keys with something counted.
    pub keys: usize,
    /// Keys there is room for; no more are ever kept.
    pub slots: usize,
    /// Memory of the table, which never changes.
    pub bytes: usize,
    /// Keys that had to give way while they were in use, since the limiter was made.
    pub evictions: u64,
}

impl Rule for Quota {
    #[inline]
    fn settle(&self, group: &mut Group, now: u64) -> u64 {
        group.floor = bucket::believed(self, group.floor, now);
        now
    }

    fn sober(&self, group: &mut Group, now: u64) {
        for state in &mut group.states {
            *state = bucket::believed(self, *state, now);
        }
    }

    fn rank(&self, _group: &Group, state: u64, now: u64) -> u64 {
        state.saturating_sub(now)
    }

    fn at_least(&self, a: u64, b: u64) -> u64 {
        a.max(b)
    }
}

impl Rule for Window {
    #[inline]
    fn settle(&self, group: &mut Group, now: u64) -> u64 {
        let turn = Turn::at(self, group.began, now);
        if turn.is_due() {
            group.floor = turn.applied(group.floor);
            for state in &mut group.states {
                *state = turn.applied(*state);
            }
        }
        group.began = turn.began;
        // Another thread with a slightly later instant may have been here before.
        if group.began - now.min(group.began) <= SKEW_NANOS {
            now.max(group.began)
        } else {
            now
        }
    }

    fn sober(&self, _group: &mut Group, _now: u64) {}

    fn rank(&self, group: &Group, state: u64, now: u64) -> u64 {
        let (previous, current) = window::halves(state);
        let length = u128::from(self.nanos());
        let left = length - u128::from(now.saturating_sub(group.began)).min(length);
        #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits of 256ths")]
        let faded = (u128::from(previous) * left * 256 / length) as u64;
        (u64::from(current) * 256 + faded).max(u64::from(state != 0))
    }

    fn at_least(&self, a: u64, b: u64) -> u64 {
        window::at_least(a, b)
    }
}

/// One policy that a request has to pass.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// What was counted under the policy.
    pub limiter: &'a KeyedLimiter,
    /// What this request is counted by.
    pub key: Key,
    /// The numbers in force.
    pub policy: &'a Policy,
    /// What this request costs.
    pub cost: u32,
    /// Whether a refusal counts.
    pub enforcement: Enforcement,
}

/// Whether a policy refuses, or shows what it would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// What it refuses is refused.
    #[default]
    Enforce,
    /// It counts and decides, and nothing is refused for it.
    Observe,
}

/// Decides under several policies: counts a request in all of them or, if one that is enforced refuses, in none.
///
/// Pushes a decision for each check up to the first that refuses, so the last tells why if the result is false. What
/// earlier ones had counted is given back; a request of another thread may have been refused for it meanwhile.
pub fn check_all(checks: &[Check<'_>], decisions: &mut Vec<Decision>, now: Instant) -> bool {
    let begin = decisions.len();
    for check in checks {
        let decision = check
            .limiter
            .check(check.key, check.policy, check.cost, now);
        decisions.push(decision);
        if decision.is_admitted() || check.enforcement == Enforcement::Observe {
            continue;
        }
        for (earlier, decision) in checks.iter().zip(&mut decisions[begin..]) {
            if decision.is_admitted() {
                let (key, policy) = (earlier.key, earlier.policy);
                earlier.limiter.refund(key, policy, earlier.cost, now);
                *decision = earlier.limiter.peek(key, policy, earlier.cost, now);
            }
        }
        return false;
    }
    true
}

#[cfg(test)]
mod tests;
