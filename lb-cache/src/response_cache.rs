//! Stored responses and the fills under way, joined: what a proxy asks and tells about each request.

mod change;
mod part;
mod stored;

use std::fmt;
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use http::HeaderMap;
use parking_lot::Mutex;

use self::part::{Left, Part};
pub use self::stored::{StoredBody, StoredResponse};
use crate::rules::{
    CacheKey, CacheRequest, CacheRules, FillId, FillOutcome, FillParameters, Found, Join, Lookup,
    Miss, Pass, Validation,
};
use crate::stats::StoreStats;

/// Shards at most; fewer where each would have room for less than [`OBJECTS_PER_SHARD`] of the largest bodies.
const MAX_SHARDS: u64 = 16;
const OBJECTS_PER_SHARD: u64 = 8;

/// Which entries leave for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Eviction {
    /// [`S3Fifo`](crate::S3Fifo): scans do not push out what is popular.
    #[default]
    S3Fifo,
    /// [`Lru`](crate::Lru): the exact order of last use.
    Lru,
}

/// What a response cache is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseCacheParameters {
    /// Bytes that entries and fills may hold together.
    pub capacity: u64,
    /// The largest body that will be stored, in bytes; the number of shards follows from it.
    pub max_object_bytes: u64,
    /// Which entries leave for others.
    pub eviction: Eviction,
    /// How fills are shared; `max_keys` is for all shards together.
    pub fills: FillParameters,
}

impl ResponseCacheParameters {
    /// This capacity, objects of at most 4 MiB, S3-FIFO.
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            max_object_bytes: CacheRules::default().max_object_bytes,
            eviction: Eviction::default(),
            fills: FillParameters::default(),
        }
    }

    /// How many shards a cache with these parameters has.
    fn shards(&self) -> u64 {
        let largest = self.max_object_bytes.max(1);
        let fitting = self.capacity / largest.saturating_mul(OBJECTS_PER_SHARD);
        match fitting.clamp(1, MAX_SHARDS) {
            power if power.is_power_of_two() => power,
            other => other.next_power_of_two() / 2,
        }
    }
}

/// The part of a capacity that one of so many shards has.
fn share(capacity: u64, index: u64, count: u64) -> u64 {
    capacity / count + u64::from(index < capacity % count)
}

/// Stored responses, bounded in bytes, and the fills under way, for many threads.
///
/// `T` is what those who follow a fill get of it: a handle to its body, a channel. Bodies that are being filled count
/// against the capacity ([`ResponseCache::reserve`]), so entries and fills together never exceed it. Nothing is dropped
/// under a lock.
///
/// # Examples
/// ```
/// use std::time::{Instant, SystemTime};
/// use http::{HeaderMap, HeaderValue, Method, StatusCode};
/// use lb_cache::{
///     CacheKey, CacheRequest, CacheRules, Joined, Looked, Received, RequestHead, ResponseCache,
///     ResponseCacheParameters, ResponseHead, ResponsePolicy, StoredBody, StoredResponse,
/// };
///
/// let (rules, now) = (CacheRules::default(), Instant::now());
/// let cache: ResponseCache<()> = ResponseCache::new(&ResponseCacheParameters::new(1 << 20));
/// let key = CacheKey::from("https://example.com/");
/// let fields = HeaderMap::new();
/// let head = RequestHead { method: &Method::GET, headers: &fields, has_body: false };
/// let request = CacheRequest::of(&head, &rules).expect("a GET");
/// assert!(matches!(cache.lookup(key.as_str(), &request, &rules, now), Looked::Miss(_)));
/// let Joined::Lead(fill, ()) = cache.join(&key, &request, &rules, None, |_| (), now) else {
///     panic!("nobody else fetches")
/// };
/// // Here the backend is asked, and answers:
/// let mut received = HeaderMap::new();
/// received.insert("cache-control", HeaderValue::from_static("max-age=60"));
/// let response = ResponseHead { status: StatusCode::OK, headers: &received };
/// let times = Received { requested: now, received: now, wall: SystemTime::now() };
/// let policy = ResponsePolicy::of(&head, &response, &times, &rules).policy().expect("is fresh");
/// let stored = StoredResponse::new(policy, received, StoredBody::default(), []);
/// assert!(cache.store(fill, stored.into(), 0, rules.max_variants, now).is_some());
/// assert!(matches!(cache.lookup(key.as_str(), &request, &rules, now), Looked::Hit(_)));
/// ```
///
/// # Complexity
/// One lock for what concerns one key. Purging by prefix or tag visits every entry, shard by shard.
pub struct ResponseCache<T> {
    /// A power of two of them.
    shards: Box<[Shard<T>]>,
    hasher: RandomState,
}

