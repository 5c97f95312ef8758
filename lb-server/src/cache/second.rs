//! The second level of a cache, in the store that instances share: read at a miss, written after a fetch.
//!
//! Purges go through a log in the store ([`purges`]), which every instance reads a few times a second, and again with
//! every lookup: so what was purged never comes back from the store, and leaves the memory of each instance soon.

mod keeper;
mod purges;
mod record;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderName;
use lb_cache::{
    CacheKey, CacheRequest, Entry as _, Looked, ResponseCache, StoredResponse, Variants, Vary,
};
use lb_ratelimit::Keyer;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fill::Fill;
use super::{HttpCache, count};
use crate::clock;
use crate::config::{CacheConfig, Config, StoreKind};
use crate::redis::{Command, Script, Store, StoreError, Value};

pub(crate) use keeper::keep;
pub(super) use purges::Target;
use purges::{Due, News, Purges};
use record::{Record, Stamp};

static READ: Script = Script::new(include_str!("second/read.lua"));
static NEWS: Script = Script::new(include_str!("second/news.lua"));
static PURGE: Script = Script::new(include_str!("second/purge.lua"));

/// How names are hashed; every instance and every version has to make the same of a key.
const STORE_SEED: u128 = 0x6c62_2d63_6163_6865_2d72_6563_6f72_6473;
/// Purges that are read at once.
const NEWS_MAX: usize = 1_000;
/// Purges of prefixes that are carried out one by one; with more, everything leaves, which is less work.
const PREFIXES_MAX: usize = 64;
/// Values on their way to the store: so many, and so many bytes unless it is a single one. What comes meanwhile is not
/// written.
const WRITES_MAX: u64 = 64;
const WRITE_BYTES_MAX: u64 = 4 << 20;
/// No value is kept longer, however long it is fresh.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The second level of one cache.
pub(super) struct SecondLevel {
    /// What the names of its values begin with.
    prefix: String,
    /// The name of its log of purges.
    log: String,
    keyer: Keyer,
    /// The fields by which all responses are told apart, in order: their values are in every name.
    vary_by: Vec<HeaderName>,
    /// How long a lookup may take, all of it.
    timeout: Duration,
    purges: Mutex<Purges>,
    /// There is a purge to announce.
    has_news: Notify,
    writing: AtomicU64,
    writing_bytes: AtomicU64,
    pub(super) counters: Counters,
}

/// What happened at the second level.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) skipped: AtomicU64,
}

/// What a fetch needs to write what it brings.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    store: Arc<dyn Store>,
    /// How far the log of purges was read before the backend was asked.
    position: u64,
}

impl SecondLevel {
    /// The second level of a cache, where the configuration gives it one. The one before goes on where nothing about
    /// it has changed: it knows purges that nobody has heard of yet.
    pub(super) fn build(
        name: &str,
        cache: &CacheConfig,
        config: &Config,
        vary_by: &[HeaderName],
        before: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let redis = config
            .redis
            .as_ref()
            .filter(|_| cache.store == StoreKind::Redis)?;
        let mut vary_by = vary_by.to_vec();
        vary_by.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let prefix = format!("{}cache:{name}:", redis.prefix);
        let log = format!("{}purges:{name}", redis.prefix);
        let is_same = |before: &&Arc<Self>| {
            (&before.prefix, &before.log, &before.vary_by, before.timeout)
                == (&prefix, &log, &vary_by, redis.timeout)
        };
        if let Some(before) = before.filter(is_same) {
            return Some(Arc::clone(before));
        }
        Some(Arc::new(Self {
            prefix,
            log,
            keyer: Keyer::new(STORE_SEED),
            vary_by,
            timeout: redis.timeout,
            purges: Mutex::default(),
            has_news: Notify::new(),
            writing: AtomicU64::new(0),
            writing_bytes: AtomicU64::new(0),
            counters: Counters::default(),
        }))
    }

