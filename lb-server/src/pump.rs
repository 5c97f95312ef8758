//! Moves a body into an HTTP/2 stream, no faster than the far end takes it.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};

use crate::body::{Body, BodyError};
use crate::headers;

/// Chunks moved in one poll before others of the connection get their turn.
const CHUNKS_PER_POLL: usize = 32;

/// The sending half of an HTTP/2 stream with the chunk in hand.
///
/// Capacity is asked for only with a chunk in hand and a chunk is asked for only when the one
/// before was taken, as hyper's `PipeToSendStream` does: so a slow reader holds one chunk here and
/// a window's worth where the body comes from.
pub(crate) struct Pump {
    stream: SendStream<Bytes>,
    chunk: Bytes,
    moved_bytes: u64,
    is_blocked: bool,
    is_done: bool,
}

/// Why a body did not reach the far end.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// The body itself broke off.
    Body(BodyError),
    /// The far end wants no more of it.
    Reset(Reason),
    /// The connection is gone.
    Gone(h2::Error),
}

impl Pump {
    pub(crate) fn new(stream: SendStream<Bytes>) -> Self {
        Self {
            stream,
            chunk: Bytes::new(),
            moved_bytes: 0,
            is_blocked: false,
            is_done: false,
        }
    }

    /// Bytes handed over so far.
    pub(crate) fn moved_bytes(&self) -> u64 {
        self.moved_bytes
    }

    /// Whether a chunk waits for the far end's window.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(crate) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Moves what can be moved; ready once the body's end was handed over.
    pub(crate) fn poll(
        &mut self,
        body: &mut Body,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        if self.is_done {
            return Poll::Ready(Ok(()));
        }
        match self.stream.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => return Poll::Ready(Err(PumpError::Reset(reason))),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(PumpError::Gone(error))),
            Poll::Pending => {}
        }
        for _turn in 0..CHUNKS_PER_POLL {
            if !self.chunk.is_empty() {
                match self.poll_chunk(body, cx) {
                    Poll::Ready(Ok(())) if self.is_done => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        // The other direction of the exchange that the body comes from goes on.
                        body.drive(cx);
                        return Poll::Pending;
                    }
                }
            }
            match body.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(self.end(None)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(PumpError::Body(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) if chunk.is_empty() && body.is_end_stream() => {
                        return Poll::Ready(self.end(None));
                    }
                    Ok(chunk) => self.chunk = chunk,
                    Err(frame) => {
                        return Poll::Ready(self.end(frame.into_trailers().ok()));
                    }
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_chunk(&mut self, body: &Body, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        self.stream.reserve_capacity(self.chunk.len());
        let mut capacity = self.stream.capacity();
        // Two looks: capacity may be announced and gone again before it is read.
        while capacity == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(granted))) => capacity = granted,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(PumpError::Gone(error))),
                Poll::Ready(None) => return Poll::Ready(Err(PumpError::Reset(Reason::CANCEL))),
                Poll::Pending => {
                    self.is_blocked = true;
                    return Poll::Pending;
                }
            }
        }
        self.is_blocked = false;
        let part = self.chunk.split_to(capacity.min(self.chunk.len()));
        let is_end = self.chunk.is_empty() && body.is_end_stream();
        self.moved_bytes += part.len() as u64;
        self.stream
            .send_data(part, is_end)
            .map_err(PumpError::Gone)?;
        self.is_done = is_end;
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Option<http::HeaderMap>) -> Result<(), PumpError> {
        self.is_done = true;
        match trailers {
            Some(mut trailers) => {
                headers::strip_trailers(&mut trailers);
                self.stream.send_trailers(trailers)
            }
            None => self.stream.send_data(Bytes::new(), true),
        }
        .map_err(PumpError::Gone)
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pump")
            .field("moved_bytes", &self.moved_bytes)
            .finish_non_exhaustive()
    }
}