/// Alone on its cache line, so that one lock does not slow its neighbour.
#[repr(align(64))]
struct Shard<T>(Mutex<Part<T>>);

/// A stored response that answers a request.
#[derive(Debug, Clone)]
pub struct Served {
    /// What is stored.
    pub entry: Arc<StoredResponse>,
    /// The value of `Age`.
    pub age: Duration,
    /// Seconds it stays fresh, negative once it is stale.
    pub ttl_seconds: i64,
}

impl Served {
    fn of(found: &Found<'_, Arc<StoredResponse>>) -> Self {
        Self {
            entry: Arc::clone(found.entry),
            age: found.age,
            ttl_seconds: found.ttl_seconds,
        }
    }
}

/// [`Lookup`] with the entry taken out of its lock.
#[derive(Debug, Clone)]
#[must_use]
pub enum Looked {
    /// It is sent as it is.
    Hit(Served),
    /// It is sent, and validated in the background, once.
    Stale(Served),
    /// It has to be validated before it is sent.
    Revalidate(Served, Validation),
    /// Nothing stored answers the request.
    Miss(Miss),
    /// The client wants a stored response or none.
    Unsatisfiable,
}

impl From<Lookup<'_, Arc<StoredResponse>>> for Looked {
    fn from(lookup: Lookup<'_, Arc<StoredResponse>>) -> Self {
        match lookup {
            Lookup::Hit(found) => Self::Hit(Served::of(&found)),
            Lookup::Stale(found) => Self::Stale(Served::of(&found)),
            Lookup::Revalidate(found, why) => Self::Revalidate(Served::of(&found), why),
            Lookup::Miss(miss) => Self::Miss(miss),
            Lookup::Unsatisfiable => Self::Unsatisfiable,
        }
    }
}

/// A request's part in a fill: of who leads it, or of one who follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillTicket {
    key: CacheKey,
    fingerprint: u64,
    id: FillId,
}

impl FillTicket {
    /// The key that is filled.
    pub const fn key(&self) -> &CacheKey {
        &self.key
    }
}

/// [`Join`] with what belongs to the fill.
#[derive(Debug)]
#[must_use]
pub enum Joined<T> {
    /// Somebody was faster: it is stored by now.
    Hit(Served),
    /// It fetches, and ends with [`ResponseCache::store`] or [`ResponseCache::finish`]; beside the ticket is what it made.
    Lead(FillTicket, T),
    /// Another fetches.
    Follow {
        /// What the leader left for its followers.
        fill: T,
        /// To be given back by [`ResponseCache::leave`] if it leaves before the end.
        ticket: FillTicket,
        /// When its patience ends.
        deadline: Instant,
    },
    /// It is forwarded for itself.
    Pass(Pass),
}

impl<T> ResponseCache<T> {
    /// Makes an empty cache; nothing is allocated for entries yet.
    pub fn new(parameters: &ResponseCacheParameters) -> Self {
        let count = parameters.shards();
        let mut fills = parameters.fills;
        #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
        let divisor = count as usize;
        fills.max_keys = (fills.max_keys / divisor).max(1);
        let part = |index| {
            let share = share(parameters.capacity, index, count);
            Shard(Mutex::new(Part::new(parameters.eviction, share, fills)))
        };
        Self {
            shards: (0..count).map(part).collect(),
            hasher: RandomState::default(),
        }
    }

    /// Decides what is stored under a key is good for; counts as a use.
    #[inline]
    pub fn lookup(
        &self,
        key: &str,
        request: &CacheRequest<'_>,
        rules: &CacheRules,
        now: Instant,
    ) -> Looked {
        let mut part = self.part(key).lock();
        request.lookup(part.entries.get(key), rules, now).into()
    }

    /// As [`ResponseCache::lookup`], but is no use: for whoever only wants to know.
    pub fn look(
        &self,
        key: &str,
        request: &CacheRequest<'_>,
        rules: &CacheRules,
        now: Instant,
    ) -> Looked {
        let part = self.part(key).lock();
        request.lookup(part.entries.peek(key), rules, now).into()
    }

