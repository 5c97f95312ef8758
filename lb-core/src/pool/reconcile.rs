//! Brings a pool up to date with what time and outcomes have changed: who is ejected, whose breaker is what, who grows.

use std::time::{Duration, Instant};

use super::change::{Draft, Entry};
use crate::backend::{
    BREAKER, BREAKER_OPEN, BackendState, Care, EJECTED, FULL, HALF_OPEN, RATE, STREAKS, Tick,
    UNHEALTHY,
};
use crate::breaker::BreakerState;
use crate::health::{Health, HealthCheck};
use crate::outlier::{EjectionCause, OutlierPolicy, least_success_rate};
use crate::timing::later;
use crate::watch::{HealthEvent, Watch};

/// What is kept between two looks at a pool.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// When success rates are compared next.
    compare_at: Option<Instant>,
    /// Since when ejections are disregarded.
    pub(super) panic: Option<Instant>,
    /// Ejections that the pool could not do without the backend for.
    pub(super) refused: u64,
}

/// For so long an ejection is not given up in favour of another; else a pool whose every backend fails would do nothing
/// but change them.
const SWAP_AFTER: Duration = Duration::from_secs(1);

/// The backends that count for what is a share of a pool.
#[derive(Debug, Clone, Copy, Default)]
struct Census {
    /// Those that the operator lets take part.
    all: usize,
    ejected: usize,
    /// Healthy and not ejected.
    usable: usize,
    /// Ejected although healthy.
    only_ejected: usize,
}

impl Draft {
    /// Makes a policy take effect on all backends: what it no longer asks for is forgotten.
    pub(super) fn apply_policy(&mut self, watch: &Watch, now: Instant) {
        let policy = self.policy;
        let mut watched = 0;
        if let Some(outlier) = &policy.outlier {
            watched |= STREAKS;
            if outlier.success_rate.is_some() {
                watched |= RATE;
            }
        } else {
            self.outlook.compare_at = None;
        }
        if policy.breaker.is_some() {
            watched |= BREAKER;
        }
        for Entry { state, .. } in &self.entries {
            state.set_watched(watched);
            if policy.is_off() && state.care().is_none() {
                continue;
            }
            let care = state.care_or_new(now);
            if watched & STREAKS == 0 {
                state.streaks().reset();
                care.take_suspicion();
                if care.record.lock().ejection.end(now, true) {
                    watch.tell(Some(state.id()), HealthEvent::Readmitted, now);
                }
            }
            if watched & RATE == 0 {
                care.rate.take(0);
            }
            if watched & BREAKER == 0 && care.breaker.reset(now) {
                watch.tell(
                    Some(state.id()),
                    HealthEvent::Breaker(BreakerState::Closed),
                    now,
                );
            }
            let mut record = care.record.lock();
            let random = state.random(now);
            match (&policy.health, &mut record.health) {
                (Some(policy), Some(check)) => check.reschedule(policy, random, now),
                (Some(policy), none) => *none = Some(HealthCheck::new(policy, random, now)),
                (None, check) => *check = None,
            }
            if policy.slow_start.is_none() {
                record.entered = None;
            }
        }
    }

    /// Looks at all backends. Returns whether anything has to be published.
    ///
    /// # Complexity
    /// O(n).
    pub(super) fn reconcile(&mut self, watch: &Watch, epoch: Instant, now: Instant) -> bool {
        watch.begin();
        for Entry { state, .. } in &self.entries {
            if let Some(care) = state.care() {
                lapse(watch, state, care, now);
            }
        }
        self.eject(watch, now);
        let census = self.census();
        let is_panic = self.check_panic(watch, census, now);
        let mut changed = false;
        for Entry { state, .. } in &self.entries {
            if let Some(care) = state.care() {
                changed |= state.set_found(self.found(care, is_panic));
            }
        }
        changed |= self.warm_up(is_panic, now);
        if let Some(due) = self.next_change(now) {
            watch.is_due_at(Tick::at(epoch, due));
        }
        changed
    }

