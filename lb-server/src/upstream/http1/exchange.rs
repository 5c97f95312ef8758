//! One request and its response on a connection, both directions at once.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::chunked::{Chunked, Step};
use super::head::{self, BodyFraming, Lines};
use super::upload::{Upload, UploadError};
use super::{Connection, Http1Error, RequestHead, ResponseLimits, is_disconnect};
use crate::body::Body;
use crate::transport::buffers;

/// The first read of a response; later ones that fill their space double the next.
const FIRST_READ_BYTES: usize = 8 * 1024;
const MAX_READ_BYTES: usize = 32 * 1024;
/// Less space than this is not worth a read.
const MIN_READ_BYTES: usize = 2 * 1024;

/// One request under way. Dropping it closes the connection.
pub(crate) struct Exchange<S> {
    connection: Connection<S>,
    upload: Upload,
    /// Ends the upload only: an early response may still be readable.
    write_error: Option<io::Error>,
    /// Ends the exchange at the next poll.
    failure: Option<Http1Error>,
    state: State,
    buffer: BytesMut,
    next_read_bytes: usize,
    limits: ResponseLimits,
    is_head_request: bool,
    interim_responses: usize,
    body_length: Option<u64>,
    keeps_open: bool,
    received_any: bool,
}

enum State {
    Head(Lines),
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Trailers(HeaderMap),
    Ended,
    Failed,
}

/// A response head.
#[derive(Debug)]
pub(crate) enum Event {
    /// A 1xx; another head follows.
    Informational(Response<()>),
    /// The response. `transfer-encoding` is gone from it, and a `connection` that names no field;
    /// the other connection-specific fields are not.
    Final(Response<()>),
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Exchange<S> {
    /// Begins an exchange; the request is sent by the polls that follow, each of which drives
    /// both directions. A request that cannot be sent fails at the first of them.
    ///
    /// A `body_length` becomes the content-length and the body must keep to it; without one the
    /// body is sent chunked, with its trailers.
    pub(crate) fn start(
        connection: Connection<S>,
        head: RequestHead<'_>,
        body: Body,
        body_length: Option<u64>,
        limits: ResponseLimits,
    ) -> Self {
        let (upload, failure) = Upload::new(&head, body, body_length);
        Self {
            connection,
            upload,
            write_error: None,
            failure,
            state: State::Head(Lines::default()),
            buffer: BytesMut::new(),
            next_read_bytes: FIRST_READ_BYTES,
            limits,
            is_head_request: *head.method == Method::HEAD,
            interim_responses: 0,
            body_length: None,
            keeps_open: false,
            received_any: false,
        }
    }

    /// Yields the interim heads and then the final one, after which it must not be called again.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Http1Error>> {
        self.poll_upload(cx);
        let result = match self.failure.take() {
            Some(failure) => Err(failure),
            None => ready!(self.poll_next_head(cx)),
        };
        if result.is_err() {
            self.state = State::Failed;
        }
        Poll::Ready(result)
    }

    /// Yields the chunks of the response body, then its trailers; `None` only after a complete
    /// body, or after an error.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        self.poll_upload(cx);
        if let State::Ended | State::Failed = self.state {
            return Poll::Ready(None);
        }
        let result = match self.failure.take() {
            Some(failure) => Err(failure),
            None => ready!(self.poll_next_frame(cx)),
        };
        match result {
            Ok(Some(frame)) => Poll::Ready(Some(Ok(frame))),
            Ok(None) => Poll::Ready(None),
            Err(error) => {
                self.state = State::Failed;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Drives the upload alone, while whoever takes the response is not ready for more of it.
    pub(crate) fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if self.failure.is_some() {
            return;
        }
        match self.upload.poll(&mut self.connection.io, cx) {
            Poll::Pending | Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(UploadError::Write(error))) => self.write_error = Some(error),
            Poll::Ready(Err(UploadError::Request(error))) => self.failure = Some(error),
        }
    }

    /// Gives the connection back after the end, if a next exchange can rely on it: both messages
    /// are complete, nothing is left over, and the backend keeps it open.
    #[must_use]
    pub(crate) fn into_connection(self) -> Option<Connection<S>> {
        let is_clean = matches!(self.state, State::Ended)
            && self.keeps_open
            && self.upload.is_done()
            && self.failure.is_none()
            && self.buffer.is_empty();
        is_clean.then_some(Connection {
            io: self.connection.io,
        })
    }

    /// Whether the response is complete and no trailers wait.
    pub(crate) fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The exact length of the response body in bytes, once the final head told it.
    pub(crate) fn body_length(&self) -> Option<u64> {
        self.body_length
    }

    /// Whether the whole request was handed to the transport.
    pub(crate) fn is_upload_done(&self) -> bool {
        self.upload.is_done()
    }

    /// Whether the transport took any byte of the request.
    pub(crate) fn sent_any(&self) -> bool {
        self.upload.sent_any()
    }

    #[cfg(test)]
    pub(super) fn connection_io(&self) -> &S {
        &self.connection.io
    }

