//! What is hashed, as text.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;

use super::error::ValueError;
use super::model::HashKey;
use super::suggest::nearest;

const FORMS: &str = "write \"path\", \"path-and-query\", \"client-ip\", \"query:NAME\", \"header:NAME\" or \"cookie:NAME\"";

impl FromStr for HashKey {
    type Err = ValueError;

    /// Reads `"path"`, `"path-and-query"`, `"client-ip"`, `"query:x"`, `"header:x"` or `"cookie:x"`.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |help: String| ValueError::new(format!("`{text}` is no hash key"), help);
        let Some((kind, name)) = text.split_once(':') else {
            return match text {
                "path" => Ok(Self::Path),
                "path-and-query" => Ok(Self::PathAndQuery),
                "client-ip" => Ok(Self::ClientIp),
                "query" | "header" | "cookie" => Err(wrong(format!("say which: \"{text}:NAME\""))),
                other => Err(wrong(
                    nearest(other, ["path", "path-and-query", "client-ip"]).map_or_else(
                        || FORMS.to_owned(),
                        |name| format!("did you mean \"{name}\"?"),
                    ),
                )),
            };
        };
        if name.is_empty() {
            return Err(wrong(format!("say which: \"{kind}:NAME\"")));
        }
        match kind {
            "query" => Ok(Self::Query(name.to_owned())),
            "cookie" if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Ok(Self::Cookie(name.to_owned()))
            }
            "cookie" => Err(wrong(
                "a cookie name is letters, digits, `-` and `_`".to_owned(),
            )),
            "header" => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Header)
                .map_err(|_| wrong("a header name is letters, digits and `-`".to_owned())),
            _ => Err(wrong(FORMS.to_owned())),
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::PathAndQuery => f.write_str("path-and-query"),
            Self::ClientIp => f.write_str("client-ip"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}
