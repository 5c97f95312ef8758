//! The head of a request, doubted once: after this every part of it may be believed.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Uri, Version, request};

use crate::config::{ForwardedFields, UnderscoreHeaders};
use crate::headers::{self, Survey, X_REQUEST_ID};
use crate::reject::Reject;
use ipnet::IpNet;

/// What the checks need to know of the connection and the configuration.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) is_tls: bool,
    pub(crate) trusted: &'a [IpNet],
    pub(crate) forwarded: ForwardedFields,
    pub(crate) underscores: UnderscoreHeaders,
    pub(crate) max_fields: usize,
}

/// A checked head: no connection-specific field, one host, a path that begins with `/`.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// Absolute form, with the authority as the client wrote it.
    pub(crate) uri: Uri,
    /// Lower case, without port and without the root's dot.
    pub(crate) host: Box<str>,
    pub(crate) headers: HeaderMap,
    pub(crate) client: IpAddr,
    pub(crate) is_trusted: bool,
    /// The id a trusted peer gave.
    pub(crate) request_id: Option<HeaderValue>,
    /// Whether there is a trace to go on with.
    pub(crate) has_trace: bool,
}

impl Incoming {
    /// Checks a head as strictly as RFC 9113 §8, RFC 9112 and a safe mapping to HTTP/1.1 ask.
    ///
    /// `found` is what is in its fields.
    pub(crate) fn try_from(
        parts: request::Parts,
        found: Survey,
        terms: &Terms<'_>,
    ) -> Result<Self, Reject> {
        let request::Parts {
            method,
            uri,
            version,
            mut headers,
            ..
        } = parts;
        check_method(&method)?;
        if headers.len() > terms.max_fields {
            return Err(Reject::HeadTooLarge);
        }
        let is_trusted = terms.trusted.iter().any(|net| net.contains(&terms.peer));
        check_scheme(&uri, terms.is_tls, is_trusted)?;
        let named = if found.host {
            the_host(&headers)?
        } else {
            None
        };
        let authority = authority(&uri, named, version)?;
        let host = host_of(authority.as_str())
            .ok_or(Reject::BadRequest("the host is not a host"))?
            .trim_end_matches('.')
            .to_ascii_lowercase()
            .into();
        let path = path_and_query(&method, &uri)?;
        // RFC 9113 §8.2.1: a value with surrounding blanks is malformed.
        if found.blank_edge && version == Version::HTTP_2 {
            return Err(Reject::BadRequest(
                "a field value begins or ends with a blank",
            ));
        }
        if found.expect
            && let Some(expectation) = headers.get(EXPECT)
            && !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")
        {
            return Err(Reject::ExpectationFailed);
        }
        if found.content_length {
            fold_content_length(&mut headers)?;
        }
        headers::strip_hop_by_hop(&mut headers, found);
        if found.underscore && !headers::admit_underscores(&mut headers, terms.underscores) {
            return Err(Reject::BadRequest("a field name has an underscore"));
        }
        if found.host {
            headers.remove(HOST);
        }
        if found.cookie {
            headers::join_cookies(&mut headers);
        }
        let client = headers::client_address(terms.peer, &headers, terms.forwarded, terms.trusted);
        let mut request_id = None;
        if found.request_id {
            request_id = headers
                .remove(X_REQUEST_ID)
                .filter(|id| is_trusted && is_request_id(id));
        }
        if found.claim && !is_trusted {
            headers::strip_claims(&mut headers);
        }
        let scheme = if terms.is_tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(authority);
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts)
            .map_err(|_invalid| Reject::BadRequest("the request target is not a URI"))?;
        Ok(Self {
            method,
            uri,
            host,
            headers,
            client,
            is_trusted,
            request_id,
            has_trace: found.trace,
        })
    }
}

fn check_method(method: &Method) -> Result<(), Reject> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Reject::MethodRefused);
    }
    let name = method.as_str();
    if name == "PRI" {
        return Err(Reject::BadRequest(
            "the method is that of the HTTP/2 preface",
        ));
    }
    // Methods are case-sensitive (RFC 9110 §9.1); servers that fold them would see another one.
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(Reject::BadRequest("the method has lower-case letters"));
    }
    Ok(())
}

fn check_scheme(uri: &Uri, is_tls: bool, is_trusted: bool) -> Result<(), Reject> {
    // HTTP/1.1 has none; of HTTP/2 the `h2` crate demands one, but drops it where the client, as a
    // gateway that translates HTTP/1.1 (RFC 9113 §8.3.1), sends `host` instead of `:authority`.
    let Some(scheme) = uri.scheme() else {
        return Ok(());
    };
    let is_https = *scheme == Scheme::HTTPS;
    if !is_https && *scheme != Scheme::HTTP {
        return Err(Reject::BadRequest("the scheme is neither http nor https"));
    }
    // A trusted proxy before us may have ended the TLS that it speaks of.
    if is_https != is_tls && !is_trusted {
        return Err(Reject::BadRequest(
            "the scheme is not that of the connection",
        ));
    }
    Ok(())
}

