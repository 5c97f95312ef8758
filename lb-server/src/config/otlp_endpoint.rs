//! Where a collector is, as text.

use std::fmt;
use std::str::FromStr;

use super::error::ValueError;
use super::model::{BackendUrl, OtlpEndpoint};

/// Where collectors take spans unless they are told otherwise (OTLP specification, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

impl FromStr for OtlpEndpoint {
    type Err = ValueError;

    /// Reads `http://host:port` or `https://host:port`, with or without a path.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |why: &str| {
            ValueError::new(
                format!("`{text}`: {why}"),
                "write `http://collector:4318`, or `https://` and the whole path",
            )
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("a collector needs a scheme"))?;
        if !matches!(scheme, "http" | "https") {
            return Err(wrong("spans are sent over HTTP/1.1, mostly to port 4318"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let url: BackendUrl = format!("{scheme}://{authority}").parse()?;
        if path.contains('#')
            || path.parse::<http::uri::PathAndQuery>().is_err() && !path.is_empty()
        {
            return Err(wrong("the path cannot be sent"));
        }
        let path = if path.is_empty() { PATH } else { path };
        Ok(Self {
            url,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.url)?;
        if self.path == PATH {
            return Ok(());
        }
        formatter.write_str(&self.path)
    }
}
