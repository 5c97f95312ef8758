//! The HTTP cache that stands before the targets of routes: `lb-cache` decides, this does.
//!
//! ```text
//! pipeline ─► answer.rs  lookup ─ hit ─► stored.rs
//!             └ asking.rs  join ─ follows ─► fill.rs, reading
//!                               └ leads ─► fetch.rs ─► target
//!                                          ├ second.rs  what other instances have stored
//!                                          └ pump.rs ─► fill.rs, writing; second.rs
//! ```

mod answer;
mod asking;
mod explain;
mod fetch;
mod fill;
mod handler;
mod key;
mod pump;
mod second;
mod stored;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderName;
use lb_cache::{
    CacheKey, CacheRules, Eviction, FillParameters, ResponseCache, ResponseCacheParameters,
};

pub(crate) use self::answer::{go, invalidating, look};
pub use self::handler::Cache;
pub(crate) use self::stored::Chunks;
use crate::clock;
use crate::config::{CacheConfig, CachePolicy, CacheQuery, Config};
use crate::error::{Error, ErrorKind};
use crate::handler::Exchange;
use crate::metrics::CacheMetrics;
use crate::record::CacheResult;
use fill::Fill;
pub(crate) use second::keep;
use second::{SecondLevel, Target};

/// What a purge removes from a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purge<'a> {
    /// The responses of one URL, all that differ by `Vary`.
    Url(&'a str),
    /// Everything whose URL begins so (`"https://example.com/news/"`).
    Prefix(&'a str),
    /// Every response with this tag in `Cache-Tag` or `Surrogate-Key`.
    Tag(&'a str),
    /// What a handler keeps under this key ([`Cache::get_or_insert_with`]).
    Key(&'a str),
    /// Everything.
    All,
}

/// A cache in force: its rules, which a reload may change, and what it holds.
pub(crate) struct HttpCache {
    rules: CacheRules,
    query: CacheQuery,
    parameters: ResponseCacheParameters,
    state: CacheState,
}

/// What outlives a snapshot.
#[derive(Clone)]
struct CacheState {
    responses: Arc<ResponseCache<Arc<Fill>>>,
    counters: Arc<Counters>,
    /// Where it is shared with other instances.
    second: Option<Arc<SecondLevel>>,
}

/// What happened to requests, each of which is counted once.
#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    stale: AtomicU64,
    validated: AtomicU64,
    collapsed: AtomicU64,
    misses: AtomicU64,
    bypassed: AtomicU64,
    stored: AtomicU64,
    purged: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Builds the caches of a configuration; those of the same name keep what they hold, as far as the new
/// rules allow.
pub(crate) fn build(
    config: &Config,
    previous: Option<&BTreeMap<String, Arc<HttpCache>>>,
) -> BTreeMap<String, Arc<HttpCache>> {
    // What decides over the route of a request decides over its response.
    let mut deciding: Vec<HeaderName> = Vec::new();
    let matched = config
        .routes
        .iter()
        .flat_map(|route| &route.matches.headers);
    for (name, _) in matched {
        if !deciding.contains(name) {
            deciding.push(name.clone());
        }
    }
    if !config.server.trusted_proxies.is_empty() {
        // Backends build links from what a trusted peer says in these.
        for name in ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"] {
            deciding.push(HeaderName::from_static(name));
        }
    }
    config
        .caches
        .iter()
        .filter(|(_, cache)| !cache.is_off())
        .map(|(name, cache)| {
            let before = previous.and_then(|previous| previous.get(name));
            let cache = HttpCache::new(
                (name, cache),
                config,
                &deciding,
                before.map(|before| &**before),
            );
            (name.clone(), Arc::new(cache))
        })
        .collect()
}

impl HttpCache {
    fn new(
        (name, config): (&str, &CacheConfig),
        whole: &Config,
        deciding: &[HeaderName],
        before: Option<&Self>,
    ) -> Self {
        let mut rules = CacheRules::default();
        rules.default_ttl = config.default_ttl;
        rules.stale_while_revalidate = config.stale_while_revalidate;
        rules.stale_if_error = config.stale_if_error;
        rules.stale_if_unreachable = config.stale_if_unreachable;
        rules.store_set_cookie = config.store_set_cookie;
        rules.obey_requests = config.obey_requests;
        rules.max_object_bytes = config.max_object;
        rules.max_variants =
            NonZeroUsize::try_from(config.max_variants).unwrap_or(NonZeroUsize::MIN);
        rules.vary_by = deciding.to_vec();
        for name in &config.vary {
            if !deciding.contains(name) {
                rules.vary_by.push(name.clone());
            }
        }
        let mut fills = FillParameters::default();
        fills.wait = config.collapse_timeout;
        let mut parameters = ResponseCacheParameters::new(config.max_size);
        parameters.max_object_bytes = config.max_object;
        parameters.eviction = match config.policy {
            CachePolicy::S3Fifo => Eviction::S3Fifo,
            CachePolicy::Lru => Eviction::Lru,
        };
        parameters.fills = fills;
        let query = config.query.clone();
        let second = before.and_then(Self::second);
        let second = SecondLevel::build(name, config, whole, &rules.vary_by, second);
        let kept = before.filter(|before| before.is_good_for(&rules, &query));
        let responses = match kept {
            None => Arc::new(ResponseCache::new(&parameters)),
            Some(before) if before.parameters.differs_in_capacity_alone(&parameters) => {
                Arc::clone(&before.state.responses)
            }
            Some(before) => Arc::new(before.responses().with(&parameters)),
        };
        let counters = before.map(|before| Arc::clone(&before.state.counters));
        Self {
            rules,
            query,
            parameters,
            state: CacheState {
                responses,
                counters: counters.unwrap_or_default(),
                second,
            },
        }
    }

    /// Whether what was stored under these rules may be sent under others.
    fn is_good_for(&self, rules: &CacheRules, query: &CacheQuery) -> bool {
        // Under another key or another selection a response would answer requests it was not for.
        self.query == *query
            && self.rules.vary_by == rules.vary_by
            && (rules.store_set_cookie || !self.rules.store_set_cookie)
    }

    /// Gives what it holds the configured size.
    pub(crate) fn resize(&self) {
        self.responses().set_capacity(self.parameters.capacity);
    }

    /// Removes what is stored under URLs that `covers` does not name (host and path), whose responses nobody will
    /// ask for.
    pub(crate) fn purge_uncovered(&self, covers: impl Fn(&str, &str) -> bool) -> usize {
        let goes =
            |key: &str| key::host_and_path(key).is_some_and(|(host, path)| !covers(host, &path));
        let purged = self.responses().purge_keys(goes, clock::now());
        let count = u64::try_from(purged).unwrap_or(u64::MAX);
        self.counters().purged.fetch_add(count, Ordering::Relaxed);
        purged
    }

    fn responses(&self) -> &ResponseCache<Arc<Fill>> {
        &self.state.responses
    }

    /// Counts how a request was answered, and notes it.
    fn answered(&self, exchange: &Exchange, result: CacheResult) {
        let counters = self.counters();
        count(match result {
            CacheResult::Hit => &counters.hits,
            CacheResult::Stale => &counters.stale,
            CacheResult::Validated => &counters.validated,
            CacheResult::Collapsed => &counters.collapsed,
            CacheResult::Miss => &counters.misses,
            CacheResult::Bypass => &counters.bypassed,
        });
        exchange.notes().cache(result);
    }

    fn second(&self) -> Option<&Arc<SecondLevel>> {
        self.state.second.as_ref()
    }

    /// Whether other instances share what it keeps.
    pub(crate) fn is_shared(&self) -> bool {
        self.second().is_some()
    }

    /// Removes what a request has made invalid, here and for the other instances.
    fn invalidate(&self, key: &CacheKey) {
        self.announce(|| Target::key(key.as_str()));
        self.responses().purge(key, clock::now());
    }

    fn announce(&self, target: impl FnOnce() -> Target) {
        if let Some(second) = self.second() {
            second.announce(target());
        }
    }

    fn counters(&self) -> &Counters {
        &self.state.counters
    }

    /// Removes what a purge names and returns how many responses that were.
    pub(crate) fn purge(&self, purge: Purge<'_>) -> Result<usize, Error> {
        let (responses, now) = (self.responses(), clock::now());
        let purged = match purge {
            Purge::Url(url) => {
                let key = key::of_url(url, self).ok_or_else(|| {
                    let text = format!("`{url}` is not a URL with scheme and host");
                    Error::new(ErrorKind::Config, text)
                })?;
                self.announce(|| Target::key(&key));
                responses.purge(&CacheKey::from(key.as_str()), now)
            }
            Purge::Prefix(prefix) => {
                self.announce(|| Target::prefix(prefix));
                responses.purge_prefix(prefix, now)
            }
            Purge::Tag(tag) => {
                self.announce(|| Target::Tag(tag.into()));
                responses.purge_tag(tag, now)
            }
            Purge::Key(key) => {
                let key = key::of_handler(key);
                self.announce(|| Target::key(key.as_str()));
                responses.purge(&key, now)
            }
            Purge::All => {
                self.announce(|| Target::All);
                responses.purge_prefix("", now)
            }
        };
        let count = u64::try_from(purged).unwrap_or(u64::MAX);
        self.counters().purged.fetch_add(count, Ordering::Relaxed);
        Ok(purged)
    }

    pub(crate) fn metrics(&self) -> CacheMetrics {
        let (responses, counters) = (self.responses(), self.counters());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let second = |counter: fn(&second::Counters) -> &AtomicU64| {
            self.second()
                .map_or(0, |level| read(counter(&level.counters)))
        };
        CacheMetrics {
            hits: read(&counters.hits),
            stale: read(&counters.stale),
            validated: read(&counters.validated),
            collapsed: read(&counters.collapsed),
            misses: read(&counters.misses),
            bypassed: read(&counters.bypassed),
            stored: read(&counters.stored),
            purged: read(&counters.purged),
            evicted: responses.stats().evicted,
            entries: responses.len(),
            bytes: responses.weight(),
            store_hits: second(|counters| &counters.hits),
            store_misses: second(|counters| &counters.misses),
            store_errors: second(|counters| &counters.errors),
            store_writes: second(|counters| &counters.writes),
            store_skipped: second(|counters| &counters.skipped),
        }
    }
}

impl fmt::Debug for HttpCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpCache")
            .field("responses", self.responses())
            .finish_non_exhaustive()
    }
}
