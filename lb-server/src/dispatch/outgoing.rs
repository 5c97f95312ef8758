//! A request as a backend gets it, and what is hashed of it.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{COOKIE, HOST};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use lb_core::Algorithm;

use super::deadline;
use crate::config::{BackendScheme, HashKey};
use crate::handler::Exchange;
use crate::headers::{self, Forwarding};
use crate::reject::Reject;
use crate::snapshot::{BackendTarget, PoolEntry};

/// Names a request so that a server runs it once however often it comes
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request as a backend gets it, body apart.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) host: HeaderValue,
    pub(super) headers: HeaderMap,
}

pub(super) fn outgoing(
    exchange: &Exchange,
    parts: http::request::Parts,
) -> Result<Outgoing, Reject> {
    let http::request::Parts {
        method,
        uri,
        mut headers,
        ..
    } = parts;
    let about = exchange.about();
    if headers
        .get_all(http::header::VIA)
        .iter()
        .any(|via| via.to_str().is_ok_and(|via| via.contains(about.via_mark)))
    {
        return Err(Reject::Loop);
    }
    let host = match (uri.authority(), headers.remove(HOST)) {
        (Some(authority), _) => HeaderValue::from_str(authority.as_str()).ok(),
        (None, host) => host,
    }
    .ok_or(Reject::Internal("a forwarded request has no host"))?;
    headers::apply_changes(&mut headers, about.request_headers);
    headers::write_forwarding(
        &mut headers,
        about.forwarded,
        &Forwarding {
            arrival: about.arrival,
            is_trusted: about.is_trusted,
            host: &host,
            via: about.via,
            request_id: about.request_id,
        },
    );
    Ok(Outgoing {
        method,
        uri,
        host,
        headers,
    })
}

impl Outgoing {
    /// Whether sending it twice has the effect of sending it once (RFC 9110 §9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// Tells a gRPC backend how much of the client's time is left.
    pub(super) fn set_grpc_timeout(&mut self, left: Duration) {
        self.headers
            .insert(deadline::GRPC_TIMEOUT, deadline::grpc_timeout(left));
    }

    pub(super) fn http2(&self, target: &BackendTarget) -> Request<()> {
        let mut parts = self.uri.clone().into_parts();
        let is_tls = target.url.scheme == BackendScheme::Https;
        parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
        if parts.authority.is_none() {
            parts.authority = self.host.to_str().ok().and_then(|host| host.parse().ok());
        }
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
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
