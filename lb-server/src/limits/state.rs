//! What was counted, by the name of its limit: it outlives the snapshots whose parameters it is counted by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lb_ratelimit::{Enforcement, Key, KeyedLimiter, Keyer, Policy, Prefixes, RefusalMemo, fields};

use super::key::{self, Subject};
use super::{InStore, Limit, RouteLimits};
use crate::config::{Config, OnStoreError, RateLimitConfig, RateLimitMode, RedisConfig, StoreKind};
use crate::error::{Error, ErrorKind};
use crate::metrics::RateLimitMetrics;
use crate::{clock, entropy};

/// Refused clients that are known to be; a client beyond them costs a round trip.
const MEMO_KEYS: usize = 10_000;

/// How keys in the store are hashed. Every instance and every version has to make the same of a client, so
/// it is no secret; what it protects from is names of any length, and secrets of clients in the store.
const STORE_SEED: u128 = 0x6c62_2d72_6174_656c_696d_6974_2d6b_6579;

/// What was counted under one limit.
#[derive(Debug)]
pub(super) struct LimitState {
    pub(super) limiter: KeyedLimiter,
    /// Keys of the limiter and of the memo; neither can change.
    sizes: (usize, usize),
    /// The numbers that the refusals in `memo` were decided by.
    policy: Policy,
    pub(super) memo: RefusalMemo,
    pub(super) counters: Arc<LimitCounters>,
}

/// What a limit has decided.
#[derive(Debug, Default)]
pub(super) struct LimitCounters {
    admitted: AtomicU64,
    refused: AtomicU64,
    remembered: AtomicU64,
    observed: AtomicU64,
    store_errors: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    Admitted,
    Refused,
    /// Refused without asking the store.
    Remembered,
    /// Let pass, though beyond the limit.
    Observed,
    /// Decided without the store.
    StoreError,
}

impl LimitCounters {
    pub(super) fn count(&self, what: Counted) {
        let counter = match what {
            Counted::Admitted => &self.admitted,
            Counted::Refused => &self.refused,
            Counted::Remembered => &self.remembered,
            Counted::Observed => &self.observed,
            Counted::StoreError => &self.store_errors,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> RateLimitMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RateLimitMetrics {
            admitted: read(&self.admitted),
            refused: read(&self.refused),
            remembered: read(&self.remembered),
            observed: read(&self.observed),
            store_errors: read(&self.store_errors),
        }
    }
}

/// How keys are made; the same for all limits, and as long as the process.
#[derive(Debug)]
pub(crate) struct LimitStates {
    local: Keyer,
    shared: Keyer,
}

impl LimitStates {
    pub(super) fn key(&self, limit: &Limit, subject: &Subject<'_>) -> Key {
        key::add(self.local.start(), limit, subject).finish()
    }

    /// The name of what a limit counts, in the store.
    pub(super) fn store_key(&self, limit: &Limit, subject: &Subject<'_>) -> String {
        let hash = key::add(self.shared.start_shared(), limit, subject).finish();
        let prefix = limit.shared.as_ref().map_or("", |shared| &shared.prefix);
        format!("{prefix}{hash:032x}")
    }
}

/// The limits in force, by name.
#[derive(Debug)]
pub(crate) struct Limits {
    limits: BTreeMap<String, Arc<Limit>>,
    states: Arc<LimitStates>,
}

impl Limits {
    /// Builds what a configuration says, and carries over what was counted under limits of the same name.
    ///
    /// A limit whose `max_keys` has changed starts anew: its memory is of fixed size.
    pub(crate) fn build(config: &Config, previous: Option<&Self>) -> Result<Self, Error> {
        let states = match previous {
            Some(previous) => Arc::clone(&previous.states),
            None => Arc::new(LimitStates {
                local: Keyer::new(secret()?),
                shared: Keyer::new(STORE_SEED),
            }),
        };
        let mut limits = BTreeMap::new();
        for (name, limit) in &config.rate_limits {
            let before = previous.and_then(|previous| previous.limits.get(name));
            let before = before.map(|limit| &limit.state);
            let built = Limit::build(name, limit, config, before)?;
            limits.insert(name.clone(), Arc::new(built));
        }
        Ok(Self { limits, states })
    }

