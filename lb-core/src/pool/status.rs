//! How the backends of a pool are doing.

use std::time::{Duration, Instant};

use super::change::{Draft, Entry};
use crate::backend::{Backend, BackendState, Exclusion, LatencyRule};
use crate::breaker::BreakerState;
use crate::health::{Health, ProbeResult};
use crate::outlier::Ejected;

/// A backend as it is at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendStatus {
    /// Its parameters.
    pub backend: Backend,
    /// How many requests were picked for it and are not finished.
    pub in_flight: u32,
    /// The estimate of its latency, decayed to now; `None` before the first response.
    pub latency: Option<Duration>,
    /// Why it is not eligible; `None` if it is. That it is full is not said here: compare
    /// [`in_flight`](BackendStatus::in_flight) with its `max_connections`.
    pub exclusion: Option<Exclusion>,
    /// Since when that speaks against it, where it was found and not said by the operator.
    pub since: Option<Instant>,
    /// What it was found by, for people.
    pub why: Option<String>,
    /// Whether the operator lets it take part.
    pub is_enabled: bool,
    /// Whether it takes no new requests because it is to go away.
    pub is_draining: bool,
    /// What its probes say.
    pub health: Health,
    /// Since when they say so; `None` if it is not probed.
    pub health_since: Option<Instant>,
    /// The last probe and when it ended.
    pub last_probe: Option<(ProbeResult, Instant)>,
    /// When the next probe is due.
    pub next_probe_at: Option<Instant>,
    /// Its failures in a row.
    pub errors_in_a_row: u32,
    /// Its present ejection; in a panic it is eligible all the same.
    pub ejected: Option<Ejected>,
    /// How often it was ejected.
    pub ejections: u64,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// How often that has opened.
    pub breaker_opens: u64,
    /// The percentage of its share that it gets, while it is warmed up.
    pub percent: u8,
}

impl BackendStatus {
    /// Whether it can be picked, unless it is full.
    pub fn is_eligible(&self) -> bool {
        self.exclusion.is_none()
    }

    fn of(backend: &Backend, state: &BackendState, rule: LatencyRule, now: Instant) -> Self {
        let exclusion = state.exclusion();
        let (since, why) = reason(state, exclusion).unzip();
        let mut status = Self {
            backend: backend.clone(),
            in_flight: state.in_flight(),
            latency: state.measured_latency(rule, now),
            exclusion,
            since,
            why,
            is_enabled: state.is_enabled(),
            is_draining: state.is_draining(),
            health: Health::Unknown,
            health_since: None,
            last_probe: None,
            next_probe_at: None,
            errors_in_a_row: state.streaks().errors(),
            ejected: None,
            ejections: 0,
            breaker: BreakerState::Closed,
            breaker_opens: 0,
            percent: state.percent(),
        };
        if let Some(care) = state.care() {
            let record = care.record.lock();
            if let Some(check) = &record.health {
                status.health = check.health();
                status.health_since = Some(check.since());
                status.last_probe = check.last().cloned().zip(check.last_at());
                status.next_probe_at = Some(check.next_at());
            }
            status.ejected = record.ejection.current();
            status.ejections = record.ejection.count();
            status.breaker = care.breaker.state();
            status.breaker_opens = care.breaker.opens();
        }
        status
    }
}

/// Since when and by what an exclusion was found.
pub(super) fn reason(
    state: &BackendState,
    exclusion: Option<Exclusion>,
) -> Option<(Instant, String)> {
    let care = state.care()?;
    let record = care.record.lock();
    match exclusion? {
        Exclusion::Unhealthy => {
            let check = record.health.as_ref()?;
            let text = check.last().map_or("", |last| &last.text);
            Some((check.since(), text.to_owned()))
        }
        Exclusion::Ejected => {
            let ejected = record.ejection.current()?;
            Some((ejected.since, ejected.to_string()))
        }
        Exclusion::BreakerOpen => {
            let since = care.breaker.since();
            let time = care.breaker.open_until()?.saturating_duration_since(since);
            Some((since, format!("open for {:.1} s", time.as_secs_f64())))
        }
        Exclusion::TrialsTaken => Some((care.breaker.since(), "half-open".to_owned())),
        _ => None,
    }
}

impl Draft {
    pub(super) fn status(&self, now: Instant) -> Vec<BackendStatus> {
        let rule = LatencyRule::of(&self.parameters.latency);
        let status =
            |Entry { backend, state }: &Entry| BackendStatus::of(backend, state, rule, now);
        self.entries.iter().map(status).collect()
    }
}
