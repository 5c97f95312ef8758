//! What a request is counted by.

use std::net::IpAddr;

use http::HeaderMap;
use lb_ratelimit::{KeyHasher, Prefixes, SharedKeyHasher};

use super::Limit;
use crate::config::RateLimitKey;
use crate::headers;

/// What keys are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) client: IpAddr,
    pub(crate) headers: &'a HeaderMap,
    /// The route's name.
    pub(crate) route: &'a str,
}

/// The two hashes of `lb-ratelimit`, which take the same parts.
pub(super) trait Parts: Sized {
    fn add_address(self, address: IpAddr, prefixes: Prefixes) -> Self;
    fn add_bytes(self, bytes: &[u8]) -> Self;
}

impl Parts for KeyHasher<'_> {
    fn add_address(self, address: IpAddr, prefixes: Prefixes) -> Self {
        self.address(address, prefixes)
    }

    fn add_bytes(self, bytes: &[u8]) -> Self {
        self.bytes(bytes)
    }
}

impl Parts for SharedKeyHasher {
    fn add_address(self, address: IpAddr, prefixes: Prefixes) -> Self {
        self.address(address, prefixes)
    }

    fn add_bytes(self, bytes: &[u8]) -> Self {
        self.bytes(bytes)
    }
}

/// Adds what a limit counts by. Where a field is absent the client's address stands in its place, so that
/// leaving it out neither gets around the limit nor puts all such clients into one bucket.
pub(super) fn add<P: Parts>(start: P, limit: &Limit, subject: &Subject<'_>) -> P {
    let address = |parts: P| parts.add_address(subject.client, limit.prefixes);
    limit.parts.iter().fold(start, |parts, part| match part {
        RateLimitKey::ClientIp => address(parts),
        RateLimitKey::Route => parts.add_bytes(subject.route.as_bytes()),
        RateLimitKey::Header(name) => match subject.headers.get(name) {
            Some(value) => parts.add_bytes(value.as_bytes()),
            None => address(parts),
        },
        RateLimitKey::Cookie(name) => match headers::cookie(subject.headers, name) {
            Some(value) => parts.add_bytes(value.as_bytes()),
            None => address(parts),
        },
    })
}
