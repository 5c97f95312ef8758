//! A request head and request trailers as bytes.
//!
//! Whoever built the fields has checked them; every byte is checked again here, because one line
//! break that slips through is a second request.

use std::io::Write as _;

use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, Method};

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
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.path_and_query.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(head.host.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in head.headers {
        if !is_ours(name) && name != header::COOKIE {
            write_field(out, name, value)?;
        }
    }
    write_cookies(out, head.headers)?;
    write_framing(out, head.method, framing);
    let te = accepts_trailers(head.headers);
    if te {
        out.extend_from_slice(b"te: trailers\r\n");
    }
    // RFC 9110 §10.1.4: `te` concerns this connection only and has to be named so.
    out.extend_from_slice(match (head.close, te) {
        (false, false) => b"",
        (false, true) => b"connection: te\r\n",
        (true, false) => b"connection: close\r\n",
        (true, true) => b"connection: close, te\r\n",
    });
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends the last chunk, the trailers and the end of the message.
pub(super) fn write_last_chunk(
    out: &mut Vec<u8>,
    trailers: Option<&HeaderMap>,
) -> Result<(), &'static str> {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !is_ours(name) {
            write_field(out, name, value)?;
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
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

/// Fields that describe this connection and its framing: written by us or not at all.
fn is_ours(name: &HeaderName) -> bool {
    *name == header::HOST
        || *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONNECTION
        || *name == header::TE
        || *name == header::UPGRADE
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}

fn write_field(
    out: &mut Vec<u8>,
    name: &HeaderName,
    value: &HeaderValue,
) -> Result<(), &'static str> {
    let name = name.as_str().as_bytes();
    if name.is_empty() || !name.iter().copied().all(is_token_byte) {
        return Err("the name of a field is not allowed");
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    write_value(out, value)?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &HeaderValue) -> Result<(), &'static str> {
    let value = value.as_bytes();
    // Without a way out of the loop it takes many bytes at a time.
    let is_clean = value.iter().fold(true, |clean, &byte| {
        clean & ((byte >= b' ') & (byte != 0x7f) | (byte == b'\t'))
    });
    if !is_clean {
        return Err("the value of a field is not allowed");
    }
    out.extend_from_slice(value);
    Ok(())
}

/// HTTP/2 clients split cookies for compression; HTTP/1.1 knows one line (RFC 9113 §8.2.3).
fn write_cookies(out: &mut Vec<u8>, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut separator: &[u8] = b"cookie: ";
    for crumb in headers.get_all(header::COOKIE) {
        out.extend_from_slice(separator);
        write_value(out, crumb)?;
        separator = b"; ";
    }
    if separator == b"; " {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

fn write_framing(out: &mut Vec<u8>, method: &Method, framing: Framing) {
    match framing {
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // RFC 9110 §8.6: a length of zero is only said where content is expected.
        Framing::Length(0) if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {}
        Framing::Length(bytes) => {
            write!(out, "content-length: {bytes}\r\n").expect("writing to a vector cannot fail");
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