    /// The limits of a route; none where it names none.
    pub(crate) fn of_route(&self, names: &[String]) -> Option<RouteLimits> {
        let found: Vec<_> = names
            .iter()
            .filter_map(|name| self.limits.get(name).cloned())
            .collect();
        (!found.is_empty()).then(|| RouteLimits::new(found, Arc::clone(&self.states)))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Limit> {
        self.limits.get(name).map(Arc::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Limit>)> {
        self.limits.iter()
    }

    pub(super) fn states(&self) -> &LimitStates {
        &self.states
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, RateLimitMetrics> {
        let read =
            |(name, limit): (&String, &Arc<Limit>)| (name.clone(), limit.state.counters.read());
        self.limits.iter().map(read).collect()
    }
}

fn secret() -> Result<u128, Error> {
    entropy::secret().map_err(|error| {
        Error::new(ErrorKind::Start, "the system gives no randomness").with_source(error)
    })
}

impl Limit {
    fn build(
        name: &str,
        limit: &RateLimitConfig,
        config: &Config,
        before: Option<&Arc<LimitState>>,
    ) -> Result<Self, Error> {
        let wrong =
            |text: String| Error::new(ErrorKind::Config, format!("rate limit `{name}`: {text}"));
        let policy = limit.policy().map_err(wrong)?;
        let quoted = fields::PolicyName::try_new(name).map_err(|error| wrong(error.to_string()))?;
        let redis = config
            .redis
            .as_ref()
            .filter(|_| limit.store == StoreKind::Redis);
        let on_error = redis.map(|redis| limit.on_store_error.unwrap_or(redis.on_store_error));
        Ok(Self {
            name: name.to_owned(),
            quoted,
            policy,
            parts: limit.key.clone(),
            prefixes: Prefixes {
                v4: limit.ipv4_prefix,
                v6: limit.ipv6_prefix,
            },
            cost: limit.cost.get(),
            enforcement: match limit.mode {
                RateLimitMode::Enforce => Enforcement::Enforce,
                RateLimitMode::Observe => Enforcement::Observe,
            },
            has_fields: limit.headers,
            shared: redis.zip(on_error).map(|(redis, on_error)| InStore {
                prefix: key_prefix(name, config, redis),
                on_error,
            }),
            state: LimitState::after(before, policy, limit.max_keys, on_error),
        })
    }
}

impl LimitState {
    pub(super) fn max_keys(&self) -> usize {
        self.sizes.0
    }

    /// The state for these parameters: the one before, where what it holds still has a meaning.
    fn after(
        before: Option<&Arc<Self>>,
        policy: Policy,
        max_keys: u32,
        on_error: Option<OnStoreError>,
    ) -> Arc<Self> {
        let max_keys = max_keys as usize;
        // In memory nothing is asked elsewhere; with a store only one that decides locally counts here.
        let sizes = match on_error {
            None => (max_keys, 0),
            Some(OnStoreError::Local) => (max_keys, max_keys.min(MEMO_KEYS)),
            Some(OnStoreError::Allow | OnStoreError::Deny) => (0, max_keys.min(MEMO_KEYS)),
        };
        if let Some(before) = before.filter(|before| before.sizes == sizes) {
            if before.policy != policy {
                // What was counted stays; what was refused under other numbers is asked again.
                before.memo.clear();
            }
            return Arc::clone(before);
        }
        let now = clock::now();
        Arc::new(Self {
            limiter: KeyedLimiter::new(sizes.0, now),
            sizes,
            policy,
            memo: RefusalMemo::new(sizes.1, now),
            counters: before.map_or_else(Arc::default, |before| Arc::clone(&before.counters)),
        })
    }
}

/// What the names of a limit's keys begin with.
///
/// A script of several keys needs them in one slot of a cluster: limits that stand together in a route, and
/// those that stand together with these, share a hash tag. Others are spread over the cluster.
fn key_prefix(name: &str, config: &Config, redis: &RedisConfig) -> String {
    let mut together = vec![name];
    if redis.cluster {
        let mut index = 0;
        while let Some(next) = together.get(index).copied() {
            let with_it = config.routes.iter().map(|route| &route.rate_limits);
            let with_it = with_it.filter(|names| names.iter().any(|name| name == next));
            for other in with_it.flatten() {
                let is_shared = config
                    .rate_limits
                    .get(other)
                    .is_some_and(|limit| limit.store == StoreKind::Redis);
                if is_shared && !together.contains(&other.as_str()) {
                    together.push(other);
                }
            }
            index += 1;
        }
    }
    let prefix = &redis.prefix;
    match together.iter().min() {
        Some(first) if together.len() > 1 => format!("{prefix}rl:{{{first}}}:{name}:"),
        _ => format!("{prefix}rl:{name}:"),
    }
}
