//! The fields that tell a backend who asked.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::VIA;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REQUEST_ID, joined,
    never_index,
};
use crate::config::ForwardedFields;
use crate::pipeline::Arrival;

/// What the forwarding fields, `Via` and the request id say of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forwarding<'a> {
    pub(crate) fields: ForwardedFields,
    pub(crate) arrival: &'a Arrival,
    pub(crate) is_trusted: bool,
    pub(crate) host: &'a str,
    pub(crate) via: &'a HeaderValue,
    pub(crate) request_id: &'a HeaderValue,
}

/// A value of a field, made one for a map only where there is a map.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldValue<'a> {
    Made(&'a HeaderValue),
    Text(&'a str),
}

impl FieldValue<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Made(value) => value.as_bytes(),
            Self::Text(text) => text.as_bytes(),
        }
    }

    /// The value for a map; `None` where it cannot be one.
    pub(crate) fn to_header(self) -> Option<HeaderValue> {
        match self {
            Self::Made(value) => Some(value.clone()),
            Self::Text(text) => HeaderValue::from_str(text).ok(),
        }
    }
}

impl Forwarding<'_> {
    /// How many fields are written.
    pub(crate) fn count(&self) -> usize {
        // `Via` and the id besides.
        2 + match self.fields {
            ForwardedFields::X => 3,
            ForwardedFields::Rfc7239 => 1,
            ForwardedFields::Both => 4,
        }
    }

    /// Whether a field is one of those that are written here.
    pub(crate) fn writes(name: &str) -> bool {
        matches!(
            name,
            "via"
                | "forwarded"
                | "x-forwarded-for"
                | "x-forwarded-proto"
                | "x-forwarded-host"
                | "x-request-id"
        )
    }

    /// Tells the fields of a head that has none of them, which most have.
    pub(crate) fn for_each(&self, mut put: impl FnMut(HeaderName, FieldValue<'_>)) {
        use FieldValue::{Made, Text};

        if matches!(self.fields, ForwardedFields::X | ForwardedFields::Both) {
            put(X_FORWARDED_FOR, Made(&self.arrival.forwarded_for));
            put(
                X_FORWARDED_PROTO,
                Made(&HeaderValue::from_static(self.proto())),
            );
            put(X_FORWARDED_HOST, Text(self.host));
        }
        if let Some(element) = self.element() {
            put(FORWARDED, Text(&element));
        }
        put(VIA, Made(self.via));
        put(X_REQUEST_ID, Made(self.request_id));
    }

    /// Writes the fields beside those that are there.
    ///
    /// The fields of a peer that is not trusted were deleted before, so that what is there is
    /// believed.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        self.for_each(|name, value| {
            let Some(value) = value.to_header() else {
                return;
            };
            let is_said = |headers: &HeaderMap| self.is_trusted && headers.contains_key(&name);
            if name == X_FORWARDED_FOR || name == FORWARDED {
                append_listed(headers, name, &value);
            } else if name == VIA {
                headers.append(name, value);
            } else if name == X_REQUEST_ID || !is_said(headers) {
                headers.insert(name, value);
            }
        });
    }

    fn proto(&self) -> &'static str {
        if self.arrival.is_tls { "https" } else { "http" }
    }

    /// What is added to `Forwarded` (RFC 7239 §4), where that is written.
    fn element(&self) -> Option<String> {
        if self.fields == ForwardedFields::X {
            return None;
        }
        let node = match self.arrival.peer {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let (host, proto) = (self.host, self.proto());
        Some(format!("for={node};host=\"{host}\";proto={proto}"))
    }
}

/// Adds an element to a list field, keeping it one line.
fn append_listed(headers: &mut HeaderMap, name: HeaderName, element: &HeaderValue) {
    let Some(mut line) = joined(headers, &name, b", ") else {
        headers.insert(name, element.clone());
        return;
    };
    line.extend_from_slice(b", ");
    line.extend_from_slice(element.as_bytes());
    if let Ok(mut value) = HeaderValue::from_maybe_shared(Bytes::from(line)) {
        never_index(&mut value);
        headers.insert(name, value);
    }
}

/// An address as `X-Forwarded-For` names it.
pub(crate) fn forwarded_for_value(peer: IpAddr) -> HeaderValue {
    let mut value = HeaderValue::try_from(peer.to_string())
        .unwrap_or_else(|_not_a_value| HeaderValue::from_static("unknown"));
    never_index(&mut value);
    value
}
