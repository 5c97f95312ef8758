//! One lock's part of a response cache: its entries, the fills under way, and the bytes both hold.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Eviction, StoredResponse};
use crate::displaced::{Cause, Displaced};
use crate::lru::Lru;
use crate::rules::{CacheKey, FillId, FillParameters, Fills, Variants};
use crate::s3fifo::S3Fifo;
use crate::stats::StoreStats;
use crate::store::Store;

/// A store with either policy.
pub(super) enum Entries {
    S3Fifo(Store<CacheKey, Variants<Arc<StoredResponse>>, S3Fifo>),
    Lru(Store<CacheKey, Variants<Arc<StoredResponse>>, Lru>),
}

macro_rules! either {
    ($entries:expr, $store:ident => $result:expr) => {
        match $entries {
            Entries::S3Fifo($store) => $result,
            Entries::Lru($store) => $result,
        }
    };
}

impl Entries {
    pub(super) fn get(&mut self, key: &str) -> Option<&Variants<Arc<StoredResponse>>> {
        either!(self, store => store.get(key))
    }

    pub(super) fn peek(&self, key: &str) -> Option<&Variants<Arc<StoredResponse>>> {
        either!(self, store => store.peek(key))
    }

    pub(super) fn len(&self) -> usize {
        either!(self, store => store.len())
    }

    pub(super) fn weight(&self) -> u64 {
        either!(self, store => store.weight())
    }

    pub(super) fn stats(&self) -> StoreStats {
        either!(self, store => store.stats())
    }

    pub(super) fn keys(
        &self,
        mut wanted: impl FnMut(&CacheKey, &Variants<Arc<StoredResponse>>) -> bool,
    ) -> Vec<CacheKey> {
        let mut keys = Vec::new();
        either!(self, store => for (key, responses) in store.iter() {
            if wanted(key, responses) {
                keys.push(key.clone());
            }
        });
        keys
    }
}

/// What left a part; it is dropped after the lock.
#[derive(Default)]
pub(super) struct Left {
    entries: Vec<Displaced<CacheKey, Variants<Arc<StoredResponse>>>>,
    responses: Vec<Arc<StoredResponse>>,
}

impl Left {
    pub(super) fn extend(&mut self, responses: impl IntoIterator<Item = Arc<StoredResponse>>) {
        self.responses.extend(responses);
    }
}

pub(super) struct Part<T> {
    pub(super) entries: Entries,
    /// By the key, and a hash of what the responses known under it vary by.
    pub(super) fills: Fills<(CacheKey, u64)>,
    /// What followers of a fill get.
    pub(super) under_way: HashMap<FillId, T, RandomState>,
    capacity: u64,
    /// Bytes of bodies that are being filled: the entries have that much less room.
    pub(super) reserved: u64,
}

impl<T> Part<T> {
    pub(super) fn new(eviction: Eviction, capacity: u64, fills: FillParameters) -> Self {
        Self {
            entries: match eviction {
                Eviction::S3Fifo => Entries::S3Fifo(Store::new(capacity)),
                Eviction::Lru => Entries::Lru(Store::new(capacity)),
            },
            fills: Fills::new(fills),
            under_way: HashMap::with_hasher(RandomState::default()),
            capacity,
            reserved: 0,
        }
    }

    /// Takes bytes from the entries for a fill; `false` if the fills alone would fill the part.
    pub(super) fn reserve(&mut self, bytes: u64, left: &mut Left) -> bool {
        let Some(reserved) = self
            .reserved
            .checked_add(bytes)
            .filter(|sum| *sum <= self.capacity)
        else {
            return false;
        };
        self.set_reserved(reserved, left);
        true
    }

    pub(super) fn release(&mut self, bytes: u64, left: &mut Left) {
        self.set_reserved(self.reserved.saturating_sub(bytes), left);
    }

    fn set_reserved(&mut self, reserved: u64, left: &mut Left) {
        if reserved != self.reserved {
            self.reserved = reserved;
            self.make_room(left);
        }
    }

    /// Changes the bytes that entries and fills may hold; the fills keep what they have.
    pub(super) fn set_capacity(&mut self, capacity: u64, left: &mut Left) {
        if capacity != self.capacity {
            self.capacity = capacity;
            self.make_room(left);
        }
    }

    fn make_room(&mut self, left: &mut Left) {
        let room = self.room();
        let displaced = either!(&mut self.entries, store => store.set_capacity(room));
        left.entries.push(displaced);
    }

    /// What the entries may hold: the fills may have more than a capacity that has shrunk.
    fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.reserved)
    }

    /// Puts the responses of a key in place; `false` if they do not fit.
    pub(super) fn put(
        &mut self,
        key: &CacheKey,
        mut responses: Variants<Arc<StoredResponse>>,
        left: &mut Left,
    ) -> bool {
        let room = self.room();
        while responses.len() > 1 && weight(key, &responses) > room {
            left.responses.extend(responses.pop_oldest());
        }
        if responses.is_empty() {
            let removed = either!(&mut self.entries, store => store.remove(key.as_str()));
            if let Some((_, responses)) = removed {
                left.responses.extend(responses.iter().cloned());
            }
            return true;
        }
        let weight = weight(key, &responses);
        let displaced =
            either!(&mut self.entries, store => store.insert(key.clone(), responses, weight));
        let fits = displaced.iter().all(|one| one.cause != Cause::TooHeavy);
        left.entries.push(displaced);
        fits
    }

    /// Removes the responses that `goes` names among those whose key it accepts, and returns how many.
    pub(super) fn remove_where(
        &mut self,
        mut goes: impl FnMut(&CacheKey, &StoredResponse) -> bool,
        left: &mut Left,
    ) -> usize {
        let keys = self
            .entries
            .keys(|key, responses| responses.iter().any(|response| goes(key, response)));
        let mut removed = 0;
        for key in keys {
            removed += self.remove(&key, |response| goes(&key, response), left);
        }
        removed
    }

    /// Removes those responses of one key that `goes` names, and returns how many.
    pub(super) fn remove(
        &mut self,
        key: &CacheKey,
        mut goes: impl FnMut(&Arc<StoredResponse>) -> bool,
        left: &mut Left,
    ) -> usize {
        let Some(before) = self.entries.peek(key.as_str()) else {
            return 0;
        };
        let mut kept = before.clone();
        let count = kept.len();
        kept.retain(|response| !goes(response));
        let removed = count - kept.len();
        if removed > 0 {
            self.put(key, kept, left);
        }
        removed
    }
}

fn weight(key: &CacheKey, responses: &Variants<Arc<StoredResponse>>) -> u64 {
    let responses: u64 = responses.iter().map(|response| response.weight()).sum();
    responses.saturating_add(key.as_str().len() as u64)
}
