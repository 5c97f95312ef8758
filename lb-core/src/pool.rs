//! A pool: the backends that a route leads to, and the strategy that picks among them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use crate::backend::{Backend, BackendId, BackendState, Exclusion, Weight};
use crate::strategy::{Algorithm, PickHint};
use crate::watch::Watch;

mod change;
mod explain;
mod last_resort;
mod parameters;
mod picked;
mod policy;
mod reconcile;
mod status;
mod tier;
mod upkeep;

pub use change::{Changes, PoolError, PoolPlan};
pub use explain::{Candidate, Explanation, Verdict};
pub use parameters::PoolParameters;
pub use picked::{Pick, Picked};
pub use policy::PoolPolicy;
pub use status::BackendStatus;
pub use upkeep::PoolStatus;

use change::Draft;
use tier::{Published, Tier};

/// A named set of backends and the algorithm that spreads requests over them.
///
/// All methods take `&self`; picks go on while backends are added, removed and re-weighted, and each backend keeps its
/// state (in-flight requests, latency, disabled, draining) by its [`BackendId`] as long as the pool knows it, and longer
/// while requests that were picked for it run.
///
/// Backups serve only while none of the other backends can take the request whatever they have in flight: none is
/// eligible, or this request was tried at all that are. While the others are merely full, requests wait
/// ([`Pick::AllFull`]) instead of spilling over.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use lb_core::{Algorithm, Backend, Outcome, Pick, PickHint, Pool, PoolParameters};
///
/// let now = std::time::Instant::now();
/// let pool = Pool::new(PoolParameters::new(Algorithm::RoundRobin), vec![Backend::new("a"), Backend::new("b")], now)?;
/// let Pick::Picked(picked) = pool.pick(&PickHint::new(0), now) else { unreachable!() };
/// assert_eq!(picked.id().as_str(), "a");
/// let latency = Duration::from_millis(12);
/// picked.finish(Outcome::Success { latency }, now + latency);
/// assert_eq!(pool.backends(now)[0].latency, Some(latency));
/// # Ok::<(), lb_core::PoolError>(())
/// ```
///
/// # Complexity
/// A pick costs what its [`Strategy`](crate::Strategy) costs, a shared lock and a few atomic operations; nothing is
/// allocated. A change costs O(n), or the building of a table for the hashing strategies, none of which a pick waits
/// for: only the exchange of two pointers is exclusive.
#[derive(Debug)]
pub struct Pool {
    /// Instants are kept as short numbers that count from here.
    epoch: Instant,
    /// Held during a change, so that there is one at a time. Taken before `published`.
    draft: Mutex<Draft>,
    published: RwLock<Published>,
    watch: Arc<Watch>,
}

impl Pool {
    /// Makes a pool of enabled backends, or of none.
    ///
    /// # Errors
    /// Fails for two backends with one identity, more than 65,535 backends, a balance factor that is not a number of at
    /// least 1, and a balance factor for an algorithm that does not place by key.
    pub fn new(
        parameters: PoolParameters,
        backends: Vec<Backend>,
        now: Instant,
    ) -> Result<Self, PoolError> {
        Self::with_policy(parameters, PoolPolicy::default(), backends, now)
    }