    /// Looks for a response that answers a request, within the timeout.
    pub(super) async fn lookup(
        &self,
        cache: &HttpCache,
        key: &CacheKey,
        request: &CacheRequest<'_>,
        store: &Arc<dyn Store>,
    ) -> Looked {
        let looking = self.look(cache, key.as_str(), request, store);
        let found = match tokio::time::timeout(self.timeout, looking).await {
            Ok(found) => found,
            Err(_elapsed) => Err(StoreError::Timeout),
        };
        let counters = &self.counters;
        match found {
            Ok(Some(response)) => {
                let mut variants = Variants::default();
                let _none_before = variants.insert(Arc::new(response), cache.rules.max_variants);
                let looked =
                    Looked::from(request.lookup(Some(&variants), &cache.rules, clock::now()));
                let is_hit = matches!(looked, Looked::Hit(_) | Looked::Stale(_));
                count(if is_hit {
                    &counters.hits
                } else {
                    &counters.misses
                });
                looked
            }
            Ok(None) => {
                count(&counters.misses);
                Looked::Miss(lb_cache::Miss::Uri)
            }
            Err(_reported_by_the_link) => {
                count(&counters.errors);
                Looked::Miss(lb_cache::Miss::Uri)
            }
        }
    }

    async fn look(
        &self,
        cache: &HttpCache,
        key: &str,
        request: &CacheRequest<'_>,
        store: &Arc<dyn Store>,
    ) -> Result<Option<StoredResponse>, StoreError> {
        let headers = request.head().headers;
        let mut selection = Vec::new();
        Vary::write_selection(&mut selection, &self.vary_by, headers);
        let name = self.name(key, &selection, None);
        // With the purges of this moment, so that what one of them names is not used.
        let (value, news) = futures_util::join!(
            self.read(key, &name, store),
            self.read_news(cache.responses(), &**store)
        );
        let is_up_to_date = news?;
        let (record, name) = match value? {
            Some(Record::Index(names)) => {
                let mut variant = Vec::new();
                Vary::write_selection(&mut variant, &names, headers);
                let name = self.name(key, &selection, Some(&variant));
                (self.read(key, &name, store).await?, name)
            }
            other => (other, name),
        };
        let Some(Record::Response(response, stamp)) = record else {
            return Ok(None);
        };
        let purged = || {
            let purges = self.purges.lock();
            purges.rules_out(stamp.position, key, || response.tags())
        };
        if !is_up_to_date {
            return Ok(None);
        }
        if purged() {
            self.delete(name, store);
            return Ok(None);
        }
        let fits = response.body().length() <= cache.rules.max_object_bytes;
        let is_selected = response.policy().vary().matches(headers);
        Ok((fits && is_selected).then_some(*response))
    }

    /// Reads a value; one that cannot be read is removed and counted.
    async fn read(
        &self,
        key: &str,
        name: &str,
        store: &Arc<dyn Store>,
    ) -> Result<Option<Record>, StoreError> {
        let answer = store.run(Command::script(&READ).key(name)).await?;
        let (value, left) = match answer {
            Value::Nil => return Ok(None),
            Value::List(parts) => match <[Value; 2]>::try_from(parts) {
                Ok([Value::Bytes(value), Value::Integer(left)]) => (value, left),
                _ => return Err(StoreError::Refused("it answered no record".into())),
            },
            other => return Err(StoreError::unexpected(&other)),
        };
        let read = u64::try_from(left).ok().and_then(|left| {
            let left = Duration::from_millis(left);
            record::read(key, &value, left, clock::now(), clock::wall())
        });
        if read.is_none() {
            tracing::debug!(name, "a stored response cannot be read");
            count(&self.counters.errors);
            self.delete(name.to_owned(), store);
        }
        Ok(read)
    }

