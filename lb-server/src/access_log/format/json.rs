//! One JSON object a line. Every key is always there: `null` is "there is none".

use super::super::escape::Escape;
use super::super::figures::{Moment, millis, number};
use super::super::line::Line;
use super::{Formatter, display};

/// A key with all that stands around it, put together when this is compiled: a line has thirty of them.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

pub(super) fn write(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ts\":\"");
    Moment::of(line.arrived).rfc3339(out);
    out.push(b'"');
    text(out, key!("request_id"), Some(line.request_id));
    text(out, key!("trace_id"), line.trace_id);
    out.extend_from_slice(key!("client_ip"));
    out.push(b'"');
    display(out, line.client);
    out.push(b'"');
    whole(out, key!("client_port"), line.client_port.map(u64::from));
    text(out, key!("listener"), Some(line.listener));
    text(out, key!("proto"), Some(line.proto));
    text(out, key!("tls"), line.tls);
    text(out, key!("method"), Some(line.method));
    text(out, key!("host"), Some(line.host));
    text(out, key!("path"), Some(line.path));
    parts(out, key!("query"), formatter.query(line));
    whole(out, key!("status"), Some(u64::from(line.status)));
    whole(out, key!("bytes_in"), Some(line.bytes_in));
    whole(out, key!("bytes_out"), Some(line.bytes_out));
    text(out, key!("route"), line.route);
    text(out, key!("pool"), line.pool);
    text(out, key!("backend"), line.backend);
    whole(out, key!("attempts"), Some(u64::from(line.attempts)));
    text(out, key!("cache"), line.cache);
    text(out, key!("affinity"), line.affinity);
    text(out, key!("reason"), line.reason);
    parts(
        out,
        key!("user_agent"),
        line.user_agent.map(std::iter::once),
    );
    parts(out, key!("referer"), formatter.referer(line));
    if !formatter.headers.is_empty() {
        headers(formatter, line, out);
    }
    let timers = &line.timers;
    out.extend_from_slice(key!("timers"));
    out.extend_from_slice(b"{\"handshake\":");
    millis(out, timers.handshake);
    for (key, value) in [
        (key!("headers"), timers.headers),
        (key!("queue"), timers.queue),
        (key!("connect"), timers.connect),
        (key!("ttfb"), timers.ttfb),
        (key!("total"), Some(timers.total)),
    ] {
        out.extend_from_slice(key);
        millis(out, value);
    }
    out.extend_from_slice(b"}}");
}

/// The fields that the configuration lists, with the names it has for them.
fn headers(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("headers"));
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

fn whole(out: &mut Vec<u8>, key: &[u8], value: Option<u64>) {
    out.extend_from_slice(key);
    match value {
        Some(value) => number(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn text(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) {
    parts(
        out,
        key,
        value.map(|value| std::iter::once(value.as_bytes())),
    );
}

fn parts<'a>(out: &mut Vec<u8>, key: &[u8], value: Option<impl IntoIterator<Item = &'a [u8]>>) {
    out.extend_from_slice(key);
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
