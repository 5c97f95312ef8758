//! What happened to one exchange: noted while it happens, ended once, and handed on whole.
//!
//! ```text
//! exchange.rs, connection/http1.rs   Recorder ── begin ─ replied ─ finish (or drop: the client left)
//! dispatch, affinity, cache          Notes, in the exchange
//!                                    └─► counters, and each RecordSink as a Record
//! ```

mod notes;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use lb_core::BackendId;

use crate::clock;
use crate::handler::Exchange;
use crate::metrics::{CodeLabel, Ended};
use crate::otel::Trace;
use crate::pipeline::Arrival;
use crate::watched::Upload;

pub(crate) use notes::{AffinityWord, Attempt, AttemptId, CacheResult, Notes};

/// Whoever wants whole records: the access log, traces.
pub(crate) trait RecordSink: Send + Sync + std::fmt::Debug {
    /// Takes an exchange that has ended. It runs on the worker, so it neither blocks nor waits.
    fn take(&self, record: &Record<'_>);
}

/// An exchange that has ended. Everything is borrowed: who wants to keep a part copies it.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// When its head had come, and for how long it took from there to the last byte.
    pub(crate) began: SystemTime,
    /// The same on the clock that the attempts are timed by.
    pub(crate) started: Instant,
    pub(crate) request_id: &'a str,
    /// The connection: listener, peer, TLS.
    pub(crate) arrival: &'a Arrival,
    /// The protocol the client spoke.
    pub(crate) protocol: Version,
    /// Who asked: the peer, or what trusted proxies say of it.
    pub(crate) client: IpAddr,
    /// Known where the client is the peer.
    pub(crate) client_port: Option<u16>,
    /// Its place in a trace, where spans are kept of some.
    pub(crate) trace: Option<&'a Trace>,
    /// Whether the peer is one whose word counts, that of a trace's sampling as well.
    pub(crate) is_trusted: bool,
    pub(crate) head: &'a Head,
    pub(crate) route: Option<&'a str>,
    pub(crate) pool: Option<&'a str>,
    /// Of the attempt that answered, else of the last one.
    pub(crate) backend: Option<&'a BackendId>,
    notes: &'a Notes,
    pub(crate) cache: Option<CacheResult>,
    /// What the affinity cookie came to; nothing where no pool that was asked has affinity.
    pub(crate) affinity: Option<AffinityWord>,
    /// Why the answer was ours, or why it broke off.
    pub(crate) reason: Option<&'static str>,
    /// 499 where the client left before the reply's head.
    pub(crate) status: StatusCode,
    /// Of the request's body, as far as it was read.
    pub(crate) bytes_in: u64,
    /// Of the reply's body, as far as it was handed to the connection.
    pub(crate) bytes_out: u64,
    pub(crate) timers: Timers,
}

/// The control points of HAProxy's log (its configuration manual, §8.4); `None` was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timers {
    /// Th: the connection's TLS handshake; nothing but for its first request.
    pub(crate) handshake: Option<Duration>,
    /// TR: for the rest of the request's head. An exchange begins with a whole head, so it is zero, as in
    /// HAProxy's HTTP/2; `None` for a head that was refused.
    pub(crate) headers: Option<Duration>,
    /// Tw: waiting for a place at a backend.
    pub(crate) queue: Option<Duration>,
    /// Tc: until the attempt had a connection; nothing where one was open.
    pub(crate) connect: Option<Duration>,
    /// Tr: from there to the response's head.
    pub(crate) ttfb: Option<Duration>,
    /// Ta: from the request's head to the reply's last byte.
    pub(crate) total: Duration,
}

/// What a request said, kept only where somebody wants records.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// As the client wrote it.
    pub(crate) uri: Uri,
    /// Lower case and without port, once the head was checked; before that as it came, or empty.
    pub(crate) host: Box<str>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) referer: Option<HeaderValue>,
    /// `traceparent` as it goes on to a backend.
    pub(crate) trace: Option<HeaderValue>,
    /// The values of the fields that are asked for, in that order; of several the first.
    pub(crate) fields: Box<[Option<HeaderValue>]>,
}

impl Record<'_> {
    /// The attempts in the order in which they began; hedges count.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.notes.attempts()
    }

    /// When the store that instances share was asked, and when it had answered.
    pub(crate) fn store(&self) -> Option<(Instant, Instant)> {
        self.notes.store
    }
}

