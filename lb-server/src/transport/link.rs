//! The state of one connection: its socket, its TLS session and what waits in between.

use std::io::{self, BufRead, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{FrameCounter, FrameCounts, FrameLimits, FrameRole};
use super::{Io, buffers};
use crate::clock;

/// Bytes that may wait for the socket before a write is `Pending`.
pub(super) const MAX_WAITING_BYTES: usize = 64 * 1024;

/// Plaintext of the largest TLS record, RFC 8446 §5.1.
const RECORD_BYTES: usize = 16 * 1024;

/// Slices of one write that are looked at; the rest comes with the next.
const MAX_SLICES: usize = 16;

pub(super) struct Link {
    io: Box<dyn Io>,
    tls: Option<Box<rustls::Connection>>,
    /// Read from the socket, and neither decrypted nor delivered.
    left_over: Vec<u8>,
    left_over_taken: usize,
    /// Written by the caller, and not sealed; without TLS, not on the socket.
    gathered: Vec<u8>,
    gathered_sent: usize,
    /// Plaintext bytes in the records that rustls holds for the socket: it doesn't tell its own count.
    sealed_bytes: usize,
    /// Plaintext accepted from the caller.
    accepted_bytes: u64,
    tls_error: Option<rustls::Error>,
    is_read_closed: bool,
    is_close_sent: bool,
    is_write_blocked: bool,
    counter: Option<FrameCounter>,
    counts: FrameCounts,
}

/// How far the plaintext at hand went.
enum Plaintext {
    Filled,
    Exhausted,
    Closed,
    CutOff,
}

impl Link {
    pub(super) fn new(io: Box<dyn Io>, mut tls: Option<Box<rustls::Connection>>) -> Self {
        if let Some(session) = &mut tls {
            // The limit is kept here, where the gathered bytes count too.
            session.set_buffer_limit(None);
        }
        Self {
            io,
            tls,
            left_over: Vec::new(),
            left_over_taken: 0,
            gathered: Vec::new(),
            gathered_sent: 0,
            sealed_bytes: 0,
            accepted_bytes: 0,
            tls_error: None,
            is_read_closed: false,
            is_close_sent: false,
            is_write_blocked: false,
            counter: None,
            counts: FrameCounts::new(clock::now()),
        }
    }

    pub(super) fn defer_flush(&mut self, role: FrameRole) {
        self.counter = Some(FrameCounter::new(role));
    }

    pub(super) fn limit_frames(&mut self, limits: FrameLimits) {
        if let Some(counter) = &mut self.counter {
            counter.set_limits(limits);
        }
    }

    pub(super) fn is_deferred(&self) -> bool {
        self.counter.is_some()
    }

    pub(super) fn is_write_blocked(&self) -> bool {
        self.is_write_blocked
    }

    pub(super) fn frames(&self) -> FrameCounts {
        self.counts
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.alpn_protocol()
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        match self.tls.as_deref()? {
            rustls::Connection::Server(session) => session.server_name(),
            rustls::Connection::Client(_) => None,
        }
    }
}

// Reading.
impl Link {
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let drained = ready!(self.poll_drain(cx));
            // The cause outweighs that its alert could not be sent.
            if let Some(error) = &self.tls_error {
                return Poll::Ready(Err(invalid_data(error.clone())));
            }
            drained?;
            if !self.is_handshaking() {
                return Pin::new(&mut self.io).poll_flush(cx);
            }
            let mut scratch = buffers::take_scratch();
            let read = self.poll_socket(cx, &mut scratch);
            if let Poll::Ready(Ok(count @ 1..)) = read {
                let mut source = &scratch[..count];
                while !source.is_empty() && self.is_handshaking() && self.tls_error.is_none() {
                    self.feed(&mut source);
                }
                self.left_over.extend_from_slice(source);
            }
            buffers::return_scratch(scratch);
            if ready!(read)? == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection was closed during the TLS handshake",
                )));
            }
        }
    }

    fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        let read = match self.tls {
            Some(_) => self.poll_read_tls(cx, buf),
            None => self.poll_read_plain(cx, buf),
        };
        if let Some(counter) = &mut self.counter {
            let now = self.counts.last_read;
            let bytes = &buf.filled()[start..];
            counter.count(bytes, self.accepted_bytes, &mut self.counts, now);
        }
        read
    }

    fn poll_read_plain(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.left_over.is_empty() {
            let mut scratch = buffers::take_scratch();
            let read = self.poll_socket(cx, &mut scratch);
            if let Poll::Ready(Ok(count)) = read {
                let (now, later) = scratch[..count].split_at(count.min(buf.remaining()));
                buf.put_slice(now);
                self.keep(later);
            }
            buffers::return_scratch(scratch);
            return read.map_ok(|_| ());
        }
        let rest = &self.left_over[self.left_over_taken..];
        let part = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..part]);
        self.take_left_over(part);
        Poll::Ready(Ok(()))
    }

    fn poll_read_tls(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        loop {
            let plaintext = self.take_plaintext(buf);
            let is_empty = buf.filled().len() == start;
            match plaintext {
                Plaintext::Filled | Plaintext::Closed => return Poll::Ready(Ok(())),
                // HTTP/2 ends its streams itself; a body that ends with the connection does not.
                Plaintext::CutOff if is_empty && !self.is_deferred() => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the peer closed the connection without a TLS close_notify",
                    )));
                }
                Plaintext::CutOff => return Poll::Ready(Ok(())),
                Plaintext::Exhausted => {}
            }
            if let Some(error) = &self.tls_error {
                if is_empty {
                    return Poll::Ready(Err(invalid_data(error.clone())));
                }
                return Poll::Ready(Ok(()));
            }
            if !self.left_over.is_empty() {
                self.feed_left_over();
                self.answer(cx);
                continue;
            }
            if !is_empty {
                return Poll::Ready(Ok(()));
            }
            let mut scratch = buffers::take_scratch();
            let read = self.poll_socket(cx, &mut scratch);
            if let Poll::Ready(Ok(count)) = read {
                self.receive(&scratch[..count], buf);
            }
            buffers::return_scratch(scratch);
            ready!(read)?;
            self.answer(cx);
        }
    }

    /// Decrypts as much of what the socket gave as the caller has room for, and keeps the rest.
    fn receive(&mut self, mut source: &[u8], buf: &mut ReadBuf<'_>) {
        if source.is_empty() {
            // This is how rustls learns of the end.
            self.feed(&mut source);
            return;
        }
        while !source.is_empty() && self.tls_error.is_none() {
            self.feed(&mut source);
            if !matches!(self.take_plaintext(buf), Plaintext::Exhausted) {
                break;
            }
        }
        self.keep(source);
    }

    /// Reads the socket once; 0 is its end.
    fn poll_socket(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.is_read_closed {
            return Poll::Ready(Ok(0));
        }
        let mut buf = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        let count = buf.filled().len();
        self.is_read_closed = count == 0;
        if count > 0 {
            self.counts.bytes_in += count as u64;
            self.counts.last_read = clock::now();
        }
        Poll::Ready(Ok(count))
    }

    /// Hands rustls one piece of ciphertext. Plaintext must have been taken before.
    fn feed(&mut self, source: &mut &[u8]) {
        let Some(session) = &mut self.tls else {
            return;
        };
        match session.read_tls(source) {
            // After close_notify whatever follows is no part of the connection.
            Ok(0) => *source = &[],
            Ok(_) => {}
            Err(error) => {
                self.tls_error = Some(rustls::Error::General(error.to_string()));
                return;
            }
        }
        if let Err(error) = session.process_new_packets() {
            self.tls_error = Some(error);
        }
    }

    fn feed_left_over(&mut self) {
        let left_over = std::mem::take(&mut self.left_over);
        let mut source = &left_over[self.left_over_taken..];
        let before = source.len();
        self.feed(&mut source);
        let taken = before - source.len();
        self.left_over = left_over;
        self.take_left_over(taken);
    }

    /// Moves decrypted bytes to the caller.
    fn take_plaintext(&mut self, buf: &mut ReadBuf<'_>) -> Plaintext {
        let Some(session) = &mut self.tls else {
            return Plaintext::Exhausted;
        };
        while buf.remaining() > 0 {
            let mut reader = session.reader();
            match reader.fill_buf() {
                Ok([]) => return Plaintext::Closed,
                Ok(chunk) => {
                    let part = chunk.len().min(buf.remaining());
                    buf.put_slice(&chunk[..part]);
                    reader.consume(part);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Plaintext::Exhausted;
                }
                Err(_) => return Plaintext::CutOff,
            }
        }
        Plaintext::Filled
    }

    /// Sends what rustls answers by itself: alerts, key updates.
    fn answer(&mut self, cx: &mut Context<'_>) {
        let wants_write = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        // The connection's task flushes anyway, unless it will not come to that after an error.
        if wants_write && (!self.is_deferred() || self.tls_error.is_some()) {
            // A socket that fails or is full says so to the next write as well.
            let _retried = self.poll_drain(cx);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.left_over.capacity() == 0 {
            self.left_over = buffers::take();
        }
        self.left_over.extend_from_slice(bytes);
    }

    fn take_left_over(&mut self, count: usize) {
        self.left_over_taken += count;
        if self.left_over_taken == self.left_over.len() {
            self.left_over_taken = 0;
            buffers::give_back(&mut self.left_over);
        }
    }
}

