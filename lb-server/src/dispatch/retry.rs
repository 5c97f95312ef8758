//! Whether a failed attempt is followed by another, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use lb_core::{BudgetPolicy, Cause, RetryBudget};

use super::outgoing::Outgoing;
use crate::config::RetryConfig;
use crate::metrics::PoolCounters;
use crate::reject::Reject;

/// One attempt that came to nothing.
pub(super) struct Failed {
    pub(super) reject: Reject,
    pub(super) failure: Failure,
}

impl Failed {
    pub(super) fn new(reject: Reject, failure: Failure) -> Self {
        Self { reject, failure }
    }
}

/// How an attempt came to nothing, which decides whether there may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection: nothing was sent.
    Connect,
    /// The backend's word that it did not process the request.
    Refused,
    /// The connection had ended before anything of the request was sent; says nothing about the
    /// backend.
    Unsent,
    /// A connection that was kept unused for long broke off before the response head. It is the
    /// likeliest that it had been closed before, which says nothing about the backend.
    Stale,
    /// The same of a connection that was in use a moment ago. It may still have been closed before,
    /// so that another attempt is free; a backend that does so all the time is not well.
    HungUp,
    /// Broken off before the response head: it may have been processed.
    Reset,
    /// No response head in time: it may be being processed.
    Timeout,
    /// The response was nonsense, or the request itself is at fault.
    Final,
}

impl Failure {
    /// What it says about the backend; `None` says nothing.
    pub(super) fn cause(self, reject: &Reject) -> Option<Cause> {
        match (self, reject) {
            (Self::Refused | Self::Unsent | Self::Stale, _) => None,
            // A client that broke off says nothing about the backend.
            (_, Reject::ClientClosed | Reject::RequestTimeout | Reject::BadRequest(_)) => None,
            (Self::Connect, _) => Some(Cause::Connect),
            (Self::Timeout, _) => Some(Cause::Timeout),
            (Self::HungUp | Self::Reset, _) => Some(Cause::Reset),
            (Self::Final, _) => Some(Cause::Protocol),
        }
    }
}

/// The retries of a pool.
#[derive(Debug)]
pub(crate) struct Retries {
    config: RetryConfig,
    policy: BudgetPolicy,
    budget: Arc<RetryBudget>,
    counters: Arc<PoolCounters>,
}

impl Retries {
    /// What retries cost is counted in a budget that outlives the configuration.
    pub(crate) fn new(
        config: RetryConfig,
        budget: Arc<RetryBudget>,
        counters: Arc<PoolCounters>,
    ) -> Self {
        let policy = BudgetPolicy::default()
            .percent(config.budget_percent)
            .min_per_second(config.budget_min_per_second);
        Self {
            config,
            policy,
            budget,
            counters,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.config.attempts.get() > 1 || self.config.hedge.is_some()
    }

    /// How many it would grant now: after an answer, and after other failures.
    pub(crate) fn available(&self, now: Instant) -> (u32, u32) {
        if !self.is_on() {
            return (0, 0);
        }
        self.budget.available(&self.policy, now)
    }

    /// What outlives the configuration.
    pub(crate) fn budget(&self) -> &Arc<RetryBudget> {
        &self.budget
    }

    /// Takes in that a request came.
    pub(super) fn begin(&self, now: Instant) -> Progress<'_> {
        let attempts = self.config.attempts.get();
        // Without retries nothing is ever paid.
        if attempts > 1 || self.config.hedge.is_some() {
            self.budget.deposit(&self.policy, now);
        }
        Progress {
            retries: self,
            left: attempts - 1,
            made: 0,
            is_free_left: true,
        }
    }
}

/// How far the attempts at one request have come.
pub(super) struct Progress<'a> {
    retries: &'a Retries,
    left: u32,
    /// Retries made that wait.
    made: u32,
    /// Whether a stale connection may be replaced at no cost.
    is_free_left: bool,
}