    /// Reads the log of purges and carries them out here; whether that was all of it.
    async fn read_news(
        &self,
        responses: &ResponseCache<Arc<Fill>>,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let asked = self.purges.lock().position().unwrap_or(0);
        let command = Command::script(&NEWS)
            .key(self.log.as_str())
            .number(asked)
            .number(NEWS_MAX as u64);
        let answer = store.run(command).await?;
        let news = news(asked, &answer).ok_or_else(|| StoreError::unexpected(&answer))?;
        let is_cut = news.is_cut;
        let (due, is_read) = {
            let mut purges = self.purges.lock();
            let due = purges.read(news, clock::now());
            (due, purges.position().is_some())
        };
        carry_out(&due, responses, clock::now());
        Ok(is_read && !is_cut)
    }

    /// Makes what a fetch needs that begins now; nothing while the log is unknown.
    pub(super) fn outgoing(&self, store: Option<Arc<dyn Store>>) -> Option<Outgoing> {
        let position = self.purges.lock().position()?;
        store.map(|store| Outgoing { store, position })
    }

    /// Writes a response in the background, unless too much is on its way.
    pub(super) fn write(
        self: &Arc<Self>,
        cache: &HttpCache,
        key: &CacheKey,
        response: &Arc<StoredResponse>,
        outgoing: Outgoing,
    ) {
        let lives = response.policy().useful_for(&cache.rules, clock::now());
        let lives = lives.min(LONGEST_LIFE);
        if lives < Duration::from_millis(1) {
            return;
        }
        let Some(room) = Room::take(self, response.weight()) else {
            count(&self.counters.skipped);
            return;
        };
        let (key, response) = (key.clone(), Arc::clone(response));
        tokio::spawn(async move {
            let this = &room.level;
            let counters = &this.counters;
            match this.send(key.as_str(), &response, lives, outgoing).await {
                Ok(()) => count(&counters.writes),
                Err(_reported_by_the_link) => count(&counters.errors),
            }
        });
    }

    async fn send(
        &self,
        key: &str,
        response: &StoredResponse,
        lives: Duration,
        Outgoing { store, position }: Outgoing,
    ) -> Result<(), StoreError> {
        let stamp = Stamp {
            position,
            written: clock::wall(),
            lives,
        };
        let unfit = || StoreError::Refused("a response has too many fields for a record".into());
        let value = record::of_response(key, response, &stamp, clock::now()).ok_or_else(unfit)?;
        let set = |name: String, value: Vec<u8>| {
            Command::new("SET")
                .word(name)
                .word(value)
                .word("PX")
                .number(u64::try_from(lives.as_millis()).unwrap_or(u64::MAX))
        };
        let vary = response.policy().vary();
        let is_common = |name: &HeaderName| self.vary_by.contains(name);
        let mut selection = Vec::new();
        vary.write_own_selection(&mut selection, is_common);
        let name = self.name(key, &selection, None);
        if vary.names().all(is_common) {
            store.run(set(name, value)).await?;
            return Ok(());
        }
        let index = record::of_index(key, vary.names(), &stamp).ok_or_else(unfit)?;
        let mut variant = Vec::new();
        vary.write_own_selection(&mut variant, |_| true);
        let variant = self.name(key, &selection, Some(&variant));
        store.run(set(variant, value)).await?;
        store.run(set(name, index)).await?;
        Ok(())
    }

    /// Removes the record that a response was written to, in the background.
    pub(super) fn remove(&self, key: &CacheKey, response: &StoredResponse, store: &Arc<dyn Store>) {
        let vary = response.policy().vary();
        let is_common = |name: &HeaderName| self.vary_by.contains(name);
        let (mut selection, mut variant) = (Vec::new(), Vec::new());
        vary.write_own_selection(&mut selection, is_common);
        vary.write_own_selection(&mut variant, |_| true);
        let variant = (!vary.names().all(is_common)).then_some(variant);
        self.delete(
            self.name(key.as_str(), &selection, variant.as_deref()),
            store,
        );
    }

