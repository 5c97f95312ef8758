//! Backends that are found by their name: asks name servers again and again, and lets pools follow.
//!
//! As Envoy's strict DNS does, every address of an answer is a backend, and one that an answer lacks is
//! removed. What gives no answer at all changes nothing; an answer that there is nobody counts once it has
//! stood for three refreshes, because name servers that restart say so too.

#[cfg(feature = "dns")]
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;

use crate::clock;
use crate::config::{
    BackendConfig, Config, DiscoverConfig, DiscoverRecords, DnsConfig, LoadBalancerConfig,
};
use crate::drain::Drain;
use crate::error::Error;
use crate::running::Handle;

/// How late a name is noticed that is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No name is asked for more often, whatever its time to live.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a start or a reload waits for names that are new to it.
const FIRST_WITHIN: Duration = Duration::from_secs(2);
/// So many refreshes an answer has to stand by which there is nobody.
const EMPTY_REFRESHES: u32 = 3;

/// One backend, as an answer names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) address: IpAddr,
    /// What a service says of it.
    pub(crate) service: Option<Service>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Service {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// 0 is said of services that should hardly be used.
    pub(crate) weight: u16,
    /// Whether others are to be used before it.
    pub(crate) is_later: bool,
}

/// What there is under a name, sorted; nothing where the answer is that there is nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    pub(crate) places: Vec<Place>,
    pub(crate) ttl: Duration,
}

/// Asks for names.
pub(crate) trait Lookup: Send + Sync {
    /// Asks once; an error is no answer.
    fn look<'a>(
        &'a self,
        name: &'a str,
        records: DiscoverRecords,
    ) -> BoxFuture<'a, Result<Answer, Box<str>>>;
}

/// Makes ready to ask, on the runtime where that is done.
pub(crate) trait Names: Send + Sync + fmt::Debug {
    fn open(&self) -> Result<Arc<dyn Lookup>, Error>;
}

/// Those who are configured.
pub(crate) fn names(config: &DnsConfig) -> Arc<dyn Names> {
    #[cfg(feature = "dns")]
    {
        Arc::new(names::Servers::new(config))
    }
    #[cfg(not(feature = "dns"))]
    {
        let DnsConfig { servers: _ } = config;
        Arc::new(Nobody)
    }
}

#[cfg(not(feature = "dns"))]
#[derive(Debug)]
struct Nobody;

#[cfg(not(feature = "dns"))]
impl Names for Nobody {
    fn open(&self) -> Result<Arc<dyn Lookup>, Error> {
        Err(Error::new(
            crate::error::ErrorKind::Config,
            "`discover` is configured, and this program was built without the feature `dns`",
        ))
    }
}

/// Tells an entry of `backends` from others, and from one of the same name that asks for something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) pool: Arc<str>,
    /// The name of the entry, or its URL.
    pub(crate) label: String,
    host: String,
    records: DiscoverRecords,
}

impl Key {
    /// `None` for a backend that is not discovered.
    pub(crate) fn of(pool: &Arc<str>, backend: &BackendConfig) -> Option<Self> {
        let (discover, host) = backend.discover.zip(backend.url.host())?;
        Some(Self {
            pool: Arc::clone(pool),
            label: label(backend),
            host: host.to_owned(),
            records: discover.records,
        })
    }
}

/// The last answers, which outlive snapshots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found(Arc<Mutex<BTreeMap<Key, Arc<[Place]>>>>);

impl Found {
    pub(crate) fn of(&self, key: &Key) -> Option<Arc<[Place]>> {
        self.0.lock().get(key).cloned()
    }

    pub(crate) fn set(&self, key: &Key, places: Arc<[Place]>) {
        self.0.lock().insert(key.clone(), places);
    }

    /// Forgets what a configuration in force does not ask for.
    pub(crate) fn keep_of(&self, config: &Config) {
        let entries = entries(config).into_iter();
        let keys: BTreeSet<Key> = entries.map(|entry| entry.key).collect();
        self.0.lock().retain(|key, _| keys.contains(key));
    }
}

/// An entry of `backends` whose name is asked for.
struct Entry {
    key: Key,
    discover: DiscoverConfig,
}

fn entries(config: &Config) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, pool) in &config.pools {
        let name: Arc<str> = name.as_str().into();
        for backend in &pool.backends {
            if let Some((key, discover)) = Key::of(&name, backend).zip(backend.discover) {
                entries.push(Entry { key, discover });
            }
        }
    }
    entries
}

/// What an entry is called in its pool.
pub(crate) fn label(backend: &BackendConfig) -> String {
    let name = backend.name.clone();
    name.unwrap_or_else(|| backend.url.to_string())
}

/// A backend at a place, with what its entry says.
pub(crate) fn backend_at(
    entry: &BackendConfig,
    place: &Place,
    pool: &LoadBalancerConfig,
) -> BackendConfig {
    let mut backend = entry.clone();
    backend.discover = None;
    backend.url = entry
        .url
        .at(place.address, place.service.as_ref().map(|it| it.port));
    let authority = backend.url.authority();
    backend.name = Some(format!("{}@{authority}", label(entry)));
    let mut host = entry.url.host();
    if let Some(service) = &place.service {
        backend.weight = u32::from(service.weight.max(1));
        backend.backup |= service.is_later;
        host = Some(&service.host);
    }
    // The name is what a certificate is for, not the address.
    if entry.server_name.is_none() && pool.tls.server_name.is_none() {
        backend.server_name = host.map(str::to_owned);
    }
    backend
}