fn the_host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Reject> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Reject::BadRequest("there is more than one host"));
    }
    Ok(host)
}

/// The one authority: that of the target, or `Host`; where both are there they must agree.
fn authority(uri: &Uri, host: Option<&HeaderValue>, version: Version) -> Result<Authority, Reject> {
    match (uri.authority(), host) {
        (Some(authority), host) => {
            if let Some(host) = host
                && !host
                    .as_bytes()
                    .eq_ignore_ascii_case(authority.as_str().as_bytes())
            {
                return Err(Reject::BadRequest("the host differs from the authority"));
            }
            Ok(authority.clone())
        }
        (None, Some(host)) => {
            Authority::from_maybe_shared(bytes::Bytes::copy_from_slice(host.as_bytes()))
                .map_err(|_invalid| Reject::BadRequest("the host is not a host"))
        }
        (None, None) => Err(Reject::BadRequest(match version {
            Version::HTTP_2 => "the :authority is missing",
            _ => "the host is missing",
        })),
    }
}

/// The host of an authority that is `name`, `address` or `[address]`, with a port or without: nothing
/// of user information, lists or encodings that two programs could read in two ways.
fn host_of(text: &str) -> Option<&str> {
    let (host, port) = if text.starts_with('[') {
        let (address, rest) = text.split_at(text.find(']')? + 1);
        address[1..address.len() - 1]
            .parse::<std::net::Ipv6Addr>()
            .ok()?;
        match rest.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if rest.is_empty() => (address, None),
            None => return None,
        }
    } else {
        let is_of_name =
            |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        match text.bytes().position(|byte| !is_of_name(&byte)) {
            None => (text, None),
            Some(end) => (&text[..end], Some(text[end..].strip_prefix(':')?)),
        }
    };
    let port_is_valid = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    (!host.is_empty() && host != "." && port_is_valid).then_some(host)
}

fn path_and_query(method: &Method, uri: &Uri) -> Result<http::uri::PathAndQuery, Reject> {
    let Some(path) = uri.path_and_query() else {
        return Err(Reject::BadRequest("the path is missing"));
    };
    let text = path.as_str();
    let is_asterisk = text == "*" || text == "/*" && uri.path() == "*";
    if is_asterisk && *method == Method::OPTIONS {
        return Ok(path.clone());
    }
    if !text.starts_with('/') {
        return Err(Reject::BadRequest("the path does not begin with a slash"));
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Err(Reject::BadRequest(
            "the path has a character that must be percent-encoded",
        ));
    }
    Ok(path.clone())
}

/// Leaves one content length; equal duplicates become one line.
fn fold_content_length(headers: &mut HeaderMap) -> Result<(), Reject> {
    const WRONG: Reject = Reject::BadRequest("the content-length is not one number");
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next().cloned() else {
        return Ok(());
    };
    let mut several = false;
    for other in values {
        several = true;
        if other != first {
            return Err(WRONG);
        }
    }
    let text = first.to_str().map_err(|_not_text| WRONG)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    text.parse::<u64>().map_err(|_too_large| WRONG)?;
    if several {
        headers.insert(CONTENT_LENGTH, first);
    }
    Ok(())
}

