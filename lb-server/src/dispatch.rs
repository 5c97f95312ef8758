//! From a request to a backend's response: pick, connect, forward, and once more where it is safe.

mod attempt;
mod deadline;
mod hedge;
mod outgoing;
mod retry;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::{Either, ready};
use futures_util::task::noop_waker_ref;
use http::Response;
use lb_core::{BackendId, BackendStatus, Exclusion, Pick, PickHint};

use crate::affinity::{self, Bond};
use crate::body::Body;
use crate::clock;
use crate::entropy::Entropy;
use crate::handler::Exchange;
use crate::queue::InFlight;
use crate::reject::Reject;
use crate::replay::Replay;
use crate::snapshot::{BackendTarget, PoolEntry};
use crate::upstream::connections::Upstreams;

use attempt::{Limits, Trial};
use deadline::Deadline;
pub(crate) use outgoing::Message;
use outgoing::Outgoing;
pub(crate) use outgoing::hash_key;
pub(crate) use retry::Retries;
use retry::{Failed, Failure, Grant, Progress};

/// Sends requests to the backends of pools, over the connections of one worker.
#[derive(Debug)]
pub(crate) struct Dispatch {
    upstreams: Arc<Upstreams>,
    entropy: Arc<Entropy>,
}

/// One request on its way, from its first attempt to its last.
struct Errand<'a> {
    dispatch: &'a Dispatch,
    exchange: &'a Exchange,
    pool: &'a PoolEntry,
    /// What strategies that hash go by.
    key: Option<u64>,
    bond: Option<Box<Bond>>,
    outgoing: Outgoing,
    /// When the pool got it: its place in the queue.
    arrived: Instant,
    deadline: Deadline,
    progress: Progress<'a>,
    tried: Vec<BackendId>,
    /// Whether no attempt has got a connection.
    is_out_of_reach: bool,
    /// The body, where there is one.
    replay: Option<Replay>,
}

impl Dispatch {
    pub(crate) fn new(upstreams: Arc<Upstreams>, entropy: Arc<Entropy>) -> Self {
        Self { upstreams, entropy }
    }

    /// Forwards a request and returns once the response head is there; its body streams.
    ///
    /// What needs no waiting is done at once, so that the future holds no more than it has to.
    pub(crate) fn send<'a>(
        &'a self,
        exchange: &'a Exchange,
        pool: &'a PoolEntry,
        mut message: Message,
        body: Body,
    ) -> impl Future<Output = Result<Response<Body>, Reject>> + Send + 'a {
        let bond = affinity::begin(exchange, pool, &mut message.headers);
        let key = hash_key(pool, exchange.client_ip(), &message.headers, &message.uri);
        let now = clock::now();
        let errand = outgoing::outgoing(exchange, message).map(|outgoing| Errand {
            dispatch: self,
            exchange,
            pool,
            key,
            bond,
            deadline: Deadline::of(pool.timeouts().request, outgoing.grpc_timeout(), now),
            outgoing,
            arrived: now,
            progress: pool.retries.begin(now),
            tried: Vec::new(),
            is_out_of_reach: true,
            replay: (!body.is_end_stream()).then(|| Replay::new(body)),
        });
        match errand {
            Ok(mut errand) => Either::Left(async move {
                let response = errand.run().await?;
                if let Some(bond) = &errand.bond {
                    bond.settle(exchange, pool, &response);
                }
                Ok(response)
            }),
            Err(reject) => Either::Right(ready(Err(reject))),
        }
    }
}