/// Another attempt that was granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// At once, over a new connection to whomever.
    AtOnce,
    /// To another backend, after a pause with this bound.
    Elsewhere { pause_max: Duration },
}

impl Progress<'_> {
    /// Whether a failed attempt may be followed by another; pays for it, where there is somebody to
    /// try.
    pub(super) fn after(
        &mut self,
        failure: Failure,
        outgoing: &Outgoing,
        is_any_untried: impl FnOnce() -> bool,
        now: Instant,
    ) -> Option<Grant> {
        let on = &self.retries.config.on;
        let is_idempotent = outgoing.is_idempotent();
        let (is_wanted, cause) = match failure {
            Failure::Unsent if std::mem::take(&mut self.is_free_left) => {
                return Some(Grant::AtOnce);
            }
            Failure::Stale | Failure::HungUp
                if is_idempotent && std::mem::take(&mut self.is_free_left) =>
            {
                return Some(Grant::AtOnce);
            }
            Failure::Connect | Failure::Unsent => (on.connect_error, Cause::Connect),
            Failure::Refused => (on.refused_stream, Cause::Reset),
            // It may have been processed: repeating it must change nothing.
            Failure::Stale | Failure::HungUp | Failure::Reset => {
                (on.reset_before_headers && is_idempotent, Cause::Reset)
            }
            Failure::Timeout => (on.timeout && is_idempotent, Cause::Timeout),
            Failure::Final => return None,
        };
        if self.left == 0 || !is_wanted || !is_any_untried() {
            return None;
        }
        let grant = self.pay(cause, now)?;
        // What no backend has begun with goes to another at once: that one has done nothing to be
        // spared.
        Some(match failure {
            Failure::Connect | Failure::Unsent | Failure::Refused => Grant::Elsewhere {
                pause_max: Duration::ZERO,
            },
            _ => grant,
        })
    }

    /// Whether a response with this status is one to be asked for again elsewhere.
    pub(super) fn is_unwanted(&self, status: StatusCode, outgoing: &Outgoing) -> bool {
        self.left > 0
            && self.retries.config.on.statuses.contains(&status.as_u16())
            && outgoing.is_idempotent()
    }

    /// As [`Progress::after`], of a response that is unwanted.
    pub(super) fn after_status(&mut self, status: StatusCode, now: Instant) -> Option<Grant> {
        self.pay(
            Cause::of_status(status.as_u16()).unwrap_or(Cause::Gateway),
            now,
        )
    }

    /// How long an attempt may go without a response head until another could take its place.
    pub(super) fn per_try_timeout(&self, outgoing: &Outgoing) -> Option<Duration> {
        let config = &self.retries.config;
        config
            .per_try_timeout
            .filter(|_| self.left > 0 && config.on.timeout && outgoing.is_idempotent())
    }

    /// After how long a request is sent a second time beside the first.
    pub(super) fn hedge_after(&self, outgoing: &Outgoing) -> Option<Duration> {
        self.retries
            .config
            .hedge
            .filter(|_| outgoing.is_idempotent())
    }

    /// Whether the budget has a second attempt beside the first.
    pub(super) fn may_hedge(&self, now: Instant) -> bool {
        self.retries.budget.try_hedge(&self.retries.policy, now)
    }

    fn pay(&mut self, cause: Cause, now: Instant) -> Option<Grant> {
        let Retries {
            config,
            policy,
            budget,
            counters,
        } = self.retries;
        if self.left == 0 {
            return None;
        }
        if !budget.try_retry(policy, cause, now) {
            counters.exhaust();
            return None;
        }
        let doubled = 1u32.checked_shl(self.made).unwrap_or(u32::MAX);
        self.left -= 1;
        self.made += 1;
        Some(Grant::Elsewhere {
            pause_max: config
                .backoff
                .base
                .saturating_mul(doubled)
                .min(config.backoff.max),
        })
    }
}

