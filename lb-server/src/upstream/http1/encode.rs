//! A request head and request trailers as bytes.
//!
//! Whoever built the fields has checked them; what was written is looked through again here, because
//! one line break that slips through is a second request.

use std::io::Write as _;

use http::Method;
use http::header::{self, HeaderMap};

use super::RequestHead;

/// How the end of the request body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// Appends the head; after an error nothing that was appended may be sent.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    framing: Framing,
) -> Result<(), &'static str> {
    check_target(head)?;
    check_host(head.host)?;
    let mut lines = Lines::new(out);
    lines.put(&[
        head.method.as_str().as_bytes(),
        b" ",
        head.path_and_query.as_bytes(),
        b" HTTP/1.1",
    ]);
    lines.put(&[b"host: ", head.host.as_bytes()]);
    let (mut has_cookie, mut has_te) = (false, false);
    for (name, value) in head.headers {
        match name.as_str() {
            "cookie" => has_cookie = true,
            "te" => has_te = true,
            name if is_ours(name) => {}
            name => lines.field(name, value.as_bytes()),
        }
    }
    if let Some(forwarding) = &head.forwarding {
        forwarding.for_each(|name, value| lines.field(name.as_str(), value.as_bytes()));
    }
    if has_cookie {
        write_cookies(&mut lines, head.headers);
    }
    write_framing(&mut lines, head.method, framing);
    let te = has_te && accepts_trailers(head.headers);
    if te {
        lines.put(&[b"te: trailers"]);
    }
    // RFC 9110 §10.1.4: `te` concerns this connection only and has to be named so.
    match (head.close, te) {
        (false, false) => {}
        (false, true) => lines.put(&[b"connection: te"]),
        (true, false) => lines.put(&[b"connection: close"]),
        (true, true) => lines.put(&[b"connection: close, te"]),
    }
    lines.finish()
}

/// Appends the last chunk, the trailers and the end of the message.
pub(super) fn write_last_chunk(
    out: &mut Vec<u8>,
    trailers: Option<&HeaderMap>,
) -> Result<(), &'static str> {
    out.extend_from_slice(b"0\r\n");
    let mut lines = Lines::new(out);
    for (name, value) in trailers.into_iter().flatten() {
        let name = name.as_str();
        if !is_ours(name) && name != "te" {
            lines.field(name, value.as_bytes());
        }
    }
    lines.finish()
}

/// Lines under way into a buffer, looked through as a whole when they are all there.
struct Lines<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    count: usize,
}

impl<'a> Lines<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self {
            out,
            start,
            count: 0,
        }
    }

    fn put(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.end();
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        self.put(&[name.as_bytes(), b": ", value]);
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.count += 1;
    }

    /// Ends with the empty line. Among the lines is no control byte but the ends that were put
    /// here, so that no value can have begun a line of its own.
    fn finish(mut self) -> Result<(), &'static str> {
        self.end();
        let controls = count_controls(&self.out[self.start..]);
        if controls == b"\r\n".len() * self.count {
            Ok(())
        } else {
            Err("the value of a field is not allowed")
        }
    }
}

/// Counts what no line may contain (RFC 9110 §5.5).
fn count_controls(bytes: &[u8]) -> usize {
    let count = |chunk: &[u8]| {
        let is_control = |byte: u8| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
        // Without a way out of the loop, and in bytes, it takes many of them at a time.
        chunk
            .iter()
            .fold(0_u8, |count, &byte| count + u8::from(is_control(byte)))
    };
    let chunks = bytes.chunks(usize::from(u8::MAX));
    chunks.map(|chunk| usize::from(count(chunk))).sum()
}

pub(super) fn write_chunk_size(out: &mut Vec<u8>, bytes: usize) {
    write!(out, "{bytes:x}\r\n").expect("writing to a vector cannot fail");
}

fn check_target(head: &RequestHead<'_>) -> Result<(), &'static str> {
    // The answer to CONNECT is a tunnel, which is no exchange.
    if head.method == Method::CONNECT || !head.method.as_str().bytes().all(is_token_byte) {
        return Err("the method is not allowed");
    }
    let path = head.path_and_query;
    let is_star = path == "*" && head.method == Method::OPTIONS;
    let is_clean = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let is_path = path.starts_with('/') && is_clean;
    if !is_star && !is_path {
        return Err("the path is not allowed");
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let is_clean = host
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/?#@,\\".contains(&byte));
    if host.is_empty() || !is_clean {
        return Err("the host is not allowed");
    }
    Ok(())
}

/// Fields that describe this connection and its framing: written by us or not at all, as `te` is.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "transfer-encoding"
            | "connection"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
    )
}

/// HTTP/2 clients split cookies for compression; HTTP/1.1 knows one line (RFC 9113 §8.2.3).
fn write_cookies(lines: &mut Lines<'_>, headers: &HeaderMap) {
    let mut separator: &[u8] = b"cookie: ";
    for crumb in headers.get_all(header::COOKIE) {
        lines.out.extend_from_slice(separator);
        lines.out.extend_from_slice(crumb.as_bytes());
        separator = b"; ";
    }
    lines.end();
}

fn write_framing(lines: &mut Lines<'_>, method: &Method, framing: Framing) {
    match framing {
        Framing::Chunked => lines.put(&[b"transfer-encoding: chunked"]),
        // RFC 9110 §8.6: a length of zero is only said where content is expected.
        Framing::Length(0) if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {}
        Framing::Length(bytes) => {
            write!(lines.out, "content-length: {bytes}").expect("writing to a vector cannot fail");
            lines.end();
        }
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// RFC 9110 §5.6.2.
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_control_byte_wherever_it_stands() {
        assert_eq!(count_controls(&[b'\n'; 600]), 600);
        for byte in 0..=u8::MAX {
            let is_control = byte < b' ' && byte != b'\t' || byte == 0x7f;
            for at in [0, 15, 254, 255, 299] {
                let mut text = [b'a'; 300];
                text[at] = byte;
                assert_eq!(count_controls(&text), usize::from(is_control), "{byte}");
            }
        }
    }

    #[test]
    fn a_line_break_in_a_line_is_an_error() {
        let mut out = b"before\r\n".to_vec();
        let mut lines = Lines::new(&mut out);
        lines.field("a", b"b");
        assert_eq!(lines.finish(), Ok(()));
        assert_eq!(out, b"before\r\na: b\r\n\r\n");
        let mut lines = Lines::new(&mut out);
        lines.field("a", b"b\r\nc: d");
        assert!(lines.finish().is_err());
    }
}
