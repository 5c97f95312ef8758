//! An HTTP/1.1 connection from a client, driven by `hyper`.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONNECTION;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::{Terms, Wear};
use crate::body::{Body, BodyError};
use crate::clock;
use crate::drain::Drain;
use crate::pipeline::{Arrival, Pipeline};
use crate::record::Recorder;
use crate::transport::Transport;
use crate::watched::{Upload, Watched};

/// What moves on a connection; `hyper` asks for a body's next chunk only once its client has taken
/// the one before, so a body not asked for is a client not reading.
#[derive(Debug)]
struct Activity {
    last: Mutex<Instant>,
    running: AtomicUsize,
    /// Requests so far.
    requests: AtomicU32,
    /// When the connection is retired for its age.
    retire_at: Option<Instant>,
}

impl Activity {
    fn touch(&self) {
        *self.last.lock() = clock::now();
    }

    /// Whether the request just answered is the last one.
    fn is_worn(&self, wear: &Wear) -> bool {
        wear.max_requests
            .is_some_and(|max| self.requests.load(Ordering::Relaxed) >= max.get())
            || self.retire_at.is_some_and(|at| at <= clock::now())
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
        requests: AtomicU32::new(0),
        retire_at: terms.wear.retire_at(|| pipeline.draw()),
    });
    let limits = &terms.http2;
    let service = {
        let (activity, terms) = (Arc::clone(&activity), Arc::clone(&terms));
        hyper::service::service_fn(move |request| {
            answer(
                Arc::clone(&pipeline),
                Arc::clone(&arrival),
                Arc::clone(&terms),
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
    let first_look = clock::now() + terms.timeouts.idle;
    let first_look = activity
        .retire_at
        .map_or(first_look, |at| at.min(first_look));
    let mut timer = pin!(tokio::time::sleep_until(first_look.into()));
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
            let until = until.min(now + terms.timeouts.idle);
            match activity.retire_at {
                Some(at) if at > now => timer.as_mut().reset(until.min(at).into()),
                Some(_) if !is_running && !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().reset(until.into());
                    cx.waker().wake_by_ref();
                }
                _ => timer.as_mut().reset(until.into()),
            }
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
    terms: Arc<Terms>,
    activity: Arc<Activity>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Tracked>, Infallible> {
    let started = clock::now();
    activity.touch();
    let running = Running::begin(&activity);
    let (parts, incoming) = request.into_parts();
    let body = Body::from_http1(incoming);
    let upload = (!body.is_end_stream()).then(|| Upload::new(&parts.headers));
    let (exchange, checked, is_html) = pipeline.admit(parts, arrival);
    let idle = exchange.stream_idle(terms.timeouts.stream_idle);
    let body = match &upload {
        None => body,
        Some(upload) => Body::new(Watched::new(body, idle, Arc::clone(upload))),
    };
    let mut recorder = Recorder::begin(exchange, upload, started);
    activity.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = pipeline
        .answer(recorder.exchange(), checked, body, is_html)
        .await;
    if activity.is_worn(&terms.wear) {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    activity.touch();
    recorder.replied(response.status());
    Ok(response.map(|body| Tracked {
        left: http_body::Body::size_hint(&body).exact(),
        body,
        running,
        recorder: Some(recorder),
        sent: 0,
    }))
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
    /// Holds what the exchange takes of the process until its last byte; `None` after that.
    recorder: Option<Recorder>,
    sent: u64,
    /// Bytes that its head announces and that are not sent.
    left: Option<u64>,
}

impl Tracked {
    /// Takes in what `hyper` is given, which asks for nothing after the last byte that it knows of.
    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, BodyError>>) {
        let broken = match frame {
            Some(Err(BodyError::Idle(_))) => Some("stream_idle"),
            Some(Err(_)) => Some("backend_reset"),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |chunk| chunk.len() as u64);
                self.sent += bytes;
                self.left = self.left.map(|left| left.saturating_sub(bytes));
                if let Some(recorder) = &mut self.recorder {
                    recorder.sent(self.sent);
                }
                if !self.is_complete() {
                    return;
                }
                None
            }
            None => None,
        };
        if let Some(recorder) = self.recorder.take() {
            recorder.finish(broken);
        }
    }

    fn is_complete(&self) -> bool {
        self.left == Some(0) || self.body.is_end_stream()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.is_complete()
            && let Some(recorder) = self.recorder.take()
        {
            recorder.finish(None);
        }
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = this.body.poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            this.running.0.touch();
            this.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}