    /// As [`Pool::new`], with a policy that keeps the pool up.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn with_policy(
        parameters: PoolParameters,
        policy: PoolPolicy,
        backends: Vec<Backend>,
        now: Instant,
    ) -> Result<Self, PoolError> {
        let plan = PoolPlan::try_new(parameters, backends)?;
        let watch = Arc::new(Watch::new());
        let mut draft = Draft::new(Arc::clone(&watch), now);
        draft.replace(plan.backends, &plan.parameters.latency, now);
        draft.parameters = plan.parameters;
        let published = Published::of(&draft, None);
        let pool = Self {
            epoch: now,
            draft: Mutex::new(draft),
            published: RwLock::new(published),
            watch,
        };
        pool.set_policy(policy, now);
        Ok(pool)
    }

    /// Picks a backend for a request and counts the request in.
    ///
    /// The slot is taken by a compare-and-increment, so `max_connections` and bounded loads hold however many threads
    /// pick; where another thread takes the last slot, the pick is repeated.
    #[inline]
    pub fn pick(&self, hint: &PickHint<'_>, now: Instant) -> Pick {
        let published = self.published.read();
        // Not before the lock: what is read here is not waited for, but all that is read before the lock is.
        if !self.watch.is_quiet() {
            drop(published);
            return self.pick_watched(hint, now);
        }
        match published.pick(hint, now) {
            Some(picked) => Pick::Picked(picked),
            None => published.refuse(hint),
        }
    }

    /// Out of line, since mostly there is nothing to heed.
    #[inline(never)]
    fn pick_watched(&self, hint: &PickHint<'_>, now: Instant) -> Pick {
        self.catch_up(now);
        let published = self.published.read();
        let Some(counted) = self.watch.enter() else {
            return published.refuse(hint);
        };
        match published.pick(hint, now) {
            Some(picked) => Pick::Picked(picked.counted_in_pool(counted)),
            None => {
                if counted {
                    self.watch.leave();
                }
                published.refuse(hint)
            }
        }
    }

    /// Whether there is an eligible backend that this request was not sent to before, full or not.
    ///
    /// # Complexity
    /// O(n × tried).
    pub fn has_untried(&self, tried: &[BackendId], now: Instant) -> bool {
        self.catch_up(now);
        let hint = PickHint::new(0).tried(tried);
        let published = self.published.read();
        published
            .tiers
            .iter()
            .any(|tier| tier.is_any_only_full(&hint))
    }

    /// Tells what [`Pool::pick`] would do now and why: the same scores, draws and tables, and nothing is counted.
    pub fn explain(&self, hint: &PickHint<'_>, now: Instant) -> Explanation {
        self.catch_up(now);
        let mut explanation = self.published.read().explain(hint, now);
        explanation.is_pool_full = self.watch.is_full();
        if explanation.is_pool_full && explanation.verdict != Verdict::NoneEligible {
            explanation.verdict = Verdict::AllFull;
        }
        explanation
    }

    /// Why a backend cannot take a request now, of a client that is not bound to it; `None` if it can, or if there is no
    /// such backend.
    ///
    /// # Complexity
    /// O(tried).
    pub fn exclusion(&self, id: &BackendId, hint: &PickHint<'_>) -> Option<Exclusion> {
        let published = self.published.read();
        let (tier, index) = published.place(id)?;
        tier.roster.exclusion(index, hint)
    }

    /// The algorithm in force.
    pub fn algorithm(&self) -> Algorithm {
        self.published.read().algorithm
    }

    /// The parameters in force.
    pub fn parameters(&self) -> PoolParameters {
        self.draft.lock().parameters.clone()
    }

    /// All backends with their parameters and state, in the order in which they were given.
    pub fn backends(&self, now: Instant) -> Vec<BackendStatus> {
        self.catch_up(now);
        self.draft.lock().status(now)
    }

    /// Replaces parameters and backends by difference: backends that stay keep their state, and if nothing changes for a
    /// strategy, neither does its turn or table.
    ///
    /// # Errors
    /// As [`Pool::new`]; then nothing has changed.
    pub fn update(
        &self,
        parameters: PoolParameters,
        backends: Vec<Backend>,
        now: Instant,
    ) -> Result<Changes, PoolError> {
        Ok(self.apply(PoolPlan::try_new(parameters, backends)?, now))
    }

    /// As [`Pool::update`], with what was checked before.
    pub fn apply(&self, plan: PoolPlan, now: Instant) -> Changes {
        let PoolPlan {
            parameters,
            backends,
        } = plan;
        let mut draft = self.draft.lock();
        let mut changes = draft.replace(backends, &parameters.latency, now);
        changes.parameters = draft.parameters != parameters;
        draft.parameters = parameters;
        if !changes.is_empty() {
            draft.apply_policy(&self.watch, now);
            draft.reconcile(&self.watch, self.epoch, now);
            self.publish(&draft);
        }
        changes
    }

    /// Adds a backend at the end.
    ///
    /// # Errors
    /// Fails if there is one with this identity, or if there are 65,535 already.
    pub fn add(&self, backend: Backend, now: Instant) -> Result<(), PoolError> {
        let mut draft = self.draft.lock();
        draft.add(backend, now)?;
        draft.apply_policy(&self.watch, now);
        draft.reconcile(&self.watch, self.epoch, now);
        self.publish(&draft);
        Ok(())
    }

    /// Removes a backend; what is in flight there goes on. Returns whether there was one.
    pub fn remove(&self, id: &BackendId) -> bool {
        self.change(|draft| draft.remove(id))
    }

    /// Changes a backend's weight. Returns whether there is such a backend.
    pub fn set_weight(&self, id: &BackendId, weight: Weight) -> bool {
        self.change_one(id, |backend| {
            std::mem::replace(&mut backend.weight, weight) != weight
        })
    }

    /// Changes a backend's [`max_connections`](Backend::max_connections); what is above it finishes. Returns whether there
    /// is such a backend.
    pub fn set_max_connections(&self, id: &BackendId, limit: Option<NonZeroU32>) -> bool {
        self.change_one(id, |backend| {
            std::mem::replace(&mut backend.max_connections, limit) != limit
        })
    }

    /// Begins or ends draining: the backend finishes what it has and gets no new requests but of clients that are bound
    /// to it ([`PickHint::affinity`]); to keep those away too, disable it. Returns whether there is such a backend.
    pub fn set_draining(&self, id: &BackendId, draining: bool) -> bool {
        self.change_state(id, |state| state.set_draining(draining))
    }

    /// Enables or disables a backend. Returns whether there is such a backend.
    pub fn set_enabled(&self, id: &BackendId, enabled: bool) -> bool {
        self.change_state(id, |state| state.set_enabled(enabled))
    }

    fn change_one(&self, id: &BackendId, set: impl FnOnce(&mut Backend) -> bool) -> bool {
        let mut draft = self.draft.lock();
        let Some(changed) = draft.find_mut(id).map(|entry| set(&mut entry.backend)) else {
            return false;
        };
        if changed {
            self.publish_change(&draft);
        }
        true
    }

    fn change_state(&self, id: &BackendId, set: impl FnOnce(&BackendState) -> bool) -> bool {
        let mut draft = self.draft.lock();
        let Some(changed) = draft.find_mut(id).map(|entry| set(&entry.state)) else {
            return false;
        };
        if changed {
            self.publish_change(&draft);
        }
        true
    }

    /// Publishes if `change` says that there is something to publish.
    fn change(&self, change: impl FnOnce(&mut Draft) -> bool) -> bool {
        let mut draft = self.draft.lock();
        let changed = change(&mut draft);
        if changed {
            self.publish_change(&draft);
        }
        changed
    }

    /// As the operator's changes do not tell the time, what follows from them is found by the next pick.
    fn publish_change(&self, draft: &Draft) {
        self.publish(draft);
        if !draft.policy.is_off() {
            self.watch.is_due_now();
        }
    }

    /// Builds beside the picks, under a shared lock like theirs, and is exclusive only for the swap.
    fn publish(&self, draft: &Draft) {
        let new = Published::of(draft, Some(&self.published.read()));
        let old = std::mem::replace(&mut *self.published.write(), new);
        drop(old);
    }
}

impl Published {
    /// Why nobody was picked.
    #[cold]
    fn refuse(&self, hint: &PickHint<'_>) -> Pick {
        if self.tiers.iter().any(|tier| tier.is_any_only_full(hint)) {
            Pick::AllFull
        } else {
            Pick::NoneEligible
        }
    }
}

impl Tier {
    /// Whether a backend could take the request if it had fewer in flight.
    #[cold]
    fn is_any_only_full(&self, hint: &PickHint<'_>) -> bool {
        let mut eligible = self.roster.eligible().iter().map(|&index| index as usize);
        eligible.any(|index| !hint.tried.contains(self.roster.id(index)))
    }
}

#[cfg(test)]
mod tests;
