//! One attempt at one backend: connect, forward, wait for the response head.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::Response;
use lb_core::Outcome;

use super::deadline::Deadline;
use super::outgoing::Outgoing;
use super::retry::{Failed, Failure};
use crate::body::{Body, BodyError};
use crate::clock;
use crate::handler::Exchange;
use crate::headers;
use crate::queue::InFlight;
use crate::record::AttemptId;
use crate::reject::Reject;
use crate::snapshot::BackendTarget;
use crate::upstream::connections::{Checkout, Kept, Upstreams};
use crate::upstream::response::ResponseBody;
use crate::upstream::{Attempt, ConnectError, Event, UpstreamError, http1, http2};

/// Until when an attempt may go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) deadline: Deadline,
    /// Without a response head after this time another attempt takes its place, if that is granted.
    pub(super) per_try: Option<Duration>,
}

/// What an attempt needs, the body apart.
pub(super) struct Trial<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) upstreams: &'a Arc<Upstreams>,
    pub(super) target: &'a Arc<BackendTarget>,
    pub(super) outgoing: &'a Outgoing,
    pub(super) limits: Limits,
}

impl Trial<'_> {
    /// Makes the attempt and tells the guard how it went; `may_give_up` is asked when the time for
    /// one try has passed.
    pub(super) async fn run(
        &self,
        mut picked: InFlight,
        started: Instant,
        body: Body,
        may_give_up: impl FnMut() -> bool,
    ) -> Result<Response<Body>, Failed> {
        let noted = self.exchange.notes().begin_attempt(self.target, started);
        let traced = self.traced(noted);
        let outgoing = traced.as_deref().unwrap_or(self.outgoing);
        let mut connect = None;
        let result = match self.start(outgoing, body, started, &mut connect).await {
            Ok((attempt, kept)) => {
                let begun = started + connect.unwrap_or_default();
                self.head(attempt, kept, begun, may_give_up).await
            }
            Err(failed) => Err(failed),
        };
        let now = clock::now();
        let outcome = match &result {
            Ok((_, response)) => Ok(response.status()),
            Err(failed) => Err(failed.reject.reason()),
        };
        self.exchange
            .notes()
            .end_attempt(noted, connect, outcome, now);
        let latency = now.saturating_duration_since(started);
        match result {
            Ok((attempt, mut response)) => {
                let status = response.status();
                self.target
                    .counters
                    .answered(self.exchange.worker(), status, latency);
                picked.answered(Outcome::of_status(status.as_u16(), latency), now);
                headers::strip_response(response.headers_mut());
                let length = attempt.body_length(response.headers());
                let mut body = ResponseBody::new(attempt, picked, started, length);
                if self.exchange.snapshot().has_affinity {
                    body = body.answered_by(&self.target.id);
                }
                Ok(response.map(|()| Body::from_backend(body)))
            }
            Err(failed) => {
                let is_hasty = self.limits.deadline.is_clients()
                    && self.limits.deadline.at().is_some_and(|at| at <= now);
                match failed.failure.cause(&failed.reject) {
                    Some(cause) if !is_hasty => {
                        self.target.counters.failed(self.exchange.worker());
                        picked.finish(Outcome::failure(latency, cause), now);
                    }
                    _ => picked.finish(Outcome::Cancelled, now),
                }
                Err(failed)
            }
        }
    }

    /// The request with the attempt's own span in it, where somebody will look for it.
    fn traced(&self, noted: AttemptId) -> Option<Box<Outgoing>> {
        let header = self.exchange.trace()?.attempt_header(noted.number()?)?;
        Some(Box::new(self.outgoing.traced(header)))
    }

    /// Begins; tells too how long the connection had been kept for it, and how long it took to have it.
    async fn start(
        &self,
        outgoing: &Outgoing,
        body: Body,
        started: Instant,
        connect: &mut Option<Duration>,
    ) -> Result<(Attempt, Kept), Failed> {
        let checkout = match self.upstreams.take_open(self.target, started) {
            Some(checkout) => {
                *connect = Some(Duration::ZERO);
                checkout
            }
            None => {
                let checkout = self
                    .checkout(started)
                    .await
                    .map_err(|error| Failed::new(connect_reject(error), Failure::Connect))?;
                *connect = Some(clock::now().saturating_duration_since(started));
                checkout
            }
        };
        match checkout {
            Checkout::Http1 {
                connection,
                kept,
                home,
            } => {
                let length = outgoing.length();
                let length = if body.is_end_stream() {
                    length.or(Some(0))
                } else {
                    length
                };
                let head = outgoing.http1(self.exchange);
                let exchange = http1::Exchange::start(
                    connection,
                    head,
                    body,
                    length,
                    http1::ResponseLimits::default(),
                );
                Ok((Attempt::Http1(Box::new(exchange), home), kept))
            }
            Checkout::Http2(mut sender, slot) => {
                let head = outgoing.http2(self.exchange, self.target);
                http2::Exchange::start(&mut sender, slot, head, body)
                    .map(|exchange| (Attempt::Http2(Box::new(exchange)), Kept::Not))
                    // Nothing was sent: the connection ended since it was checked out.
                    .map_err(|error| Failed::new(reject(error), Failure::Unsent))
            }
        }
    }

    /// A connection that is not open yet, within what the deadline and one try leave of its timeout.
    async fn checkout(&self, started: Instant) -> Result<Checkout, ConnectError> {
        let per_try = self.limits.per_try.map(|per_try| started + per_try);
        let checkout = pin!(self.upstreams.open(self.target));
        match [self.limits.deadline.at(), per_try]
            .into_iter()
            .flatten()
            .min()
        {
            None => checkout.await,
            Some(at) => tokio::time::timeout_at(at.into(), checkout)
                .await
                .unwrap_or(Err(ConnectError::Timeout)),
        }
    }

    /// Waits for the response head, passing interim responses on; the timeouts of the backend begin
    /// when it has the whole request.
    async fn head(
        &self,
        mut attempt: Attempt,
        kept: Kept,
        begun: Instant,
        mut may_give_up: impl FnMut() -> bool,
    ) -> Result<(Attempt, Response<()>), Failed> {
        let timeout = self.target.timeouts.response_headers;
        let mut waiting = Waiting::new(self.limits.per_try, timeout, self.limits.deadline.at());
        // Most requests are sent whole by the first poll, and then nothing has to be set anew.
        let mut begun_now = Some(begun);
        let mut timer = pin!(tokio::time::sleep_until(waiting.end_since(begun).into()));
        let result = poll_fn(|cx| {
            let begun_now = begun_now.take();
            loop {
                match attempt.poll_head(cx) {
                    Poll::Ready(Ok(Event::Interim(interim))) => self.exchange.interim(interim),
                    Poll::Ready(Ok(Event::Final(response))) => return Poll::Ready(Ok(response)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Some(error))),
                    Poll::Pending => break,
                }
            }
            if waiting.since.is_none() && attempt.is_upload_done() {
                let end = waiting.begin(begun_now.unwrap_or_else(clock::now)).into();
                if timer.deadline() != end {
                    timer.as_mut().reset(end);
                }
            }
            while waiting.is_armed() && timer.as_mut().poll(cx).is_ready() {
                let now = clock::now();
                if waiting.is_try_over(now) && may_give_up() {
                    return Poll::Ready(Err(None));
                }
                match waiting.next(now) {
                    Some(next) => timer.as_mut().reset(next.into()),
                    None => return Poll::Ready(Err(None)),
                }
            }
            Poll::Pending
        })
        .await;
        match result {
            Ok(response) => Ok((attempt, response)),
            Err(None) => Err(Failed::new(Reject::ResponseTimeout, Failure::Timeout)),
            Err(Some(error)) => {
                let failure = match &error {
                    // Over HTTP/1.1 it had ended before anything was sent.
                    UpstreamError::Unprocessed if matches!(attempt, Attempt::Http1(..)) => {
                        Failure::Unsent
                    }
                    UpstreamError::Unprocessed => Failure::Refused,
                    UpstreamError::Reset => match kept {
                        Kept::Long => Failure::Stale,
                        Kept::Briefly => Failure::HungUp,
                        Kept::Not => Failure::Reset,
                    },
                    _ => Failure::Final,
                };
                Err(Failed::new(reject(error), failure))
            }
        }
    }
}

