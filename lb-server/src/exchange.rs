//! One HTTP/2 stream from a client: request in, reply out, to the last byte.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;

use crate::body::Body;
use crate::clock;
use crate::pipeline::{Arrival, Pipeline};
use crate::pump::{Pump, PumpError};
use crate::watched::{MIN_BYTES_PER_SECOND, MIN_RATE_AFTER, Watched, may_pause};

/// Serves one stream. Dropping the future resets it, and what it waits for at a backend.
pub(crate) async fn serve(
    pipeline: Arc<Pipeline>,
    arrival: Arrival,
    stream_idle: Duration,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let started = clock::now();
    let (parts, stream) = request.into_parts();
    let may_pause = Arc::new(AtomicBool::new(may_pause(&parts.headers)));
    let (exchange, checked, is_html) = pipeline.admit(parts, arrival);
    let idle = exchange
        .route()
        .and_then(|route| route.stream_idle)
        .unwrap_or(stream_idle);
    let body = match Body::from_h2(stream) {
        body if body.is_end_stream() => body,
        body => Body::new(Watched::new(body, idle, Arc::clone(&may_pause))),
    };
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
    may_pause.store(true, Ordering::Relaxed);
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
        return;
    }
    let mut pump = Pump::new(stream);
    let reason = match reply(&mut pump, &mut body, idle).await {
        Ok(()) => return,
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

enum Broken {
    Pump(PumpError),
    Idle,
}

/// Sends the reply's body. A backend may be silent for `idle`; a client that has something to take
/// must take it at the minimum rate.
async fn reply(pump: &mut Pump, body: &mut Body, idle: Duration) -> Result<(), Broken> {
    let mut timer = pin!(tokio::time::sleep(idle.min(MIN_RATE_AFTER)));
    let mut last = clock::now();
    let mut moved_at_last = 0;
    let mut was_blocked = false;
    poll_fn(|cx| {
        if let Poll::Ready(result) = pump.poll(body, cx) {
            return Poll::Ready(result.map_err(Broken::Pump));
        }
        if pump.is_blocked() != was_blocked {
            was_blocked = pump.is_blocked();
            // A client that drips its window open goes in and out of this state, and owes still.
            if !was_blocked
                && pump.moved_bytes() - moved_at_last
                    >= MIN_BYTES_PER_SECOND * MIN_RATE_AFTER.as_secs()
            {
                last = clock::now();
                moved_at_last = pump.moved_bytes();
            }
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = clock::now();
            let moved = pump.moved_bytes() - moved_at_last;
            let elapsed = now.saturating_duration_since(last);
            let is_slow = moved < MIN_BYTES_PER_SECOND * elapsed.as_secs();
            if pump.is_blocked() && elapsed >= MIN_RATE_AFTER && is_slow
                || elapsed >= idle && moved == 0
            {
                return Poll::Ready(Err(Broken::Idle));
            }
            if moved > 0 && !is_slow {
                last = now;
                moved_at_last = pump.moved_bytes();
            }
            timer.as_mut().reset(tokio::time::Instant::from_std(
                now + idle.min(MIN_RATE_AFTER),
            ));
        }
        Poll::Pending
    })
    .await
}