    /// Decides whether a request that found nothing to be sent fetches, waits or passes.
    ///
    /// Requests share a fill if they agree in what the stored responses vary by, or in `fingerprint`, if a response that
    /// is not stored yet told more. `make` is called for who leads, and what it makes is for those who follow.
    pub fn join(
        &self,
        key: &CacheKey,
        request: &CacheRequest<'_>,
        rules: &CacheRules,
        fingerprint: Option<u64>,
        make: impl FnOnce(&FillTicket) -> T,
        now: Instant,
    ) -> Joined<T>
    where
        T: Clone,
    {
        let mut part = self.part(key.as_str()).lock();
        let stored = part.entries.peek(key.as_str());
        if let Lookup::Hit(found) = request.lookup(stored, rules, now) {
            return Joined::Hit(Served::of(&found));
        }
        let headers = request.head().headers;
        let fingerprint = fingerprint
            .unwrap_or_else(|| stored.map_or(0, |responses| responses.fingerprint(headers)));
        let ticket = |id| FillTicket {
            key: key.clone(),
            fingerprint,
            id,
        };
        match part.fills.join((key.clone(), fingerprint), now) {
            Join::Lead(id) => {
                let ticket = ticket(id);
                let fill = make(&ticket);
                part.under_way.insert(id, fill.clone());
                Joined::Lead(ticket, fill)
            }
            Join::Follow { fill: id, deadline } => match part.under_way.get(&id) {
                Some(fill) => Joined::Follow {
                    fill: fill.clone(),
                    ticket: ticket(id),
                    deadline,
                },
                None => {
                    part.fills.leave(&(key.clone(), fingerprint), id);
                    Joined::Pass(Pass::TooManyFills)
                }
            },
            Join::Pass(pass) => Joined::Pass(pass),
        }
    }

    /// The response that a request selects, whatever its age: for those who waited until it was stored.
    pub fn select(&self, key: &str, headers: &HeaderMap, now: Instant) -> Option<Served> {
        use crate::rules::Entry as _;
        let part = self.part(key).lock();
        let entry = Arc::clone(part.entries.peek(key)?.select(headers)?);
        let freshness = *entry.policy().freshness();
        Some(Served {
            entry,
            age: freshness.age(now),
            ttl_seconds: freshness.ttl_seconds(now),
        })
    }

    /// Stores what a fill brought, gives back its `reserved` bytes and ends it; the number of those who wait, or `None`
    /// if it was not stored: what it brings was purged meanwhile, or does not fit.
    pub fn store(
        &self,
        fill: FillTicket,
        response: Arc<StoredResponse>,
        reserved: u64,
        max_variants: NonZeroUsize,
        now: Instant,
    ) -> Option<usize> {
        let mut left = Left::default();
        let mut part = self.part(fill.key.as_str()).lock();
        part.release(reserved, &mut left);
        let key = (fill.key, fill.fingerprint);
        let may = part.fills.may_store(&key, fill.id);
        let mut is_stored = false;
        if may {
            let stored = part.entries.peek(key.0.as_str());
            let mut responses = stored.cloned().unwrap_or_default();
            left.extend(responses.insert(response, max_variants));
            is_stored = part.put(&key.0, responses, &mut left);
        }
        let outcome = if is_stored {
            FillOutcome::Stored
        } else {
            FillOutcome::Failed
        };
        let waiting = part.fills.finish(&key, fill.id, outcome, now);
        let fill = part.under_way.remove(&fill.id);
        drop(part);
        drop((left, fill));
        is_stored.then_some(waiting)
    }

    /// Ends a fill that stores nothing, gives back its `reserved` bytes, and returns how many wait.
    pub fn finish(
        &self,
        fill: &FillTicket,
        reserved: u64,
        outcome: FillOutcome,
        now: Instant,
    ) -> usize {
        let mut left = Left::default();
        let mut part = self.part(fill.key.as_str()).lock();
        part.release(reserved, &mut left);
        let key = (fill.key.clone(), fill.fingerprint);
        let waiting = part.fills.finish(&key, fill.id, outcome, now);
        let fill = part.under_way.remove(&fill.id);
        drop(part);
        drop((left, fill));
        waiting
    }

    /// Makes room for bytes of a body that is being filled; `false` if there are too many such bytes already.
    #[must_use]
    pub fn reserve(&self, fill: &FillTicket, bytes: u64) -> bool {
        let mut left = Left::default();
        let mut part = self.part(fill.key.as_str()).lock();
        let has_room = part.reserve(bytes, &mut left);
        drop(part);
        has_room
    }

    /// Gives back bytes of a body that is not kept.
    pub fn release(&self, fill: &FillTicket, bytes: u64) {
        let mut left = Left::default();
        let mut part = self.part(fill.key.as_str()).lock();
        part.release(bytes, &mut left);
        drop(part);
    }

