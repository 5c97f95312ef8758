//! A second attempt beside one that is slow.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use http::Response;
use lb_core::BackendId;

use super::Errand;
use super::attempt::{Limits, Trial};
use super::retry::Failed;
use crate::body::Body;
use crate::clock;
use crate::queue::InFlight;
use crate::snapshot::BackendTarget;

impl Errand<'_> {
    /// An attempt, and after a time without a response head another one at another backend, if the
    /// budget has it; the first good response counts, and the other attempt is dropped.
    ///
    /// Only for requests without a body: there is but one to send.
    pub(super) async fn hedged(
        &mut self,
        target: &Arc<BackendTarget>,
        picked: InFlight,
        started: Instant,
        after: Duration,
    ) -> Result<Response<Body>, Failed> {
        let mut tried = self.tried.clone();
        tried.push(target.id.clone());
        let result = self.race(target, picked, started, after, &mut tried).await;
        tried.pop_if(|last| *last == target.id);
        self.tried = tried;
        result
    }

    async fn race(
        &self,
        target: &Arc<BackendTarget>,
        picked: InFlight,
        started: Instant,
        after: Duration,
        tried: &mut Vec<BackendId>,
    ) -> Result<Response<Body>, Failed> {
        let slow = self.trial(target);
        let mut first = pin!(slow.run(picked, started, Body::empty(), || false));
        if let Ok(result) = tokio::time::timeout(after, first.as_mut()).await {
            return result;
        }
        let now = clock::now();
        if !self.pool.balancer.has_untried(tried, now) || !self.progress.may_hedge(now) {
            return first.await;
        }
        let Ok(Some(picked)) = self.pick_but(tried, now) else {
            return first.await;
        };
        let other = Arc::clone(picked.target());
        tried.push(other.id.clone());
        self.pool.counters.retries.count("hedge");
        other.counters.retried();
        tracing::debug!(slow = %target.id, other = %other.id, "hedging");
        let fast = self.trial(&other);
        let second = pin!(fast.run(picked, now, Body::empty(), || false));
        self.better(first, second).await
    }

    fn trial<'a>(&'a self, target: &'a Arc<BackendTarget>) -> Trial<'a> {
        Trial {
            exchange: self.exchange,
            upstreams: &self.dispatch.upstreams,
            target,
            outgoing: &self.outgoing,
            limits: Limits {
                deadline: self.deadline,
                per_try: None,
            },
        }
    }

    async fn better<F>(
        &self,
        first: Pin<&mut F>,
        second: Pin<&mut impl Future<Output = F::Output>>,
    ) -> F::Output
    where
        F: Future<Output = Result<Response<Body>, Failed>>,
    {
        let (early, late) = match select(first, second).await {
            Either::Left((result, _dropped)) if self.is_good(&result) => return result,
            Either::Left((result, other)) => (result, other.await),
            Either::Right((result, _dropped)) if self.is_good(&result) => return result,
            Either::Right((result, other)) => (result, other.await),
        };
        // An answer that is not wanted is better than none.
        if self.is_good(&late) || early.is_err() {
            late
        } else {
            early
        }
    }

    fn is_good(&self, result: &Result<Response<Body>, Failed>) -> bool {
        result
            .as_ref()
            .is_ok_and(|response| !self.progress.is_unwanted(response.status(), &self.outgoing))
    }
}
