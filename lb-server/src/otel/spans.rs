//! From the record of an exchange to its spans, with the names of OpenTelemetry's conventions for HTTP (1.27).
//!
//! ```text
//! exchange (server)  ├─ cache                      what was looked up, or waited for
//!                    ├─ store                      the rate limits' store, where instances share one
//!                    ├─ queue                      waiting for a place at a backend
//!                    └─ attempt (client), each     what the backend's own spans hang below
//!                        └─ connect                where no connection was open
//! ```

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::{Method, Version};

use super::context::{Part, Trace};
use super::wire::{bytes, fixed32, fixed64, message, number};
use crate::access_log::Redaction;
use crate::config::{BackendAddress, BackendScheme};
use crate::record::{Attempt, Record};

/// `ScopeSpans.spans`.
const SPANS: u64 = 2;

/// `Span.SpanKind`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// Where a span stands and when it was.
#[derive(Debug, Clone, Copy)]
struct Frame {
    id: u64,
    parent: Option<u64>,
    kind: Kind,
    start: u64,
    end: u64,
}

/// Appends the spans of an exchange, one entry each.
pub(super) fn write(out: &mut Vec<u8>, record: &Record<'_>, trace: &Trace, redaction: &Redaction) {
    let spans = Spans {
        record,
        trace,
        began: nanos(record.began),
    };
    spans.exchange(out, redaction);
    spans.cache(out);
    spans.store(out);
    spans.queue(out);
    let answered = record
        .attempts()
        .enumerate()
        .filter(|(_, attempt)| matches!(attempt.result, Some(Ok(_))))
        .last()
        .map(|(number, _)| number);
    for (number, attempt) in record.attempts().enumerate() {
        spans.attempt(out, number, attempt, answered == Some(number));
    }
}

struct Spans<'a> {
    record: &'a Record<'a>,
    trace: &'a Trace,
    /// Nanoseconds since 1970.
    began: u64,
}

impl Spans<'_> {
    fn exchange(&self, out: &mut Vec<u8>, redaction: &Redaction) {
        let record = self.record;
        let head = record.head;
        let frame = Frame {
            id: self.trace.span.get(),
            parent: self.trace.parent,
            kind: Kind::Server,
            start: self.began,
            end: self.end(),
        };
        let status = record.status.as_u16();
        // A client that left is no fault of the server's, nor is a refusal that the client is to blame for.
        let error = match record.reason {
            Some("client_closed") => None,
            Some(reason) if !(400..500).contains(&status) => Some(reason),
            None if status >= 500 => Some(record.status.as_str()),
            _ => None,
        };
        self.span(out, frame, |out| {
            name(out, &head.method, record.route);
            method(out, &head.method);
            text(
                out,
                "url.scheme",
                if record.arrival.is_tls {
                    "https"
                } else {
                    "http"
                },
            );
            text(out, "url.path", head.path());
            if let Some(query) = head.query() {
                attribute(out, "url.query", |out| {
                    message(out, 1, |out| {
                        redaction
                            .query(query.as_bytes())
                            .for_each(|part| out.extend_from_slice(part));
                    });
                });
            }
            text(out, "server.address", &head.host);
            protocol(out, record.protocol);
            address(out, "client.address", record.client);
            if let Some(port) = record.client_port {
                whole(out, "client.port", u64::from(port));
            }
            address(out, "network.peer.address", record.arrival.peer);
            if let Some(agent) = &head.user_agent {
                let agent = String::from_utf8_lossy(agent.as_bytes());
                text(out, "user_agent.original", &agent);
            }
            whole(out, "http.response.status_code", u64::from(status));
            whole(out, "http.request.body.size", record.bytes_in);
            whole(out, "http.response.body.size", record.bytes_out);
            text(out, "lb.request_id", record.request_id);
            text(out, "lb.listener", &record.arrival.listener);
            for (key, value) in [
                ("lb.route", record.route),
                ("lb.pool", record.pool),
                ("lb.cache", record.cache.map(|it| it.as_str())),
                ("lb.reason", record.reason),
            ] {
                if let Some(value) = value {
                    text(out, key, value);
                }
            }
            failed(out, error);
        });
    }

    /// The cache before the target: until a backend was asked for the rest, or to the end.
    fn cache(&self, out: &mut Vec<u8>) {
        let Some(result) = self.record.cache else {
            return;
        };
        let asked = self.record.attempts().next();
        let waited = asked.map(|attempt| self.at(attempt.started));
        let end = waited.unwrap_or_else(|| self.end());
        let frame = self.part(Part::Cache, self.began, end);
        self.span(out, frame, |out| {
            bytes(out, 5, b"cache");
            text(out, "lb.cache", result.as_str());
        });
    }

    fn store(&self, out: &mut Vec<u8>) {
        let Some((began, ended)) = self.record.store() else {
            return;
        };
        let frame = self.part(Part::Store, self.at(began), self.at(ended));
        self.span(out, frame, |out| {
            bytes(out, 5, b"store");
            text(out, "db.system.name", "redis");
        });
    }

    fn queue(&self, out: &mut Vec<u8>) {
        let waited = self.record.timers.queue.unwrap_or_default();
        if waited.is_zero() {
            return;
        }
        let asked = self.record.attempts().next();
        let end = asked.map_or_else(|| self.end(), |attempt| self.at(attempt.started));
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let start = end.saturating_sub(waited).max(self.began);
        let frame = self.part(Part::Queue, start, end);
        self.span(out, frame, |out| bytes(out, 5, b"queue"));
    }

    fn attempt(&self, out: &mut Vec<u8>, number: usize, attempt: &Attempt, is_answer: bool) {
        let target = &attempt.target;
        let start = self.at(attempt.started);
        let end = match attempt.ended {
            Some(ended) if !is_answer => self.at(ended),
            // The response ends with the exchange, as does what was given up for another.
            _ => self.end(),
        };
        let frame = Frame {
            kind: Kind::Client,
            ..self.part(Part::Attempt(number), start, end)
        };
        self.span(out, frame, |out| {
            name(out, &self.record.head.method, None);
            method(out, &self.record.head.method);
            match &target.url.address {
                BackendAddress::Host { host, port } => {
                    text(out, "server.address", host);
                    whole(out, "server.port", u64::from(*port));
                }
                BackendAddress::Unix(path) => {
                    text(out, "server.address", &path.to_string_lossy());
                    text(out, "network.transport", "unix");
                }
            }
            let scheme = match target.url.scheme {
                BackendScheme::Https => "https",
                _ => "http",
            };
            text(out, "url.scheme", scheme);
            text(out, "lb.pool", &target.pool);
            text(out, "lb.backend", target.id.as_str());
            if number > 0 {
                whole(out, "http.request.resend_count", number as u64);
            }
            match &attempt.result {
                Some(Ok(status)) => {
                    whole(out, "http.response.status_code", u64::from(status.as_u16()));
                    let is_error = status.as_u16() >= 400;
                    failed(out, is_error.then_some(status.as_str()));
                }
                Some(Err(reason)) => failed(out, Some(reason)),
                None => {}
            }
        });
        if let Some(connect) = attempt.connect.filter(|connect| !connect.is_zero()) {
            let frame = Frame {
                parent: Some(frame.id),
                ..self.part(
                    Part::Connect(number),
                    start,
                    self.at(attempt.started + connect),
                )
            };
            self.span(out, frame, |out| bytes(out, 5, b"connect"));
        }
    }

    fn part(&self, part: Part, start: u64, end: u64) -> Frame {
        Frame {
            id: self.trace.span_of(part),
            parent: Some(self.trace.span.get()),
            kind: Kind::Internal,
            start,
            end,
        }
    }

    fn span(&self, out: &mut Vec<u8>, frame: Frame, write: impl FnOnce(&mut Vec<u8>)) {
        message(out, SPANS, |out| {
            bytes(out, 1, &self.trace.id.to_be_bytes());
            bytes(out, 2, &frame.id.to_be_bytes());
            if let Some(parent) = frame.parent {
                bytes(out, 4, &parent.to_be_bytes());
            }
            number(out, 6, frame.kind as u64);
            fixed64(out, 7, frame.start);
            fixed64(out, 8, frame.end.max(frame.start));
            write(out);
            // The flags of `traceparent`: sampled.
            fixed32(out, 16, 1);
        });
    }

    fn at(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.record.started);
        self.began + u64::try_from(since.as_nanos()).unwrap_or(0)
    }

    fn end(&self) -> u64 {
        self.at(self.record.started + self.record.timers.total)
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX >> 1)
}