impl Head {
    /// Copies what is wanted of a head that has not been checked. Values are shared, not copied.
    pub(crate) fn of(parts: &Parts, wanted: &[HeaderName]) -> Self {
        let Parts {
            method,
            uri,
            headers,
            ..
        } = parts;
        let named = headers.get(http::header::HOST);
        let named = named.and_then(|host| host.to_str().ok());
        let host = uri.host().or(named).unwrap_or_default();
        Self {
            method: method.clone(),
            uri: uri.clone(),
            host: host.into(),
            user_agent: headers.get(USER_AGENT).cloned(),
            referer: headers.get(REFERER).cloned(),
            trace: None,
            fields: wanted
                .iter()
                .map(|name| headers.get(name).cloned())
                .collect(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.uri.query()
    }
}

/// Ends the record of an exchange once: by [`Recorder::finish`], else, when it is dropped, as left by
/// the client.
#[derive(Debug)]
pub(crate) struct Recorder {
    exchange: Exchange,
    started: Instant,
    upload: Option<Arc<Upload>>,
    replied: Option<StatusCode>,
    bytes_out: u64,
    is_ended: bool,
}

impl Recorder {
    /// Begins with an exchange whose head came at `started`.
    pub(crate) fn begin(exchange: Exchange, upload: Option<Arc<Upload>>, started: Instant) -> Self {
        exchange.counters().began(exchange.worker());
        Self {
            exchange,
            started,
            upload,
            replied: None,
            bytes_out: 0,
            is_ended: false,
        }
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The reply's head is known: nothing that happens elsewhere from here on is part of the story.
    pub(crate) fn replied(&mut self, status: StatusCode) {
        if let Some(upload) = &self.upload {
            upload.replied();
        }
        self.replied = Some(status);
        self.exchange.notes().settle();
        let elapsed = clock::now().saturating_duration_since(self.started);
        let exchange = &self.exchange;
        exchange
            .counters()
            .answered(exchange.worker(), status, elapsed);
    }

    /// How much of the reply's body has been handed over so far.
    pub(crate) fn sent(&mut self, bytes_out: u64) {
        self.bytes_out = bytes_out;
    }

    /// Ends it with the last byte, or for the reason that there is none.
    pub(crate) fn finish(mut self, broken: Option<&'static str>) {
        self.end(broken);
    }

    fn end(&mut self, broken: Option<&'static str>) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let now = clock::now();
        let exchange = &self.exchange;
        let mut notes = exchange.notes();
        notes.settle();
        let reason = broken.or(notes.reason);
        let code = self.replied.map_or(CodeLabel::CLIENT_CLOSED, CodeLabel::of);
        let origin = exchange.origin();
        let worker = exchange.worker();
        exchange.counters().ended(worker, reason);
        exchange.route_counters().ended(
            worker,
            &Ended {
                listener: &origin.arrival.listener,
                method: origin.method,
                code,
                reason,
                total: now.saturating_duration_since(self.started),
                bytes_in: self.upload.as_ref().map_or(0, |upload| upload.bytes()),
                bytes_out: self.bytes_out,
            },
        );
        if let Some(head) = notes.take_head() {
            let notes = notes.take(now);
            self.hand_on(&head, &notes, reason, now);
        }
    }

    /// Apart, because nobody may want it.
    #[cold]
    fn hand_on(&self, head: &Head, notes: &Notes, reason: Option<&'static str>, now: Instant) {
        let exchange = &self.exchange;
        let origin = exchange.origin();
        let total = now.saturating_duration_since(self.started);
        let attempt = notes.decisive();
        let target = attempt.map(|attempt| &attempt.target);
        let status = self
            .replied
            .or_else(|| StatusCode::from_u16(499).ok())
            .unwrap_or(StatusCode::BAD_REQUEST);
        let arrival = &*origin.arrival;
        let record = Record {
            began: clock::wall()
                .checked_sub(total)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            started: self.started,
            request_id: exchange.request_id(),
            arrival,
            protocol: origin.received,
            client: origin.client,
            client_port: arrival.peer_port.filter(|_| origin.client == arrival.peer),
            trace: origin.trace.as_ref(),
            is_trusted: origin.is_trusted,
            head,
            route: exchange.route().map(|route| route.name.as_str()),
            pool: target
                .map(|target| &*target.pool)
                .or_else(|| exchange.pool_of_route()),
            backend: target.map(|target| &target.id),
            notes,
            cache: notes.cache,
            affinity: notes.affinity,
            reason,
            status,
            bytes_in: self.upload.as_ref().map_or(0, |upload| upload.bytes()),
            bytes_out: self.bytes_out,
            timers: Timers {
                handshake: Some(origin.handshake),
                headers: notes.is_checked.then_some(Duration::ZERO),
                queue: notes.queued,
                connect: attempt.and_then(|attempt| attempt.connect),
                ttfb: attempt.and_then(|attempt| attempt.ttfb),
                total,
            },
        };
        let snapshot = exchange.snapshot();
        for sink in &snapshot.sinks {
            sink.take(&record);
        }
        if let Some(tracer) = &snapshot.tracer {
            tracer.take(&record);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end(Some("client_closed"));
    }
}
