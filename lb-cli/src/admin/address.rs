//! Where the admin API is: the flag, the variable, the configuration, the usual place.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use lb_server::{AdminConfig, ListenAddress, ListenerTls};

/// Where the demonstration and the packaged configuration have it.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);

/// Where an admin API is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminAddress {
    /// `host:port`.
    Tcp(String),
    /// The path of a socket.
    Unix(PathBuf),
}

/// Why an address cannot be asked, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) what: String,
    pub(crate) next: &'static str,
}

impl AdminAddress {
    /// Reads `127.0.0.1:9900`, `localhost:9900`, `http://localhost:9900` or `unix:/run/lb/admin.sock`.
    ///
    /// # Errors
    ///
    /// It is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        let unusable = |what: &str, next| Unusable {
            what: format!("`{text}` {what}"),
            next,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(unusable(
                    "names no socket",
                    "write `unix:/run/lb/admin.sock`",
                ))
            } else {
                Ok(Self::Unix(PathBuf::from(path)))
            };
        }
        if text.starts_with("https:") {
            return Err(unusable(
                "is an admin API with TLS, which this command does not speak",
                "run it on the machine of the server (`ssh HOST lb-cli …`), where the API can be at \
                 `unix:/run/lb/admin.sock`, or ask with curl",
            ));
        }
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let port = authority.rsplit_once(':').map(|(host, port)| {
            let is_host = !host.is_empty()
                && (host.starts_with('[') && host.ends_with(']') || !host.contains(':'))
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte));
            is_host.then(|| port.parse::<u16>().ok()).flatten()
        });
        match port.flatten() {
            Some(1..) => Ok(Self::Tcp(authority.to_owned())),
            Some(0) => Err(unusable(
                "says that any free port was taken, and not which",
                "name the port that the server took with `--admin 127.0.0.1:PORT`",
            )),
            None => Err(unusable(
                "is no address of an admin API",
                "write `127.0.0.1:9900` or `unix:/run/lb/admin.sock`",
            )),
        }
    }

    /// Where a configuration has it; what listens everywhere is asked on loopback.
    ///
    /// # Errors
    ///
    /// It takes any port, or speaks TLS.
    pub(crate) fn of_config(config: &AdminConfig) -> Result<Self, Unusable> {
        let address = match &config.address {
            ListenAddress::Unix(path) => return Ok(Self::Unix(path.clone())),
            ListenAddress::Tcp(address) => *address,
            other => return Self::parse(&other.to_string()),
        };
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let authority = SocketAddr::new(ip, address.port());
        let scheme = if config.tls == ListenerTls::Off {
            "http"
        } else {
            "https"
        };
        Self::parse(&format!("{scheme}://{authority}"))
    }

    /// Where it is if nothing says where.
    pub(crate) fn usual() -> Self {
        Self::Tcp(USUAL.to_string())
    }

    /// What requests name as their host.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Tcp(authority) => authority,
            Self::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_usual_form() {
        for (text, shown) in [
            ("127.0.0.1:9900", "127.0.0.1:9900"),
            ("http://127.0.0.1:9900/", "127.0.0.1:9900"),
            ("localhost:1", "localhost:1"),
            ("http://[::1]:9900", "[::1]:9900"),
            ("unix:/run/lb/admin.sock", "unix:/run/lb/admin.sock"),
        ] {
            assert_eq!(AdminAddress::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        for (text, why) in [
            ("", "no address"),
            ("9900", "no address"),
            (":9900", "no address"),
            ("::1:9900", "no address"),
            ("localhost:http", "no address"),
            ("localhost:70000", "no address"),
            ("http://localhost:9900/api", "no address"),
            ("user@localhost:9900", "no address"),
            ("local host:9900", "no address"),
            ("unix:", "names no socket"),
            ("127.0.0.1:0", "any free port"),
            ("https://lb.example:9900", "TLS"),
        ] {
            let error = AdminAddress::parse(text).unwrap_err();
            assert!(error.what.contains(why), "{text}: {}", error.what);
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_loopback() {
        for (address, asked) in [
            ("0.0.0.0:9900", "127.0.0.1:9900"),
            ("[::]:9900", "[::1]:9900"),
            ("10.0.0.1:9900", "10.0.0.1:9900"),
            ("unix:/run/lb.sock", "unix:/run/lb.sock"),
        ] {
            let config = AdminConfig::at(address.parse().unwrap()).tls(ListenerTls::Off);
            let found = AdminAddress::of_config(&config).unwrap();
            assert_eq!(found.to_string(), asked);
        }
        assert_eq!(AdminAddress::usual().to_string(), "127.0.0.1:9900");
    }
}
