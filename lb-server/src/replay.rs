//! A request body that can be sent once more, as long as little of it was sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::body::{Body, BodyError};

/// Bytes of a body kept for a second attempt; beyond it there is none.
const MAX_KEPT: usize = 64 * 1024;

/// Hands out a body to one attempt after the other, from the start each time.
#[derive(Debug, Clone)]
pub(crate) struct Replay(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    source: Body,
    chunks: Vec<Bytes>,
    kept_bytes: usize,
    is_complete: bool,
    is_keeping: bool,
    /// Attempts are numbered, so that one given up cannot take from the next.
    attempt: u32,
}

struct Sending {
    kept: Arc<Mutex<Kept>>,
    attempt: u32,
    next: usize,
}

impl Replay {
    pub(crate) fn new(source: Body) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            source,
            chunks: Vec::new(),
            kept_bytes: 0,
            is_complete: false,
            is_keeping: true,
            attempt: 0,
        })))
    }

    /// The body from its start; `None` where its start is gone.
    pub(crate) fn again(&self) -> Option<Body> {
        let mut kept = self.0.lock();
        if !kept.is_keeping {
            return None;
        }
        kept.attempt += 1;
        let sending = Sending {
            kept: Arc::clone(&self.0),
            attempt: kept.attempt,
            next: 0,
        };
        Some(Body::new(sending))
    }

    /// Whether the body can be had from its start.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.lock().is_keeping
    }

    /// Keeps nothing from here on: the response has begun.
    pub(crate) fn settle(&self) {
        let mut kept = self.0.lock();
        kept.is_keeping = false;
        // What the attempt has not taken yet stays until it has.
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut kept = this.kept.lock();
        if kept.attempt != this.attempt {
            return Poll::Ready(Some(Err(BodyError::Incomplete(
                "the attempt was given up".into(),
            ))));
        }
        if let Some(chunk) = kept.chunks.get(this.next).cloned() {
            this.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if !kept.is_keeping && !kept.chunks.is_empty() {
            kept.chunks = Vec::new();
            this.next = 0;
        }
        let frame = std::task::ready!(kept.source.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(chunk) = frame.data_ref() {
                    if kept.is_keeping && kept.kept_bytes + chunk.len() <= MAX_KEPT {
                        kept.kept_bytes += chunk.len();
                        let chunk = chunk.clone();
                        kept.chunks.push(chunk);
                        this.next += 1;
                    } else {
                        kept.is_keeping = false;
                        kept.chunks = Vec::new();
                        this.next = 0;
                    }
                } else {
                    // Trailers are not kept; their body cannot be sent again.
                    kept.is_keeping = false;
                }
            }
            Some(Err(_)) => kept.is_keeping = false,
            None => kept.is_complete = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let kept = self.kept.lock();
        self.next >= kept.chunks.len() && (kept.is_complete || kept.source.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
