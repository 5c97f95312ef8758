//! What is counted of the connections that come to a listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Protocol;
use crate::transport::Flood;

/// Counters of one listener. They outlive it with its last connection.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    /// HTTP/2 and HTTP/1.1.
    opened: [AtomicU64; PROTOCOLS.len()],
    closed: [AtomicU64; PROTOCOLS.len()],
    handshakes: [AtomicU64; HANDSHAKES.len()],
    glitches: [AtomicU64; GLITCHES.len()],
}

const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// Version and result; of a failure no version is known.
const HANDSHAKES: [(&str, &str); 5] = [
    ("TLSv1.2", "ok"),
    ("TLSv1.3", "ok"),
    ("", "ok"),
    ("", "failed"),
    ("", "timeout"),
];

const GLITCHES: [(Flood, &str); 4] = [
    (Flood::Pings, "pings"),
    (Flood::Settings, "settings"),
    (Flood::Resets, "resets"),
    (Flood::Control, "control"),
];

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeResult {
    /// With this version, as OpenSSL writes it.
    Ok(Option<&'static str>),
    Failed,
    Timeout,
}

impl ListenerCounters {
    /// Counts a connection in, until what is returned is dropped.
    pub(crate) fn opened(self: &Arc<Self>, protocol: Protocol) -> OpenClient {
        let protocol = usize::from(protocol != Protocol::H2);
        self.opened[protocol].fetch_add(1, Ordering::Relaxed);
        OpenClient {
            counters: Arc::clone(self),
            protocol,
        }
    }

    pub(crate) fn handshake(&self, result: HandshakeResult) {
        let found = match result {
            HandshakeResult::Ok(version) => (version.unwrap_or_default(), "ok"),
            HandshakeResult::Failed => ("", "failed"),
            HandshakeResult::Timeout => ("", "timeout"),
        };
        let kinds = HANDSHAKES.iter().zip(&self.handshakes);
        for (_, counter) in kinds.filter(|(kind, _)| **kind == found) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a connection that was given up for what it sent.
    pub(crate) fn glitch(&self, flood: Flood) {
        let kinds = GLITCHES.iter().zip(&self.glitches);
        for (_, counter) in kinds.filter(|((kind, _), _)| *kind == flood) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By protocol: accepted so far, and open now.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let counts = PROTOCOLS.iter().zip(self.opened.iter().zip(&self.closed));
        counts.map(|(protocol, (opened, closed))| {
            // In this order, so that the difference is never below what is open.
            let closed = closed.load(Ordering::Relaxed);
            let opened = opened.load(Ordering::Relaxed);
            (*protocol, opened, opened.saturating_sub(closed))
        })
    }

    /// By version and result.
    pub(crate) fn handshakes(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = HANDSHAKES.iter().zip(&self.handshakes);
        counts.map(|((version, result), count)| (*version, *result, count.load(Ordering::Relaxed)))
    }

    pub(crate) fn glitches(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = GLITCHES.iter().zip(&self.glitches);
        counts.map(|((_, kind), count)| (*kind, count.load(Ordering::Relaxed)))
    }
}

/// A client's connection, counted as long as it is open.
#[derive(Debug)]
pub(crate) struct OpenClient {
    counters: Arc<ListenerCounters>,
    protocol: usize,
}

impl Drop for OpenClient {
    fn drop(&mut self) {
        self.counters.closed[self.protocol].fetch_add(1, Ordering::Relaxed);
    }
}
