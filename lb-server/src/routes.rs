//! Which route takes a request: the first one that matches.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use crate::cache::HttpCache;
use crate::config::{HeaderChanges, RouteConfig, RouteMatch};
use crate::limits::RouteLimits;
use crate::metrics::RouteCounters;

use crate::snapshot::PoolEntry;

/// A route in force.
#[derive(Debug)]
pub(crate) struct Route {
    /// As in logs and metrics.
    pub(crate) name: String,
    matches: RouteMatch,
    pub(crate) limits: Option<RouteLimits>,
    pub(crate) target: Target,
    pub(crate) request_headers: HeaderChanges,
    pub(crate) response_headers: HeaderChanges,
    pub(crate) stream_idle: Option<Duration>,
    /// The cache before the target.
    pub(crate) cache: Option<Arc<HttpCache>>,
    pub(crate) counters: RouteCounters,
}

/// What answers the requests of a route.
#[derive(Debug)]
pub(crate) enum Target {
    Pool(Arc<PoolEntry>),
    Redirect {
        to: String,
        status: http::StatusCode,
    },
    Respond {
        status: http::StatusCode,
        body: bytes::Bytes,
        content_type: http::HeaderValue,
    },
    /// The program's handler; where it forwards to without naming a pool.
    Handler(Option<Arc<PoolEntry>>),
}

impl Route {
    /// Builds a route whose target and limits were resolved.
    pub(crate) fn new(
        config: &RouteConfig,
        target: Target,
        limits: Option<RouteLimits>,
        counters: RouteCounters,
    ) -> Self {
        Self {
            name: config.name.clone(),
            limits,
            matches: config.matches.clone(),
            target,
            request_headers: config.request_headers.clone(),
            response_headers: config.response_headers.clone(),
            stream_idle: config.stream_idle,
            cache: None,
            counters,
        }
    }

    pub(crate) fn cached_by(self, cache: Option<Arc<HttpCache>>) -> Self {
        Self { cache, ..self }
    }

    /// Which requests it takes.
    pub(crate) fn matches(&self) -> &RouteMatch {
        &self.matches
    }

    /// Which of its parts a request does not match; none where it takes the request.
    pub(crate) fn refusals(
        &self,
        host: &str,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Vec<String> {
        let RouteMatch {
            host: hosts,
            path: pattern,
            methods,
            headers: wanted,
        } = &self.matches;
        let mut refusals = Vec::new();
        if !takes_host(hosts, host) {
            let hosts = hosts.join(", ");
            refusals.push(format!("host `{host}` is not {hosts}"));
        }
        if let Some(pattern) = pattern
            && !takes_path(pattern, path)
        {
            refusals.push(format!("path `{path}` is not {pattern}"));
        }
        if !takes_method(methods, method) {
            let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
            let methods = methods.join(", ");
            refusals.push(format!("method {method} is not {methods}"));
        }
        for (name, value) in wanted {
            if !takes_field(name, value.as_deref(), headers) {
                refusals.push(match value {
                    Some(value) => format!("field `{name}` is not {value}"),
                    None => format!("field `{name}` is absent"),
                });
            }
        }
        refusals
    }

    fn takes(&self, host: &str, path: &str, method: &Method, headers: &HeaderMap) -> bool {
        takes_host(&self.matches.host, host)
            && self
                .matches
                .path
                .as_deref()
                .is_none_or(|pattern| takes_path(pattern, path))
            && takes_method(&self.matches.methods, method)
            && self
                .matches
                .headers
                .iter()
                .all(|(name, wanted)| takes_field(name, wanted.as_deref(), headers))
    }
}

/// Finds the first route that takes a request, O(routes).
pub(crate) fn position(
    routes: &[Route],
    host: &str,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Option<usize> {
    routes
        .iter()
        .position(|route| route.takes(host, path, method, headers))
}

/// Whether a request for this host and path may find its response in a cache, O(routes).
pub(crate) fn are_covered(
    routes: &[Route],
    cache: &Arc<HttpCache>,
    host: &str,
    path: &str,
) -> bool {
    for route in routes {
        let matches = &route.matches;
        let takes_path = |pattern: &str| takes_path(pattern, path);
        if !takes_host(&matches.host, host) || !matches.path.as_deref().is_none_or(takes_path) {
            continue;
        }
        if route
            .cache
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, cache))
        {
            return true;
        }
        if matches.methods.is_empty() && matches.headers.is_empty() {
            return false;
        }
    }
    false
}

