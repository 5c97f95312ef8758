//! An HTTP/1.1 connection from a client, driven by `hyper`.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::Terms;
use crate::body::{Body, BodyError};
use crate::clock;
use crate::drain::Drain;
use crate::pipeline::{Arrival, Pipeline};
use crate::transport::Transport;
use crate::watched::{Watched, may_pause};

/// What moves on a connection; `hyper` asks for a body's next chunk only once its client has taken
/// the one before, so a body not asked for is a client not reading.
#[derive(Debug)]
struct Activity {
    last: Mutex<Instant>,
    running: AtomicUsize,
}

impl Activity {
    fn touch(&self) {
        *self.last.lock() = clock::now();
    }
}

/// Serves an HTTP/1.1 connection until it ends or is drained.
pub(crate) async fn serve(
    io: Transport,
    pipeline: Arc<Pipeline>,
    terms: Arc<Terms>,
    arrival: Arc<Arrival>,
    drain: Drain,
) {
    let activity = Arc::new(Activity {
        last: Mutex::new(clock::now()),
        running: AtomicUsize::new(0),
    });
    let limits = &terms.http2;
    let service = {
        let (activity, terms) = (Arc::clone(&activity), Arc::clone(&terms));
        hyper::service::service_fn(move |request| {
            answer(
                Arc::clone(&pipeline),
                Arc::clone(&arrival),
                terms.timeouts.stream_idle,
                Arc::clone(&activity),
                request,
            )
        })
    };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.timeouts.request_headers)
        .max_headers(limits.max_header_fields as usize)
        .max_buf_size((limits.max_header_list as usize).max(8192))
        .half_close(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let mut draining = pin!(drain.begun());
    let mut is_draining = false;
    let mut timer = pin!(tokio::time::sleep(terms.timeouts.idle));
    let run = poll_fn(|cx| {
        if !is_draining && draining.as_mut().poll(cx).is_ready() {
            is_draining = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(%error, "an HTTP/1.1 connection broke");
            }
            return Poll::Ready(());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = clock::now();
            let is_running = activity.running.load(Ordering::Relaxed) > 0;
            let allowed = if is_running {
                terms.timeouts.stream_idle
            } else {
                terms.timeouts.idle
            };
            let until = *activity.last.lock() + allowed;
            if now >= until {
                return Poll::Ready(());
            }
            timer
                .as_mut()
                .reset(until.min(now + terms.timeouts.idle).into());
        }
        Poll::Pending
    });
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = run => {}
    }
}

async fn answer(
    pipeline: Arc<Pipeline>,
    arrival: Arc<Arrival>,
    stream_idle: Duration,
    activity: Arc<Activity>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Tracked>, Infallible> {
    let started = clock::now();
    activity.touch();
    let running = Running::begin(&activity);
    let (parts, incoming) = request.into_parts();
    let may_pause = Arc::new(AtomicBool::new(may_pause(&parts.headers)));
    let (exchange, checked, is_html) = pipeline.admit(parts, arrival);
    let idle = exchange.stream_idle(stream_idle);
    let body = match Body::from_http1(incoming) {
        body if body.is_end_stream() => body,
        body => Body::new(Watched::new(body, idle, Arc::clone(&may_pause))),
    };
    let response = pipeline.answer(&exchange, checked, body, is_html).await;
    may_pause.store(true, Ordering::Relaxed);
    activity.touch();
    pipeline.counters().finished(
        clock::now().saturating_duration_since(started),
        response.status().is_server_error(),
    );
    Ok(response.map(|body| Tracked { body, running }))
}

/// An exchange that has not ended.
struct Running(Arc<Activity>);

impl Running {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// A reply's body that tells when it is asked for.
struct Tracked {
    body: Body,
    running: Running,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = this.body.poll_frame(cx);
        if frame.is_ready() {
            this.running.0.touch();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}
