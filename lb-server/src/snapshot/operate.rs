//! What operators see of a pool and change in it while it runs.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Instant;

use foldhash::fast::RandomState;
use lb_core::{BackendId, BreakerState, Exclusion, Health, Weight};
use parking_lot::Mutex;

use super::PoolEntry;
use crate::admin::{
    BackendChange, BackendOrder, BackendState, BackendStatus, BreakerStatus, Drift, PoolStatus,
    RetryBudgetStatus,
};
use crate::clock;
use crate::config::BackendConfig;
use crate::discovery::{self, Found};
use crate::error::{Error, ErrorKind};

/// When operators last changed what each backend is to do.
#[derive(Debug)]
pub(super) struct Operated {
    /// Of backends that nobody touched: when the pool was made.
    began: Instant,
    changed: Mutex<HashMap<BackendId, Instant, RandomState>>,
}

impl Operated {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            changed: Mutex::default(),
        }
    }

    pub(super) fn note(&self, id: &BackendId, now: Instant) {
        self.changed.lock().insert(id.clone(), now);
    }

    pub(super) fn forget(&self, id: &BackendId) {
        self.changed.lock().remove(id);
    }

    fn since(&self, id: &BackendId) -> Instant {
        self.changed.lock().get(id).copied().unwrap_or(self.began)
    }
}

impl PoolEntry {
    /// The identity of a backend that is called so within this pool.
    pub(crate) fn id_of(&self, label: &str) -> BackendId {
        BackendId::new(format!("{}/{label}", self.name))
    }

