//! Backends that are ejected, for requests that everybody else failed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use super::change::Entry;
use super::{Picked, Pool};
use crate::backend::{BackendId, LatencyRule};
use crate::strategy::Algorithm;

impl Pool {
    /// Picks a backend that nothing but its ejection speaks against, for a request that everybody else failed.
    ///
    /// An ejection is about the past: a backend that was restarted may serve by now, and there is nothing to lose.
    ///
    /// # Complexity
    /// O(n × tried), under the lock of changes.
    pub fn pick_ejected(&self, tried: &[BackendId], now: Instant) -> Option<Picked> {
        let draft = self.draft.lock();
        let counted = self.watch.enter()?;
        let found = draft.entries.iter().find(|Entry { backend, state }| {
            let limit = backend.max_connections.map_or(u32::MAX, NonZeroU32::get);
            state.is_only_ejected() && !tried.contains(&backend.id) && state.acquire(limit)
        });
        let Some(Entry { state, .. }) = found else {
            if counted {
                self.watch.leave();
            }
            return None;
        };
        let rule = LatencyRule::of(&draft.parameters.latency);
        let awaiting = draft.parameters.algorithm == Algorithm::LeastResponseTime;
        let picked = Picked::new(Arc::clone(state), None, rule, awaiting, None, now);
        Some(picked.counted_in_pool(counted))
    }

    /// Whether [`Pool::pick_ejected`] would find a backend, full or not.
    ///
    /// # Complexity
    /// As there.
    pub fn has_ejected(&self, tried: &[BackendId]) -> bool {
        let draft = self.draft.lock();
        let mut entries = draft.entries.iter();
        entries
            .any(|Entry { backend, state }| state.is_only_ejected() && !tried.contains(&backend.id))
    }
}