/// A pause drawn evenly up to its bound ("full jitter": M. Brooker, "Exponential Backoff And
/// Jitter", 2015).
pub(super) fn pause(pause_max: Duration, random: u64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    pause_max.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use http::{HeaderMap, HeaderValue, Method, Uri};

    use super::*;
    use crate::clock;
    use crate::config::RetryOn;
    use crate::metrics::Bounds;

    fn outgoing(method: Method) -> Outgoing {
        Outgoing {
            method,
            uri: Uri::from_static("/"),
            named: Some(HeaderValue::from_static("a")),
            headers: HeaderMap::new(),
            is_forwarding_apart: true,
            has_length: false,
            has_grpc_timeout: false,
        }
    }

    fn retries(config: RetryConfig) -> Retries {
        Retries::new(
            config,
            Arc::new(RetryBudget::new(clock::now())),
            Arc::new(PoolCounters::new(&Bounds::of_seconds(&[]))),
        )
    }

    #[test]
    fn only_the_unprocessed_or_idempotent_is_repeated() {
        let retries = retries(RetryConfig::default());
        let now = clock::now();
        for (failure, get, post) in [
            (Failure::Connect, true, true),
            (Failure::Refused, true, true),
            (Failure::Unsent, true, true),
            (Failure::Stale, true, false),
            (Failure::HungUp, true, false),
            (Failure::Reset, true, false),
            (Failure::Timeout, true, false),
            (Failure::Final, false, false),
        ] {
            let may = |method| {
                let outgoing = outgoing(method);
                retries
                    .begin(now)
                    .after(failure, &outgoing, || true, now)
                    .is_some()
            };
            assert_eq!(
                (may(Method::GET), may(Method::POST)),
                (get, post),
                "{failure:?}"
            );
        }
        let mut keyed = outgoing(Method::POST);
        keyed
            .headers
            .insert("idempotency-key", HeaderValue::from_static("\"7\""));
        assert!(
            retries
                .begin(now)
                .after(Failure::Reset, &keyed, || true, now)
                .is_some()
        );
    }

    #[test]
    fn a_stale_connection_is_replaced_once_whatever_is_configured() {
        let retries = retries(RetryConfig::off());
        let (now, outgoing) = (clock::now(), outgoing(Method::GET));
        let mut progress = retries.begin(now);
        assert_eq!(
            progress.after(Failure::Stale, &outgoing, || true, now),
            Some(Grant::AtOnce)
        );
        assert_eq!(
            progress.after(Failure::Stale, &outgoing, || true, now),
            None
        );
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_attempts_end() {
        let retries = retries(RetryConfig::default().attempts(NonZeroU32::new(7).unwrap()));
        let (now, outgoing) = (clock::now(), outgoing(Method::GET));
        let mut progress = retries.begin(now);
        let bounds: Vec<_> = std::iter::from_fn(|| {
            progress
                .after(Failure::Reset, &outgoing, || true, now)
                .map(|grant| match grant {
                    Grant::Elsewhere { pause_max } => pause_max.as_millis(),
                    Grant::AtOnce => 0,
                })
        })
        .collect();
        assert_eq!(bounds, [25, 50, 100, 200, 250, 250]);
        assert!(pause(Duration::from_secs(1), u64::MAX) <= Duration::from_secs(1));
        assert_eq!(pause(Duration::from_secs(1), 0), Duration::ZERO);
    }

    #[test]
    fn conditions_that_are_not_named_are_not_met() {
        let on = RetryOn::default().connect_error(false).statuses(vec![502]);
        let retries = retries(RetryConfig::default().on(on));
        let (now, get) = (clock::now(), outgoing(Method::GET));
        let mut progress = retries.begin(now);
        assert_eq!(progress.after(Failure::Connect, &get, || true, now), None);
        assert!(progress.is_unwanted(StatusCode::BAD_GATEWAY, &get));
        assert!(!progress.is_unwanted(StatusCode::SERVICE_UNAVAILABLE, &get));
        assert!(!progress.is_unwanted(StatusCode::BAD_GATEWAY, &outgoing(Method::POST)));
    }
}