    /// When something changes by itself.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let grows = self.policy.slow_start.map(|ramp| later(now, ramp.step()));
        let of_backend = |Entry { state, .. }: &Entry| {
            let care = state.care()?;
            let record = care.record.lock();
            let breaker = care.breaker.open_until();
            let ejected = record.ejection.current().map(|ejected| ejected.until);
            let grows = grows.filter(|_| record.entered.is_some());
            [breaker, ejected, grows].into_iter().flatten().min()
        };
        let backends = self.entries.iter().filter_map(of_backend);
        backends.chain(self.outlook.compare_at).min()
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        for Entry { state, .. } in &self.entries {
            if !state.is_enabled() || state.is_draining() {
                continue;
            }
            census.all += 1;
            let record = state.care().map(|care| care.record.lock());
            let is_unhealthy = record
                .as_ref()
                .is_some_and(|record| is_unhealthy(&record.health));
            let is_ejected = record.is_some_and(|record| record.ejection.current().is_some());
            census.ejected += usize::from(is_ejected);
            census.usable += usize::from(!is_ejected && !is_unhealthy);
            census.only_ejected += usize::from(is_ejected && !is_unhealthy);
        }
        census
    }

    /// Ejects those that are suspected, as long as the pool can do without them.
    fn eject(&mut self, watch: &Watch, now: Instant) {
        let Some(policy) = self.policy.outlier else {
            return;
        };
        self.compare(&policy, now);
        let mut census = self.census();
        for Entry { state, .. } in &self.entries {
            let Some(care) = state.care() else { continue };
            let Some(cause) = care.take_suspicion() else {
                continue;
            };
            let record = care.record.lock();
            // One that is out already would only be kept out for longer by what was in flight.
            let is_in = state.is_enabled() && !state.is_draining() && !is_unhealthy(&record.health);
            if !is_in || record.ejection.current().is_some() {
                continue;
            }
            drop(record);
            if !policy.has_room(census.ejected, census.all) {
                // What failed just now is surer than what failed a while ago.
                if !self.readmit_longest(watch, now) {
                    self.outlook.refused += 1;
                    continue;
                }
                census.ejected -= 1;
            }
            let mut record = care.record.lock();
            census.ejected += 1;
            let ejected = record
                .ejection
                .begin(&policy, cause, state.random(now), now);
            watch.tell(Some(state.id()), HealthEvent::Ejected(ejected), now);
        }
    }

    /// Readmits the backend that has been ejected for longest, to make room for another. Returns whether there is one that
    /// has been for [`SWAP_AFTER`].
    fn readmit_longest(&self, watch: &Watch, now: Instant) -> bool {
        let ejected = self.entries.iter().filter_map(|Entry { state, .. }| {
            let care = state.care()?;
            let since = care.record.lock().ejection.current()?.since;
            (later(since, SWAP_AFTER) <= now).then_some((since, state, care))
        });
        let Some((_, state, care)) = ejected.min_by_key(|&(since, ..)| since) else {
            return false;
        };
        if !care.record.lock().ejection.end(now, true) {
            return false;
        }
        watch.tell(Some(state.id()), HealthEvent::Readmitted, now);
        true
    }

    /// Suspects those whose success rate lies far below the others', at the end of each interval.
    fn compare(&mut self, policy: &OutlierPolicy, now: Instant) {
        let Some(rates) = &policy.success_rate else {
            self.outlook.compare_at = None;
            return;
        };
        let next = later(now, policy.interval.max(Duration::from_millis(1)));
        if *self.outlook.compare_at.get_or_insert(next) > now {
            return;
        }
        self.outlook.compare_at = Some(next);
        let mut known: Vec<(f64, &Care)> = Vec::with_capacity(self.entries.len());
        for Entry { state, .. } in &self.entries {
            let Some(care) = state.care() else { continue };
            if let Some(rate) = care.rate.take(rates.min_requests) {
                known.push((rate, care));
            }
        }
        let values: Vec<f64> = known.iter().map(|&(rate, _)| rate).collect();
        if let Some(least) = least_success_rate(rates, &values) {
            let outliers = known.iter().filter(|&&(rate, _)| rate < least);
            outliers.for_each(|(_, care)| care.suspect(EjectionCause::SuccessRate));
        }
    }

    /// Whether ejections are disregarded. Only said where that makes a difference.
    fn check_panic(&mut self, watch: &Watch, census: Census, now: Instant) -> bool {
        let Census { all, usable, .. } = census;
        let is_panic = self.policy.outlier.is_some_and(|policy| {
            let gained = if policy.panic_ignores_probes {
                all - usable
            } else {
                census.only_ejected
            };
            gained > 0 && policy.is_panic(usable, all)
        });
        match (is_panic, self.outlook.panic) {
            (true, None) => {
                self.outlook.panic = Some(now);
                watch.tell(None, HealthEvent::PanicBegan { usable, all }, now);
            }
            (false, Some(_)) => {
                self.outlook.panic = None;
                watch.tell(None, HealthEvent::PanicEnded, now);
            }
            _ => {}
        }
        is_panic
    }

    fn found(&self, care: &Care, is_panic: bool) -> u8 {
        let ignores_probes = self
            .policy
            .outlier
            .is_some_and(|policy| policy.panic_ignores_probes);
        let record = care.record.lock();
        let mut found = match care.breaker.state() {
            BreakerState::Closed => 0,
            BreakerState::Open { .. } => BREAKER_OPEN,
            BreakerState::HalfOpen => HALF_OPEN,
        };
        if record.ejection.current().is_some() && !is_panic {
            found |= EJECTED;
        }
        if is_unhealthy(&record.health) && !(is_panic && ignores_probes) {
            found |= UNHEALTHY;
        }
        found
    }

    /// Begins and continues the ramps of those that enter. Returns whether a share has changed.
    fn warm_up(&self, is_panic: bool, now: Instant) -> bool {
        let is_in = |state: &BackendState| state.is_eligible() && !state.is_half_open();
        // Those who could take the rest of the load, in each tier.
        let mut serving = [0, 0];
        for Entry { backend, state } in &self.entries {
            let was_in = state.care().and_then(|care| care.record.lock().was_in);
            let serves = is_in(state) && was_in == Some(true) && state.has_served();
            serving[usize::from(backend.backup)] += usize::from(serves);
        }
        let mut changed = false;
        for Entry { backend, state } in &self.entries {
            let Some(care) = state.care() else { continue };
            let mut record = care.record.lock();
            let is_in = is_in(state);
            let enters = is_in && record.was_in != Some(true);
            record.was_in = Some(is_in);
            if enters {
                // In a panic every backend is needed whole.
                let ramps = serving[usize::from(backend.backup)] > 0 && !is_panic;
                record.entered = ramps.then_some(now);
            }
            let since = record.entered.filter(|_| is_in);
            let percent = match (&self.policy.slow_start, since) {
                (Some(ramp), Some(since)) => {
                    let percent = ramp.percent(now.saturating_duration_since(since));
                    u8::try_from(percent).unwrap_or(FULL)
                }
                _ => FULL,
            };
            if percent == FULL {
                record.entered = None;
            }
            changed |= state.set_percent(percent);
        }
        changed
    }
}

/// Ends what is over.
fn lapse(watch: &Watch, state: &BackendState, care: &Care, now: Instant) {
    if let Some(breaker) = care.breaker.poll(now) {
        watch.tell(Some(state.id()), HealthEvent::Breaker(breaker), now);
    }
    if care.record.lock().ejection.end(now, false) {
        watch.tell(Some(state.id()), HealthEvent::Readmitted, now);
    }
}

fn is_unhealthy(check: &Option<HealthCheck>) -> bool {
    check
        .as_ref()
        .is_some_and(|check| check.health() == Health::Unhealthy)
}
