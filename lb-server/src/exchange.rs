//! One HTTP/2 stream from a client: request in, reply out, to the last byte.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
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
use crate::record::Recorder;
use crate::watched::{Leftover, MIN_BYTES_PER_SECOND, MIN_RATE_AFTER, Upload, Watched};

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
    let upload = (!body.is_end_stream()).then(|| Upload::new(&parts.headers));
    let (exchange, checked, is_html) = pipeline.admit(parts, arrival);
    let idle = exchange.stream_idle(stream_idle);
    let mut leftover = None;
    if let Some(upload) = &upload {
        let rest = leftover.insert(Arc::default());
        let watched = Watched::new(body, idle, Arc::clone(upload));
        body = Body::new(watched.leaving_rest_to(rest));
    }
    let mut recorder = Recorder::begin(exchange, upload, started);
    async move {
        let response = {
            let exchange = recorder.exchange();
            let mut answer = pin!(pipeline.answer(exchange, checked, body, is_html));
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
        // Dropped, the record says that the client left.
        let Some(response) = response else {
            return;
        };
        recorder.replied(response.status());
        let (mut head, mut body) = response.into_parts();
        head.version = http::Version::HTTP_2;
        let is_end = body.is_end_stream();
        let stream = match respond.send_response(http::Response::from_parts(head, ()), is_end) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "the reply's head could not be sent");
                return;
            }
        };
        if is_end {
            recorder.finish(None);
            return discard(leftover).await;
        }
        let mut pump = Pump::new(stream);
        let sent = reply(&mut pump, &mut body, idle, &mut recorder).await;
        let request_id = recorder.exchange().request_id();
        let reason = match sent {
            Ok(()) => {
                recorder.finish(None);
                // The backend's side of the upload goes first.
                drop(body);
                return discard(leftover).await;
            }
            Err(Broken::Pump(PumpError::Body(error))) => {
                // Never the end of the stream: the client must not take a part for the whole.
                pump.reset(Reason::INTERNAL_ERROR);
                tracing::debug!(%error, request_id, "the response was cut off");
                "backend_reset"
            }
            Err(Broken::Pump(PumpError::Reset(reason))) => {
                tracing::debug!(%reason, request_id, "the client reset its stream");
                "client_closed"
            }
            Err(Broken::Pump(PumpError::Gone(error))) => {
                tracing::debug!(%error, request_id, "the client's connection ended");
                "client_closed"
            }
            Err(Broken::Idle) => {
                pump.reset(Reason::CANCEL);
                "stream_idle"
            }
        };
        recorder.finish(Some(reason));
    }
}

async fn discard(leftover: Option<Arc<Leftover>>) {
    if let Some(leftover) = leftover {
        // Apart, because most exchanges have no upload and none of them should have room for this.
        Box::pin(leftover.discard()).await;
    }
}

enum Broken {
    Pump(PumpError),
    Idle,
}

/// Sends the reply's body.
async fn reply(
    pump: &mut Pump,
    body: &mut Body,
    idle: Duration,
    recorder: &mut Recorder,
) -> Result<(), Broken> {
    let at_once = poll_fn(|cx| Poll::Ready(pump.poll(body, cx))).await;
    recorder.sent(pump.moved_bytes());
    match at_once {
        Poll::Ready(result) => result.map_err(Broken::Pump),
        // Apart, because most bodies are there with their head and need no clock.
        Poll::Pending => Box::pin(stream(pump, body, idle, recorder)).await,
    }
}

/// Goes on with a reply's body. A backend may be silent for `idle`; a client that has something to
/// take must take it at the minimum rate.
async fn stream(
    pump: &mut Pump,
    body: &mut Body,
    idle: Duration,
    recorder: &mut Recorder,
) -> Result<(), Broken> {
    let tick = idle.min(MIN_RATE_AFTER);
    let mut pace = Pace::new(clock::now());
    let mut timer = pin!(tokio::time::sleep(tick));
    poll_fn(|cx| {
        let polled = pump.poll(body, cx);
        recorder.sent(pump.moved_bytes());
        if let Poll::Ready(result) = polled {
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
