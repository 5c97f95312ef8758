//! Keys of responses: scheme, authority, path and query (RFC 9111 §2).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The target URI of a request (RFC 9110 §7.1), in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetUri<'a> {
    /// `https` or `http`.
    pub scheme: &'a str,
    /// Host, and port where it is not the scheme's.
    pub authority: &'a str,
    /// Path and query; an empty one is `/`.
    pub path: &'a str,
}

/// What a response is stored under, as text: `https://example.com/a?b=c`.
///
/// Equal means equal after lower-casing scheme and host and leaving out the scheme's own port; path and query are taken as
/// they are. The method is not part of it: all that is stored answers GET and HEAD. A clone is a count.
///
/// A store can be asked with the text itself ([`write_key`] into a buffer that is used again), so that a lookup need not
/// allocate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey(Arc<str>);

impl CacheKey {
    /// Makes the key of a request, `None` if there is none ([`write_key`]).
    pub fn try_new(uri: &TargetUri<'_>, most_bytes: usize) -> Option<Self> {
        let mut text = String::new();
        write_key(&mut text, uri, most_bytes).then(|| Self(text.into()))
    }

    /// The key as text, as [`write_key`] writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for CacheKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for CacheKey {
    /// Takes text that [`write_key`] wrote.
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Replaces `out` by the key of a request; `false`, and `out` empty, if that is longer than `most_bytes`, or if the
/// authority has a character that would make it pass for the path of another.
///
/// # Examples
/// ```
/// use lb_cache::{TargetUri, write_key};
///
/// let uri = TargetUri { scheme: "HTTPS", authority: "Example.com:443", path: "/a?b=C" };
/// let mut key = String::new();
/// assert!(write_key(&mut key, &uri, 100));
/// assert_eq!(key, "https://example.com/a?b=C");
/// ```
///
/// # Complexity
/// O(length); no allocation once `out` is large enough.
pub fn write_key(out: &mut String, uri: &TargetUri<'_>, most_bytes: usize) -> bool {
    let TargetUri {
        scheme,
        authority,
        path,
    } = *uri;
    out.clear();
    if authority.contains(['/', '?', '#', '@', '\\']) {
        return false;
    }
    let port = if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else if scheme.eq_ignore_ascii_case("http") {
        ":80"
    } else {
        ""
    };
    let authority = authority.strip_suffix(port).unwrap_or(authority);
    let length = [scheme.len(), 3, authority.len(), path.len().max(1)]
        .iter()
        .fold(0_usize, |sum, length| sum.saturating_add(*length));
    if length > most_bytes {
        return false;
    }
    let lower = |byte: char| byte.to_ascii_lowercase();
    out.extend(scheme.chars().map(lower));
    out.push_str("://");
    out.extend(authority.chars().map(lower));
    if !path.starts_with('/') {
        out.push('/');
    }
    out.push_str(path);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scheme: &str, authority: &str, path: &str) -> String {
        CacheKey::try_new(
            &TargetUri {
                scheme,
                authority,
                path,
            },
            100,
        )
        .map(|key| key.to_string())
        .unwrap_or_default()
    }

    #[test]
    fn tells_apart_what_is_another_resource() {
        let keys = [
            key("https", "a.example", "/"),
            key("http", "a.example", "/"),
            key("https", "b.example", "/"),
            key("https", "a.example:8443", "/"),
            key("https", "a.example", "/x"),
            key("https", "a.example", "/X"),
            key("https", "a.example", "/?"),
            key("https", "a.example", "/?x"),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one), "{one}");
        }
    }

    #[test]
    fn spellings_of_one_origin_are_one() {
        for (scheme, authority, path) in [
            ("https", "a.example", ""),
            ("HTTPS", "A.Example", "/"),
            ("https", "a.example:443", "/"),
        ] {
            assert_eq!(key(scheme, authority, path), "https://a.example/");
        }
        assert_eq!(key("http", "a.example:443", "/"), "http://a.example:443/");
    }

    #[test]
    fn an_authority_cannot_pass_for_a_path() {
        assert_eq!(key("https", "a.example/x", "/y"), "");
        assert_eq!(key("https", "a.example?", "/y"), "");
        assert_eq!(key("https", "user@a.example", "/y"), "");
    }

    #[test]
    fn long_ones_are_refused() {
        let mut out = String::from("before");
        let uri = TargetUri {
            scheme: "https",
            authority: "a.example",
            path: &"/x".repeat(1 << 20),
        };
        assert!(!write_key(&mut out, &uri, 8 << 10));
        assert!(out.is_empty());
    }
}
