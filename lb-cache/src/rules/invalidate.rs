//! What an unsafe request makes invalid (RFC 9111 §4.4).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{Method, Uri};

use super::CacheRules;
use super::key::{CacheKey, TargetUri};
use super::storability::ResponseHead;

/// The longest reference that is followed.
const MAX_REFERENCE: usize = 8 << 10;

/// The keys that a response to a request makes invalid: the request's own, and those that `Location` and
/// `Content-Location` of the same origin name. None if the method is safe or the response is an error.
///
/// Unknown methods count as unsafe. What is stored under these keys is removed or made stale
/// ([`ResponsePolicy::invalidated`](crate::ResponsePolicy::invalidated)).
///
/// # Examples
/// ```
/// use http::{HeaderMap, HeaderValue, Method, StatusCode};
/// use lb_cache::{CacheRules, ResponseHead, TargetUri, invalidates};
///
/// let uri = TargetUri { scheme: "https", authority: "example.com", path: "/users/" };
/// let mut headers = HeaderMap::new();
/// headers.insert("location", HeaderValue::from_static("42"));
/// let response = ResponseHead { status: StatusCode::CREATED, headers: &headers };
/// let keys = invalidates(&Method::POST, &uri, &response, &CacheRules::default());
/// let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
/// assert_eq!(keys, ["https://example.com/users/", "https://example.com/users/42"]);
/// ```
pub fn invalidates(
    method: &Method,
    uri: &TargetUri<'_>,
    response: &ResponseHead<'_>,
    rules: &CacheRules,
) -> Vec<CacheKey> {
    let mut keys = Vec::new();
    let error = !(response.status.is_success() || response.status.is_redirection());
    if method.is_safe() || error {
        return keys;
    }
    let key = |path: &str| CacheKey::try_new(&TargetUri { path, ..*uri }, rules.max_key_bytes);
    keys.extend(key(uri.path));
    for name in [LOCATION, CONTENT_LOCATION] {
        let reference = response.headers.get(name);
        let reference = reference
            .and_then(|value| value.to_str().ok())
            .filter(|reference| reference.len() <= MAX_REFERENCE);
        let named = reference
            .and_then(|reference| same_origin(reference, uri))
            .and_then(|path| key(&path))
            .filter(|named| !keys.contains(named));
        keys.extend(named);
    }
    keys
}

/// Path and query of a reference, if it leads to the same origin (RFC 3986 §5.2).
fn same_origin(reference: &str, uri: &TargetUri<'_>) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    let base_path = uri.path.split('?').next().unwrap_or_default();
    if let Some(rest) = reference.strip_prefix("//") {
        return absolute(&format!("{}://{rest}", uri.scheme), uri);
    }
    let colon = reference.find(':');
    if colon.is_some_and(|colon| !reference[..colon].contains(['/', '?'])) {
        return absolute(reference, uri);
    }
    if reference.is_empty() {
        return Some(uri.path.to_owned());
    }
    if reference.starts_with('?') {
        return Some(format!("{base_path}{reference}"));
    }
    if reference.starts_with('/') {
        return Some(without_dots(reference));
    }
    let directory = base_path
        .rfind('/')
        .map_or("/", |slash| &base_path[..=slash]);
    Some(without_dots(&format!("{directory}{reference}")))
}

fn absolute(reference: &str, base: &TargetUri<'_>) -> Option<String> {
    let uri: Uri = reference.parse().ok()?;
    let origin =
        |uri: &TargetUri<'_>| CacheKey::try_new(&TargetUri { path: "/", ..*uri }, usize::MAX);
    let theirs = TargetUri {
        scheme: uri.scheme_str()?,
        authority: uri.authority()?.as_str(),
        path: uri.path_and_query().map_or("/", |path| path.as_str()),
    };
    (origin(&theirs)? == origin(base)?).then(|| without_dots(theirs.path))
}

/// Removes `.` and `..` from the path before the query (RFC 3986 §5.2.4).
fn without_dots(reference: &str) -> String {
    let (path, query) = match reference.find('?') {
        Some(at) => reference.split_at(at),
        None => (reference, ""),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // A dot at the end leaves the slash before it.
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}
