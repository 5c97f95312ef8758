//! A response head or trailers from bytes, and the framing that follows (RFC 9112 §6.3).

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};

use super::{Http1Error, ResponseLimits};

/// Fields for which the parser needs no heap.
const STACK_FIELDS: usize = 128;

/// How the end of a response body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFraming {
    Length(u64),
    Chunked,
    UntilClose,
}

pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: BodyFraming,
    /// Whether the backend keeps the connection open after the body.
    pub(super) keeps_open: bool,
}

/// Finds the empty line that ends a head or trailers, looking at each byte once.
#[derive(Debug, Default)]
pub(super) struct Lines {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl Lines {
    /// Takes the bytes up to the end of the empty line off the buffer, if they are all there.
    pub(super) fn split(
        &mut self,
        buffer: &mut BytesMut,
        max_bytes: usize,
        max_lines: usize,
    ) -> Result<Option<Bytes>, Http1Error> {
        while let Some(offset) = memchr::memchr(b'\n', &buffer[self.scanned..]) {
            let line_feed = self.scanned + offset;
            if line_feed == self.line_start || buffer[line_feed - 1] != b'\r' {
                return Err(Http1Error::BadResponse("a line ends without a cr"));
            }
            let end = line_feed + 1;
            let is_empty = line_feed - 1 == self.line_start;
            if end > max_bytes {
                break;
            }
            if is_empty {
                *self = Self::default();
                // HPACK's table keeps values beyond the exchange; in a part of the buffer each would
                // hold all of it.
                let head = Bytes::copy_from_slice(&buffer[..end]);
                buffer.advance(end);
                return Ok(Some(head));
            }
            self.lines += 1;
            if self.lines > max_lines {
                return Err(Http1Error::BadResponse("too many fields"));
            }
            self.scanned = end;
            self.line_start = end;
        }
        if buffer.len() > max_bytes {
            return Err(Http1Error::BadResponse("the head is too large"));
        }
        self.scanned = buffer.len();
        Ok(None)
    }
}

/// Takes the next head off the buffer, if it is all there.
pub(super) fn split_head(
    lines: &mut Lines,
    buffer: &mut BytesMut,
    limits: &ResponseLimits,
    is_head_request: bool,
) -> Result<Option<Head>, Http1Error> {
    // What is not HTTP at all must not be waited for until a head might have ended.
    if !buffer.iter().zip(b"HTTP/1.").all(|(got, want)| got == want) {
        return Err(Http1Error::BadResponse("the status line is not HTTP/1"));
    }
    let max_lines = limits.fields.saturating_add(1);
    match lines.split(buffer, limits.head_bytes, max_lines)? {
        Some(bytes) => parse_head(&bytes, limits, is_head_request).map(Some),
        None => Ok(None),
    }
}

pub(super) fn parse_trailers(
    bytes: &Bytes,
    limits: &ResponseLimits,
) -> Result<HeaderMap, Http1Error> {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.fields];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((used, fields))) if used == bytes.len() => {
            to_map(bytes, fields)
        }
        _ => Err(Http1Error::BadResponse("the trailers are malformed")),
    }
}

fn parse_head(
    bytes: &Bytes,
    limits: &ResponseLimits,
    is_head_request: bool,
) -> Result<Head, Http1Error> {
    let mut on_stack = [const { MaybeUninit::uninit() }; STACK_FIELDS];
    let mut on_heap;
    let fields = if limits.fields <= STACK_FIELDS {
        &mut on_stack[..limits.fields]
    } else {
        on_heap = vec![MaybeUninit::uninit(); limits.fields];
        &mut on_heap[..]
    };
    let mut parsed = httparse::Response::new(&mut []);
    let used = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, bytes, fields)
        .map_err(|error| Http1Error::BadResponse(reason_of(error)))?;
    // The empty line was found by `Lines`; that both see the same head is part of the strictness.
    if used != httparse::Status::Complete(bytes.len()) {
        return Err(Http1Error::BadResponse("the head is malformed"));
    }
    let status = parsed
        .code
        .filter(|code| (100..=599).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(Http1Error::BadResponse("the status is out of range"))?;
    let version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let mut headers = to_map(bytes, parsed.headers)?;
    let framing = framing_of(&mut headers, status, version, is_head_request)?;
    let keeps_open = version == Version::HTTP_11
        && framing != BodyFraming::UntilClose
        && !has_member(&headers, &header::CONNECTION, b"close");
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(Head {
        response,
        framing,
        keeps_open,
    })
}

fn reason_of(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "the name of a field is malformed",
        httparse::Error::HeaderValue => "the value of a field is malformed",
        httparse::Error::Status => "the status is malformed",
        httparse::Error::Version => "the version is not HTTP/1.0 or HTTP/1.1",
        httparse::Error::TooManyHeaders => "too many fields",
        _ => "the head is malformed",
    }
}

fn to_map(bytes: &Bytes, fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Http1Error> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Http1Error::BadResponse("the name of a field is malformed"))?;
        let value = if field.value.is_empty() {
            HeaderValue::from_static("")
        } else {
            HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
                .map_err(|_| Http1Error::BadResponse("the value of a field is malformed"))?
        };
        map.try_append(name, value)
            .map_err(|_| Http1Error::BadResponse("too many fields"))?;
    }
    Ok(map)
}

/// Decides where the body ends, and leaves the fields saying just that.
fn framing_of(
    headers: &mut HeaderMap,
    status: StatusCode,
    version: Version,
    is_head_request: bool,
) -> Result<BodyFraming, Http1Error> {
    // Doubtful framing is refused even where there is no body: whoever sends it does not agree
    // with us on what it sends next.
    let length = content_length(headers)?;
    let is_chunked = is_chunked(headers)?;
    if is_chunked && version == Version::HTTP_10 {
        return Err(Http1Error::BadResponse("transfer-encoding in HTTP/1.0"));
    }
    if is_chunked && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Http1Error::BadResponse(
            "transfer-encoding and content-length together",
        ));
    }
    headers.remove(header::TRANSFER_ENCODING);
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
        return Ok(BodyFraming::Length(0));
    }
    if is_head_request || status == StatusCode::NOT_MODIFIED {
        return Ok(BodyFraming::Length(0));
    }
    Ok(match (is_chunked, length) {
        (true, _) => BodyFraming::Chunked,
        (false, Some(length)) => BodyFraming::Length(length),
        (false, None) => BodyFraming::UntilClose,
    })
}

/// The one length that all fields and their members agree on; more than one is collapsed.
fn content_length(headers: &mut HeaderMap) -> Result<Option<u64>, Http1Error> {
    let mut length = None;
    let mut members = 0;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for member in value.as_bytes().split(|&byte| byte == b',') {
            let this = parse_decimal(member.trim_ascii())
                .ok_or(Http1Error::BadResponse("the content-length is malformed"))?;
            if *length.get_or_insert(this) != this {
                return Err(Http1Error::BadResponse("content-lengths differ"));
            }
            members += 1;
        }
    }
    if let Some(length) = length.filter(|_| members > 1) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

/// Digits only: `parse::<u64>` would take a sign.
fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn is_chunked(headers: &HeaderMap) -> Result<bool, Http1Error> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None)
            if value
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(true)
        }
        _ => Err(Http1Error::BadResponse("the transfer-encoding is unknown")),
    }
}

fn has_member(headers: &HeaderMap, name: &HeaderName, wanted: &[u8]) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(wanted))
    })
}
