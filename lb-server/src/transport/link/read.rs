//! From the socket to the caller: decrypting, reading ahead, counting.

use std::io::{self, BufRead};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Link, invalid_data};
use crate::clock;
use crate::transport::buffers;

/// How far the plaintext at hand went.
enum Plaintext {
    Filled,
    Exhausted,
    Closed,
    CutOff,
}

impl Link {
    pub(in crate::transport) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
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

    pub(in crate::transport) fn poll_read(
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
