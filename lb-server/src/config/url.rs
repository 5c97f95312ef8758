//! Where backends are and where we listen, as text.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::ValueError;
use super::model::{BackendAddress, BackendScheme, BackendUrl, ListenAddress};
use super::suggest::nearest;

impl BackendUrl {
    /// The scheme as it is written: `http`, `h2c` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.scheme {
            BackendScheme::Http => "http",
            BackendScheme::H2c => "h2c",
            BackendScheme::Https => "https",
        }
    }

    /// The unix socket, where the backend is one.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.address {
            BackendAddress::Unix(path) => Some(path),
            BackendAddress::Host { .. } => None,
        }
    }

    /// The host: a name, or an address without brackets; `None` for a unix socket.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.address {
            BackendAddress::Unix(_) => None,
            BackendAddress::Host { host, .. } => Some(host),
        }
    }

    /// The same at an address, and at another port if one is given.
    pub(crate) fn at(&self, address: IpAddr, port: Option<u16>) -> Self {
        let own = match &self.address {
            BackendAddress::Host { port, .. } => *port,
            BackendAddress::Unix(_) => 0,
        };
        Self {
            scheme: self.scheme,
            address: BackendAddress::Host {
                host: address.to_string(),
                port: port.unwrap_or(own),
            },
        }
    }
}

impl BackendUrl {
    /// The host as a request names it, with its port where that is not the scheme's.
    pub(crate) fn authority(&self) -> String {
        let BackendAddress::Host { host, port } = &self.address else {
            return "localhost".to_owned();
        };
        let usual = match self.scheme {
            BackendScheme::Https => 443,
            BackendScheme::Http | BackendScheme::H2c => 80,
        };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        if *port == usual {
            host
        } else {
            format!("{host}:{port}")
        }
    }
}

impl FromStr for BackendUrl {
    type Err = ValueError;

    /// Reads a URL of the forms that [`BackendUrl`] names; a missing port is the scheme's own (80, 443; 80 for `h2c`).
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |why: String, help: String| ValueError::new(format!("`{text}`: {why}"), help);
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(BackendScheme::Http, path)
                .map_err(|help| wrong("no socket path".into(), help));
        }
        if let Some(path) = text.strip_prefix("unix+h2c:") {
            return unix(BackendScheme::H2c, path)
                .map_err(|help| wrong("no socket path".into(), help));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let meant = text.trim_start_matches('/');
            return Err(wrong(
                "a backend needs a scheme".into(),
                format!("write `http://{meant}`, `h2c://{meant}` or `https://{meant}`"),
            ));
        };
        let (scheme, default_port) = match scheme {
            "http" => (BackendScheme::Http, 80),
            "h2c" => (BackendScheme::H2c, 80),
            "https" => (BackendScheme::Https, 443),
            other => {
                let meant = match other.to_ascii_lowercase().as_str() {
                    "h2" | "http2" | "grpc" => "h2c",
                    "grpcs" | "h2s" | "tls" | "ssl" => "https",
                    "tcp" => "http",
                    lower => nearest(lower, ["https", "http", "h2c"]).unwrap_or("http"),
                };
                return Err(wrong(
                    format!("unknown scheme `{other}`"),
                    format!(
                        "write `{meant}://{rest}`; known are `http`, `h2c` (cleartext HTTP/2), `https` and `unix`"
                    ),
                ));
            }
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let name = text.split_once("://").map_or("http", |(name, _)| name);
        if let Some((_, host)) = authority.rsplit_once('@') {
            // The text may hold a password, and errors end up in logs.
            return Err(ValueError::new(
                format!("`{name}://…@{host}`: a backend URL has no user name or password"),
                format!(
                    "write `{name}://{host}` and set `authorization` by `request_headers` of a route"
                ),
            ));
        }
        if authority.len() != rest.len() {
            return Err(wrong(
                format!(
                    "a backend URL ends after the port, found `{}`",
                    &rest[authority.len()..]
                ),
                format!("write `{name}://{authority}`; the path comes from the request"),
            ));
        }
        let (host, port) = split_port(authority).map_err(|(why, help)| wrong(why, help))?;
        let port = port.unwrap_or(default_port);
        if port == 0 {
            return Err(wrong(
                "port 0 cannot be connected to".into(),
                "write the port the backend listens on".into(),
            ));
        }
        Ok(Self {
            scheme,
            address: BackendAddress::Host { host, port },
        })
    }
}

fn unix(scheme: BackendScheme, path: &str) -> Result<BackendUrl, String> {
    // `unix:///run/x.sock` is how other programs write it.
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') || path.len() < 2 || path.contains('\0') {
        return Err("write the whole path: `unix:/run/app.sock`".to_owned());
    }
    Ok(BackendUrl {
        scheme,
        address: BackendAddress::Unix(PathBuf::from(path)),
    })
}

