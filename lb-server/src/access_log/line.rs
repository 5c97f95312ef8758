//! What a line of the access log tells, borrowed from what an exchange recorded.

use std::net::IpAddr;
use std::time::SystemTime;

use http::{HeaderValue, Version};

use crate::record::{AffinityWord, CacheResult, Record, Timers};

/// One exchange that has ended. What is not known is empty or `None`.
#[derive(Debug, Clone)]
pub(crate) struct Line<'a> {
    /// When the request's head was there.
    pub(crate) arrived: SystemTime,
    pub(crate) request_id: &'a str,
    /// 32 hexadecimal digits.
    pub(crate) trace_id: Option<&'a str>,
    /// The client as trusted proxies name it; loopback over a unix socket.
    pub(crate) client: IpAddr,
    /// The port of the peer, where the peer is the client.
    pub(crate) client_port: Option<u16>,
    pub(crate) listener: &'a str,
    /// `HTTP/2.0`, `HTTP/1.1` or `HTTP/1.0`.
    pub(crate) proto: &'static str,
    /// `TLSv1.2` or `TLSv1.3`; `None` in cleartext.
    pub(crate) tls: Option<&'static str>,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// 499 where the client left before there was one.
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) route: Option<&'a str>,
    pub(crate) pool: Option<&'a str>,
    /// The backend of the last attempt, without its pool.
    pub(crate) backend: Option<&'a str>,
    pub(crate) attempts: u32,
    /// What the cache did, in one word.
    pub(crate) cache: Option<&'static str>,
    /// What the affinity cookie said, in one word.
    pub(crate) affinity: Option<&'static str>,
    /// Why the answer is ours, or was cut off.
    pub(crate) reason: Option<&'static str>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) referer: Option<&'a [u8]>,
    /// The request's values of the fields that the configuration lists, in its order.
    pub(crate) headers: &'a [Option<HeaderValue>],
    pub(crate) timers: Timers,
}

impl<'a> Line<'a> {
    pub(super) fn of(record: &'a Record<'_>) -> Self {
        let head = record.head;
        let pool = record.pool;
        Self {
            arrived: record.began,
            request_id: record.request_id,
            trace_id: head.trace.as_ref().and_then(trace_id),
            client: record.client,
            client_port: record.client_port,
            listener: &record.arrival.listener,
            proto: match record.protocol {
                Version::HTTP_2 => "HTTP/2.0",
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            tls: record.arrival.tls_version,
            method: head.method.as_str(),
            host: &head.host,
            path: head.path(),
            query: head.query(),
            status: record.status.as_u16(),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            route: record.route,
            pool,
            backend: record.backend.map(|id| {
                let pooled = pool.and_then(|pool| id.as_str().strip_prefix(pool));
                let name = pooled.and_then(|name| name.strip_prefix('/'));
                name.unwrap_or(id.as_str())
            }),
            attempts: u32::try_from(record.attempts().count()).unwrap_or(u32::MAX),
            cache: record.cache.map(CacheResult::as_str),
            affinity: record.affinity.map(AffinityWord::as_str),
            reason: record.reason,
            user_agent: head.user_agent.as_ref().map(HeaderValue::as_bytes),
            referer: head.referer.as_ref().map(HeaderValue::as_bytes),
            headers: &head.fields,
            timers: record.timers,
        }
    }

    /// Whether operators look for such exchanges: refused, broken off, or answered with an error.
    pub(crate) fn is_error(&self) -> bool {
        self.reason.is_some() || self.status >= 400
    }
}

/// The trace's id in a `traceparent`, which has been checked.
fn trace_id(parent: &HeaderValue) -> Option<&str> {
    parent.to_str().ok()?.get(3..35)
}

/// A request that went well, for tests.
#[cfg(test)]
pub(super) fn sample<'a>() -> Line<'a> {
    use std::time::Duration;

    let micros = |micros| Some(Duration::from_micros(micros));
    Line {
        arrived: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_449_481_123),
        request_id: "01a",
        trace_id: Some("0af7651916cd43dd8448eb211c80319c"),
        client: IpAddr::from([192, 0, 2, 7]),
        client_port: Some(40_000),
        listener: "public",
        proto: "HTTP/2.0",
        tls: Some("TLSv1.3"),
        method: "GET",
        host: "app.example.com",
        path: "/api/users",
        query: Some("page=2&token=geheim"),
        status: 200,
        bytes_in: 0,
        bytes_out: 1432,
        route: Some("api"),
        pool: Some("api"),
        backend: Some("http://10.0.0.1:3000"),
        attempts: 1,
        cache: Some("miss"),
        affinity: Some("valid"),
        reason: None,
        user_agent: Some(b"curl/8.5 \"x\""),
        referer: Some(b"https://a.example/?token=geheim"),
        headers: &[],
        timers: Timers {
            handshake: micros(1500),
            headers: micros(42),
            queue: micros(0),
            connect: micros(321),
            ttfb: micros(12_345),
            total: Duration::from_micros(13_000),
        },
    }
}
