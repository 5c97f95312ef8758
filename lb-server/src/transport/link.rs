//! The state of one connection: its socket, its TLS session and what waits in between.

mod read;
mod write;

use std::io;

#[cfg(test)]
pub(super) use write::MAX_WAITING_BYTES;

use super::Io;
use super::buffers::ReadAhead;
use super::frames::{FrameCounter, FrameCounts, FrameLimits, FrameRole};
use crate::clock;

pub(super) struct Link {
    io: Box<dyn Io>,
    tls: Option<Box<rustls::Connection>>,
    /// Read from the socket, and neither decrypted nor delivered.
    left_over: ReadAhead,
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

impl Link {
    pub(super) fn new(io: Box<dyn Io>, mut tls: Option<Box<rustls::Connection>>) -> Self {
        if let Some(session) = &mut tls {
            // The limit is kept here, where the gathered bytes count too.
            session.set_buffer_limit(None);
        }
        Self {
            io,
            tls,
            left_over: ReadAhead::default(),
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

    #[cfg(test)]
    pub(super) fn is_write_blocked(&self) -> bool {
        self.is_write_blocked
    }

    #[cfg(test)]
    pub(super) fn holds_no_buffers(&self) -> bool {
        self.gathered.capacity() == 0 && !self.left_over.holds_memory()
    }

    pub(super) fn frames(&self) -> FrameCounts {
        self.counts
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.alpn_protocol()
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        match self.tls.as_ref()?.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            rustls::ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            _ => None,
        }
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        match self.tls.as_deref()? {
            rustls::Connection::Server(session) => session.server_name(),
            rustls::Connection::Client(_) => None,
        }
    }
}

pub(super) fn invalid_data(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
