//! HAProxy's HTTP log format (`option httplog`, without the head of syslog), for tools that read it.
//!
//! What HAProxy counts and we do not (connections per server, places in queues) is 0. Times are UTC.

use super::super::escape::Escape;
use super::super::figures::{Moment, number, whole_millis};
use super::super::line::Line;
use super::{Formatter, display};

pub(super) fn write(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    display(out, line.client);
    out.push(b':');
    number(out, line.client_port.map_or(0, u64::from));
    out.extend_from_slice(b" [");
    Moment::of(line.arrived).haproxy(out);
    out.extend_from_slice(b"] ");
    name(out, line.listener);
    if line.tls.is_some() {
        out.push(b'~');
    }
    out.push(b' ');
    server(line, out);
    let timers = &line.timers;
    let mut before = b' ';
    for timer in [
        timers.headers,
        timers.queue,
        timers.connect,
        timers.ttfb,
        Some(timers.total),
    ] {
        out.push(before);
        before = b'/';
        whole_millis(out, timer);
    }
    out.push(b' ');
    // 499 is nothing that HAProxy knows: nobody was answered.
    if line.status == 499 {
        out.extend_from_slice(b"-1");
    } else {
        number(out, u64::from(line.status));
    }
    out.push(b' ');
    number(out, line.bytes_out);
    out.extend_from_slice(b" - - ");
    out.extend_from_slice(&state(line));
    out.extend_from_slice(b" 0/0/0/0/");
    if line.attempts > 1 {
        // We never try the same backend again while there is another.
        out.push(b'+');
    }
    number(out, u64::from(line.attempts.saturating_sub(1)));
    out.extend_from_slice(b" 0/0 ");
    if !formatter.headers.is_empty() {
        captured(formatter, line, out);
    }
    out.push(b'"');
    request(formatter, line, out);
    out.push(b'"');
}

/// `pool/backend`, in HAProxy's words where there is none.
fn server(line: &Line<'_>, out: &mut Vec<u8>) {
    name(out, line.pool.or(line.route).unwrap_or(line.listener));
    out.push(b'/');
    match (line.backend, line.cache) {
        (Some(backend), _) => name(out, backend),
        (None, Some(_)) if line.reason.is_none() => out.extend_from_slice(b"<CACHE>"),
        (None, _) => out.extend_from_slice(b"<NOSRV>"),
    }
}

/// The fields that are logged: `{first|second} `.
fn captured(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (_, value) in formatter.fields(line) {
        out.push(before);
        before = b'|';
        Escape::Hash.push(out, value.unwrap_or_default());
    }
    out.extend_from_slice(b"} ");
}

fn request(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    if line.method.is_empty() {
        return out.extend_from_slice(b"<BADREQ>");
    }
    name(out, line.method);
    out.push(b' ');
    name(out, line.path);
    if let Some(query) = formatter.query(line) {
        out.push(b'?');
        for part in query {
            word(out, part);
        }
    }
    out.push(b' ');
    out.extend_from_slice(line.proto.as_bytes());
}

fn name(out: &mut Vec<u8>, text: &str) {
    word(out, text.as_bytes());
}

/// Readers count fields by their blanks.
fn word(out: &mut Vec<u8>, text: &[u8]) {
    for (index, part) in text.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"#20");
        }
        Escape::Hash.push(out, part);
    }
}

/// How the exchange ended: who ended it, in which phase, what the client's cookie said, and what was done about it
/// (HAProxy's configuration manual, §8.5).
fn state(line: &Line<'_>) -> [u8; 4] {
    let [who, phase] = ending(line);
    let [cookie, action] = match line.affinity {
        None => *b"--",
        Some("none") => *b"NI",
        Some("invalid") => *b"II",
        Some("down") => *b"DI",
        Some("expired") => *b"EI",
        Some(_valid) => *b"VN",
    };
    [who, phase, cookie, action]
}

fn ending(line: &Line<'_>) -> [u8; 2] {
    let Some(reason) = line.reason else {
        return match line.backend {
            Some(_) => *b"--",
            // Answered without asking anybody.
            None => *b"LR",
        };
    };
    match reason {
        "no_route" | "no_healthy_backend" | "connect_refused" | "tls_failed" | "circuit_open" => {
            *b"SC"
        }
        "connect_timeout" => *b"sC",
        "backend_reset" if line.timers.ttfb.is_some() => *b"SD",
        "backend_reset" => *b"SH",
        "response_timeout" => *b"sH",
        "bad_response" => *b"PH",
        "queue_timeout" => *b"sQ",
        "request_timeout" => *b"cR",
        "stream_idle" => [b'c', phase(line)],
        "client_closed" => [b'C', phase(line)],
        "handler_failed" | "internal" => *b"IH",
        _refused => *b"PR",
    }
}

/// How far the exchange had come.
fn phase(line: &Line<'_>) -> u8 {
    let timers = &line.timers;
    if timers.ttfb.is_some() {
        b'D'
    } else if timers.connect.is_some() {
        b'H'
    } else if timers.queue.is_some() {
        b'C'
    } else if line.pool.is_some() {
        b'Q'
    } else {
        b'R'
    }
}
