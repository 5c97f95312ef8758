//! Who fetches and who waits: requests for the same thing share one fill.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

/// Looking for what is over costs each request that finds no room the visit of this many keys.
const SWEEP_SHARE: usize = 16;

/// How fills are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FillParameters {
    /// How long a request waits for another's fill before it is forwarded itself; 5 s by default. After as long without an
    /// end a fill is given up for lost, and the next request fetches.
    pub wait: Duration,
    /// How long requests are not made to wait after a response turned out not to be storable; 2 minutes by default, as in
    /// Varnish. A longer time keeps apart longer what could be shared again.
    pub hit_for_miss: Duration,
    /// Requests that may wait for one fill; 1,000 by default.
    pub max_followers: usize,
    /// Fills and marks that are kept at once; 65,536 by default. With more, requests are forwarded uncollapsed.
    pub max_keys: usize,
}

impl Default for FillParameters {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(5),
            hit_for_miss: Duration::from_secs(120),
            max_followers: 1_000,
            max_keys: 1 << 16,
        }
    }
}

/// What a request that found nothing to be sent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Join {
    /// It fetches, and says how that ended ([`Fills::finish`]).
    Lead(FillId),
    /// Another fetches. It waits until that ends, then looks up and joins again, all within its first `deadline`; after
    /// that it is forwarded ([`Fills::leave`]).
    Follow {
        /// The fill it waits for.
        fill: FillId,
        /// When its patience ends.
        deadline: Instant,
    },
    /// It is forwarded at once, beside others, and its response is not stored. If it could have been, the next request
    /// leads again after [`Fills::unmark`].
    Pass(Pass),
}

/// Why a request is forwarded without waiting for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// The last response could not be stored, so there would be nothing to wait for.
    HitForMiss,
    /// Too many wait already.
    TooManyFollowers,
    /// Too many keys are being filled.
    TooManyFills,
}

impl Pass {
    /// The word for logs and for `detail` in `Cache-Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HitForMiss => "hit-for-miss",
            Self::TooManyFollowers => "too-many-followers",
            Self::TooManyFills => "too-many-fills",
        }
    }
}

/// One fill; no other ever has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FillId(u64);

impl FillId {
    /// Before all others.
    const NONE: Self = Self(0);
}

/// How a fill ended, as soon as that is known: when the response head tells that it will not be stored, at its end
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FillOutcome {
    /// The response is stored: whoever waits finds it.
    Stored,
    /// The response is for its client only: whoever waits is forwarded, and for a while nobody waits.
    Uncacheable,
    /// There was no response, or not all of it: one of those who wait fetches.
    Failed,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Filling {
        fill: FillId,
        deadline: Instant,
        followers: usize,
        /// What fills up to this one bring was discarded before it came.
        discarded: FillId,
    },
    Marked {
        until: Instant,
    },
    Discarded {
        through: FillId,
        until: Instant,
    },
}

impl State {
    fn is_over(&self, now: Instant) -> bool {
        match *self {
            Self::Filling { deadline, .. } => now >= deadline,
            Self::Marked { until } | Self::Discarded { until, .. } => now >= until,
        }
    }
}

/// The fills under way, by what they fill: a key, best with the
/// [fingerprint](crate::Variants::fingerprint) of what the stored responses vary by.
///
/// It decides; waking those who wait is the caller's. A background revalidation joins like a miss: whoever leads
/// validates, all others send what is stale.
///
/// # Examples
/// ```
/// use std::time::Instant;
/// use lb_cache::{FillOutcome, FillParameters, Fills, Join};
///
/// let now = Instant::now();
/// let mut fills = Fills::new(FillParameters::default());
/// let Join::Lead(fill) = fills.join("/", now) else { panic!("the first fetches") };
/// assert!(matches!(fills.join("/", now), Join::Follow { .. }));
/// assert_eq!(fills.finish(&"/", fill, FillOutcome::Stored, now), 1); // one to wake
/// ```
///
/// # Complexity
/// O(1), and now and then O(keys) to forget what is over. Memory is bounded by
/// [`FillParameters::max_keys`].
#[derive(Debug)]
pub struct Fills<K> {
    parameters: FillParameters,
    states: HashMap<K, State, RandomState>,
    fills: u64,
    /// Requests without room before it is worth looking again for what is over.
    sweep_in: usize,
}

impl<K: Eq + Hash> Fills<K> {
    /// No fill yet.
    pub fn new(parameters: FillParameters) -> Self {
        Self {
            parameters,
            states: HashMap::with_hasher(RandomState::default()),
            fills: 0,
            sweep_in: 0,
        }
    }

