//! A request body under the clock: a client that stops sending, or drips, loses its stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Sleep;

use crate::body::{Body, BodyError};
use crate::clock;

/// What a client has to send, or take, while it is waited for.
pub(crate) const MIN_BYTES_PER_SECOND: u64 = 256;
/// How long it may be slower than that.
pub(crate) const MIN_RATE_AFTER: Duration = Duration::from_secs(10);

/// Whether a client may be silent within its body from the start: a gRPC stream is a conversation,
/// and its server may answer only to what comes later.
fn may_pause(headers: &http::HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"))
}

/// What the body of a request and its exchange tell each other.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Set with the response head: from there on both sides may take their time.
    may_pause: AtomicBool,
    bytes: AtomicU64,
}

impl Upload {
    pub(crate) fn new(headers: &http::HeaderMap) -> Arc<Self> {
        Arc::new(Self {
            may_pause: AtomicBool::new(may_pause(headers)),
            bytes: AtomicU64::new(0),
        })
    }

    /// The reply's head is there.
    pub(crate) fn replied(&self) {
        self.may_pause.store(true, Ordering::Relaxed);
    }

    /// How much of the body has been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Watches the time that is spent waiting for the client, and no other.
pub(crate) struct Watched {
    body: Body,
    /// Where the rest goes when nobody wants it.
    leftover: Option<Arc<Leftover>>,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
    upload: Arc<Upload>,
}

impl Watched {
    pub(crate) fn new(body: Body, idle: Duration, upload: Arc<Upload>) -> Self {
        let timer = Box::pin(tokio::time::sleep(idle.min(MIN_RATE_AFTER)));
        Self {
            body,
            leftover: None,
            idle,
            timer,
            waiting_since: None,
            waited: Duration::ZERO,
            bytes: 0,
            upload,
        }
    }

    /// Leaves what was not read to `leftover` instead of dropping it.
    pub(crate) fn leaving_rest_to(mut self, leftover: &Arc<Leftover>) -> Self {
        self.leftover = Some(Arc::clone(leftover));
        self
    }

    /// Checks what has been waited for; the timer is set to the next moment at which it may be too much.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let now = clock::now();
        let since = *self.waiting_since.get_or_insert(now);
        loop {
            let waiting = now.duration_since(since);
            if waiting >= self.idle {
                return Poll::Ready(self.idle);
            }
            let mut next = since + self.idle;
            if !self.upload.may_pause.load(Ordering::Relaxed) {
                let waited = self.waited + waiting;
                let owed = Duration::from_secs(self.bytes / MIN_BYTES_PER_SECOND) + MIN_RATE_AFTER;
                if waited >= owed {
                    return Poll::Ready(MIN_RATE_AFTER);
                }
                next = next.min(now + (owed - waited));
            }
            let next = tokio::time::Instant::from_std(next);
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this.body.poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(since) = this.waiting_since.take() {
                    this.waited += clock::now().saturating_duration_since(since);
                }
                if let Some(Ok(frame)) = &frame {
                    this.bytes += frame.data_ref().map_or(0, |chunk| chunk.len() as u64);
                    this.upload.bytes.store(this.bytes, Ordering::Relaxed);
                }
                Poll::Ready(frame)
            }
            Poll::Pending => this
                .poll_overdue(cx)
                .map(|idle| Some(Err(BodyError::Idle(idle)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(leftover) = &self.leftover
            && !self.body.is_end_stream()
        {
            *leftover.0.lock() = Some(std::mem::take(&mut self.body));
        }
    }
}

/// Bytes of an unwanted body that are read all the same.
const LINGER_BYTES: usize = 64 * 1024;
/// How long they may take.
const LINGER: Duration = Duration::from_secs(1);

/// The rest of a request's body that its target did not want.
///
/// Dropping it at once resets the stream, and a client that is still sending may then throw the
/// reply away with it. So the end of a short body is awaited, as nginx does (`lingering_close`).
#[derive(Debug, Default)]
pub(crate) struct Leftover(Mutex<Option<Body>>);

impl Leftover {
    /// Reads what is left, within bounds, and drops it.
    pub(crate) async fn discard(&self) {
        let Some(mut body) = self.0.lock().take() else {
            return;
        };
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) = poll_fn(|cx| body.poll_frame(cx)).await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > LINGER_BYTES {
                    return;
                }
            }
        };
        // Whether it ended or was given up makes no difference.
        let _given_up = tokio::time::timeout(LINGER, rest).await;
    }
}