/// Host (without brackets, lower case) and port; the error is what is wrong and the way out.
pub(super) fn split_port(authority: &str) -> Result<(String, Option<u16>), (String, String)> {
    let bad_port = |port: &str| {
        (
            format!("`{port}` is no port"),
            "write a port from 1 to 65535".to_owned(),
        )
    };
    let parse_port = |port: &str| {
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        port.parse::<u16>()
            .ok()
            .filter(|_| digits)
            .ok_or_else(|| bad_port(port))
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| {
            (
                "the bracket is not closed".to_owned(),
                "write `[::1]:3000`".to_owned(),
            )
        })?;
        let address: Ipv6Addr = host.parse().map_err(|_| {
            (
                format!("`{host}` is no IPv6 address"),
                "write `[::1]:3000`".to_owned(),
            )
        })?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if after.is_empty() => None,
            None => return Err(bad_port(after)),
        };
        return Ok((address.to_string(), port));
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Err((
            "an IPv6 address needs brackets".to_owned(),
            format!("write `[{authority}]`"),
        ));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (authority, None),
    };
    if !is_host(host) {
        return Err((
            format!("`{host}` is no host name"),
            "write a name or an address: `app.internal`, `10.0.0.1`, `[::1]`".to_owned(),
        ));
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// Whether this is a host name or an IPv4 address: labels of letters, digits, `-` and `_`.
pub(super) fn is_host(host: &str) -> bool {
    host.len() <= 253
        && host
            .strip_suffix('.')
            .unwrap_or(host)
            .split('.')
            .all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            })
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            BackendAddress::Unix(path) => match self.scheme {
                BackendScheme::H2c => write!(f, "unix+h2c:{}", path.display()),
                BackendScheme::Http | BackendScheme::Https => write!(f, "unix:{}", path.display()),
            },
            BackendAddress::Host { host, port } if host.contains(':') => {
                write!(f, "{}://[{host}]:{port}", self.scheme())
            }
            BackendAddress::Host { host, port } => write!(f, "{}://{host}:{port}", self.scheme()),
        }
    }
}

impl ListenAddress {
    /// Whether only programs of this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ValueError;

    /// Reads `"127.0.0.1:8443"`, `"[::]:8443"` or `"unix:/run/lb.sock"`.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') || path.len() < 2 || path.contains('\0') {
                return Err(ValueError::new(
                    format!("`{text}` is no address to listen on: no socket path"),
                    "write the whole path: `unix:/run/lb.sock`",
                ));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        text.parse::<SocketAddr>().map(Self::Tcp).map_err(|_| {
            ValueError::new(
                format!("`{text}` is no address to listen on"),
                listen_help(text),
            )
        })
    }
}

fn listen_help(text: &str) -> String {
    let plain = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = match plain.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None if plain.bytes().all(|b| b.is_ascii_digit()) => ("", plain),
        None => (plain, "8443"),
    };
    let port = port.parse::<u16>().unwrap_or(8443);
    match host {
        "" => format!(
            "write `0.0.0.0:{port}` for all addresses, or `127.0.0.1:{port}` for this machine only"
        ),
        "*" => format!("write `0.0.0.0:{port}` for all addresses"),
        "localhost" => format!("write `127.0.0.1:{port}`"),
        host if host.parse::<std::net::Ipv4Addr>().is_ok() => format!("write `{host}:{port}`"),
        _ => format!(
            "write an IP address and a port: `127.0.0.1:{port}`, `[::]:{port}`, or `unix:/run/lb.sock`"
        ),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        text.parse::<BackendUrl>().ok().map(|url| url.to_string())
    }

    #[test]
    fn backend_urls_are_read_and_written_whole() {
        assert_eq!(read("http://10.0.0.1"), Some("http://10.0.0.1:80".into()));
        assert_eq!(
            read("https://App.Internal"),
            Some("https://app.internal:443".into())
        );
        assert_eq!(read("h2c://[::1]:8080"), Some("h2c://[::1]:8080".into()));
        assert_eq!(
            read("unix:/run/app.sock"),
            Some("unix:/run/app.sock".into())
        );
        assert_eq!(
            read("unix+h2c:/run/app.sock"),
            Some("unix+h2c:/run/app.sock".into())
        );
        for wrong in [
            "",
            "10.0.0.1:80",
            "ftp://a",
            "http://",
            "http://a/",
            "http://a/b",
            "http://a?b",
            "http://u:p@a",
            "http://a:0",
            "http://a:99999",
            "http://a:+1",
            "http://::1",
            "http://[::1",
            "http://a b",
            "unix:run",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn listen_addresses_need_an_address_and_a_port() {
        let local = |text: &str| {
            text.parse::<ListenAddress>()
                .ok()
                .map(|address| address.is_local())
        };
        assert_eq!(local("127.0.0.1:8443"), Some(true));
        assert_eq!(local("[::1]:0"), Some(true));
        assert_eq!(local("0.0.0.0:8443"), Some(false));
        assert_eq!(local("unix:/run/lb.sock"), Some(true));
        assert_eq!(local("localhost:8443"), None);
        assert_eq!(local(":8443"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), tail in any::<String>()) {
            let _ = text.parse::<BackendUrl>();
            let _ = format!("http://{tail}").parse::<BackendUrl>();
            let _ = text.parse::<ListenAddress>();
        }
    }
}
