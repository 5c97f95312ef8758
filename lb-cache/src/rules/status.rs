//! `Cache-Status` (RFC 9211): what the cache did with a request, for whoever reads the reply.

use std::fmt::{self, Write as _};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::lookup::{Bypass, Lookup, Miss};
use super::policy::Validation;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The longest text of `key` and `detail`; what is longer is cut.
const MAX_TEXT: usize = 256;

/// Why a request was forwarded (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forwarded {
    /// The route does not cache, or the request cannot be answered from a cache.
    Bypass,
    /// The method is not one that is cached.
    Method,
    /// Nothing was stored under its key.
    UriMiss,
    /// What was stored did not match its selecting fields.
    VaryMiss,
    /// Nothing stored could answer it, for one of these reasons.
    Miss,
    /// The request asked for it.
    Request,
    /// What was stored is stale.
    Stale,
    /// A part was stored and another was needed.
    Partial,
}

impl Forwarded {
    /// The token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl From<Bypass> for Forwarded {
    fn from(bypass: Bypass) -> Self {
        match bypass {
            Bypass::Method => Self::Method,
            Bypass::Body | Bypass::Upgrade => Self::Bypass,
        }
    }
}

impl<E> Lookup<'_, E> {
    /// Why a request with this outcome is forwarded before it is answered, if it is.
    pub const fn forwarded(&self) -> Option<Forwarded> {
        match self {
            Self::Hit(_) | Self::Stale(_) | Self::Unsatisfiable => None,
            Self::Revalidate(_, Validation::Request) => Some(Forwarded::Request),
            Self::Revalidate(_, Validation::Stale | Validation::NoCache) => Some(Forwarded::Stale),
            Self::Miss(Miss::Uri) => Some(Forwarded::UriMiss),
            Self::Miss(Miss::Vary) => Some(Forwarded::VaryMiss),
        }
    }
}

/// One member of `Cache-Status`, which displays as it is sent.
///
/// # Examples
/// ```
/// use lb_cache::{CacheStatus, Forwarded};
///
/// let mut status = CacheStatus::forwarded("lb", Forwarded::Stale);
/// status.fwd_status = Some(http::StatusCode::NOT_MODIFIED);
/// status.collapsed = true;
/// assert_eq!(status.to_string(), "lb; fwd=stale; fwd-status=304; collapsed");
/// assert_eq!(CacheStatus::hit("lb", 41).to_string(), "lb; hit; ttl=41");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus<'a> {
    /// The name of this cache.
    pub cache: &'a str,
    /// Why the request was forwarded; a hit, if it was not.
    pub fwd: Option<Forwarded>,
    /// The status of the backend's response, if it is not that of the reply.
    pub fwd_status: Option<StatusCode>,
    /// Whether the response was stored.
    pub stored: bool,
    /// Whether the request shared the fill of another.
    pub collapsed: bool,
    /// Seconds the response stays fresh, negative if it is stale.
    pub ttl_seconds: Option<i64>,
    /// The key, for debugging.
    pub key: Option<&'a str>,
    /// What else is to be said, as [`Refusal::as_str`](crate::Refusal::as_str).
    pub detail: Option<&'a str>,
}

impl<'a> CacheStatus<'a> {
    /// The request was answered from the cache alone.
    pub const fn hit(cache: &'a str, ttl_seconds: i64) -> Self {
        Self {
            ttl_seconds: Some(ttl_seconds),
            ..Self::new(cache, None)
        }
    }

    /// The request was forwarded.
    pub const fn forwarded(cache: &'a str, why: Forwarded) -> Self {
        Self::new(cache, Some(why))
    }

    const fn new(cache: &'a str, fwd: Option<Forwarded>) -> Self {
        Self {
            cache,
            fwd,
            fwd_status: None,
            stored: false,
            collapsed: false,
            ttl_seconds: None,
            key: None,
            detail: None,
        }
    }

    /// Appends it to the list of a reply, behind those of caches nearer to the origin (RFC 9211 §2).
    pub fn append_to(&self, headers: &mut HeaderMap) {
        // Every character was checked on the way into the text.
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.append(CACHE_STATUS, value);
        }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        item(f, self.cache)?;
        match self.fwd {
            None => f.write_str("; hit")?,
            Some(why) => {
                write!(f, "; fwd={}", why.as_str())?;
                if let Some(status) = self.fwd_status {
                    write!(f, "; fwd-status={}", status.as_u16())?;
                }
            }
        }
        if let Some(ttl) = self.ttl_seconds {
            // An integer of structured fields has at most 15 digits.
            write!(
                f,
                "; ttl={}",
                ttl.clamp(-999_999_999_999_999, 999_999_999_999_999)
            )?;
        }
        // Both are about a request that was forwarded (RFC 9211 §2.5, §2.6).
        if self.fwd.is_some() && self.stored {
            f.write_str("; stored")?;
        }
        if self.fwd.is_some() && self.collapsed {
            f.write_str("; collapsed")?;
        }
        if let Some(key) = self.key {
            f.write_str("; key=")?;
            string(f, key)?;
        }
        if let Some(detail) = self.detail {
            f.write_str("; detail=")?;
            item(f, detail)?;
        }
        Ok(())
    }
}

/// A token where the text is one, else a string (RFC 9651 §3.3).
fn item(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*');
    if begins && text.len() <= MAX_TEXT && text.bytes().all(token) {
        f.write_str(text)
    } else {
        string(f, text)
    }
}

/// A quoted string; what may not stand in one is a question mark.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars().take(MAX_TEXT) {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            ' '..='~' => f.write_char(letter)?,
            _ => f.write_char('?')?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_examples_of_the_rfc() {
        let mut status = CacheStatus::hit("ExampleCache", 376);
        assert_eq!(status.to_string(), "ExampleCache; hit; ttl=376");
        status.ttl_seconds = Some(-412);
        assert_eq!(status.to_string(), "ExampleCache; hit; ttl=-412");
        let mut status = CacheStatus::forwarded("ExampleCache", Forwarded::UriMiss);
        status.stored = true;
        assert_eq!(status.to_string(), "ExampleCache; fwd=uri-miss; stored");
        status.collapsed = true;
        assert_eq!(
            status.to_string(),
            "ExampleCache; fwd=uri-miss; stored; collapsed"
        );
        let status = CacheStatus::forwarded("ExampleCache", Forwarded::Bypass);
        assert_eq!(status.to_string(), "ExampleCache; fwd=bypass");
    }

    #[test]
    fn text_of_a_client_stays_inside_its_quotes() {
        let mut status = CacheStatus::hit("my cache", 0);
        status.key = Some("a\"; hit; x=\\\r\nü");
        status.detail = Some("no-store");
        let text = r#""my cache"; hit; ttl=0; key="a\"; hit; x=\\???"; detail=no-store"#;
        assert_eq!(status.to_string(), text);
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_STATUS, HeaderValue::from_static("origin; hit"));
        status.append_to(&mut headers);
        assert_eq!(headers.get_all(CACHE_STATUS).iter().count(), 2);
    }

    #[test]
    fn a_hit_is_never_stored_nor_collapsed() {
        let mut status = CacheStatus::hit("lb", i64::MIN);
        (status.stored, status.collapsed) = (true, true);
        assert_eq!(status.to_string(), "lb; hit; ttl=-999999999999999");
    }
}