    /// Tells that a fill goes on, so that it is not given up for lost.
    pub fn progress(&self, fill: &FillTicket, now: Instant) {
        let key = (fill.key.clone(), fill.fingerprint);
        let mut part = self.part(fill.key.as_str()).lock();
        part.fills.progress(&key, fill.id, now);
    }

    /// Counts out a request that no longer waits for a fill.
    pub fn leave(&self, fill: &FillTicket) {
        let key = (fill.key.clone(), fill.fingerprint);
        let mut part = self.part(fill.key.as_str()).lock();
        part.fills.leave(&key, fill.id);
    }

    /// Forgets that responses under a key could not be stored, because one could.
    pub fn unmark(&self, key: &CacheKey, request: &CacheRequest<'_>) {
        let mut part = self.part(key.as_str()).lock();
        let stored = part.entries.peek(key.as_str());
        let headers = request.head().headers;
        let fingerprint = stored.map_or(0, |responses| responses.fingerprint(headers));
        part.fills.unmark(&(key.clone(), fingerprint));
    }

    /// Puts a newer response in the place of one that is still stored, or nothing; `false` if it is no longer.
    pub fn replace(
        &self,
        key: &CacheKey,
        old: &Arc<StoredResponse>,
        new: Option<Arc<StoredResponse>>,
        max_variants: NonZeroUsize,
    ) -> bool {
        let mut left = Left::default();
        let mut part = self.part(key.as_str()).lock();
        let Some(mut responses) = part.entries.peek(key.as_str()).cloned() else {
            return false;
        };
        let before = responses.len();
        responses.retain(|one| !Arc::ptr_eq(one, old));
        let was_stored = responses.len() < before;
        if was_stored {
            if let Some(new) = new {
                left.extend(responses.insert(new, max_variants));
            }
            part.put(key, responses, &mut left);
        }
        drop(part);
        drop(left);
        was_stored
    }

    /// Removes what is stored under a key, and keeps fills under way from bringing it back. Returns how many responses
    /// were removed.
    pub fn purge(&self, key: &CacheKey, now: Instant) -> usize {
        let mut left = Left::default();
        let mut part = self.part(key.as_str()).lock();
        let removed = part.remove(key, |_| true, &mut left);
        part.fills.discard_where(|(filled, _)| filled == key, now);
        drop(part);
        drop(left);
        removed
    }

    /// Removes everything whose key begins with `prefix`.
    pub fn purge_prefix(&self, prefix: &str, now: Instant) -> usize {
        let begins = |key: &CacheKey| key.as_str().starts_with(prefix);
        self.purge_where(|key, _| begins(key), begins, now)
    }

    /// Removes everything that has a tag. What is being filled is not stored, whatever it is: its tags are not known.
    pub fn purge_tag(&self, tag: &str, now: Instant) -> usize {
        self.purge_where(|_, response| response.has_tag(tag), |_| true, now)
    }

    /// Removes the responses that `goes` names, and keeps fills under way from storing under keys that `discards` names:
    /// several purges in one pass.
    pub fn purge_where(
        &self,
        mut goes: impl FnMut(&CacheKey, &StoredResponse) -> bool,
        mut discards: impl FnMut(&CacheKey) -> bool,
        now: Instant,
    ) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut left = Left::default();
            let mut part = shard.0.lock();
            removed += part.remove_where(&mut goes, &mut left);
            part.fills.discard_where(|(key, _)| discards(key), now);
            drop(part);
            drop(left);
        }
        removed
    }

    /// Number of keys under which something is stored.
    pub fn len(&self) -> usize {
        self.sum(|part| part.entries.len())
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that entries and fills hold, never more than the capacity.
    pub fn weight(&self) -> u64 {
        self.sum(|part| part.entries.weight() + part.reserved)
    }

    /// What was counted since the cache was made.
    pub fn stats(&self) -> StoreStats {
        let mut sum = StoreStats::default();
        for shard in &self.shards {
            sum += shard.0.lock().entries.stats();
        }
        sum
    }

    fn sum<N: std::iter::Sum>(&self, of: impl Fn(&Part<T>) -> N) -> N {
        self.shards.iter().map(|shard| of(&shard.0.lock())).sum()
    }

    #[inline]
    fn part(&self, key: &str) -> &Mutex<Part<T>> {
        // The stores use hashes of their own, so keys of one shard are spread in it.
        let index = self.hasher.hash_one(key) & (self.shards.len() as u64 - 1);
        #[expect(clippy::cast_possible_truncation, reason = "less than 16")]
        &self.shards[index as usize].0
    }
}

impl<T> fmt::Debug for ResponseCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache")
            .field("shards", &self.shards.len())
            .field("len", &self.len())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
