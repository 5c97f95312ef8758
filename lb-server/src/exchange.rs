//! One HTTP/2 stream from a client: request in, reply out, to the last byte.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;

use crate::body::Body;
use crate::clock;
use crate::pipeline::{Arrival, Pipeline};
use crate::pump::{Pump, PumpError};
use crate::watched::{Leftover, MIN_BYTES_PER_SECOND, MIN_RATE_AFTER, Watched, may_pause};

/// Serves one stream. Dropping the future resets it, and what it waits for at a backend.
///
/// What needs no waiting is done at once, so that the future holds no more than it has to.
pub(crate) fn serve(
    pipeline: Arc<Pipeline>,
    arrival: Arc<Arrival>,
    stream_idle: Duration,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> impl Future<Output = ()> + Send + 'static {
    let started = clock::now();
    let (parts, stream) = request.into_parts();
    let mut body = Body::from_h2(stream);
    let upload = (!body.is_end_stream()).then(|| Upload {
        leftover: Arc::default(),
        may_pause: Arc::new(AtomicBool::new(may_pause(&parts.headers))),
    });
    let (exchange, checked, is_html) = pipeline.admit(parts, arrival);
    let idle = exchange.stream_idle(stream_idle);
    if let Some(upload) = &upload {
        let watched = Watched::new(body, idle, Arc::clone(&upload.may_pause));
        body = Body::new(watched.leaving_rest_to(&upload.leftover));
    }
    async move {
        let response = {
            let mut answer = pin!(pipeline.answer(&exchange, checked, body, is_html));
            poll_fn(|cx| {
                if respond.poll_reset(cx).is_ready() {
                    return Poll::Ready(None);
                }
                let polled = answer.as_mut().poll(cx);
                while let Some(interim) = exchange.take_interim() {
                    // A client that is gone is noticed above.
                    let _gone = respond.send_informational(interim);
                }
                polled.map(Some)
            })
            .await
        };
        let Some(response) = response else {
            pipeline.counters().reason("client_closed");
            return;
        };
        if let Some(upload) = &upload {
            upload.may_pause.store(true, Ordering::Relaxed);
        }
        let is_error = response.status().is_server_error();
        pipeline
            .counters()
            .finished(clock::now().saturating_duration_since(started), is_error);
        let (mut head, mut body) = response.into_parts();
        head.version = http::Version::HTTP_2;
        let is_end = body.is_end_stream();
        let stream = match respond.send_response(http::Response::from_parts(head, ()), is_end) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "the reply's head could not be sent");
                pipeline.counters().reason("client_closed");
                return;
            }
        };
        if is_end {
            return discard(upload).await;
        }
        let mut pump = Pump::new(stream);
        let reason = match reply(&mut pump, &mut body, idle).await {
            Ok(()) => {
                // The backend's side of the upload goes first.
                drop(body);
                return discard(upload).await;
            }
            Err(Broken::Pump(PumpError::Body(error))) => {
                // Never the end of the stream: the client must not take a part for the whole.
                pump.reset(Reason::INTERNAL_ERROR);
                tracing::debug!(%error, request_id = exchange.request_id(), "the response was cut off");
                "backend_reset"
            }
            Err(Broken::Pump(PumpError::Reset(reason))) => {
                tracing::debug!(%reason, request_id = exchange.request_id(), "the client reset its stream");
                "client_closed"
            }
            Err(Broken::Pump(PumpError::Gone(error))) => {
                tracing::debug!(%error, request_id = exchange.request_id(), "the client's connection ended");
                "client_closed"
            }
            Err(Broken::Idle) => {
                pump.reset(Reason::CANCEL);
                "stream_idle"
            }
        };
        pipeline.counters().reason(reason);
    }
}

/// What a request's body shares with its exchange.
struct Upload {
    leftover: Arc<Leftover>,
    /// Set by the response head: from then on the client may take its time.
    may_pause: Arc<AtomicBool>,
}

async fn discard(upload: Option<Upload>) {
    if let Some(Upload { leftover, .. }) = upload {
        // Apart, because most exchanges have no upload and none of them should have room for this.
        Box::pin(leftover.discard()).await;
    }
}

enum Broken {
    Pump(PumpError),
    Idle,
}

/// Sends the reply's body. A backend may be silent for `idle`; a client that has something to take
/// must take it at the minimum rate.
async fn reply(pump: &mut Pump, body: &mut Body, idle: Duration) -> Result<(), Broken> {
    let tick = idle.min(MIN_RATE_AFTER);
    let mut pace = Pace::new(clock::now());
    let mut timer = pin!(tokio::time::sleep(tick));
    poll_fn(|cx| {
        if let Poll::Ready(result) = pump.poll(body, cx) {
            return Poll::Ready(result.map_err(Broken::Pump));
        }
        pace.note(pump);
        while timer.as_mut().poll(cx).is_ready() {
            let now = clock::now();
            let Some(next) = pace.check(pump, idle, now) else {
                return Poll::Ready(Err(Broken::Idle));
            };
            timer.as_mut().reset(next.min(now + tick).into());
        }
        Poll::Pending
    })
    .await
}

/// How fast a reply's body goes.
struct Pace {
    moved_bytes: u64,
    last_move: Instant,
    /// Since when the client's window has been shut with something to take, but for drops, and what
    /// had been moved then.
    blocked: Option<(Instant, u64)>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            moved_bytes: 0,
            last_move: now,
            blocked: None,
        }
    }

    fn note(&mut self, pump: &Pump) {
        let moved = pump.moved_bytes();
        if moved != self.moved_bytes {
            self.moved_bytes = moved;
            self.last_move = clock::now();
        }
        if !pump.is_blocked() {
            self.blocked = None;
        } else if self.blocked.is_none() {
            self.blocked = Some((clock::now(), moved));
        }
    }

    /// When to look again; `None` where it has been too slow for too long.
    fn check(&mut self, pump: &Pump, idle: Duration, now: Instant) -> Option<Instant> {
        let Some((since, moved_before)) = self.blocked else {
            let until = self.last_move + idle;
            return (now < until).then_some(until);
        };
        let until = since + MIN_RATE_AFTER;
        if now < until {
            return Some(until);
        }
        let owed = now.duration_since(since).as_secs() * MIN_BYTES_PER_SECOND;
        if pump.moved_bytes() - moved_before < owed {
            return None;
        }
        self.blocked = Some((now, pump.moved_bytes()));
        Some(now + MIN_RATE_AFTER)
    }
}