/// The span's name: few values, whatever clients send.
fn name(out: &mut Vec<u8>, method: &Method, route: Option<&str>) {
    let known = known(method).unwrap_or("HTTP");
    // A text has the form of a message.
    message(out, 5, |out| {
        out.extend_from_slice(known.as_bytes());
        if let Some(route) = route {
            out.push(b' ');
            out.extend_from_slice(route.as_bytes());
        }
    });
}

fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
    ];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn method(out: &mut Vec<u8>, method: &Method) {
    match known(method) {
        Some(known) => text(out, "http.request.method", known),
        None => {
            text(out, "http.request.method", "_OTHER");
            text(out, "http.request.method_original", method.as_str());
        }
    }
}

fn protocol(out: &mut Vec<u8>, version: Version) {
    text(out, "network.protocol.name", "http");
    let version = match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    text(out, "network.protocol.version", version);
}

/// The span's status, and what kind of failure it was.
fn failed(out: &mut Vec<u8>, error: Option<&str>) {
    if let Some(error) = error {
        text(out, "error.type", error);
        // `STATUS_CODE_ERROR`.
        message(out, 15, |out| number(out, 3, 2));
    }
}

fn attribute(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, 9, |out| pair(out, key, value));
}

/// A `KeyValue`.
fn pair(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    bytes(out, 1, key.as_bytes());
    message(out, 2, value);
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    attribute(out, key, |out| bytes(out, 1, value.as_bytes()));
}

fn whole(out: &mut Vec<u8>, key: &str, value: u64) {
    attribute(out, key, |out| number(out, 3, value));
}

fn address(out: &mut Vec<u8>, key: &str, value: std::net::IpAddr) {
    use std::io::Write as _;
    attribute(out, key, |out| {
        message(out, 1, |out| {
            // Writing to a `Vec` does not fail.
            let _ = write!(out, "{value}");
        });
    });
}

/// What all spans of the process have in common: an `ExportTraceServiceRequest` around the entries.
pub(super) fn request(attributes: &[(String, String)], entries: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() + 256);
    message(&mut out, 1, |out| {
        message(out, 1, |out| {
            for (key, value) in attributes {
                message(out, 1, |out| {
                    pair(out, key, |out| bytes(out, 1, value.as_bytes()));
                });
            }
        });
        message(out, 2, |out| {
            message(out, 1, |out| {
                bytes(out, 1, b"lb-server");
                bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            out.extend_from_slice(entries);
        });
    });
    out
}
