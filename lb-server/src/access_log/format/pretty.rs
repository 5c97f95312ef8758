//! For people at a terminal: what matters, in the order one asks for it.

use super::super::escape::Escape;
use super::super::figures::{Moment, millis, number};
use super::super::line::Line;
use super::Formatter;

pub(super) fn write(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    Moment::of(line.arrived).time_with_millis(out);
    out.push(b' ');
    number(out, u64::from(line.status));
    out.push(b' ');
    part(out, line.method);
    out.push(b' ');
    part(out, line.host);
    part(out, line.path);
    if let Some(query) = formatter.query(line) {
        out.push(b'?');
        for part in query {
            Escape::Json.push(out, part);
        }
    }
    out.push(b' ');
    millis(out, Some(line.timers.total));
    out.extend_from_slice(b"ms ");
    number(out, line.bytes_out);
    out.push(b'B');
    if let Some(backend) = line.backend {
        out.extend_from_slice(b" -> ");
        part(out, line.pool.unwrap_or_default());
        out.push(b'/');
        part(out, backend);
    }
    if line.attempts > 1 {
        out.extend_from_slice(b" attempts=");
        number(out, u64::from(line.attempts));
    }
    for (name, value) in [("cache", line.cache), ("reason", line.reason)] {
        if let Some(value) = value {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
    }
}

fn part(out: &mut Vec<u8>, text: &str) {
    Escape::Json.push(out, text.as_bytes());
}
