//! Who may ask the admin API for what.
//!
//! A server that listens on loopback is within reach of every page that a browser on this machine shows: by a request to
//! another site, and by a name that its owner lets point to 127.0.0.1 (DNS rebinding). So a request has to name this
//! server by something that no stranger can own, and one that a browser sends has to come from our own page.

use std::fmt;
use std::hint::black_box;
use std::io::Read as _;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method};

use super::problem::Problem;
use crate::config::{AdminConfig, AdminToken, ListenAddress, ListenerTls};

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Beyond this a file is no token but a mistake.
const TOKEN_MOST: u64 = 4096;

/// The rules of one admin listener.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Names that certificates prove to be ours, and those that the configuration says, besides loopback.
    names: Vec<String>,
    address: Option<IpAddr>,
    token: Option<AdminToken>,
    scheme: &'static str,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    Tcp(std::net::SocketAddr),
    /// Process and user, as the kernel says.
    Unix {
        process: Option<i32>,
        user: Option<u32>,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { process, user } => {
                f.write_str("unix")?;
                if let Some(user) = user {
                    write!(f, " uid={user}")?;
                }
                if let Some(process) = process {
                    write!(f, " pid={process}")?;
                }
                Ok(())
            }
        }
    }
}

impl Guard {
    /// The rules for an address that is bound.
    pub(crate) fn new(config: &AdminConfig) -> Self {
        Self {
            names: Vec::new(),
            address: match &config.address {
                ListenAddress::Tcp(address) => Some(address.ip()),
                ListenAddress::Unix(_) => None,
            },
            token: config.token.clone(),
            scheme: if config.tls == ListenerTls::Off {
                "http"
            } else {
                "https"
            },
        }
    }

    /// Adds names that the listener's certificate is good for.
    pub(crate) fn with_names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names);
        self
    }

    /// Checks that a request is meant for us and comes from nobody else's page.
    ///
    /// # Errors
    /// What is to be said to whoever sent it.
    pub(crate) fn check_site(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let (Some(host), None) = (host, hosts.next()) else {
            return Err(Problem::bad_request(
                "the request has no `Host`, or several",
                "send one that names this server: `Host: localhost`",
            ));
        };
        if !self.is_ours(host) {
            return Err(Problem::forbidden(
                format!("`{}` is no name of the admin API", host.escape_debug()),
                "use the configured address, `localhost` or `127.0.0.1` as the host of the URL, or add it to `names` of [admin]",
            ));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        if let Some(origin) = origins.next() {
            let ours = format!("{}://{host}", self.scheme);
            let is_same = origin.as_bytes().eq_ignore_ascii_case(ours.as_bytes());
            if !is_same || origins.next().is_some() {
                return Err(Problem::forbidden(
                    "the request comes from the page of another site",
                    "use the dashboard of this server, or a client that is no browser",
                ));
            }
        }
        if let Some(site) = headers.get(&SEC_FETCH_SITE) {
            // `none` is what somebody typed or had among the bookmarks.
            let is_allowed = match site.as_bytes() {
                b"same-origin" => true,
                b"none" => method.is_safe(),
                _ => false,
            };
            if !is_allowed {
                return Err(Problem::forbidden(
                    "the browser says that another site sends this request",
                    "use the dashboard of this server, or a client that is no browser",
                ));
            }
        }
        Ok(())
    }

    /// Whether a `Host` cannot be a name that somebody else owns.
    fn is_ours(&self, host: &str) -> bool {
        let Some(address) = self.address else {
            // No browser speaks to a unix socket.
            return true;
        };
        let name = host_of(host);
        if name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|own| name.eq_ignore_ascii_case(own))
        {
            return true;
        }
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        literal.parse::<IpAddr>().is_ok_and(|named| {
            let named = named.to_canonical();
            // Which addresses this machine has is not known; a literal is nobody's name.
            named.is_loopback() || named == address.to_canonical() || address.is_unspecified()
        })
    }

    /// Checks the token, where there is one, and tells who asks.
    ///
    /// # Errors
    /// What is to be said to whoever has none or a wrong one.
    pub(crate) fn check_token(&self, peer: &Peer, headers: &HeaderMap) -> Result<String, Problem> {
        let Some(token) = &self.token else {
            return Ok(format!("{peer} local"));
        };
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let Some(given) = given else {
            return Err(Problem::unauthorized("the admin API needs a token"));
        };
        let known = load(token).map_err(|error| {
            tracing::error!(%error, "the token of [admin] cannot be read");
            Problem::unauthorized("the token of the server cannot be read; its log says why")
        })?;
        if is_same(given.as_bytes(), known.as_bytes()) {
            Ok(format!("{peer} token"))
        } else {
            Err(Problem::unauthorized("the token is not the one of [admin]"))
        }
    }
}

/// A host without its port.
fn host_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return match authority.find(']') {
            Some(end) => &authority[..=end],
            None => authority,
        };
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _port)| host)
}