impl Errand<'_> {
    async fn run(&mut self) -> Result<Response<Body>, Reject> {
        let mut now = self.arrived;
        let mut failure = None;
        let mut is_first = true;
        loop {
            // After a failed attempt the failure says more than that nobody else is there.
            let picked = match self.pick(now).await {
                Ok(picked) => picked,
                Err(reject) => {
                    return Err(match failure {
                        Some(failure) => self.verdict(failure, now),
                        None => reject,
                    });
                }
            };
            let target = Arc::clone(picked.target());
            let started = picked.started();
            if !std::mem::take(&mut is_first) {
                target.counters.retried();
            }
            let body = match &self.replay {
                None => Body::empty(),
                Some(replay) => match replay.again() {
                    Some(body) => body,
                    // Too much of it was sent to be kept.
                    None => return Err(failure.unwrap_or(Reject::BackendReset)),
                },
            };
            if let Some(left) = self.deadline.grpc_left(started) {
                self.outgoing.set_grpc_timeout(left);
            }
            let hedge = self.progress.hedge_after(&self.outgoing);
            let (result, granted) = match hedge.filter(|_| self.replay.is_none()) {
                // Apart, because it would double the future of every request.
                Some(after) => (
                    Box::pin(self.hedged(&target, picked, started, after)).await,
                    None,
                ),
                None => self.attempt(&target, picked, started, body).await,
            };
            let grant = match result {
                Ok(response) => match self.after_response(&response, &target) {
                    Some(grant) => {
                        self.pool.counters.retries.count("response_status");
                        discard(response);
                        now = clock::now();
                        self.is_out_of_reach = false;
                        grant
                    }
                    None => {
                        if let Some(replay) = &self.replay {
                            replay.settle();
                        }
                        return Ok(response);
                    }
                },
                Err(Failed {
                    reject,
                    failure: how,
                }) => {
                    tracing::debug!(
                        backend = %target.id,
                        reason = reject.reason(),
                        details = reject.details(),
                        "attempt failed"
                    );
                    now = clock::now();
                    self.tried.push(target.id.clone());
                    let (pool, tried) = (self.pool, &self.tried);
                    let is_kept = self.replay.as_ref().is_none_or(Replay::is_kept);
                    let grant = match granted {
                        Some(grant) => Some(grant),
                        None if self.deadline.has_passed(now) => None,
                        None => {
                            let is_any_untried = || {
                                is_kept
                                    && (pool.balancer.has_untried(tried, now)
                                        || pool.balancer.has_ejected(tried))
                            };
                            self.progress
                                .after(how, &self.outgoing, is_any_untried, now)
                        }
                    };
                    self.is_out_of_reach &= how == Failure::Connect;
                    let Some(grant) = grant else {
                        return Err(self.verdict(reject, now));
                    };
                    self.pool.counters.retries.count(reject.reason());
                    failure = Some(reject);
                    grant
                }
            };
            match grant {
                // A connection that went stale says nothing about its backend.
                Grant::AtOnce => {
                    if self.is_exclusive() || !self.has_untried(now) {
                        self.tried.clear();
                    }
                }
                Grant::Elsewhere { pause_max } => {
                    let pause = retry::pause(pause_max, self.dispatch.entropy.draw());
                    if self.deadline.at().is_some_and(|at| at <= now + pause) {
                        return Err(failure.unwrap_or(Reject::ResponseTimeout));
                    }
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                        now = clock::now();
                    }
                }
            }
        }
    }

    /// A backend with the request counted in there; waits for one while all are full.
    async fn pick(&mut self, now: Instant) -> Result<InFlight, Reject> {
        // Who came earlier and waits goes first.
        if !self.pool.queue.is_busy()
            && let Some(picked) = self.try_pick(now)?
        {
            return Ok(picked);
        }
        // Apart, because few requests ever wait.
        Box::pin(self.wait(now)).await
    }

    async fn wait(&mut self, now: Instant) -> Result<InFlight, Reject> {
        let PoolEntry {
            queue,
            queue_policy: policy,
            ..
        } = self.pool;
        let until = now + policy.timeout;
        self.exchange.notes().begin_queue(now);
        let until = self.deadline.at().map_or(until, |at| at.min(until));
        let tried = self.tried.clone();
        let picked = queue
            .wait(policy, &tried, self.arrived, until, |now| {
                self.try_pick(now)
            })
            .await;
        let waited = clock::now().saturating_duration_since(now);
        self.exchange.notes().end_queue(waited);
        let queued = &self.pool.counters.queued;
        queued.observe(self.exchange.worker(), waited);
        picked
    }

    /// `None` where all that could take the request are full.
    fn try_pick(&mut self, now: Instant) -> Result<Option<InFlight>, Reject> {
        let mut tried = std::mem::take(&mut self.tried);
        let found = self.pick_but(&mut tried, now);
        self.tried = tried;
        found
    }

    /// As [`Errand::try_pick`], but none of these, to which those are added that are gone.
    fn pick_but(
        &self,
        tried: &mut Vec<BackendId>,
        now: Instant,
    ) -> Result<Option<InFlight>, Reject> {
        loop {
            let hint = PickHint::new(self.dispatch.entropy.draw())
                .key(self.key)
                .affinity(self.bond.as_ref().and_then(|bond| bond.backend()))
                .tried(tried);
            let picked = match self.pool.balancer.pick(&hint, now) {
                Pick::Picked(picked) => picked,
                Pick::AllFull => return Ok(None),
                // Whoever is only ejected is better than nobody.
                Pick::NoneEligible if !tried.is_empty() => {
                    match self.pool.balancer.pick_ejected(tried, now) {
                        Some(picked) => picked,
                        None => return Err(self.nobody(now)),
                    }
                }
                Pick::NoneEligible => return Err(self.nobody(now)),
            };
            let Some(target) = self.pool.target(picked.id()) else {
                // Removed between the pick and here.
                tried.push(picked.id().clone());
                continue;
            };
            // Whoever waits for the place hears of it even if it is not taken.
            let picked = InFlight::new(picked, target);
            if let Some(bond) = &self.bond {
                bond.admit(self.exchange, self.pool, &picked.target().id, tried)?;
            }
            return Ok(Some(picked));
        }
    }

    /// One attempt; tells too what was granted to give it up for.
    async fn attempt(
        &mut self,
        target: &Arc<BackendTarget>,
        picked: InFlight,
        started: Instant,
        body: Body,
    ) -> (Result<Response<Body>, Failed>, Option<Grant>) {
        let Self {
            dispatch,
            exchange,
            pool,
            outgoing,
            progress,
            tried,
            replay,
            ..
        } = self;
        let trial = Trial {
            exchange,
            upstreams: &dispatch.upstreams,
            target,
            outgoing,
            limits: Limits {
                deadline: self.deadline,
                per_try: progress.per_try_timeout(outgoing),
            },
        };
        let mut granted = None;
        let result = trial
            .run(picked, started, body, || {
                let now = clock::now();
                let is_any_untried = || {
                    let mut tried = tried.clone();
                    tried.push(target.id.clone());
                    replay.as_ref().is_none_or(Replay::is_kept)
                        && pool.balancer.has_untried(&tried, now)
                };
                granted = progress.after(Failure::Timeout, outgoing, is_any_untried, now);
                granted.is_some()
            })
            .await;
        (result, granted)
    }

    /// Whether a response is given up for another backend's.
    ///
    /// The backend is left out from then on, so its `Retry-After` is kept to whatever it says.
    fn after_response(
        &mut self,
        response: &Response<Body>,
        target: &BackendTarget,
    ) -> Option<Grant> {
        let status = response.status();
        if !self.progress.is_unwanted(status, &self.outgoing)
            || self.is_exclusive()
            || self.replay.as_ref().is_some_and(|replay| !replay.is_kept())
        {
            return None;
        }
        let now = clock::now();
        if self.deadline.has_passed(now) {
            return None;
        }
        self.tried.push(target.id.clone());
        if !self.has_untried(now) {
            return None;
        }
        self.progress.after_status(status, now)
    }

    /// What the last failure comes to: of several backends none could be reached.
    #[cold]
    fn verdict(&self, last: Reject, now: Instant) -> Reject {
        let is_nobody_left = !self.pool.balancer.has_untried(&self.tried, now);
        if self.is_out_of_reach
            && self.pool.has_several()
            && is_nobody_left
            && !self.deadline.has_passed(now)
        {
            Reject::NoHealthyBackend(self.pool.balancer.retry_after(now))
        } else {
            last
        }
    }

    /// Why there is nobody to pick.
    #[cold]
    fn nobody(&self, now: Instant) -> Reject {
        let backends = self.pool.balancer.backends(now);
        let after = self.pool.balancer.retry_after(now);
        let is_broken = |status: &BackendStatus| {
            matches!(
                status.exclusion,
                Some(Exclusion::BreakerOpen | Exclusion::TrialsTaken)
            )
        };
        let mut taking_part = backends
            .iter()
            .filter(|status| status.is_enabled && !status.is_draining)
            .peekable();
        if taking_part.peek().is_some() && taking_part.all(is_broken) {
            Reject::CircuitOpen(after)
        } else {
            Reject::NoHealthyBackend(after)
        }
    }

    /// Whether no backend but that of its client may answer it.
    fn is_exclusive(&self) -> bool {
        let bond = self.bond.as_ref();
        bond.is_some_and(|bond| bond.is_exclusive(self.pool))
    }

    fn has_untried(&self, now: Instant) -> bool {
        self.pool.balancer.has_untried(&self.tried, now)
    }
}

/// Drops a response that nobody wants. What of its body is there already is read, so that the
/// connection can serve on.
fn discard(response: Response<Body>) {
    /// Frames read for the sake of a connection.
    const FRAMES_MAX: usize = 16;
    let mut body = response.into_body();
    let mut cx = Context::from_waker(noop_waker_ref());
    for _frame in 0..FRAMES_MAX {
        match body.poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => {}
            _ => return,
        }
    }
}
