//! One JSON object a line. Every key is always there: `null` is "there is none".

use super::super::escape::Escape;
use super::super::figures::{Moment, millis, number};
use super::super::line::Line;
use super::{Formatter, display};

pub(super) fn write(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ts\":\"");
    Moment::of(line.arrived).rfc3339(out);
    out.push(b'"');
    text(out, "request_id", Some(line.request_id));
    text(out, "trace_id", line.trace_id);
    key(out, "client_ip");
    out.push(b'"');
    display(out, line.client);
    out.push(b'"');
    whole(out, "client_port", line.client_port.map(u64::from));
    text(out, "listener", Some(line.listener));
    text(out, "proto", Some(line.proto));
    text(out, "tls", line.tls);
    text(out, "method", Some(line.method));
    text(out, "host", Some(line.host));
    text(out, "path", Some(line.path));
    parts(out, "query", formatter.query(line));
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
    parts(out, "user_agent", line.user_agent.map(std::iter::once));
    parts(out, "referer", formatter.referer(line));
    if !formatter.headers.is_empty() {
        headers(formatter, line, out);
    }
    let timers = &line.timers;
    key(out, "timers");
    out.extend_from_slice(b"{\"handshake\":");
    millis(out, timers.handshake);
    for (name, value) in [
        ("headers", timers.headers),
        ("queue", timers.queue),
        ("connect", timers.connect),
        ("ttfb", timers.ttfb),
        ("total", Some(timers.total)),
    ] {
        key(out, name);
        millis(out, value);
    }
    out.extend_from_slice(b"}}");
}

/// The fields that the configuration lists, with the names it has for them.
fn headers(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    key(out, "headers");
    let mut before = b'{';
    for (name, value) in formatter.fields(line) {
        out.push(before);
        before = b',';
        out.push(b'"');
        Escape::Json.push(out, name.as_bytes());
        out.extend_from_slice(b"\":");
        string(out, value.map(std::iter::once));
    }
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn whole(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    key(out, name);
    match value {
        Some(value) => number(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn text(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    parts(
        out,
        name,
        value.map(|value| std::iter::once(value.as_bytes())),
    );
}

fn parts<'a>(out: &mut Vec<u8>, name: &str, value: Option<impl IntoIterator<Item = &'a [u8]>>) {
    key(out, name);
    string(out, value);
}

fn string<'a>(out: &mut Vec<u8>, value: Option<impl IntoIterator<Item = &'a [u8]>>) {
    let Some(parts) = value else {
        return out.extend_from_slice(b"null");
    };
    out.push(b'"');
    for part in parts {
        Escape::Json.push(out, part);
    }
    out.push(b'"');
}
