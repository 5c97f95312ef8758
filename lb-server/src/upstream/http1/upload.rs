//! The sending half of an exchange.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::encode::{self, Framing};
use super::{Http1Error, RequestHead};
use crate::body::Body;
use crate::headers;

/// Small pieces are gathered up to this size, so that a small request is one write.
const GATHER_BYTES: usize = 16 * 1024;
/// Up to this size copying a chunk costs less than another slice in the write.
const COPY_BYTES: usize = 4 * 1024;
/// Writes per poll, after which others on the thread have their turn.
const WRITES_PER_POLL: usize = 32;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) enum UploadError {
    /// The response may still be readable.
    Write(io::Error),
    Request(Http1Error),
}

pub(super) struct Upload {
    body: Body,
    framing: Framing,
    /// Sent in this order: the head and what is small, one larger chunk, the end of that chunk.
    gathered: Vec<u8>,
    gathered_sent: usize,
    chunk: Bytes,
    chunk_end: &'static [u8],
    /// Once begun, what was gathered is written out before more is taken from the body.
    is_writing: bool,
    needs_flush: bool,
    body_started: bool,
    body_ended: bool,
    sent_any: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    Done,
    Stopped,
}

impl Upload {
    /// The second value tells why the request cannot be sent; such an upload does nothing.
    pub(super) fn new(
        head: &RequestHead<'_>,
        body: Body,
        body_length: Option<u64>,
    ) -> (Self, Option<Http1Error>) {
        let framing = match body_length {
            Some(bytes) => Framing::Length(bytes),
            None if body.is_end_stream() => Framing::Length(0),
            None => Framing::Chunked,
        };
        let mut gathered = SPARE.try_with(Cell::take).unwrap_or_default();
        let written = encode::write_head(&mut gathered, head, framing);
        let upload = Self {
            body,
            framing,
            gathered,
            gathered_sent: 0,
            chunk: Bytes::new(),
            chunk_end: b"",
            is_writing: false,
            needs_flush: false,
            body_started: false,
            body_ended: false,
            sent_any: false,
            state: match written {
                Ok(()) => State::Active,
                Err(_) => State::Stopped,
            },
        };
        (upload, written.err().map(Http1Error::MalformedRequest))
    }

    /// Ready once the whole request was written and flushed, or when it cannot be.
    pub(super) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        if self.state != State::Active {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(self.poll_active(io, cx));
        self.state = match result {
            Ok(()) => State::Done,
            Err(_) => State::Stopped,
        };
        self.recycle();
        Poll::Ready(result)
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn sent_any(&self) -> bool {
        self.sent_any
    }

    fn poll_active<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        for _ in 0..WRITES_PER_POLL {
            if !self.is_writing {
                self.gather(cx).map_err(UploadError::Request)?;
                if self.has_unsent() && !self.awaits_end() {
                    self.is_writing = true;
                } else {
                    ready!(self.poll_flush(io, cx)).map_err(UploadError::Write)?;
                    if self.body_ended {
                        return Poll::Ready(Ok(()));
                    }
                    return Poll::Pending;
                }
            }
            ready!(self.poll_write(io, cx)).map_err(UploadError::Write)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        while !self.body_ended && (self.has_room() || self.awaits_end()) {
            if self.body.is_end_stream() {
                return self.end(None);
            }
            match self.body.poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => return self.end(None),
                Poll::Ready(Some(Err(error))) => return Err(Http1Error::RequestBody(error)),
                Poll::Ready(Some(Ok(frame))) => {
                    self.body_started = true;
                    match frame.into_data() {
                        Ok(data) => self.add(data)?,
                        Err(frame) => return self.end(frame.into_trailers().ok()),
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, data: Bytes) -> Result<(), Http1Error> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            Framing::Length(left) => {
                *left = left
                    .checked_sub(data.len() as u64)
                    .ok_or(Http1Error::MalformedRequest(
                        "the body is longer than its content-length",
                    ))?;
            }
            Framing::Chunked => {
                encode::write_chunk_size(&mut self.gathered, data.len());
                self.chunk_end = b"\r\n";
            }
        }
        if data.len() <= COPY_BYTES {
            self.gathered.extend_from_slice(&data);
            self.gathered.extend_from_slice(self.chunk_end);
            self.chunk_end = b"";
        } else {
            self.chunk = data;
        }
        Ok(())
    }

    fn end(&mut self, mut trailers: Option<HeaderMap>) -> Result<(), Http1Error> {
        self.body_ended = true;
        if let Some(trailers) = &mut trailers {
            headers::strip_trailers(trailers);
        }
        match self.framing {
            Framing::Length(0) => Ok(()),
            Framing::Length(_) => Err(Http1Error::MalformedRequest(
                "the body is shorter than its content-length",
            )),
            Framing::Chunked => encode::write_last_chunk(&mut self.gathered, trailers.as_ref())
                .map_err(Http1Error::MalformedRequest),
        }
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.has_unsent() {
            let gathered = &self.gathered[self.gathered_sent..];
            let written = if self.chunk.is_empty() && self.chunk_end.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, gathered))?
            } else {
                let slices = [
                    IoSlice::new(gathered),
                    IoSlice::new(&self.chunk),
                    IoSlice::new(self.chunk_end),
                ];
                // Writers without vectored writes send the first slice that is not empty.
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent_any = true;
            self.needs_flush = true;
            self.advance(written);
        }
        self.gathered.clear();
        if self.gathered.capacity() > 2 * GATHER_BYTES {
            self.gathered = Vec::new();
        }
        self.gathered_sent = 0;
        self.is_writing = false;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        let from_gathered = written.min(self.gathered.len() - self.gathered_sent);
        self.gathered_sent += from_gathered;
        let from_chunk = (written - from_gathered).min(self.chunk.len());
        self.chunk.advance(from_chunk);
        let from_end = written - from_gathered - from_chunk;
        self.chunk_end = self.chunk_end.get(from_end..).unwrap_or_default();
        if self.chunk.is_empty() {
            // An empty slice of a chunk would keep all of its bytes alive.
            self.chunk = Bytes::new();
        }
    }

    fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.needs_flush {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the message would be complete to the backend while the body has not ended yet.
    /// What completes it is held back: a body that turns out too long must not look like a good
    /// one.
    fn awaits_end(&self) -> bool {
        self.framing == Framing::Length(0) && !self.body_ended
    }

    fn has_room(&self) -> bool {
        self.chunk.is_empty() && self.gathered.len() < GATHER_BYTES
    }

    fn has_unsent(&self) -> bool {
        self.gathered_sent < self.gathered.len()
            || !self.chunk.is_empty()
            || !self.chunk_end.is_empty()
    }

    fn recycle(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.gathered_sent = 0;
        self.chunk = Bytes::new();
        self.chunk_end = b"";
        gathered.clear();
        if gathered.capacity() <= 2 * GATHER_BYTES {
            let _gone_with_its_thread = SPARE.try_with(|spare| spare.set(gathered));
        }
    }
}