    fn poll_next_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Http1Error>> {
        loop {
            let State::Head(lines) = &mut self.state else {
                return Poll::Ready(Err(Http1Error::Closed {
                    received_any: self.received_any,
                }));
            };
            let is_head_request = self.is_head_request;
            match head::split_head(lines, &mut self.buffer, &self.limits, is_head_request)? {
                Some(head) => return Poll::Ready(self.take_head(head)),
                None => match ready!(self.poll_read(cx, MAX_READ_BYTES as u64)) {
                    Ok(0) => return Poll::Ready(Err(self.closed(None))),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(self.closed(Some(error)))),
                },
            }
        }
    }

    fn take_head(&mut self, head: head::Head) -> Result<Event, Http1Error> {
        let status = head.response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Http1Error::BadResponse("the backend switched protocols"));
        }
        if status.is_informational() {
            self.interim_responses += 1;
            if self.interim_responses > self.limits.interim_responses {
                return Err(Http1Error::BadResponse("too many interim responses"));
            }
            return Ok(Event::Informational(head.response));
        }
        self.keeps_open = head.keeps_open;
        self.state = match head.framing {
            BodyFraming::Length(0) => State::Ended,
            BodyFraming::Length(length) => State::Length(length),
            BodyFraming::Chunked => State::Chunked(Chunked::new()),
            BodyFraming::UntilClose => State::UntilClose,
        };
        self.body_length = match head.framing {
            BodyFraming::Length(length) => Some(length),
            BodyFraming::Chunked | BodyFraming::UntilClose => None,
        };
        Ok(Event::Final(head.response))
    }

    /// What to report when the end came before a head: a write error that came first is the
    /// reason, unless it says no more than that the backend is gone.
    fn closed(&mut self, read_error: Option<io::Error>) -> Http1Error {
        match self.write_error.take().or(read_error) {
            Some(error) if !is_disconnect(&error) => Http1Error::Io(error),
            _ => Http1Error::Closed {
                received_any: self.received_any,
            },
        }
    }

    fn poll_next_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, Http1Error>> {
        loop {
            if let Some(frame) = self.next_frame()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            let wanted = match self.state {
                State::Ended => return Poll::Ready(Ok(None)),
                State::Length(left) => left,
                _ => u64::MAX,
            };
            match ready!(self.poll_read(cx, wanted)) {
                Ok(0) if matches!(self.state, State::UntilClose) => {
                    self.state = State::Ended;
                    return Poll::Ready(Ok(None));
                }
                Ok(0) => return Poll::Ready(Err(Http1Error::Truncated)),
                Ok(_) => {}
                Err(error) if is_disconnect(&error) => {
                    return Poll::Ready(Err(Http1Error::Truncated));
                }
                Err(error) => return Poll::Ready(Err(Http1Error::Io(error))),
            }
        }
    }

    /// The next frame from the bytes at hand.
    fn next_frame(&mut self) -> Result<Option<Frame<Bytes>>, Http1Error> {
        match &mut self.state {
            State::Length(_) | State::UntilClose if self.buffer.is_empty() => Ok(None),
            State::UntilClose => Ok(Some(Frame::data(self.buffer.split().freeze()))),
            State::Length(left) => {
                let taken = self
                    .buffer
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::Ended;
                }
                Ok(Some(Frame::data(self.buffer.split_to(taken).freeze())))
            }
            State::Chunked(chunked) => match chunked.step(&mut self.buffer, &self.limits)? {
                Step::Data(data) => {
                    self.look_ahead();
                    Ok(Some(Frame::data(data)))
                }
                Step::End(trailers) => {
                    self.state = State::Ended;
                    Ok(trailers.map(Frame::trailers))
                }
                Step::NeedsMore => Ok(None),
            },
            State::Trailers(trailers) => {
                let trailers = std::mem::take(trailers);
                self.state = State::Ended;
                Ok(Some(Frame::trailers(trailers)))
            }
            State::Head(_) | State::Failed => Err(Http1Error::Truncated),
            State::Ended => Ok(None),
        }
    }

    /// Finds the end that arrived together with the last data, so that the reader learns of it
    /// with that data and not one frame later.
    fn look_ahead(&mut self) {
        let State::Chunked(chunked) = &mut self.state else {
            return;
        };
        match chunked.skip_to_data(&mut self.buffer, &self.limits) {
            Ok(Some(None)) => self.state = State::Ended,
            Ok(Some(Some(trailers))) => self.state = State::Trailers(trailers),
            Ok(None) => {}
            Err(error) => self.failure = Some(error),
        }
    }

    /// Reads into the thread's buffer, so that a request that waits for its response holds none.
    fn poll_first_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = buffers::take_scratch();
        let mut first = ReadBuf::new(&mut scratch[..FIRST_READ_BYTES]);
        let read = Pin::new(&mut self.connection.io).poll_read(cx, &mut first);
        let count = first.filled().len();
        self.buffer = BytesMut::from(first.filled());
        self.received_any = count > 0;
        buffers::return_scratch(scratch);
        ready!(read)?;
        Poll::Ready(Ok(count))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<io::Result<usize>> {
        if !self.received_any {
            return self.poll_first_read(cx);
        }
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let space = self.buffer.capacity() - self.buffer.len();
        if space < wanted.min(MIN_READ_BYTES) {
            self.buffer.reserve(wanted.min(self.next_read_bytes));
        }
        let space = self.buffer.capacity() - self.buffer.len();
        let read = ready!(pin!(self.connection.io.read_buf(&mut self.buffer)).poll(cx))?;
        if read == space {
            self.next_read_bytes = MAX_READ_BYTES.min(self.next_read_bytes * 2);
        }
        Poll::Ready(Ok(read))
    }
}
