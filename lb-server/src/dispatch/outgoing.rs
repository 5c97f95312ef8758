//! A request as a backend gets it, and what is hashed of it.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use lb_core::Algorithm;

use super::deadline;
use crate::config::{BackendScheme, HashKey};
use crate::handler::Exchange;
use crate::headers::{self, Forwarding};
use crate::incoming::Incoming;
use crate::reject::Reject;
use crate::snapshot::{BackendTarget, PoolEntry};
use crate::upstream::http1;

/// Names a request so that a server runs it once however often it comes
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The head of a request that is to be forwarded.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl From<http::request::Parts> for Message {
    fn from(parts: http::request::Parts) -> Self {
        Self {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
        }
    }
}

impl From<Incoming> for Message {
    fn from(incoming: Incoming) -> Self {
        Self {
            method: incoming.method,
            uri: incoming.uri,
            headers: incoming.headers,
        }
    }
}

/// A request as a backend gets it, body apart.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// Where the URI has no authority.
    pub(super) named: Option<HeaderValue>,
    pub(super) headers: HeaderMap,
    /// Whether the head has none of the fields that tell who asked: they are written with it, and
    /// need no place in the map before.
    pub(super) is_forwarding_apart: bool,
    /// Whether it has a `content-length`.
    pub(super) has_length: bool,
    /// Whether a gRPC client tells how long it waits.
    pub(super) has_grpc_timeout: bool,
}

/// Fields of a request that forwarding goes by, found in one look at each.
#[derive(Default)]
struct Found {
    via: bool,
    host: bool,
    length: bool,
    grpc_timeout: bool,
    /// One of those that forwarding writes.
    forwarding: bool,
}

impl Found {
    fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            let name = name.as_str();
            match name {
                "via" => found.via = true,
                "host" => found.host = true,
                "content-length" => found.length = true,
                "grpc-timeout" => found.grpc_timeout = true,
                _ => {}
            }
            found.forwarding |= Forwarding::writes(name);
        }
        found
    }
}

pub(super) fn outgoing(exchange: &Exchange, message: Message) -> Result<Outgoing, Reject> {
    let Message {
        method,
        uri,
        mut headers,
    } = message;
    let loops = |headers: &HeaderMap| {
        let mark = exchange.via_mark();
        let mut values = headers.get_all(http::header::VIA).iter();
        values.any(|via| via.to_str().is_ok_and(|via| via.contains(mark)))
    };
    let found = Found::of(&headers);
    if found.via && loops(&headers) {
        return Err(Reject::Loop);
    }
    let named = found.host.then(|| headers.remove(HOST)).flatten();
    if uri.authority().is_none() && named.as_ref().is_none_or(|host| host.to_str().is_err()) {
        return Err(Reject::Internal("a forwarded request has no host"));
    }
    let mut outgoing = Outgoing {
        method,
        uri,
        named,
        is_forwarding_apart: !found.forwarding,
        has_length: found.length,
        has_grpc_timeout: found.grpc_timeout,
        headers,
    };
    if let Some(changes) = exchange.request_changes() {
        headers::apply_changes(&mut outgoing.headers, changes);
        let found = Found::of(&outgoing.headers);
        outgoing.is_forwarding_apart = !found.forwarding;
        outgoing.has_length = found.length;
        outgoing.has_grpc_timeout = found.grpc_timeout;
    }
    if !outgoing.is_forwarding_apart {
        let mut headers = std::mem::take(&mut outgoing.headers);
        exchange.forwarding(outgoing.host()).write(&mut headers);
        outgoing.headers = headers;
    }
    Ok(outgoing)
}

impl Outgoing {
    /// Whether sending it twice has the effect of sending it once (RFC 9110 §9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// How long a gRPC client says that it waits.
    pub(super) fn grpc_timeout(&self) -> Option<&HeaderValue> {
        let is_told = self.has_grpc_timeout;
        is_told
            .then(|| self.headers.get(deadline::GRPC_TIMEOUT))
            .flatten()
    }

    /// Tells a gRPC backend how much of the client's time is left.
    pub(super) fn set_grpc_timeout(&mut self, left: Duration) {
        self.headers
            .insert(deadline::GRPC_TIMEOUT, deadline::grpc_timeout(left));
    }

    /// The same with another parent in the trace.
    pub(super) fn traced(&self, parent: HeaderValue) -> Self {
        let mut headers = self.headers.clone();
        headers.insert(headers::TRACEPARENT, parent);
        Self {
            method: self.method.clone(),
            uri: self.uri.clone(),
            named: self.named.clone(),
            headers,
            ..*self
        }
    }

    fn host(&self) -> &str {
        let named = || self.named.as_ref()?.to_str().ok();
        self.uri
            .authority()
            .map(|authority| authority.as_str())
            .or_else(named)
            .unwrap_or_default()
    }

    /// What the head does not say yet of who asked.
    fn forwarding<'a>(&'a self, exchange: &'a Exchange) -> Option<Forwarding<'a>> {
        self.is_forwarding_apart
            .then(|| exchange.forwarding(self.host()))
    }

    pub(super) fn http1<'a>(&'a self, exchange: &'a Exchange) -> http1::RequestHead<'a> {
        http1::RequestHead {
            method: &self.method,
            path_and_query: self.uri.path_and_query().map_or("/", |path| path.as_str()),
            host: self.host(),
            headers: &self.headers,
            forwarding: self.forwarding(exchange),
            close: false,
        }
    }

    /// The length of the body, where the head tells it.
    pub(super) fn length(&self) -> Option<u64> {
        if !self.has_length {
            return None;
        }
        self.headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok())
    }

    pub(super) fn http2(&self, exchange: &Exchange, target: &BackendTarget) -> Request<()> {
        let mut parts = self.uri.clone().into_parts();
        let is_tls = target.url.scheme == BackendScheme::Https;
        parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
        if parts.authority.is_none() {
            parts.authority = self.host().parse().ok();
        }
        let mut headers = self.headers.clone();
        if let Some(forwarding) = self.forwarding(exchange) {
            headers.reserve(forwarding.count());
            forwarding.for_each(|name, value| {
                if let Some(value) = value.to_header() {
                    headers.append(name, value);
                }
            });
        }
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = headers;
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request
    }
}

/// What the strategies that hash hash for this request.
pub(crate) fn hash_key(
    pool: &PoolEntry,
    client: IpAddr,
    headers: &HeaderMap,
    uri: &Uri,
) -> Option<u64> {
    let client =
        || lb_core::hash::client_address(client, pool.hash.ipv4_prefix, pool.hash.ipv6_prefix);
    match pool.balancer.algorithm() {
        Algorithm::IpHash => Some(client()),
        Algorithm::ConsistentHashing => Some(match &pool.hash.key {
            HashKey::Path => lb_core::hash::key(uri.path().as_bytes()),
            HashKey::PathAndQuery => lb_core::hash::key(
                uri.path_and_query()
                    .map_or("/", |path| path.as_str())
                    .as_bytes(),
            ),
            HashKey::Query(name) => {
                query_value(uri, name).map_or_else(client, |v| lb_core::hash::key(v.as_bytes()))
            }
            HashKey::Header(name) => headers
                .get(name)
                .map_or_else(client, |v| lb_core::hash::key(v.as_bytes())),
            HashKey::Cookie(name) => cookie_value(headers, name)
                .map_or_else(client, |v| lb_core::hash::key(v.as_bytes())),
            HashKey::ClientIp => client(),
        }),
        _ => None,
    }
}

fn query_value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok())
        .flat_map(|cookie| cookie.split(';'))
        .find_map(|pair| pair.trim().split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}