/// Takes as long however much of it is right.
fn is_same(given: &[u8], known: &[u8]) -> bool {
    let differing = given
        .iter()
        .zip(known)
        .fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
    given.len() == known.len() && black_box(differing) == 0 && !known.is_empty()
}

/// The token; a file is read each time, so that another one counts at once.
pub(crate) fn load(token: &AdminToken) -> std::io::Result<String> {
    let path = match token {
        AdminToken::Text(text) => return Ok(text.as_str().to_owned()),
        AdminToken::File(path) => path,
    };
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(TOKEN_MOST + 1)
        .read_to_string(&mut text)?;
    let token = text.trim();
    let is_usable = token.len() >= 16
        && text.len() as u64 <= TOKEN_MOST
        && token.bytes().all(|b| b.is_ascii_graphic());
    if is_usable {
        Ok(token.to_owned())
    } else {
        Err(std::io::Error::other(format!(
            "`{}` holds no token of 16 to 4,096 printable characters without blanks",
            path.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::SecretText;

    fn guard(address: &str) -> Guard {
        Guard::new(&AdminConfig::at(address.parse().unwrap()).tls(ListenerTls::Off))
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_names_that_no_stranger_can_own_are_ours() {
        for (address, host, is_ours) in [
            ("127.0.0.1:9900", "127.0.0.1:9900", true),
            ("127.0.0.1:9900", "localhost", true),
            ("127.0.0.1:9900", "LOCALHOST:8080", true),
            ("127.0.0.1:9900", "[::1]:9900", true),
            ("127.0.0.1:9900", "evil.example:9900", false),
            ("127.0.0.1:9900", "127.0.0.1.evil.example", false),
            ("127.0.0.1:9900", "localhost.evil.example", false),
            ("127.0.0.1:9900", "10.0.0.1:9900", false),
            ("127.0.0.1:9900", "", false),
            ("127.0.0.1:9900", "[::1", true),
            ("10.0.0.1:9900", "10.0.0.1:9900", true),
            ("10.0.0.1:9900", "10.0.0.2:9900", false),
            ("0.0.0.0:9900", "10.0.0.2:9900", true),
            ("0.0.0.0:9900", "lb.example:9900", false),
            ("[::]:9900", "[2001:db8::1]:9900", true),
            ("unix:/run/lb.sock", "anything", true),
        ] {
            assert_eq!(guard(address).is_ours(host), is_ours, "{host} at {address}");
        }
        let named = guard("10.0.0.1:9900").with_names(["lb.example".to_owned()]);
        assert!(named.is_ours("lb.example:9900"));
    }

    #[test]
    fn other_sites_are_refused_and_our_own_page_is_not() {
        let guard = guard("127.0.0.1:9900");
        let host = ("host", "127.0.0.1:9900");
        for (method, fields, is_allowed) in [
            (Method::GET, vec![host], true),
            (Method::GET, vec![], false),
            (Method::GET, vec![host, host], false),
            (
                Method::POST,
                vec![host, ("origin", "http://127.0.0.1:9900")],
                true,
            ),
            (
                Method::POST,
                vec![host, ("origin", "http://localhost:9900")],
                false,
            ),
            (
                Method::POST,
                vec![host, ("origin", "https://127.0.0.1:9900")],
                false,
            ),
            (
                Method::GET,
                vec![host, ("origin", "https://evil.example")],
                false,
            ),
            (Method::GET, vec![host, ("origin", "null")], false),
            (
                Method::POST,
                vec![host, ("sec-fetch-site", "same-origin")],
                true,
            ),
            (
                Method::POST,
                vec![host, ("sec-fetch-site", "cross-site")],
                false,
            ),
            (
                Method::GET,
                vec![host, ("sec-fetch-site", "same-site")],
                false,
            ),
            (Method::GET, vec![host, ("sec-fetch-site", "none")], true),
            (Method::POST, vec![host, ("sec-fetch-site", "none")], false),
        ] {
            let checked = guard.check_site(&method, &headers(&fields));
            assert_eq!(checked.is_ok(), is_allowed, "{method} {fields:?}");
        }
    }

    #[test]
    fn a_token_is_all_or_nothing() {
        let mut guard = guard("10.0.0.1:9900");
        let text = SecretText::new("0123456789abcdef");
        guard.token = Some(AdminToken::Text(text));
        let peer = Peer::Tcp("10.0.0.9:1000".parse().unwrap());
        for (value, is_right) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdeff", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
        ] {
            let checked = guard.check_token(&peer, &headers(&[("authorization", value)]));
            assert_eq!(checked.is_ok(), is_right, "{value}");
            if let Err(problem) = checked {
                assert_eq!(problem.status, 401);
            }
        }
        assert!(guard.check_token(&peer, &HeaderMap::new()).is_err());
    }
}
