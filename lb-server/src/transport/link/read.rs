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
            let mut kept = 0..0;
            if let Poll::Ready(Ok(count @ 1..)) = read {
                let mut source = &scratch[..count];
                while !source.is_empty() && self.is_handshaking() && self.tls_error.is_none() {
                    self.feed(&mut source);
                }
                kept = count - source.len()..count;
            }
            self.left_over.keep(scratch, kept.start, kept.end);
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
            if !self.is_deferred() {
                // Unlike `h2` an HTTP/1.1 reader asks for as much as is worth a read.
                return self.poll_socket_into(cx, buf).map_ok(|_| ());
            }
            let mut scratch = buffers::take_scratch();
            let read = self.poll_socket(cx, &mut scratch);
            let mut kept = 0..0;
            if let Poll::Ready(Ok(count)) = read {
                let now = count.min(buf.remaining());
                buf.put_slice(&scratch[..now]);
                kept = now..count;
            }
            self.left_over.keep(scratch, kept.start, kept.end);
            return read.map_ok(|_| ());
        }
        let rest = self.left_over.bytes();
        let part = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..part]);
        self.left_over.take(part);
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
            let mut kept = 0..0;
            if let Poll::Ready(Ok(count)) = read {
                kept = self.receive(&scratch[..count], buf)..count;
            }
            self.left_over.keep(scratch, kept.start, kept.end);
            ready!(read)?;
            self.answer(cx);
        }
    }

    /// Decrypts as much of what the socket gave as the caller has room for, and tells how much
    /// that was.
    fn receive(&mut self, mut source: &[u8], buf: &mut ReadBuf<'_>) -> usize {
        let count = source.len();
        if source.is_empty() {
            // This is how rustls learns of the end.
            self.feed(&mut source);
            return 0;
        }
        while !source.is_empty() && self.tls_error.is_none() {
            self.feed(&mut source);
            if !matches!(self.take_plaintext(buf), Plaintext::Exhausted) {
                break;
            }
        }
        count - source.len()
    }

    /// Reads the socket once; 0 is its end.
    fn poll_socket(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_socket_into(cx, &mut ReadBuf::new(scratch))
    }

    fn poll_socket_into(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_read_closed {
            return Poll::Ready(Ok(0));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
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
        let mut source = left_over.bytes();
        let before = source.len();
        self.feed(&mut source);
        let taken = before - source.len();
        self.left_over = left_over;
        self.left_over.take(taken);
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
}