    /// Decides whether a request fetches, waits or passes.
    pub fn join(&mut self, key: K, now: Instant) -> Join {
        let most = self.parameters.max_followers;
        let mut discarded = FillId::NONE;
        match self.states.get_mut(&key) {
            Some(state) if !state.is_over(now) => match state {
                State::Marked { .. } => return Join::Pass(Pass::HitForMiss),
                State::Filling { followers, .. } if *followers >= most => {
                    return Join::Pass(Pass::TooManyFollowers);
                }
                State::Filling {
                    fill, followers, ..
                } => {
                    *followers += 1;
                    return Join::Follow {
                        fill: *fill,
                        deadline: later(now, self.parameters.wait),
                    };
                }
                State::Discarded { through, .. } => discarded = *through,
            },
            Some(State::Filling {
                discarded: before, ..
            }) => discarded = *before,
            Some(State::Marked { .. } | State::Discarded { .. }) => {}
            None => {
                if !self.has_room(now) {
                    return Join::Pass(Pass::TooManyFills);
                }
            }
        }
        self.fills += 1;
        let fill = FillId(self.fills);
        let deadline = later(now, self.parameters.wait);
        let state = State::Filling {
            fill,
            deadline,
            followers: 0,
            discarded,
        };
        self.states.insert(key, state);
        Join::Lead(fill)
    }

    /// Ends a fill and returns how many waited for it.
    ///
    /// One that was given up for lost, and replaced by another, ends nothing.
    pub fn finish(&mut self, key: &K, fill: FillId, outcome: FillOutcome, now: Instant) -> usize
    where
        K: Clone,
    {
        let Some(&State::Filling {
            fill: current,
            followers,
            discarded,
            ..
        }) = self.states.get(key)
        else {
            return 0;
        };
        if current != fill {
            return 0;
        }
        let until = later(now, self.parameters.hit_for_miss);
        let next = if discarded > FillId::NONE {
            // Those that were discarded may still be under way.
            Some(State::Discarded {
                through: discarded,
                until,
            })
        } else if outcome == FillOutcome::Uncacheable && followers > 0 {
            Some(State::Marked { until })
        } else {
            // Where nobody waited there is nobody to keep from waiting.
            None
        };
        match next {
            Some(state) => {
                self.states.insert(key.clone(), state);
            }
            None => {
                self.states.remove(key);
            }
        }
        followers
    }

    /// Forgets the fill and the mark of a key that is purged or invalidated, and returns how many waited.
    ///
    /// What a fill brings that began before is not stored ([`Fills::may_store`]): it would bring back what was purged.
    pub fn discard(&mut self, key: &K, now: Instant) -> usize {
        let Some(state) = self.states.get_mut(key) else {
            return 0;
        };
        let waiting = match state {
            State::Filling { followers, .. } => *followers,
            State::Discarded { .. } => 0,
            State::Marked { .. } => {
                self.states.remove(key);
                return 0;
            }
        };
        *state = State::Discarded {
            through: FillId(self.fills),
            until: later(now, self.parameters.hit_for_miss),
        };
        waiting
    }

    /// [`Fills::discard`] for all keys that `matches` accepts: those of a prefix or a tag, or the variants of one key.
    ///
    /// # Complexity
    /// O(keys).
    pub fn discard_where(&mut self, mut matches: impl FnMut(&K) -> bool, now: Instant) -> usize
    where
        K: Clone,
    {
        let keys = self.states.keys().filter(|key| matches(key));
        let keys: Vec<K> = keys.cloned().collect();
        keys.iter().map(|key| self.discard(key, now)).sum()
    }

    /// Whether what a fill brings may be stored: nothing was discarded under its key since it began.
    ///
    /// One that was given up for lost, and whose successor has ended, is not known any more and may be stored.
    pub fn may_store(&self, key: &K, fill: FillId) -> bool {
        match self.states.get(key) {
            Some(State::Filling { discarded, .. }) => fill > *discarded,
            Some(State::Discarded { through, .. }) => fill > *through,
            Some(State::Marked { .. }) | None => true,
        }
    }

    /// Tells that a fill goes on, so that it is not given up for lost: its head arrived, or more of its body.
    pub fn progress(&mut self, key: &K, fill: FillId, now: Instant) {
        if let Some(State::Filling {
            fill: current,
            deadline,
            ..
        }) = self.states.get_mut(key)
            && *current == fill
        {
            *deadline = later(now, self.parameters.wait);
        }
    }

    /// Counts out a request that no longer waits.
    pub fn leave(&mut self, key: &K, fill: FillId) {
        if let Some(State::Filling {
            fill: current,
            followers,
            ..
        }) = self.states.get_mut(key)
            && *current == fill
        {
            *followers = followers.saturating_sub(1);
        }
    }

    /// Forgets that responses under a key could not be stored, because one could.
    pub fn unmark(&mut self, key: &K) {
        if matches!(self.states.get(key), Some(State::Marked { .. })) {
            self.states.remove(key);
        }
    }

    /// How many fills and marks are kept, some of them over.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Makes sure that one more key has room, forgetting what is over if need be.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.states.len() < self.parameters.max_keys {
            return true;
        }
        // All keys may be alive: the next look has to be worth its cost.
        if self.sweep_in > 0 {
            self.sweep_in -= 1;
            return false;
        }
        self.states.retain(|_, state| !state.is_over(now));
        self.sweep_in = self.parameters.max_keys / SWEEP_SHARE;
        self.states.len() < self.parameters.max_keys
    }
}

fn later(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or(now)
}

#[cfg(test)]
mod tests;
