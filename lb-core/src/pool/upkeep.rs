//! What a pool's owner does to keep it up: probes, policies, and reading the news.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::Pool;
use super::change::{Draft, Entry};
use super::policy::PoolPolicy;
use crate::backend::{BackendId, Record, Tick};
use crate::health::{Health, ProbeResult};
use crate::watch::{HealthChange, HealthEvent};

/// How a pool as a whole is doing, from [`Pool::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Since when ejections are disregarded because too few backends are usable; `None` if they are not.
    pub panic_since: Option<Instant>,
    /// Requests in flight, of those picked while [`PoolPolicy::max_in_flight`] is set.
    pub in_flight: u32,
    /// Ejections that did not happen because of
    /// [`OutlierPolicy::max_ejected_percent`](crate::OutlierPolicy::max_ejected_percent).
    pub ejections_refused: u64,
    /// Changes that were not kept because more than 1,024 had not been taken.
    pub lost_changes: u64,
}

impl Pool {
    /// Replaces the policy; what it no longer asks for is forgotten of all backends.
    pub fn set_policy(&self, policy: PoolPolicy, now: Instant) {
        let mut draft = self.draft.lock();
        if draft.policy == policy {
            return;
        }
        draft.policy = policy;
        *self.watch.policy.write() = policy;
        let limit = policy.max_in_flight.map_or(u32::MAX, NonZeroU32::get);
        self.watch.set_limit(limit);
        draft.apply_policy(&self.watch, now);
        draft.reconcile(&self.watch, self.epoch, now);
        // Also for the number of trial slots.
        self.publish(&draft);
    }

    /// The policy in force.
    pub fn policy(&self) -> PoolPolicy {
        self.draft.lock().policy
    }

    /// How the pool as a whole is doing.
    pub fn status(&self, now: Instant) -> PoolStatus {
        self.catch_up(now);
        let draft = self.draft.lock();
        PoolStatus {
            panic_since: draft.outlook.panic,
            in_flight: self.watch.in_flight(),
            ejections_refused: draft.outlook.refused,
            lost_changes: self.watch.lost_changes(),
        }
    }

    /// What has changed since it was asked last, in order, for logs: each change once. At most 1,024 are kept.
    ///
    /// Picks notice what is due by themselves, so this need not be called for them; where there are none,
    /// [`Pool::next_change`] tells when there will be news.
    pub fn take_changes(&self, now: Instant) -> Vec<HealthChange> {
        self.catch_up(now);
        self.watch.take_changes()
    }

    /// When a pause, an ejection or an interval ends next, or a share grows; `None` if nothing changes by itself.
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        self.draft.lock().next_change(now)
    }

    /// After which time a backend may be eligible again, while none is: for `Retry-After`. `None` if only the operator can
    /// change that, or if one is eligible.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        self.catch_up(now);
        let draft = self.draft.lock();
        let mut soonest: Option<Instant> = None;
        for Entry { state, .. } in &draft.entries {
            if state.is_eligible() {
                return None;
            }
            if !state.is_enabled() || state.is_draining() {
                continue;
            }
            let Some(care) = state.care() else { continue };
            let record = care.record.lock();
            let probe = record
                .health
                .as_ref()
                .filter(|check| check.health() == Health::Unhealthy);
            // All that speaks against it has to end.
            let ends = [
                probe.map(|check| check.next_at().max(now)),
                record.ejection.current().map(|ejected| ejected.until),
                care.breaker.open_until(),
            ];
            let end = ends.into_iter().flatten().max();
            soonest = [soonest, end].into_iter().flatten().min();
        }
        soonest.map(|at| at.saturating_duration_since(now))
    }

    /// The backends to be probed now, each given out once: its next probe is due after [`Pool::probed`], or when this one
    /// must be taken for lost. Those that the operator disabled are not probed.
    pub fn due_probes(&self, now: Instant) -> Vec<BackendId> {
        let draft = self.draft.lock();
        let Some(policy) = &draft.policy.health else {
            return Vec::new();
        };
        let is_due = |Entry { state, .. }: &&Entry| {
            let record = state.care().map(|care| care.record.lock());
            state.is_enabled()
                && record
                    .and_then(|mut record| Some(record.health.as_mut()?.begin(policy, now)))
                    .unwrap_or(false)
        };
        let due = draft.entries.iter().filter(is_due);
        due.map(|entry| entry.backend.id.clone()).collect()
    }

    /// When the next probe is due; `None` without backends to probe.
    pub fn next_probe_at(&self) -> Option<Instant> {
        let draft = self.draft.lock();
        let next = |Entry { state, .. }: &Entry| {
            let record = state.care().filter(|_| state.is_enabled())?.record.lock();
            Some(record.health.as_ref()?.next_at())
        };
        draft.entries.iter().filter_map(next).min()
    }

    /// Takes in the result of a probe. Returns whether there is such a backend, and it is probed.
    ///
    /// `random` makes the time of the next probe irregular.
    pub fn probed(&self, id: &BackendId, result: ProbeResult, random: u64, now: Instant) -> bool {
        let mut draft = self.draft.lock();
        let Some(is_news) = draft.record_probe(id, result, random, now) else {
            return false;
        };
        if is_news {
            self.bring_up_to_date(&mut draft, now);
        }
        true
    }

    /// Notices what is due, unless another thread is just changing the pool.
    pub(super) fn catch_up(&self, now: Instant) {
        if self.watch.is_anything_due(|| Tick::at(self.epoch, now))
            && let Some(mut draft) = self.draft.try_lock()
        {
            self.bring_up_to_date(&mut draft, now);
        }
    }

    pub(super) fn bring_up_to_date(&self, draft: &mut Draft, now: Instant) {
        if draft.reconcile(&self.watch, self.epoch, now) {
            self.publish(draft);
        }
    }
}

impl Draft {
    /// Whether the result changed anything; `None` if nobody asked for it.
    fn record_probe(
        &self,
        id: &BackendId,
        result: ProbeResult,
        random: u64,
        now: Instant,
    ) -> Option<bool> {
        let policy = self.policy.health.as_ref()?;
        let entry = self.entries.iter().find(|entry| entry.backend.id == *id)?;
        let mut record = entry.state.care()?.record.lock();
        let Record {
            health, ejection, ..
        } = &mut *record;
        let check = health.as_mut()?;
        let (passed, took) = (result.passed, result.took);
        let mut is_news = check.record(policy, result, random, now);
        if is_news {
            let text = check
                .last()
                .map_or_else(Box::default, |last| last.text.clone());
            let event = if passed {
                HealthEvent::Healthy(text)
            } else {
                HealthEvent::Unhealthy(text)
            };
            self.watch.tell(Some(id), event, now);
        }
        let readmits = passed
            && self
                .policy
                .outlier
                .is_some_and(|policy| policy.readmit_on_probe);
        // What a probe saw that began before the ejection is not newer than what led to it.
        let began = now.checked_sub(took);
        let is_newer = ejection
            .current()
            .is_some_and(|ejected| began >= Some(ejected.since));
        if readmits && is_newer && ejection.end(now, true) {
            self.watch.tell(Some(id), HealthEvent::Readmitted, now);
            is_news = true;
        }
        Some(is_news)
    }
}
