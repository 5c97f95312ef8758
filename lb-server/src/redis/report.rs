//! What the links of all workers say about their store: counted, and each change logged once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::StoreError;
use crate::metrics::StoreMetrics;

/// What the links of all workers say about their store.
#[derive(Debug, Default)]
pub(crate) struct Report {
    answered: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    links_down: usize,
    /// What the store said when it was given up.
    blamed: Option<Box<str>>,
    /// What it refused last, so that a misconfigured store fills no log.
    refused: Option<Box<str>>,
}

impl Report {
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

    pub(super) fn answered(&self, result: Result<(), &StoreError>) {
        let Err(error) = result else {
            self.answered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        *self.errors.lock().entry(error.reason()).or_insert(0) += 1;
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
        StoreMetrics {
            is_up: self.is_up(),
            answered: self.answered.load(Ordering::Relaxed),
            errors: self.errors.lock().clone(),
        }
    }
}
