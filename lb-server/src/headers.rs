//! Fields that end at one hop, and fields that tell the next one who asked.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::config::{ForwardedFields, HeaderChanges, UnderscoreHeaders};

mod forwarding;

pub(crate) use forwarding::{Forwarding, forwarded_for_value};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const ALT_SVC: HeaderName = HeaderName::from_static("alt-svc");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Which fields that need care a head has, found in one look at each: most heads have none, and
/// asking a map for a field that it lacks costs a hash each time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Survey {
    pub(crate) connection: bool,
    /// A field that ends at this hop whether `Connection` names it or not.
    pub(crate) hop_by_hop: bool,
    pub(crate) te: bool,
    pub(crate) alt_svc: bool,
    pub(crate) host: bool,
    pub(crate) accept: bool,
    pub(crate) expect: bool,
    pub(crate) content_length: bool,
    pub(crate) date: bool,
    pub(crate) cookie: bool,
    pub(crate) trace: bool,
    pub(crate) request_id: bool,
    /// A field by which a client could pretend to be a proxy of ours.
    pub(crate) claim: bool,
    /// A name with an underscore.
    pub(crate) underscore: bool,
    /// A value that begins or ends with a blank.
    pub(crate) blank_edge: bool,
}

impl Survey {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        for (name, value) in headers {
            let value = value.as_bytes();
            found.blank_edge |= is_blank(value.first()) || is_blank(value.last());
            found.underscore |= has_underscore(name);
            match name.as_str() {
                name if found.note_hop(name) => {}
                "host" => found.host = true,
                "accept" => found.accept = true,
                "expect" => found.expect = true,
                "content-length" => found.content_length = true,
                "cookie" => found.cookie = true,
                "traceparent" | "tracestate" => found.trace = true,
                "x-request-id" => found.request_id = true,
                _ => found.claim |= is_claim(name),
            }
        }
        found
    }

    /// Looks only for what matters in the head of a response.
    pub(crate) fn of_response(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "content-length" => found.content_length = true,
                "date" => found.date = true,
                name => {
                    found.note_hop(name);
                }
            }
        }
        found
    }

    fn note_hop(&mut self, name: &str) -> bool {
        match name {
            "connection" => self.connection = true,
            "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
            | "http2-settings" => self.hop_by_hop = true,
            "te" => self.te = true,
            "alt-svc" => self.alt_svc = true,
            _ => return false,
        }
        true
    }
}

/// Deletes what ends at this hop (RFC 9110 §7.6.1, RFC 9113 §8.2.2), and what `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap, found: Survey) {
    if found.connection {
        strip_connection(headers);
    }
    if found.hop_by_hop {
        for name in [
            KEEP_ALIVE,
            PROXY_CONNECTION,
            TRANSFER_ENCODING,
            UPGRADE,
            HTTP2_SETTINGS,
        ] {
            headers.remove(name);
        }
    }
    // gRPC needs `te: trailers` to be told apart from a client that cannot read them.
    if found.te
        && let Some(te) = headers.get(TE)
    {
        let trailers = te.to_str().is_ok_and(|te| {
            te.split(',')
                .any(|part| part.trim().eq_ignore_ascii_case("trailers"))
        });
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        } else {
            headers.remove(TE);
        }
    }
}

fn strip_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        // What nearly all say is about the connection and names no field of the message.
        .filter(|option| !matches!(*option, "keep-alive" | "close"))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // Naming one of these would have us cut into the message instead of the hop.
        .filter(|name| !matches!(*name, HOST | CONTENT_LENGTH | TE | TRANSFER_ENCODING))
        .collect();
    headers.remove(CONNECTION);
    for name in named {
        headers.remove(name);
    }
}

/// Deletes from a backend's response what is not for the client.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    let found = Survey::of_response(headers);
    strip_hop_by_hop(headers, found);
    if found.alt_svc {
        // It would lead clients around us.
        headers.remove(ALT_SVC);
    }
}

/// Deletes from trailers everything that could change how the message before them was taken
/// (RFC 9110 §6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    const FORBIDDEN: [&str; 21] = [
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expires",
        "host",
        "keep-alive",
        "pragma",
        "proxy-authorization",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
    ];
    for name in FORBIDDEN {
        trailers.remove(name);
    }
    // Servers that merge trailers into the head would believe them.
    strip_claims(trailers);
}

/// The values of a cookie by its name, in whichever crumbs and lines they are.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Joins the crumbs of a cookie (RFC 9113 §8.2.3): HTTP/1.1 knows one line only.
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    if let Some(joined) = joined(headers, &COOKIE, b"; ")
        && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(joined))
    {
        headers.insert(COOKIE, value);
    }
}

