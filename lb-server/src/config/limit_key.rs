//! What requests are counted by, as text.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;

use super::error::ValueError;
use super::model::RateLimitKey;
use super::suggest::nearest;

const FORMS: &str = "write \"client-ip\", \"route\", \"header:NAME\" or \"cookie:NAME\"";

impl FromStr for RateLimitKey {
    type Err = ValueError;

    /// Reads `"client-ip"`, `"route"`, `"header:x"` or `"cookie:x"`.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong =
            |help: String| ValueError::new(format!("`{text}` is no key of a rate limit"), help);
        let Some((kind, name)) = text.split_once(':') else {
            return match text {
                "client-ip" => Ok(Self::ClientIp),
                "route" => Ok(Self::Route),
                "header" | "cookie" => Err(wrong(format!("say which: \"{text}:NAME\""))),
                other => Err(wrong(nearest(other, ["client-ip", "route"]).map_or_else(
                    || FORMS.to_owned(),
                    |name| format!("did you mean \"{name}\"?"),
                ))),
            };
        };
        let token = HeaderName::from_bytes(name.as_bytes());
        match (kind, token) {
            ("header" | "cookie", _) if name.is_empty() => {
                Err(wrong(format!("say which: \"{kind}:NAME\"")))
            }
            ("header", Ok(name)) => Ok(Self::Header(name)),
            ("cookie", Ok(_)) => Ok(Self::Cookie(name.to_owned())),
            ("header" | "cookie", Err(_)) => Err(wrong(format!(
                "a {kind} name is letters, digits, `-` and `_`"
            ))),
            _ => Err(wrong(FORMS.to_owned())),
        }
    }
}

impl fmt::Display for RateLimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client-ip"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Route => f.write_str("route"),
        }
    }
}
