//! Where a Redis is, as text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::ValueError;
use super::model::{RedisAddress, RedisUrl};
use super::suggest::nearest;
use super::url::split_port;

const DEFAULT_PORT: u16 = 6379;

impl RedisUrl {
    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.address, RedisAddress::Tls { .. })
    }
}

impl FromStr for RedisUrl {
    type Err = ValueError;

    /// Reads `redis://host:port/database`, `rediss://host:port/database` or `unix:/path`; port and database
    /// may be left out (6379, 0).
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |why: String, help: String| ValueError::new(format!("`{text}`: {why}"), help);
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') || path.len() < 2 || path.contains('\0') {
                return Err(wrong(
                    "no socket path".to_owned(),
                    "write the whole path: `unix:/run/redis.sock`".to_owned(),
                ));
            }
            return Ok(Self {
                address: RedisAddress::Unix(PathBuf::from(path)),
                database: 0,
            });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong(
                "a Redis needs a scheme".to_owned(),
                format!("write `redis://{text}`, or `rediss://{text}` for TLS"),
            ));
        };
        let is_tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            other => {
                let meant = nearest(other, ["redis", "rediss"]).unwrap_or("redis");
                return Err(wrong(
                    format!("unknown scheme `{other}`"),
                    format!("write `{meant}://`; known are `redis`, `rediss` (TLS) and `unix`"),
                ));
            }
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some((_, host)) = rest.rsplit_once('@') {
            // The text may hold a password, and errors end up in logs.
            return Err(ValueError::new(
                format!("`{scheme}://…@{host}`: no user name or password belongs into the URL"),
                "write `username = \"…\"` and `password_file = \"…\"`",
            ));
        }
        let database = match database {
            "" => 0,
            number => number.parse().map_err(|_| {
                wrong(
                    format!("`{number}` is no database"),
                    "write a number: `redis://127.0.0.1:6379/0`".to_owned(),
                )
            })?,
        };
        let (host, port) = split_port(authority).map_err(|(why, help)| {
            let help = help.replace(":3000", ":6379");
            wrong(why, help)
        })?;
        let port = port.unwrap_or(DEFAULT_PORT);
        if port == 0 {
            return Err(wrong(
                "port 0 cannot be connected to".to_owned(),
                "write the port that Redis listens on".to_owned(),
            ));
        }
        let address = if is_tls {
            RedisAddress::Tls { host, port }
        } else {
            RedisAddress::Tcp { host, port }
        };
        Ok(Self { address, database })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match &self.address {
            RedisAddress::Unix(path) => return write!(f, "unix:{}", path.display()),
            RedisAddress::Tcp { host, port } => ("redis", host, port),
            RedisAddress::Tls { host, port } => ("rediss", host, port),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}/{}", self.database)
        } else {
            write!(f, "{scheme}://{host}:{port}/{}", self.database)
        }
    }
}