    fn delete(&self, name: String, store: &Arc<dyn Store>) {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            // What is left there is ruled out as before, and ends by itself.
            let _is_deleted = store.run(Command::new("UNLINK").word(name)).await;
        });
    }

    /// Keeps a purge that this instance has carried out until all others know of it.
    pub(super) fn announce(&self, target: Target) {
        self.purges.lock().add(target);
        self.has_news.notify_one();
    }

    fn name(&self, key: &str, selection: &[u8], variant: Option<&[u8]>) -> String {
        let hasher = self.keyer.start_shared();
        let hasher = hasher.bytes(key.as_bytes()).bytes(selection);
        let hash = match variant {
            Some(variant) => hasher.bytes(variant),
            None => hasher,
        };
        format!("{}{:032x}", self.prefix, hash.finish())
    }
}

/// A value on its way.
struct Room {
    level: Arc<SecondLevel>,
    bytes: u64,
}

impl Room {
    fn take(level: &Arc<SecondLevel>, bytes: u64) -> Option<Self> {
        let values = level.writing.fetch_add(1, Ordering::Relaxed);
        let before = level.writing_bytes.fetch_add(bytes, Ordering::Relaxed);
        let room = Self {
            level: Arc::clone(level),
            bytes,
        };
        let fits = before == 0 || before.saturating_add(bytes) <= WRITE_BYTES_MAX;
        (fits && values < WRITES_MAX).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.level.writing.fetch_sub(1, Ordering::Relaxed);
        self.level
            .writing_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Removes from the memory of this instance what others have purged.
fn carry_out(due: &Due, responses: &ResponseCache<Arc<Fill>>, now: Instant) {
    let targets = match due {
        Due::These(targets) => targets,
        Due::Everything => {
            if responses.purge_prefix("", now) > 0 {
                tracing::warn!(
                    "purges of others may have been missed: a shared cache is emptied here"
                );
            }
            return;
        }
    };
    let (mut tags, mut prefixes) = (Vec::new(), Vec::new());
    for target in targets {
        match target {
            Target::Key(key) => {
                responses.purge(&CacheKey::from(&**key), now);
            }
            Target::Prefix(prefix) => prefixes.push(&**prefix),
            Target::Tag(tag) => tags.push(&**tag),
            Target::All => prefixes.push(""),
        }
    }
    if prefixes.len() > PREFIXES_MAX {
        prefixes = vec![""];
    }
    if tags.is_empty() && prefixes.is_empty() {
        return;
    }
    tags.sort_unstable();
    let begins = |key: &CacheKey| prefixes.iter().any(|one| key.as_str().starts_with(one));
    let is_tagged = |response: &StoredResponse| {
        let mut its = response.tags();
        its.any(|tag| tags.binary_search(&tag).is_ok())
    };
    // The tags of what is being fetched are not known.
    let discards = |key: &CacheKey| !tags.is_empty() || begins(key);
    responses.purge_where(
        |key, response| begins(key) || is_tagged(response),
        discards,
        now,
    );
}

/// A number as scripts answer it: as text, because integers of theirs end at 2^53.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Bytes(digits) => str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

/// Understands what the log answers; `None` if it is not of that form.
fn news(asked: u64, answer: &Value) -> Option<News> {
    let Value::List(parts) = answer else {
        return None;
    };
    let [epoch, floor, last, Value::List(entries)] = parts.as_slice() else {
        return None;
    };
    let mut purges = Vec::new();
    for pair in entries.chunks(2) {
        let [Value::Bytes(entry), its_number] = pair else {
            return None;
        };
        if !matches!(entry.as_slice(), b"epoch" | b"floor") {
            purges.push((Target::decode(entry), number(its_number)?));
        }
    }
    Some(News {
        asked,
        epoch: number(epoch)?,
        floor: number(floor)?,
        last: number(last)?,
        purges,
        is_cut: entries.len() / 2 >= NEWS_MAX,
    })
}

#[cfg(test)]
#[cfg(feature = "redis")]
mod tests;