fn takes_host(patterns: &[String], host: &str) -> bool {
    patterns.is_empty()
        || patterns
            .iter()
            .any(|pattern| match pattern.strip_prefix('*') {
                // `*.example.com`: at least one label before the dot.
                Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                None => host == pattern,
            })
}

fn takes_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(prefix) => path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        None => path == pattern,
    }
}

fn takes_method(methods: &[Method], method: &Method) -> bool {
    methods.is_empty()
        || methods.contains(method)
        || *method == Method::HEAD && methods.contains(&Method::GET)
}

fn takes_field(name: &http::HeaderName, wanted: Option<&str>, headers: &HeaderMap) -> bool {
    match wanted {
        Some(wanted) => headers.get_all(name).iter().any(|value| value == wanted),
        None => headers.contains_key(name),
    }
}

/// Fills the placeholders of a redirect, in one pass: what is filled in is not looked at again.
pub(crate) fn location(template: &str, host: &str, uri: &http::Uri) -> String {
    let mut location = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        location.push_str(&rest[..start]);
        let placeholder = &rest[start..=start + length];
        match placeholder {
            "{host}" => location.push_str(host),
            "{path}" => location.push_str(uri.path()),
            "{query}" => location.push_str(uri.query().unwrap_or_default()),
            "{path_and_query}" => {
                location.push_str(uri.path_and_query().map_or("/", |path| path.as_str()));
            }
            other => location.push_str(other),
        }
        rest = &rest[start + length + 1..];
    }
    location.push_str(rest);
    location
}

/// The path as routes see it: escapes of unreserved characters decoded and dot segments resolved
/// (RFC 3986 §6.2.2), so that no spelling of a path gets around its route. What is forwarded is
/// the path as it came.
pub(crate) fn matching_path(path: &str) -> Cow<'_, str> {
    let is_plain = memchr::memchr2(b'%', b'.', path.as_bytes()).is_none();
    if is_plain || !path.contains('%') && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let escape = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                decoded.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            _ => {
                decoded.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded.push_str(rest);
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut resolved = String::with_capacity(decoded.len());
    for segment in &segments {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if resolved.is_empty() || decoded.ends_with("/.") || decoded.ends_with("/..") {
        resolved.push('/');
    }
    Cow::Owned(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_itself_and_everything_below() {
        for (path, takes) in [
            ("/api", true),
            ("/api/", true),
            ("/api/a/b", true),
            ("/apix", false),
            ("/", false),
        ] {
            assert_eq!(takes_path("/api/*", path), takes, "{path}");
        }
        assert!(takes_path("/*", "/anything"));
        assert!(!takes_path("/api", "/api/"));
    }

    #[test]
    fn a_wildcard_host_takes_one_label_or_more() {
        let patterns = vec!["*.example.com".to_owned()];
        assert!(takes_host(&patterns, "a.example.com"));
        assert!(takes_host(&patterns, "a.b.example.com"));
        assert!(!takes_host(&patterns, "example.com"));
        assert!(!takes_host(&patterns, "badexample.com"));
    }

    #[test]
    fn get_takes_head_too() {
        assert!(takes_method(&[Method::GET], &Method::HEAD));
        assert!(!takes_method(&[Method::POST], &Method::HEAD));
    }

    #[test]
    fn a_redirect_fills_its_placeholders_once() {
        let uri = "https://a/x%7Bhost%7D?{path}".parse().unwrap();
        assert_eq!(
            location("https://{host}{path_and_query}", "b", &uri),
            "https://b/x%7Bhost%7D?{path}"
        );
    }

    #[test]
    fn no_spelling_gets_around_a_route() {
        for (path, seen) in [
            ("/a/b", "/a/b"),
            ("/a/../admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/a/%2e%2E/admin", "/admin"),
            ("/..", "/"),
            ("/a/.", "/a/"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%", "/a%"),
            ("/a%zz", "/a%zz"),
        ] {
            assert_eq!(matching_path(path), seen, "{path}");
        }
    }
}