/// The backends of a pool, with those that names stand for in the place of their entries.
pub(crate) fn in_force(
    pool: &Arc<str>,
    config: &LoadBalancerConfig,
    found: &Found,
) -> Vec<BackendConfig> {
    let mut backends = Vec::with_capacity(config.backends.len());
    for backend in &config.backends {
        let Some(key) = Key::of(pool, backend) else {
            backends.push(backend.clone());
            continue;
        };
        let places = found.of(&key).unwrap_or_default();
        backends.extend(
            places
                .iter()
                .map(|place| backend_at(backend, place, config)),
        );
    }
    backends
}

/// Asks for the names that a configuration has and nobody has asked for yet.
///
/// # Errors
/// Nobody can be asked; that there is no answer is none, and said in the log.
pub(crate) async fn first(config: &Config, found: &Found, names: &dyn Names) -> Result<(), Error> {
    let mut new = entries(config);
    new.retain(|entry| found.of(&entry.key).is_none());
    if new.is_empty() {
        return Ok(());
    }
    let lookup = names.open()?;
    let asked = new.into_iter().map(|entry| {
        let lookup = Arc::clone(&lookup);
        async move {
            let key = entry.key;
            let answer = tokio::time::timeout(FIRST_WITHIN, lookup.look(&key.host, key.records));
            match answer.await.unwrap_or_else(|_| Err("no answer yet".into())) {
                Ok(answer) => found.set(&key, answer.places.into()),
                Err(why) => {
                    tracing::warn!(pool = &*key.pool, name = key.host, %why, "a name is not known");
                }
            }
        }
    });
    join_all(asked).await;
    Ok(())
}

/// What is remembered of a name while it is asked for.
struct Watched {
    due: Instant,
    is_asked: bool,
    /// Whether the log knows that there is no answer.
    is_reported: bool,
    empty_since: Option<Instant>,
}

/// Asks for the names of all pools until the server's end.
pub(crate) async fn watch(handle: Handle, names: Arc<dyn Names>, drain: Drain) {
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = watch_all(&handle, &*names) => {}
    }
}

async fn watch_all(handle: &Handle, names: &dyn Names) {
    let mut lookup = None;
    let mut watched: BTreeMap<Key, Watched> = BTreeMap::new();
    let mut asked = FuturesUnordered::new();
    loop {
        let now = clock::now();
        let mut next = now + LOOK_EVERY;
        let snapshot = handle.snapshot();
        let entries = entries(&snapshot.config);
        let there: BTreeSet<Key> = entries.iter().map(|entry| entry.key.clone()).collect();
        watched.retain(|key, _| there.contains(key));
        for entry in entries {
            if lookup.is_none() {
                lookup = names.open().ok();
            }
            let Some(lookup) = &lookup else { continue };
            let known = snapshot.found.of(&entry.key).is_some();
            let watched = watched.entry(entry.key.clone()).or_insert_with(|| Watched {
                // What a start or a reload has just asked for is not asked for again at once.
                due: if known {
                    now + entry.discover.refresh.min(SHORTEST)
                } else {
                    now
                },
                is_asked: false,
                is_reported: false,
                empty_since: None,
            });
            if watched.is_asked || watched.due > now {
                if !watched.is_asked {
                    next = next.min(watched.due);
                }
                continue;
            }
            watched.is_asked = true;
            let lookup = Arc::clone(lookup);
            asked.push(async move {
                let answer = lookup.look(&entry.key.host, entry.key.records);
                let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
                (
                    entry,
                    answer.unwrap_or_else(|_| Err("no answer in time".into())),
                )
            });
        }
        drop(snapshot);
        tokio::select! {
            biased;
            Some((entry, answer)) = asked.next() => {
                if let Some(watched) = watched.get_mut(&entry.key) {
                    watched.take_in(&entry, answer, handle, clock::now());
                }
            }
            () = tokio::time::sleep_until(next.into()) => {}
        }
    }
}

impl Watched {
    fn take_in(
        &mut self,
        entry: &Entry,
        answer: Result<Answer, Box<str>>,
        handle: &Handle,
        now: Instant,
    ) {
        let Entry { key, discover } = entry;
        let refresh = discover.refresh.max(SHORTEST);
        self.is_asked = false;
        self.due = now + refresh;
        let why = match answer {
            Ok(answer) if answer.places.is_empty() => {
                let since = *self.empty_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= refresh * EMPTY_REFRESHES {
                    handle.found(key, Arc::default());
                }
                "there is nobody under this name".into()
            }
            Ok(answer) => {
                self.due = now + answer.ttl.clamp(SHORTEST, refresh);
                self.empty_since = None;
                if std::mem::take(&mut self.is_reported) {
                    tracing::info!(pool = &*key.pool, name = key.host, "a name is known again");
                }
                handle.found(key, answer.places.into());
                return;
            }
            Err(why) => why,
        };
        if !std::mem::replace(&mut self.is_reported, true) {
            tracing::warn!(pool = &*key.pool, name = key.host, %why, "a name has no answer; the last one is kept");
        }
    }
}
