//! From the caller to the socket: gathering, sealing, flushing.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::Link;
use crate::transport::{Io, buffers};

/// Bytes that may wait for the socket before a write is `Pending`.
pub(in crate::transport) const MAX_WAITING_BYTES: usize = 64 * 1024;

/// Plaintext of the largest TLS record, RFC 8446 §5.1.
const RECORD_BYTES: usize = 16 * 1024;

/// Slices of one write that are looked at; the rest comes with the next.
const MAX_SLICES: usize = 16;

impl Link {
    pub(in crate::transport) fn poll_write(
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
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    pub(in crate::transport) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // While the socket is full, what is gathered may still grow to a full record.
        ready!(self.poll_drain(cx))?;
        self.seal_rest()?;
        ready!(self.poll_drain(cx))?;
        buffers::give_back(&mut self.gathered);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    pub(in crate::transport) fn poll_shutdown(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
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