/// What the wait for a response head is bounded by.
struct Waiting {
    /// Since when it is the backend's turn.
    since: Option<Instant>,
    /// Until it was asked whether the try may be given up.
    per_try: Option<Duration>,
    timeout: Duration,
    deadline: Option<Instant>,
}

impl Waiting {
    fn new(per_try: Option<Duration>, timeout: Duration, deadline: Option<Instant>) -> Self {
        Self {
            since: None,
            per_try: per_try.filter(|per_try| *per_try < timeout),
            timeout,
            deadline,
        }
    }

    fn is_armed(&self) -> bool {
        self.since.is_some() || self.deadline.is_some()
    }

    /// Begins the backend's turn; returns when to look.
    fn begin(&mut self, now: Instant) -> Instant {
        self.since = Some(now);
        self.end_since(now)
    }

    fn end(&self) -> Option<Instant> {
        self.since
            .map_or(self.deadline, |since| Some(self.end_since(since)))
    }

    /// When to look, if the backend's turn begins now.
    fn end_since(&self, since: Instant) -> Instant {
        let of_backend = since + self.per_try.unwrap_or(self.timeout);
        self.deadline.map_or(of_backend, |at| at.min(of_backend))
    }

    /// Whether one try has had its time; asked once.
    fn is_try_over(&mut self, now: Instant) -> bool {
        let is_over = match (self.since, self.per_try) {
            (Some(since), Some(per_try)) => since + per_try <= now,
            _ => false,
        };
        if is_over {
            self.per_try = None;
        }
        is_over
    }

    /// When to look again; `None` where it is over.
    fn next(&self, now: Instant) -> Option<Instant> {
        self.end().filter(|end| *end > now)
    }
}

fn connect_reject(error: ConnectError) -> Reject {
    match error {
        ConnectError::Timeout => Reject::ConnectTimeout,
        ConnectError::Io(_) => Reject::ConnectRefused,
        ConnectError::Protocol(text) => Reject::BadResponse((*text).into()),
        ConnectError::Tls(text) => Reject::TlsFailed((*text).into()),
    }
}

fn reject(error: UpstreamError) -> Reject {
    match error {
        UpstreamError::Unprocessed | UpstreamError::Reset | UpstreamError::Incomplete(_) => {
            Reject::BackendReset
        }
        UpstreamError::BadResponse(text) => Reject::BadResponse(text),
        UpstreamError::RequestBody(BodyError::Idle(_)) => Reject::RequestTimeout,
        UpstreamError::RequestBody(_) => Reject::ClientClosed,
        UpstreamError::BadRequest(_) => {
            Reject::BadRequest("the request cannot be written as HTTP/1.1")
        }
    }
}
