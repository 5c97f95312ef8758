//! What responses are stored under: the URL as routes see it, with the parameters that count.

use std::borrow::Cow;

use http::Uri;
use lb_cache::{CacheKey, TargetUri, write_key};

use super::HttpCache;
use crate::config::CacheQuery;
use crate::incoming::Incoming;
use crate::routes::matching_path;

/// Before the keys of handlers, which no URL begins with.
const HANDLER: &str = "handler:";

/// Writes the key of a request; `false` if it has none, or too long a one.
pub(super) fn write(out: &mut String, incoming: &Incoming, cache: &HttpCache) -> bool {
    with_target(incoming, cache, |uri| {
        write_key(out, uri, cache.rules.max_key_bytes)
    })
}

/// Gives the URL of a request in the parts that a key is made of.
pub(super) fn with_target<R>(
    incoming: &Incoming,
    cache: &HttpCache,
    then: impl FnOnce(&TargetUri<'_>) -> R,
) -> R {
    let with_port;
    let authority = match incoming.uri.port() {
        None => &*incoming.host,
        Some(port) => {
            with_port = format!("{}:{port}", incoming.host);
            &with_port
        }
    };
    with_path(&incoming.uri, &cache.query, |path| {
        then(&TargetUri {
            scheme: incoming.uri.scheme_str().unwrap_or("http"),
            authority,
            path,
        })
    })
}

/// The key of a URL as somebody writes it; `None` if it lacks scheme or host.
pub(super) fn of_url(url: &str, cache: &HttpCache) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    let mut key = String::new();
    with_path(&uri, &cache.query, |path| {
        let uri = TargetUri {
            scheme,
            authority,
            path,
        };
        write_key(&mut key, &uri, cache.rules.max_key_bytes)
    })
    .then_some(key)
}

/// Host and path of a URL's key, as routes see them; `None` for the key of a handler.
pub(super) fn host_and_path(key: &str) -> Option<(&str, Cow<'_, str>)> {
    let (_, rest) = key
        .split_once("://")
        .filter(|_| !key.starts_with(HANDLER))?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let end = authority
        .rfind(':')
        .filter(|at| !authority[*at..].contains(']'));
    let host = &authority[..end.unwrap_or(authority.len())];
    let path = path.split('?').next().unwrap_or(path);
    Some((host, matching_path(path)))
}

/// The key of what a handler keeps.
pub(super) fn of_handler(key: &str) -> CacheKey {
    CacheKey::from(format!("{HANDLER}{key}").as_str())
}

fn with_path<R>(uri: &Uri, query: &CacheQuery, then: impl FnOnce(&str) -> R) -> R {
    match (query, uri.query()) {
        (CacheQuery::All, _) => then(uri.path_and_query().map_or("/", |path| path.as_str())),
        (CacheQuery::None, _) | (CacheQuery::Only(_), None) => then(uri.path()),
        (CacheQuery::Only(names), Some(query)) => {
            let mut path = uri.path().to_owned();
            let mut separator = '?';
            for pair in query.split('&') {
                let name = pair.split('=').next().unwrap_or_default();
                if names.iter().any(|one| one == name) {
                    path.push(separator);
                    path.push_str(pair);
                    separator = '&';
                }
            }
            then(&path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(query: &CacheQuery, uri: &'static str) -> String {
        with_path(&Uri::from_static(uri), query, str::to_owned)
    }

    #[test]
    fn tells_what_routes_see_of_a_key() {
        for (key, host, path) in [
            ("https://a.example/x/y?q=/", "a.example", "/x/y"),
            ("http://a.example:8080/x/../z", "a.example", "/z"),
            ("https://[::1]:8443/", "[::1]", "/"),
            ("https://[::1]/", "[::1]", "/"),
        ] {
            let seen = host_and_path(key).unwrap();
            assert_eq!((seen.0, &*seen.1), (host, path), "{key}");
        }
        assert!(host_and_path(of_handler("http://a/").as_str()).is_none());
    }

    #[test]
    fn takes_the_parameters_that_count() {
        let uri = "http://a/x?b=1&utm=2&a=3&ab=4&b";
        assert_eq!(path(&CacheQuery::All, uri), "/x?b=1&utm=2&a=3&ab=4&b");
        assert_eq!(path(&CacheQuery::None, uri), "/x");
        let only = CacheQuery::Only(vec!["a".into(), "b".into()]);
        assert_eq!(path(&only, uri), "/x?b=1&a=3&b");
        assert_eq!(path(&only, "http://a/x?c"), "/x");
        assert_eq!(path(&only, "http://a/x"), "/x");
    }
}