    /// What a backend is called within this pool.
    pub(crate) fn label<'a>(&self, id: &'a BackendId) -> &'a str {
        let id = id.as_str();
        let own = id.strip_prefix(&*self.name);
        own.and_then(|rest| rest.strip_prefix('/')).unwrap_or(id)
    }

    /// How the pool and its backends are doing.
    pub(crate) fn status(&self) -> PoolStatus {
        let now = clock::now();
        let backends: Vec<_> = self
            .balancer
            .backends(now)
            .iter()
            .filter_map(|status| self.backend_status(status))
            .collect();
        let of_breaker = |word: &str| {
            let matching = |backend: &&BackendStatus| backend.breaker.as_deref() == Some(word);
            backends.iter().filter(matching).count() as u64
        };
        let takes = |backend: &&BackendStatus| {
            use BackendState::{Full, Ready, SlowStart};
            matches!(backend.state, Ready | Full | SlowStart)
        };
        let pool = self.balancer.status(now);
        let (after_answer, after_failure) = self.retries.available(now);
        PoolStatus {
            name: self.name.to_string(),
            algorithm: self.balancer.algorithm().to_string(),
            in_flight: backends
                .iter()
                .map(|backend| u64::from(backend.in_flight))
                .sum(),
            max_connections: self.config.max_connections.map(NonZeroU32::get),
            queue: self.queue.len() as u64,
            queue_max: u64::from(self.config.queue),
            eligible: backends.iter().filter(takes).count() as u64,
            panic_since: pool.panic_since.map(clock::unix_seconds),
            breaker: BreakerStatus {
                is_on: self.config.circuit_breaker.is_some(),
                open: of_breaker("open"),
                half_open: of_breaker("half_open"),
            },
            retry_budget: RetryBudgetStatus {
                is_on: self.retries.is_on(),
                after_answer,
                after_failure,
            },
            retries: backends.iter().map(|backend| backend.retries).sum(),
            backends,
        }
    }

    /// How one backend is doing.
    pub(crate) fn status_of(&self, id: &BackendId) -> Option<BackendStatus> {
        let backends = self.balancer.backends(clock::now());
        let found = backends.iter().find(|status| status.backend.id == *id)?;
        self.backend_status(found)
    }

    /// `None` where it was removed at this moment.
    fn backend_status(&self, status: &lb_core::BackendStatus) -> Option<BackendStatus> {
        let id = &status.backend.id;
        let target = self.target(id)?;
        let counted = target.counters.read(status.in_flight);
        let has_breaker = self.config.circuit_breaker.is_some();
        let (state, since, why) = self.state(status);
        let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        Some(BackendStatus {
            id: self.label(id).to_owned(),
            url: target.url.to_string(),
            state,
            since: clock::unix_seconds(since),
            why,
            last_check: status
                .last_probe
                .as_ref()
                .map(|(probe, _)| probe.text.to_string()),
            last_check_at: status
                .last_probe
                .as_ref()
                .map(|(_, at)| clock::unix_seconds(*at)),
            weight: status.backend.weight.get(),
            percent: status.percent,
            backup: status.backend.backup,
            in_flight: status.in_flight,
            max_connections: status.backend.max_connections.map(NonZeroU32::get),
            requests: counted.request_count,
            errors: counted.error_count,
            rate: 0.0,
            error_rate: 0.0,
            retries: target.counters.retries(),
            p50_ms: millis(counted.p50),
            p99_ms: millis(counted.p99),
            ejections: status.ejections,
            breaker: has_breaker.then(|| status.breaker.as_str().to_owned()),
        })
    }

    /// What a backend is doing, since when and why.
    fn state(&self, status: &lb_core::BackendStatus) -> (BackendState, Instant, Option<String>) {
        let operated = self.operated.since(&status.backend.id);
        // It takes requests since the last of what kept it from them.
        let health_since = status
            .health_since
            .filter(|_| status.health == Health::Healthy);
        let in_since = health_since.map_or(operated, |since| since.max(operated));
        let found = |state| {
            let since = status.since.unwrap_or(operated);
            (state, since, status.why.clone())
        };
        match status.exclusion {
            Some(Exclusion::Disabled) => (BackendState::Maintenance, operated, None),
            Some(Exclusion::Draining) => (BackendState::Draining, operated, None),
            Some(Exclusion::Unhealthy) => found(BackendState::Unhealthy),
            Some(Exclusion::Ejected) => found(BackendState::Ejected),
            Some(Exclusion::BreakerOpen) => found(BackendState::CircuitOpen),
            _ => {
                let limit = status.backend.max_connections;
                if limit.is_some_and(|limit| status.in_flight >= limit.get()) {
                    let why = format!("{} in flight", status.in_flight);
                    return (BackendState::Full, in_since, Some(why));
                }
                if status.percent < 100 {
                    let why = format!("{} % of its share", status.percent);
                    return (BackendState::SlowStart, in_since, Some(why));
                }
                let why = (status.breaker == BreakerState::HalfOpen)
                    .then(|| "its circuit breaker lets trials pass".to_owned());
                (BackendState::Ready, in_since, why)
            }
        }
    }

    /// Changes a backend, all that is asked for or nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a weight or limit that no backend can have, [`ErrorKind::NotFound`] where there is no
    /// such backend.
    pub(crate) fn change(&self, label: &str, change: &BackendChange) -> Result<(), Error> {
        let id = self.id_of(label);
        let wrong = |text: String| Error::new(ErrorKind::Config, text);
        let weight = change
            .weight
            .map(Weight::try_new)
            .transpose()
            .map_err(|error| wrong(error.to_string()))?;
        let limit = match change.max_connections {
            Some(Some(limit)) => Some(Some(NonZeroU32::new(limit).ok_or_else(|| {
                wrong(
                    "`max_connections` must be at least 1, got 0; null lifts the limit".to_owned(),
                )
            })?)),
            Some(None) => Some(None),
            None => None,
        };
        if self.target(&id).is_none() {
            return Err(self.no_backend(label));
        }
        let now = clock::now();
        if let Some(weight) = weight {
            self.balancer.set_weight(&id, weight);
        }
        if let Some(limit) = limit {
            if limit.is_some() {
                self.queue.set_limited(true);
            }
            self.balancer.set_max_connections(&id, limit);
        }
        if let Some(order) = change.state {
            // In this order there is no moment at which neither speaks against it.
            match order {
                BackendOrder::Ready => {
                    self.balancer.set_draining(&id, false);
                    self.balancer.set_enabled(&id, true);
                }
                BackendOrder::Drain => {
                    self.balancer.set_draining(&id, true);
                    self.balancer.set_enabled(&id, true);
                }
                BackendOrder::Maintain => {
                    self.balancer.set_enabled(&id, false);
                    self.balancer.set_draining(&id, false);
                }
            }
            self.operated.note(&id, now);
        }
        // A larger limit and a backend that is back are places; one that is gone is none to wait for.
        self.queue.wake_all(now);
        Ok(())
    }

    /// That there is no backend of this name, and which there are.
    pub(crate) fn no_backend(&self, label: &str) -> Error {
        let backends = self.balancer.backends(clock::now());
        let known: Vec<&str> = backends
            .iter()
            .map(|status| self.label(&status.backend.id))
            .collect();
        Error::new(
            ErrorKind::NotFound,
            format!(
                "there is no backend `{label}` in pool `{}`; there are: {}",
                self.name,
                known.join(", ")
            ),
        )
    }

    /// What operators have changed since the configuration was put in force, or since names stand for what they do.
    pub(crate) fn drift(&self, found: &Found) -> Vec<Drift> {
        let configured = discovery::in_force(&self.name, &self.config, found);
        let now = clock::now();
        let backends = self.balancer.backends(now);
        let mut drift = Vec::new();
        let mut tell = |label: &str, what: &str, configured, in_force, since: Option<Instant>| {
            drift.push(Drift {
                pool: self.name.to_string(),
                backend: label.to_owned(),
                what: what.to_owned(),
                configured,
                in_force,
                since: since.map(clock::unix_seconds),
            });
        };
        for config in &configured {
            let label = discovery::label(config);
            let id = self.id_of(&label);
            let Some(status) = backends.iter().find(|status| status.backend.id == id) else {
                tell(&label, "removed", Some(config.url.to_string()), None, None);
                continue;
            };
            let backend = &status.backend;
            if backend.weight.get() != config.weight {
                let (said, is) = (config.weight.to_string(), backend.weight.to_string());
                tell(&label, "weight", Some(said), Some(is), None);
            }
            if backend.max_connections != config.max_connections {
                let text = |limit: Option<NonZeroU32>| limit.map(|limit| limit.to_string());
                let (said, is) = (text(config.max_connections), text(backend.max_connections));
                tell(&label, "max_connections", said, is, None);
            }
        }
        for status in &backends {
            let id = &status.backend.id;
            let label = self.label(id);
            let is_configured = |config: &BackendConfig| discovery::label(config) == label;
            let since = Some(self.operated.since(id));
            if !configured.iter().any(is_configured) {
                let url = self.target(id).map(|target| target.url.to_string());
                tell(label, "added", None, url, since);
            }
            let order = match (status.is_enabled, status.is_draining) {
                (false, _) => BackendOrder::Maintain,
                (true, true) => BackendOrder::Drain,
                (true, false) => continue,
            };
            let said = Some(BackendOrder::Ready.as_str().to_owned());
            tell(label, "state", said, Some(order.as_str().to_owned()), since);
        }
        drift
    }
}
