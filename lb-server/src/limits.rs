//! Rate limits of a route: admit a request, or refuse it, and tell its client.
//!
//! In memory a decision is ready at once. With a store that others share it is one round trip for all
//! limits of the route, none for a client that is known to be refused, and this instance's own decision
//! while the store is away, where that is configured.

mod key;
mod operate;
mod script;
mod state;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use lb_ratelimit::{Check, Decision, Enforcement, Key, Policy, Prefixes, check_all, fields};

use crate::config::{OnStoreError, RateLimitKey};
use crate::redis::{Store, StoreError};
use crate::reject::Reject;

pub(crate) use key::Subject;
use state::{Counted, LimitState};
pub(crate) use state::{LimitStates, Limits};

static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A limit in force: parameters, and where what was counted is.
#[derive(Debug)]
struct Limit {
    name: String,
    quoted: fields::PolicyName,
    policy: Policy,
    parts: Vec<RateLimitKey>,
    prefixes: Prefixes,
    cost: u32,
    enforcement: Enforcement,
    has_fields: bool,
    shared: Option<InStore>,
    state: Arc<LimitState>,
}

/// What a limit in a store that others share has besides.
#[derive(Debug)]
struct InStore {
    /// What its keys begin with.
    prefix: String,
    on_error: OnStoreError,
}

/// The limits that a request of one route has to pass.
#[derive(Debug)]
pub(crate) struct RouteLimits {
    /// Those in memory, those in the store that decide by themselves without it, the others.
    limits: Vec<Arc<Limit>>,
    in_memory: usize,
    /// `RateLimit-Policy`, the same for all requests.
    policies: Option<HeaderValue>,
    states: Arc<LimitStates>,
}

/// What the client is told of the limits, whatever answers it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    policies: Option<HeaderValue>,
    limits: Option<HeaderValue>,
}

impl Told {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        if let Some(policies) = self.policies {
            headers.append(&RATELIMIT_POLICY, policies);
        }
        if let Some(limits) = self.limits {
            headers.append(&RATELIMIT, limits);
        }
    }
}

impl RouteLimits {
    fn new(mut limits: Vec<Arc<Limit>>, states: Arc<LimitStates>) -> Self {
        limits.sort_by_key(|limit| {
            // Those that decide by themselves without a store come before the others in it.
            let is_local = limit.on_error() == Some(OnStoreError::Local);
            (limit.shared.is_some(), !is_local)
        });
        let in_memory = limits.iter().filter(|limit| limit.shared.is_none()).count();
        let told = limits.iter().filter(|limit| limit.is_told());
        let policies = fields::rate_limit_policy(told.map(|limit| limit.advertised()));
        Self {
            in_memory,
            policies: value(policies),
            limits,
            states,
        }
    }

    /// Counts a request under every limit, or refuses it and counts it under none.
    pub(crate) async fn admit(
        &self,
        subject: &Subject<'_>,
        store: Option<&dyn Store>,
        now: Instant,
    ) -> (Told, Result<(), Reject>) {
        let (memory, shared) = self.limits.split_at(self.in_memory);
        let mut decisions = Vec::with_capacity(self.limits.len());
        let mut result = self.check(memory, subject, &mut decisions, now);
        if result.is_ok() && !shared.is_empty() {
            // Apart, so that the exchanges without a store have no room for it.
            result = Box::pin(self.ask(shared, subject, store, &mut decisions, now)).await;
            if result.is_err() {
                self.give_back(&mut decisions[..memory.len()], subject, now);
            }
        }
        for (limit, decision) in &decisions {
            limit.count(decision, &result);
        }
        let told = decisions.iter().filter(|(limit, _)| limit.is_told());
        let limits =
            fields::rate_limit(told.map(|(limit, decision)| (limit.advertised(), decision)));
        let told = Told {
            policies: self.policies.clone(),
            limits: value(limits),
        };
        (told, result)
    }

    /// Decides by the store, or without it where it gives no answer.
    async fn ask<'a>(
        &self,
        shared: &'a [Arc<Limit>],
        subject: &Subject<'_>,
        store: Option<&dyn Store>,
        decisions: &mut Vec<(&'a Limit, Decision)>,
        now: Instant,
    ) -> Result<(), Reject> {
        let keys: Vec<Key> = shared
            .iter()
            .map(|limit| self.key(limit, subject))
            .collect();
        for (limit, key) in shared.iter().zip(&keys) {
            if limit.enforcement == Enforcement::Enforce
                && let Some(wait) = limit.state.memo.retry_after(*key, now)
            {
                limit.state.counters.count(Counted::Remembered);
                let refusal = limit.policy.refusal(wait);
                decisions.push((limit, refusal));
                return Err(limit.refuse(&refusal));
            }
        }
        let command = script::command(shared, |limit| self.states.store_key(limit, subject));
        let answer = match store {
            Some(store) => store.run(command).await,
            None => Err(StoreError::Down),
        };
        let decided = answer.and_then(|answer| {
            script::decisions(shared, &answer).ok_or_else(|| StoreError::unexpected(&answer))
        });
        let Ok(decided) = decided else {
            return self.without_store(shared, subject, decisions, now);
        };
        for ((limit, key), decision) in shared.iter().zip(&keys).zip(&decided) {
            if limit.is_refused_by(decision)
                && let Some(wait) = decision.retry_after()
            {
                limit.state.memo.note(*key, wait, now);
            }
        }
        settle(shared, decided, decisions)
    }

