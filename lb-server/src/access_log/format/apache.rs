//! The common log format and the combined one, as Apache and nginx write them.

use super::super::escape::Escape;
use super::super::figures::{Moment, number};
use super::super::line::Line;
use super::{Formatter, display};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Common,
    Combined,
}

pub(super) fn write(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>, kind: Kind) {
    display(out, line.client);
    out.extend_from_slice(b" - - [");
    Moment::of(line.arrived).common(out);
    out.extend_from_slice(b"] \"");
    request_line(formatter, line, out);
    out.extend_from_slice(b"\" ");
    number(out, u64::from(line.status));
    out.push(b' ');
    match line.bytes_out {
        0 => out.push(b'-'),
        bytes => number(out, bytes),
    }
    if kind == Kind::Combined {
        quoted(out, formatter.referer(line));
        quoted(out, line.user_agent.map(std::iter::once));
    }
}

/// `GET /path?query HTTP/2.0`; of a head that could not be read there is none.
fn request_line(formatter: &Formatter, line: &Line<'_>, out: &mut Vec<u8>) {
    if line.method.is_empty() {
        return out.push(b'-');
    }
    Escape::Backslash.push(out, line.method.as_bytes());
    out.push(b' ');
    let start = out.len();
    Escape::Backslash.push(out, line.path.as_bytes());
    if let Some(query) = formatter.query(line) {
        out.push(b'?');
        for part in query {
            Escape::Backslash.push(out, part);
        }
    }
    // Readers cut the request line at its blanks.
    for byte in &mut out[start..] {
        if *byte == b' ' {
            *byte = b'+';
        }
    }
    out.push(b' ');
    out.extend_from_slice(line.proto.as_bytes());
}

fn quoted<'a>(out: &mut Vec<u8>, value: Option<impl Iterator<Item = &'a [u8]>>) {
    out.extend_from_slice(b" \"");
    let start = out.len();
    for part in value.into_iter().flatten() {
        Escape::Backslash.push(out, part);
    }
    if out.len() == start {
        out.push(b'-');
    }
    out.push(b'"');
}