/// An id that is safe in logs and fields whoever wrote it.
fn is_request_id(value: &HeaderValue) -> bool {
    (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms<'static> {
        Terms {
            peer: IpAddr::from([192, 0, 2, 1]),
            is_tls: true,
            trusted: &[],
            forwarded: ForwardedFields::X,
            underscores: UnderscoreHeaders::Reject,
            max_fields: 100,
        }
    }

    fn check(request: http::Request<()>) -> Result<Incoming, Reject> {
        let head = request.into_parts().0;
        let found = Survey::of(&head.headers);
        Incoming::try_from(head, found, &terms())
    }

    fn h2(uri: &str) -> request::Builder {
        http::Request::builder().version(Version::HTTP_2).uri(uri)
    }

    #[test]
    fn takes_an_ordinary_request() {
        let incoming = check(h2("https://App.Example.com:8443/a?b=c").body(()).unwrap()).unwrap();
        assert_eq!(&*incoming.host, "app.example.com");
        assert_eq!(incoming.uri, "https://App.Example.com:8443/a?b=c");
    }

    #[test]
    fn refuses_hosts_that_could_be_read_in_two_ways() {
        for host in [
            "a,b", "a b", "user@a", "a:0", "a:99999", "a:80:80", "", "[::1", "[::1]x", "a%2e",
            "a/b",
        ] {
            let request = http::Request::builder()
                .uri("/")
                .header("host", host)
                .body(())
                .unwrap();
            assert!(
                matches!(check(request), Err(Reject::BadRequest(_))),
                "{host:?} was taken"
            );
        }
    }

    #[test]
    fn refuses_a_host_beside_another_authority() {
        let request = h2("https://a/").header("host", "b").body(()).unwrap();
        assert!(check(request).is_err());
        let request = h2("https://a/").header("host", "A").body(()).unwrap();
        assert!(check(request).is_ok());
        let request = h2("https://a/")
            .header("host", "a")
            .header("host", "a")
            .body(())
            .unwrap();
        assert!(check(request).is_err());
    }

    #[test]
    fn refuses_methods_that_are_not_served() {
        for method in ["CONNECT", "TRACE", "PRI", "get", "Post"] {
            let request = h2("https://a/").method(method).body(()).unwrap();
            assert!(check(request).is_err(), "{method} was taken");
        }
    }

    #[test]
    fn refuses_a_scheme_that_is_not_the_connections() {
        assert!(check(h2("http://a/").body(()).unwrap()).is_err());
        assert!(check(h2("javascript://a/").body(()).unwrap()).is_err());
    }

    #[test]
    fn takes_a_host_in_place_of_an_authority() {
        let request = h2("/a").header("host", "a").body(()).unwrap();
        assert_eq!(check(request).unwrap().uri, "https://a/a");
        assert!(check(h2("/a").body(()).unwrap()).is_err());
    }

    #[test]
    fn refuses_doubtful_fields() {
        for (name, value) in [
            ("content-length", "+1"),
            ("content-length", "1, 1"),
            ("content-length", ""),
            ("x-a", " a"),
            ("x-a", "a\t"),
            ("x_a", "a"),
            ("expect", "the unexpected"),
        ] {
            let request = h2("https://a/").header(name, value).body(()).unwrap();
            assert!(check(request).is_err(), "{name}: {value:?} was taken");
        }
    }

    #[test]
    fn refuses_more_fields_than_allowed() {
        let mut request = h2("https://a/");
        for crumb in 0..101 {
            request = request.header("cookie", format!("a{crumb}=b"));
        }
        assert_eq!(
            check(request.body(()).unwrap()).unwrap_err(),
            Reject::HeadTooLarge
        );
    }

    #[test]
    fn deletes_what_a_stranger_claims() {
        let incoming = check(
            h2("https://a/")
                .header("x-forwarded-for", "10.0.0.1")
                .header("forwarded", "for=10.0.0.1")
                .header("x-real-ip", "10.0.0.1")
                .header("client-cert", ":AA==:")
                .header("x-request-id", "mine")
                .header("x-other", "stays")
                .body(())
                .unwrap(),
        )
        .unwrap();
        assert_eq!(incoming.headers.len(), 1);
        assert_eq!(incoming.client, terms().peer);
        assert_eq!(incoming.request_id, None);
    }

    #[test]
    fn believes_a_trusted_peer_up_to_the_first_stranger() {
        let trusted = ["192.0.2.0/24".parse().unwrap()];
        let terms = Terms {
            trusted: &trusted,
            ..terms()
        };
        let request = h2("https://a/")
            .header("x-forwarded-for", "1.1.1.1, 203.0.113.9")
            .header("x-forwarded-for", "192.0.2.7")
            .header("x-request-id", "theirs")
            .body(())
            .unwrap();
        let head = request.into_parts().0;
        let found = Survey::of(&head.headers);
        let incoming = Incoming::try_from(head, found, &terms).unwrap();
        assert_eq!(incoming.client, IpAddr::from([203, 0, 113, 9]));
        assert_eq!(incoming.request_id.unwrap(), "theirs");
    }

    #[test]
    fn deletes_what_connection_names_but_not_the_framing() {
        let request = http::Request::builder()
            .uri("/")
            .header("host", "a")
            .header("connection", "close, x-secret, content-length, host")
            .header("content-length", "3")
            .header("x-secret", "1")
            .header("te", "gzip, trailers")
            .body(())
            .unwrap();
        let incoming = check(request).unwrap();
        assert!(!incoming.headers.contains_key("x-secret"));
        assert_eq!(incoming.headers["content-length"], "3");
        assert_eq!(incoming.headers["te"], "trailers");
    }
}