    /// What is configured for the time without a store.
    fn without_store<'a>(
        &self,
        limits: &'a [Arc<Limit>],
        subject: &Subject<'_>,
        decisions: &mut Vec<(&'a Limit, Decision)>,
        now: Instant,
    ) -> Result<(), Reject> {
        for limit in limits {
            limit.state.counters.count(Counted::StoreError);
        }
        let denies = |limit: &Arc<Limit>| {
            limit.on_error() == Some(OnStoreError::Deny)
                && limit.enforcement == Enforcement::Enforce
        };
        if limits.iter().any(denies) {
            return Err(Reject::StoreUnavailable);
        }
        let local = limits.partition_point(|limit| limit.on_error() == Some(OnStoreError::Local));
        self.check(&limits[..local], subject, decisions, now)
    }

    /// Decides in memory under several limits at once: counts in all or, if one refuses, in none.
    fn check<'a>(
        &self,
        limits: &'a [Arc<Limit>],
        subject: &Subject<'_>,
        decisions: &mut Vec<(&'a Limit, Decision)>,
        now: Instant,
    ) -> Result<(), Reject> {
        let check = |limit: &'a Arc<Limit>| Check {
            limiter: &limit.state.limiter,
            key: self.key(limit, subject),
            policy: &limit.policy,
            cost: limit.cost,
            enforcement: limit.enforcement,
        };
        let mut decided = Vec::with_capacity(limits.len());
        if let [limit] = limits {
            check_all(&[check(limit)], &mut decided, now);
        } else {
            let checks: Vec<Check<'_>> = limits.iter().map(check).collect();
            check_all(&checks, &mut decided, now);
        }
        settle(limits, decided, decisions)
    }

    /// Takes back what was counted in memory for a request that another limit has refused.
    fn give_back(&self, decisions: &mut [(&Limit, Decision)], subject: &Subject<'_>, now: Instant) {
        for (limit, decision) in decisions {
            if decision.is_admitted() {
                let (limiter, key) = (&limit.state.limiter, self.key(limit, subject));
                limiter.refund(key, &limit.policy, limit.cost, now);
                *decision = limiter.peek(key, &limit.policy, limit.cost, now);
            }
        }
    }

    fn key(&self, limit: &Limit, subject: &Subject<'_>) -> Key {
        self.states.key(limit, subject)
    }
}

/// Keeps what was decided, and takes the first refusal that counts for the result.
fn settle<'a>(
    limits: &'a [Arc<Limit>],
    decided: Vec<Decision>,
    decisions: &mut Vec<(&'a Limit, Decision)>,
) -> Result<(), Reject> {
    let mut result = Ok(());
    for (limit, decision) in limits.iter().zip(decided) {
        decisions.push((limit, decision));
        if result.is_ok() && limit.is_refused_by(&decision) {
            result = Err(limit.refuse(&decision));
        }
    }
    result
}

impl Limit {
    fn advertised(&self) -> fields::Advertised<'_> {
        fields::Advertised::new(&self.quoted, &self.policy)
    }

    /// What is only observed is no limit to a client.
    fn is_told(&self) -> bool {
        self.has_fields && self.enforcement == Enforcement::Enforce
    }

    fn on_error(&self) -> Option<OnStoreError> {
        self.shared.as_ref().map(|shared| shared.on_error)
    }

    fn is_refused_by(&self, decision: &Decision) -> bool {
        self.enforcement == Enforcement::Enforce && !decision.is_admitted()
    }

    /// Counts what was decided; `result` is what all limits together have said.
    fn count(&self, decision: &Decision, result: &Result<(), Reject>) {
        let what = match self.enforcement {
            _ if decision.is_admitted() && result.is_ok() => Counted::Admitted,
            // Refused by another: nothing was taken here.
            _ if decision.is_admitted() => return,
            Enforcement::Enforce => Counted::Refused,
            Enforcement::Observe => Counted::Observed,
        };
        self.state.counters.count(what);
    }

    fn refuse(&self, decision: &Decision) -> Reject {
        Reject::RateLimited {
            policy: self.has_fields.then(|| self.name.as_str().into()),
            retry_after: fields::retry_after_secs(decision),
        }
    }
}

/// A field value of a text of printable ASCII; none of an empty one.
fn value(text: String) -> Option<HeaderValue> {
    let text = (!text.is_empty()).then_some(text)?;
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}
