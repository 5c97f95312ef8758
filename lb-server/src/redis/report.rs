//! What the links of all workers say about their store: counted, and each change logged once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{OPS, StoreError};
use crate::metrics::{Bounds, Durations, StoreMetrics, Worker};

/// What the links of all workers say about their store.
#[derive(Debug)]
pub(crate) struct Report {
    operations: [[AtomicU64; RESULTS.len()]; OPS.len()],
    durations: Durations,
    said: Mutex<Said>,
}

/// What may come of a command.
const RESULTS: [&str; 5] = ["ok", "down", "timeout", "unusable", "refused"];

#[derive(Debug, Default)]
struct Said {
    links_down: usize,
    /// What the store said when it was given up.
    blamed: Option<Box<str>>,
    /// What it refused last, so that a misconfigured store fills no log.
    refused: Option<Box<str>>,
}

impl Report {
    #[cfg_attr(
        not(any(feature = "redis", test)),
        expect(dead_code, reason = "without a client there is nothing to report")
    )]
    pub(super) fn new(bounds: &Arc<Bounds>) -> Self {
        Self {
            operations: Default::default(),
            durations: Durations::new(Arc::clone(bounds)),
            said: Mutex::default(),
        }
    }

    /// A link has lost its connection, or got none; it says so once, until it is up.
    pub(super) fn down(&self, why: &StoreError) {
        let mut said = self.said.lock();
        said.links_down += 1;
        if said.links_down == 1 {
            let why = said.blamed.take().unwrap_or_else(|| why.to_string().into());
            tracing::warn!(%why, "Redis is down: on_store_error decides until it is back");
        }
    }

    /// A link that was down has a connection again.
    pub(super) fn up(&self) {
        let mut said = self.said.lock();
        said.links_down = said.links_down.saturating_sub(1);
        if said.links_down == 0 {
            *said = Said::default();
            tracing::info!("Redis is back");
        }
    }

    /// Keeps why a connection is given up, for the line that says so.
    pub(super) fn blame(&self, why: &str) {
        self.said.lock().blamed = Some(why.into());
    }

    /// Counts a command by its place in [`OPS`].
    pub(super) fn answered(&self, op: usize, result: Result<(), &StoreError>, took: Duration) {
        let word = result.map_or_else(StoreError::reason, |()| "ok");
        let counters = RESULTS.iter().zip(&self.operations[op]);
        for (_, counter) in counters.filter(|(known, _)| **known == word) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.durations.observe(Worker::ANY, took);
        let Err(error) = result else {
            return;
        };
        if let StoreError::Refused(why) = error {
            let mut said = self.said.lock();
            if said.refused.as_ref() != Some(why) {
                tracing::warn!(%why, "Redis refused a command");
                said.refused = Some(why.clone());
            }
        }
    }

    /// Whether every link that has tried has a connection.
    pub(crate) fn is_up(&self) -> bool {
        self.said.lock().links_down == 0
    }

    pub(crate) fn read(&self) -> StoreMetrics {
        let mut answered = 0;
        let mut errors = BTreeMap::new();
        for (_, result, count) in self.operations() {
            match result {
                "ok" => answered += count,
                reason => *errors.entry(reason).or_insert(0) += count,
            }
        }
        StoreMetrics {
            is_up: self.is_up(),
            answered,
            errors,
        }
    }

    /// By operation and result, those that have been counted.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let operations = OPS.iter().zip(&self.operations);
        operations.flat_map(|(op, results)| {
            let results = RESULTS.iter().zip(results);
            results
                .map(|(result, count)| (*op, *result, count.load(Ordering::Relaxed)))
                .filter(|(_, _, count)| *count > 0)
        })
    }

    pub(crate) fn durations(&self) -> &Durations {
        &self.durations
    }
}