/// Applies the rule for names with an underscore, which some servers read as a dash.
///
/// Returns whether the request may go on.
pub(crate) fn admit_underscores(headers: &mut HeaderMap, rule: UnderscoreHeaders) -> bool {
    if rule == UnderscoreHeaders::Allow {
        return true;
    }
    if rule == UnderscoreHeaders::Reject {
        return false;
    }
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| has_underscore(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
    true
}

fn has_underscore(name: &HeaderName) -> bool {
    name.as_str().as_bytes().contains(&b'_')
}

/// Deletes every field by which a client could pretend to be a proxy of ours.
pub(crate) fn strip_claims(headers: &mut HeaderMap) {
    if !headers.keys().any(is_claim) {
        return;
    }
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    let rest = match name.as_bytes().first() {
        Some(b'x') => name,
        Some(b'f') => return name == "forwarded",
        Some(b'c') => return name.starts_with("client-cert") || name.starts_with("client_cert"),
        _ => return false,
    };
    // The spelling with underscores means the same to servers that fold them.
    let starts = |prefix: &str| {
        rest.len() >= prefix.len()
            && rest
                .bytes()
                .zip(prefix.bytes())
                .all(|(byte, want)| byte == want || (byte == b'_' && want == b'-'))
    };
    starts("x-forwarded-")
        || starts("x-real-ip")
        || starts("x-original-")
        || starts("x-rewrite-url")
}

/// The client's address: the rightmost one that no trusted proxy has, starting at the peer.
///
/// Only a trusted peer's fields are read; the leftmost address is whatever the client wrote.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    fields: ForwardedFields,
    trusted: &[IpNet],
) -> IpAddr {
    let mut client = peer;
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    if !is_trusted(peer) {
        return client;
    }
    let (name, parse): (_, fn(&str) -> Option<IpAddr>) = match fields {
        ForwardedFields::Rfc7239 => (FORWARDED, forwarded_for),
        ForwardedFields::X | ForwardedFields::Both => (X_FORWARDED_FOR, node_address),
    };
    let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    for value in values.iter().rev() {
        let Ok(value) = value.to_str() else {
            return client;
        };
        for element in value.rsplit(',') {
            // What a trusted proxy cannot name ends the chain that we can follow.
            let Some(address) = parse(element.trim()) else {
                return client;
            };
            client = address;
            if !is_trusted(address) {
                return client;
            }
        }
    }
    client
}

/// The address in one element of `Forwarded` (RFC 7239 §4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pair = element.split(';').map(str::trim).find(|pair| {
        pair.get(..4)
            .is_some_and(|key| key.eq_ignore_ascii_case("for="))
    })?;
    node_address(pair.get(4..)?.trim_matches('"'))
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn node_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Keeps a value out of HPACK's tables (RFC 7541 §7.1.3): one that hardly comes twice on a
/// connection would only push out what does, and the `h2` crate compares a field with each of its
/// values that the table has.
pub(crate) fn never_index(value: &mut HeaderValue) {
    value.set_sensitive(true);
}

/// All values of a field as one; `None` where there is none.
fn joined(headers: &HeaderMap, name: &HeaderName, separator: &[u8]) -> Option<Vec<u8>> {
    let mut values = headers.get_all(name).iter();
    let mut line = values.next()?.as_bytes().to_vec();
    for value in values {
        line.extend_from_slice(separator);
        line.extend_from_slice(value.as_bytes());
    }
    Some(line)
}

/// Deletes a `traceparent` that cannot be continued, with its `tracestate`, and starts anew
/// (W3C Trace Context §2.3): the trace goes on from us.
pub(crate) fn mend_trace(headers: &mut HeaderMap, draw: impl Fn() -> u64) {
    let Some(parent) = headers.get(TRACEPARENT) else {
        headers.remove(TRACESTATE);
        return;
    };
    let several = headers.get_all(TRACEPARENT).iter().nth(1).is_some();
    if !several && is_traceparent(parent.as_bytes()) {
        if let Some(parent) = headers.get_mut(TRACEPARENT) {
            never_index(parent);
        }
        return;
    }
    headers.remove(TRACESTATE);
    // All zeroes are invalid, hence the lowest bits.
    let fresh = format!(
        "00-{:016x}{:016x}-{:016x}-00",
        draw(),
        draw() | 1,
        draw() | 1
    );
    if let Ok(value) = HeaderValue::try_from(fresh) {
        headers.insert(TRACEPARENT, value);
    }
}

/// What a request's `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace: u128,
    /// The span of the sender.
    pub(crate) span: u64,
    pub(crate) is_sampled: bool,
}

/// The trace that a request belongs to, where it says so once and in good form.
pub(crate) fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let text = value.to_str().ok()?;
    if !is_traceparent(text.as_bytes()) {
        return None;
    }
    Some(TraceParent {
        trace: u128::from_str_radix(text.get(3..35)?, 16).ok()?,
        span: u64::from_str_radix(text.get(36..52)?, 16).ok()?,
        is_sampled: u8::from_str_radix(text.get(53..55)?, 16).ok()? & 1 == 1,
    })
}

fn is_traceparent(value: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
    let [v1, v2, b'-', rest @ ..] = value else {
        return false;
    };
    let version = [*v1, *v2];
    // A later version may be longer; this one may not.
    if !hex(&version)
        || &version == b"ff"
        || rest.len() < 52
        || (&version == b"00" && rest.len() != 52)
    {
        return false;
    }
    let (trace, span, flags) = (&rest[..32], &rest[33..49], &rest[50..52]);
    rest[32] == b'-'
        && rest[49] == b'-'
        && (rest.len() == 52 || rest[52] == b'-')
        && hex(trace)
        && hex(span)
        && hex(flags)
        && !zero(trace)
        && !zero(span)
}

/// Applies a route's changes: first what is deleted, then what is set.
pub(crate) fn apply_changes(headers: &mut HeaderMap, changes: &HeaderChanges) {
    for name in &changes.remove {
        headers.remove(name);
    }
    for (name, value) in &changes.set {
        headers.insert(name.clone(), value.clone());
    }
}
