//! Changes of a pool: the list as it is meant, from which the next one is published.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use foldhash::fast::FixedState;

use super::reconcile::Outlook;
use super::{PoolParameters, PoolPolicy};
use crate::backend::{Backend, BackendId, BackendState, LatencyParameters};
use crate::strategy::{Algorithm, BACKENDS_MAX};
use crate::watch::Watch;

/// The backends as they are meant.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) parameters: PoolParameters,
    pub(super) policy: PoolPolicy,
    pub(super) outlook: Outlook,
    pub(super) watch: Arc<Watch>,
    /// Instants are kept as short numbers that count from here.
    epoch: Instant,
    pub(super) entries: Vec<Entry>,
    /// Backends that were removed while requests ran there. One that comes back before they end finds its count again,
    /// and so keeps to its `max_connections`.
    departed: Vec<Weak<BackendState>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) backend: Backend,
    pub(super) state: Arc<BackendState>,
}

impl Draft {
    pub(super) fn new(watch: Arc<Watch>, epoch: Instant) -> Self {
        Self {
            parameters: PoolParameters::default(),
            policy: PoolPolicy::default(),
            outlook: Outlook::default(),
            watch,
            epoch,
            entries: Vec::new(),
            departed: Vec::new(),
        }
    }

    pub(super) fn find_mut(&mut self, id: &BackendId) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|entry| entry.backend.id == *id)
    }

    pub(super) fn add(&mut self, backend: Backend, now: Instant) -> Result<(), PoolError> {
        if self.find_mut(&backend.id).is_some() {
            return Err(PoolError::Duplicate { id: backend.id });
        }
        if self.entries.len() >= BACKENDS_MAX {
            return Err(PoolError::TooMany {
                count: self.entries.len() + 1,
            });
        }
        let state = self.state_of(&backend.id, &self.parameters.latency, now);
        self.entries.push(Entry { backend, state });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &BackendId) -> bool {
        let Some(place) = self
            .entries
            .iter()
            .position(|entry| entry.backend.id == *id)
        else {
            return false;
        };
        let entry = self.entries.remove(place);
        self.departed.retain(|state| state.strong_count() > 0);
        self.departed.push(Arc::downgrade(&entry.state));
        true
    }

    pub(super) fn replace(
        &mut self,
        backends: Vec<Backend>,
        latency: &LatencyParameters,
        now: Instant,
    ) -> Changes {
        let order_before: Vec<BackendId> = self
            .entries
            .iter()
            .map(|entry| entry.backend.id.clone())
            .collect();
        let mut known: HashMap<BackendId, Entry, FixedState> = self
            .entries
            .drain(..)
            .map(|entry| (entry.backend.id.clone(), entry))
            .collect();
        let mut changes = Changes::default();
        for backend in backends {
            let state = match known.remove(&backend.id) {
                Some(entry) => {
                    if entry.backend != backend {
                        changes.changed.push(backend.id.clone());
                    }
                    entry.state
                }
                None => {
                    changes.added.push(backend.id.clone());
                    self.state_of(&backend.id, latency, now)
                }
            };
            self.entries.push(Entry { backend, state });
        }
        self.departed.retain(|state| state.strong_count() > 0);
        for id in &order_before {
            if let Some(entry) = known.remove(id) {
                self.departed.push(Arc::downgrade(&entry.state));
                changes.removed.push(id.clone());
            }
        }
        changes.reordered = changes.added.is_empty()
            && changes.removed.is_empty()
            && !order_before
                .iter()
                .eq(self.entries.iter().map(|entry| &entry.backend.id));
        changes
    }

    /// The state of a backend that was not in the list: what is left of it from before, or new.
    fn state_of(
        &self,
        id: &BackendId,
        latency: &LatencyParameters,
        now: Instant,
    ) -> Arc<BackendState> {
        let departed = self
            .departed
            .iter()
            .filter_map(Weak::upgrade)
            .find(|state| state.id() == id);
        let Some(state) = departed else {
            let watch = Arc::clone(&self.watch);
            return Arc::new(BackendState::new(
                id.clone(),
                latency,
                watch,
                self.epoch,
                now,
            ));
        };
        // It comes back as an operator's new backend; only what is measured of it is old.
        state.set_enabled(true);
        state.set_draining(false);
        state.forget_health(now);
        state
    }
}

/// What a pool shall be: parameters and backends that were checked, so that [`Pool::apply`](crate::Pool::apply) cannot
/// fail. Several pools can so be changed together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolPlan {
    pub(super) parameters: PoolParameters,
    pub(super) backends: Vec<Backend>,
}

impl PoolPlan {
    /// Checks what a pool shall be.
    ///
    /// # Errors
    /// As [`Pool::new`](crate::Pool::new).
    pub fn try_new(parameters: PoolParameters, backends: Vec<Backend>) -> Result<Self, PoolError> {
        parameters.check()?;
        if backends.len() > BACKENDS_MAX {
            return Err(PoolError::TooMany {
                count: backends.len(),
            });
        }
        let mut seen = HashSet::with_capacity_and_hasher(backends.len(), FixedState::default());
        if let Some(twice) = backends.iter().find(|backend| !seen.insert(&backend.id)) {
            return Err(PoolError::Duplicate {
                id: twice.id.clone(),
            });
        }
        Ok(Self {
            parameters,
            backends,
        })
    }
}

/// What [`Pool::update`](crate::Pool::update) changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Changes {
    /// Backends that are new, in the order of the new list.
    pub added: Vec<BackendId>,
    /// Backends that are gone, in the order of the old list.
    pub removed: Vec<BackendId>,
    /// Backends that stayed with other parameters, in the order of the new list.
    pub changed: Vec<BackendId>,
    /// Whether the same backends stand in another order.
    pub reordered: bool,
    /// Whether the pool's parameters are others.
    pub parameters: bool,
}

impl Changes {
    /// Whether nothing changed at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Parameters that no pool can have.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PoolError {
    /// Two backends have the same identity.
    Duplicate {
        /// The identity.
        id: BackendId,
    },
    /// There are more than 65,535 backends.
    TooMany {
        /// How many there would be.
        count: usize,
    },
    /// The balance factor is below 1 or not a number.
    BalanceFactor {
        /// The factor.
        factor: f64,
    },
    /// A balance factor is set for an algorithm that has no use for it.
    BalanceFactorUnused {
        /// The algorithm.
        algorithm: Algorithm,
    },
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { id } => write!(f, "two backends have the id `{id}`"),
            Self::TooMany { count } => {
                write!(f, "a pool has at most {BACKENDS_MAX} backends, got {count}")
            }
            Self::BalanceFactor { factor } => write!(
                f,
                "balance factor must be a number of at least 1, got {factor}"
            ),
            Self::BalanceFactorUnused { algorithm } => {
                write!(
                    f,
                    "balance factor has no effect with `{algorithm}`, only with `consistent-hashing` and `ip-hash`"
                )
            }
        }
    }
}

impl Error for PoolError {}
