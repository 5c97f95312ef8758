//! `key=value` pairs. What there is none of is left out; a value that needs quotes is written as JSON does.

use super::super::escape::Escape;
use super::super::figures::{Moment, millis, number};
use super::super::line::Line;
use super::{Formatter, display};

pub(super) fn write(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"ts=");
    Moment::of(line.arrived).rfc3339(out);
    text(out, "request_id", Some(line.request_id));
    text(out, "trace_id", line.trace_id);
    key(out, "client_ip");
    display(out, line.client);
    whole(out, "client_port", line.client_port.map(u64::from));
    text(out, "listener", Some(line.listener));
    text(out, "proto", Some(line.proto));
    text(out, "tls", line.tls);
    text(out, "method", Some(line.method));
    text(out, "host", Some(line.host));
    text(out, "path", Some(line.path));
    value(out, "query", formatter.query(line));
    whole(out, "status", Some(u64::from(line.status)));
    whole(out, "bytes_in", Some(line.bytes_in));
    whole(out, "bytes_out", Some(line.bytes_out));
    text(out, "route", line.route);
    text(out, "pool", line.pool);
    text(out, "backend", line.backend);
    whole(out, "attempts", Some(u64::from(line.attempts)));
    text(out, "cache", line.cache);
    text(out, "affinity", line.affinity);
    text(out, "reason", line.reason);
    value(out, "user_agent", line.user_agent.map(std::iter::once));
    value(out, "referer", formatter.referer(line));
    for (name, found) in formatter.fields(line) {
        if let Some(found) = found {
            out.extend_from_slice(b" header_");
            // Names of fields are tokens, RFC 9110 §5.1: no blank, quote or `=`.
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            quoted(out, std::iter::once(found));
        }
    }
    let timers = &line.timers;
    for (name, value) in [
        ("timers_handshake", timers.handshake),
        ("timers_headers", timers.headers),
        ("timers_queue", timers.queue),
        ("timers_connect", timers.connect),
        ("timers_ttfb", timers.ttfb),
        ("timers_total", Some(timers.total)),
    ] {
        key(out, name);
        millis(out, value);
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

fn whole(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        key(out, name);
        number(out, value);
    }
}

fn text(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    value(out, name, text.map(|text| std::iter::once(text.as_bytes())));
}

fn value<'a>(out: &mut Vec<u8>, name: &str, parts: Option<impl Iterator<Item = &'a [u8]>>) {
    if let Some(parts) = parts {
        key(out, name);
        quoted(out, parts);
    }
}

/// Appends the value and puts quotes around it if anything in it could be taken for its end.
fn quoted<'a>(out: &mut Vec<u8>, parts: impl Iterator<Item = &'a [u8]>) {
    let start = out.len();
    for part in parts {
        Escape::Json.push(out, part);
    }
    let is_bare = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=');
    if out.len() == start || !out[start..].iter().all(is_bare) {
        out.insert(start, b'"');
        out.push(b'"');
    }
}
