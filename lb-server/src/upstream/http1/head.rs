//! A response head or trailers from bytes, and the framing that follows (RFC 9112 §6.3).

use std::mem::MaybeUninit;
use std::sync::LazyLock;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};
use memchr::memmem::Finder;

use super::{Http1Error, ResponseLimits};

/// Fields for which the parser needs no heap.
const STACK_FIELDS: usize = 128;
/// Places in the map of a response for fields of ours.
const ROOM: usize = 2;

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
                return Ok(Some(take(buffer, end)));
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

/// HPACK's table keeps values beyond the exchange; in a part of the buffer each would hold all of it.
fn take(buffer: &mut BytesMut, end: usize) -> Bytes {
    let taken = Bytes::copy_from_slice(&buffer[..end]);
    buffer.advance(end);
    taken
}

/// Takes a head off the buffer that came in one piece, as nearly all do, without a look at each of its
/// lines; they are counted by whoever parses it.
fn whole_head(
    lines: &Lines,
    buffer: &mut BytesMut,
    max_bytes: usize,
) -> Result<Option<Bytes>, Http1Error> {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
    if lines.scanned > 0 {
        return Ok(None);
    }
    let Some(end) = END.find(buffer).map(|at| at + b"\r\n\r\n".len()) else {
        return Ok(None);
    };
    if end > max_bytes {
        return Ok(None);
    }
    let feeds = buffer[1..end].iter().zip(&buffer[..end]);
    // Without a way out of the loop it takes many bytes at a time.
    let is_bare = feeds.fold(false, |found, (&byte, &before)| {
        found | (byte == b'\n') & (before != b'\r')
    });
    if is_bare {
        return Err(Http1Error::BadResponse("a line ends without a cr"));
    }
    Ok(Some(take(buffer, end)))
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
    let whole = match whole_head(lines, buffer, limits.head_bytes)? {
        Some(bytes) => Some(bytes),
        None => lines.split(buffer, limits.head_bytes, max_lines)?,
    };
    match whole {
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
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + ROOM);
    let mut said = Said::default();
    for field in parsed.headers.iter() {
        let (name, value) = read_field(bytes, field)?;
        if said.keep(&name, &value)? {
            append(&mut headers, name, value)?;
        }
    }
    let framing = said.framing(&mut headers, status, version, is_head_request)?;
    let keeps_open =
        version == Version::HTTP_11 && framing != BodyFraming::UntilClose && !said.closes;
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
        let (name, value) = read_field(bytes, field)?;
        append(&mut map, name, value)?;
    }
    Ok(map)
}

fn read_field(
    bytes: &Bytes,
    field: &httparse::Header<'_>,
) -> Result<(HeaderName, HeaderValue), Http1Error> {
    let name = HeaderName::from_bytes(field.name.as_bytes())
        .map_err(|_| Http1Error::BadResponse("the name of a field is malformed"))?;
    let value = if field.value.is_empty() {
        HeaderValue::from_static("")
    } else {
        HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
            .map_err(|_| Http1Error::BadResponse("the value of a field is malformed"))?
    };
    Ok((name, value))
}

fn append(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), Http1Error> {
    map.try_append(name, value)
        .map(|_was_there| ())
        .map_err(|_| Http1Error::BadResponse("too many fields"))
}

/// What the fields of a head say of its body and of the connection, taken in one by one.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    /// Numbers in all the `content-length` there is.
    lengths: usize,
    codings: usize,
    is_chunked: bool,
    closes: bool,
}

impl Said {
    /// Takes in a field; tells whether it means anything to others.
    fn keep(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<bool, Http1Error> {
        let value = value.as_bytes();
        match *name {
            header::CONTENT_LENGTH => {
                let is_first = self.lengths == 0;
                self.content_length(value)?;
                Ok(is_first)
            }
            header::TRANSFER_ENCODING => {
                self.codings += 1;
                self.is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                Ok(false)
            }
            header::CONNECTION => {
                let mut names_fields = false;
                for option in value.split(|&byte| byte == b',') {
                    match option.trim_ascii() {
                        close if close.eq_ignore_ascii_case(b"close") => self.closes = true,
                        open if open.eq_ignore_ascii_case(b"keep-alive") => {}
                        _ => names_fields = true,
                    }
                }
                Ok(names_fields)
            }
            _ => Ok(true),
        }
    }

    /// All fields and their members have to agree on one length.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Http1Error> {
        for member in value.split(|&byte| byte == b',') {
            let this = parse_decimal(member.trim_ascii())
                .ok_or(Http1Error::BadResponse("the content-length is malformed"))?;
            if *self.length.get_or_insert(this) != this {
                return Err(Http1Error::BadResponse("content-lengths differ"));
            }
            self.lengths += 1;
        }
        Ok(())
    }

    /// Decides where the body ends, and leaves the fields saying just that.
    fn framing(
        &self,
        headers: &mut HeaderMap,
        status: StatusCode,
        version: Version,
        is_head_request: bool,
    ) -> Result<BodyFraming, Http1Error> {
        // Doubtful framing is refused even where there is no body: whoever sends it does not agree
        // with us on what it sends next.
        if self.codings > 1 || self.codings == 1 && !self.is_chunked {
            return Err(Http1Error::BadResponse("the transfer-encoding is unknown"));
        }
        if self.is_chunked && version == Version::HTTP_10 {
            return Err(Http1Error::BadResponse("transfer-encoding in HTTP/1.0"));
        }
        if self.is_chunked && self.length.is_some() {
            return Err(Http1Error::BadResponse(
                "transfer-encoding and content-length together",
            ));
        }
        if status.is_informational() || status == StatusCode::NO_CONTENT {
            if self.length.is_some() {
                headers.remove(header::CONTENT_LENGTH);
            }
            return Ok(BodyFraming::Length(0));
        }
        if let Some(length) = self.length.filter(|_| self.lengths > 1) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if is_head_request || status == StatusCode::NOT_MODIFIED {
            return Ok(BodyFraming::Length(0));
        }
        Ok(match (self.is_chunked, self.length) {
            (true, _) => BodyFraming::Chunked,
            (false, Some(length)) => BodyFraming::Length(length),
            (false, None) => BodyFraming::UntilClose,
        })
    }
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