// Writing.
impl Link {
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_close_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.waiting_bytes() >= MAX_WAITING_BYTES {
            if let Poll::Ready(drained) = self.poll_drain(cx) {
                drained?;
            } else if self.waiting_bytes() >= MAX_WAITING_BYTES {
                return Poll::Pending;
            }
        }
        let slices = &slices[..slices.len().min(MAX_SLICES)];
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let count = offered.min(MAX_WAITING_BYTES.saturating_sub(self.waiting_bytes()));
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let whole = match self.tls {
            Some(_) => self.seal_whole(slices, count)?,
            None => 0,
        };
        self.gather(slices, whole, count);
        self.accepted_bytes += count as u64;
        Poll::Ready(Ok(count))
    }

    fn waiting_bytes(&self) -> usize {
        self.gathered.len() - self.gathered_sent + self.sealed_bytes
    }

    /// Copies bytes `from..to` of the slices.
    fn gather(&mut self, slices: &[IoSlice<'_>], from: usize, to: usize) {
        if from == to {
            return;
        }
        if self.gathered.capacity() == 0 {
            self.gathered = buffers::take();
        }
        if self.gathered_sent > 0 {
            self.gathered.drain(..self.gathered_sent);
            self.gathered_sent = 0;
        }
        for part in parts(slices, from, to) {
            self.gathered.extend_from_slice(part);
        }
    }

    /// Seals full records out of what is gathered and the slices, without copying the latter
    /// first, and says how many of their bytes went.
    fn seal_whole(&mut self, slices: &[IoSlice<'_>], count: usize) -> io::Result<usize> {
        let Some(session) = &mut self.tls else {
            return Ok(0);
        };
        let gathered = self.gathered.len();
        let whole = (gathered + count) / RECORD_BYTES * RECORD_BYTES;
        if whole == 0 {
            return Ok(0);
        }
        let taken = whole - gathered;
        let mut records = [IoSlice::new(&[]); MAX_SLICES + 1];
        records[0] = IoSlice::new(&self.gathered);
        let mut used = 1;
        for part in parts(slices, 0, taken) {
            records[used] = IoSlice::new(part);
            used += 1;
        }
        let sealed = session.writer().write_vectored(&records[..used])?;
        debug_assert_eq!(sealed, whole, "rustls has no limit of its own");
        self.sealed_bytes += sealed;
        self.gathered.clear();
        Ok(taken)
    }

    fn seal_rest(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.tls
            && !self.gathered.is_empty()
        {
            session.writer().write_all(&self.gathered)?;
            self.sealed_bytes += self.gathered.len();
            self.gathered.clear();
        }
        Ok(())
    }

    /// Writes out all that needs no more sealing.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = match self.tls {
            Some(_) => self.poll_drain_tls(cx),
            None => self.poll_drain_plain(cx),
        };
        self.is_write_blocked = drained.is_pending();
        drained
    }

    fn poll_drain_plain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gathered_sent < self.gathered.len() {
            let rest = &self.gathered[self.gathered_sent..];
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered_sent += count;
            self.counts.bytes_out += count as u64;
        }
        self.gathered_sent = 0;
        self.gathered.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_drain_tls(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(session) = &mut self.tls else {
            return Poll::Ready(Ok(()));
        };
        while session.wants_write() {
            let mut socket = Socket {
                io: &mut self.io,
                cx,
            };
            match session.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.sealed_bytes = self.sealed_bytes.saturating_sub(count);
                    self.counts.bytes_out += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.sealed_bytes = 0;
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // While the socket is full, what is gathered may still grow to a full record.
        ready!(self.poll_drain(cx))?;
        self.seal_rest()?;
        ready!(self.poll_drain(cx))?;
        buffers::give_back(&mut self.gathered);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        if let Some(session) = &mut self.tls
            && !self.is_close_sent
        {
            session.send_close_notify();
        }
        self.is_close_sent = true;
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The socket as rustls writes to it.
struct Socket<'a, 'b> {
    io: &'a mut Box<dyn Io>,
    cx: &'a mut Context<'b>,
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        would_block(Pin::new(&mut *self.io).poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        would_block(Pin::new(&mut *self.io).poll_write_vectored(self.cx, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn would_block(written: Poll<io::Result<usize>>) -> io::Result<usize> {
    match written {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Bytes `from..to` of the slices taken as one.
fn parts<'a>(slices: &'a [IoSlice<'_>], from: usize, to: usize) -> impl Iterator<Item = &'a [u8]> {
    let mut position = 0;
    slices.iter().filter_map(move |slice| {
        let start = from.saturating_sub(position).min(slice.len());
        let end = to.saturating_sub(position).min(slice.len());
        position += slice.len();
        (start < end).then(|| &slice[start..end])
    })
}

pub(super) fn invalid_data(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
