//! Hosts, paths and locations as patterns, and which pattern takes all that another takes.

use http::Method;

use crate::config::model::RouteMatch;
use crate::config::url::is_host;

pub(super) fn wrong_host(host: &str) -> Option<(String, String)> {
    let wrong = |help: String| Some((format!("`{host}` is no host pattern"), help));
    let name = host.strip_prefix("*.").unwrap_or(host);
    if let Some((_, rest)) = host.split_once("://") {
        return wrong(format!(
            "write the name alone: \"{}\"",
            rest.split(['/', ':']).next().unwrap_or(rest)
        ));
    }
    if host == "*" {
        return wrong("leave `host` out to match every host".to_owned());
    }
    if name.contains('*') {
        return wrong("a `*` stands alone before the first dot: \"*.example.com\"".to_owned());
    }
    if let Some((name, port)) = host.rsplit_once(':')
        && port.bytes().all(|b| b.is_ascii_digit())
        && !name.contains(':')
    {
        return wrong(format!("write it without the port: \"{name}\""));
    }
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()) {
        return None;
    }
    if !is_host(name) {
        return wrong("write a name like \"app.example.com\" or \"*.example.com\"".to_owned());
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return wrong(format!(
            "write it in lower case: \"{}\"",
            host.to_ascii_lowercase()
        ));
    }
    None
}

pub(super) fn wrong_path(path: &str) -> Option<(String, String)> {
    let wrong = |help: String| Some((format!("`{path}` is no path pattern"), help));
    if !path.starts_with('/') {
        return wrong(format!("start with `/`: \"/{path}\""));
    }
    let plain = path.strip_suffix("/*").unwrap_or(path);
    if plain.contains('*') {
        let before = path
            .split('*')
            .next()
            .unwrap_or_default()
            .trim_end_matches('/');
        return wrong(format!(
            "`*` stands only at the end, after `/`: \"{before}/*\""
        ));
    }
    if path.contains(['?', '#']) {
        return wrong("leave the query out: a path is matched without it".to_owned());
    }
    if path.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
        return wrong("percent-encode spaces and other characters: \"%20\"".to_owned());
    }
    None
}

/// What is wrong with the location of a redirect.
pub(super) fn wrong_location(to: &str) -> Option<(String, String)> {
    const KNOWN: [&str; 4] = ["{host}", "{path}", "{query}", "{path_and_query}"];
    let known = || "known are `{host}`, `{path}`, `{query}` and `{path_and_query}`".to_owned();
    let mut rest = to;
    while let Some(at) = rest.find(['{', '}']) {
        let inside = &rest[at..];
        let Some(found) = KNOWN.into_iter().find(|name| inside.starts_with(name)) else {
            let end = inside.find('}').map_or(inside.len(), |end| end + 1);
            return Some((
                format!("unknown placeholder `{}` in `{to}`", &inside[..end]),
                known(),
            ));
        };
        rest = &inside[found.len()..];
    }
    if !["https://", "http://", "/", "{path"]
        .iter()
        .any(|start| to.starts_with(start))
    {
        return Some((
            format!("`{to}` is no location"),
            "start with `https://`, `http://` or `/`: \"https://{host}{path_and_query}\""
                .to_owned(),
        ));
    }
    if to.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
        return Some((
            format!("{to:?} is no location"),
            "percent-encode spaces and other characters: \"%20\"".to_owned(),
        ));
    }
    None
}

/// Whether `earlier` takes every request that `later` takes.
///
/// It looks at one earlier route at a time: that several together take everything is not found.
pub(in crate::config::check) fn takes_everything_of(
    earlier: &RouteMatch,
    later: &RouteMatch,
) -> bool {
    hosts(&earlier.host, &later.host)
        && paths(earlier.path.as_deref(), later.path.as_deref())
        && methods(&earlier.methods, &later.methods)
        && earlier.headers.iter().all(|(name, value)| {
            later
                .headers
                .iter()
                .any(|(other, wanted)| other == name && (value.is_none() || value == wanted))
        })
}

fn hosts(earlier: &[String], later: &[String]) -> bool {
    let covers = |pattern: &String, host: &String| {
        pattern == host
            || pattern
                .strip_prefix('*')
                .is_some_and(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
    };
    earlier.is_empty()
        || (!later.is_empty()
            && later
                .iter()
                .all(|host| earlier.iter().any(|pattern| covers(pattern, host))))
}

fn paths(earlier: Option<&str>, later: Option<&str>) -> bool {
    let (earlier, later) = match (earlier, later) {
        (None, _) => return true,
        (Some(_), None) => return false,
        (Some(earlier), Some(later)) => (earlier, later),
    };
    match earlier.strip_suffix("/*") {
        None => earlier == later,
        Some(prefix) => {
            let later = later.strip_suffix("/*").unwrap_or(later);
            later
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

fn methods(earlier: &[Method], later: &[Method]) -> bool {
    let covers = |method: &Method| {
        earlier.contains(method) || (*method == Method::HEAD && earlier.contains(&Method::GET))
    };
    // A route for GET takes HEAD too, so GET alone covers it.
    earlier.is_empty() || (!later.is_empty() && later.iter().all(covers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(earlier: RouteMatch, later: RouteMatch) -> bool {
        takes_everything_of(&earlier, &later)
    }

    fn path(path: &str) -> RouteMatch {
        RouteMatch::default().path(path)
    }

    fn host(host: &str) -> RouteMatch {
        RouteMatch::default().host(vec![host.to_owned()])
    }

    #[test]
    fn a_prefix_takes_what_lies_below_it() {
        assert!(takes(path("/*"), path("/a")));
        assert!(takes(path("/api/*"), path("/api")));
        assert!(takes(path("/api/*"), path("/api/v1/*")));
        assert!(!takes(path("/api/*"), path("/apis")));
        assert!(!takes(path("/api"), path("/api/*")));
        assert!(!takes(path("/*"), RouteMatch::default()));
    }

    #[test]
    fn a_wildcard_takes_names_below_its_domain() {
        assert!(takes(host("*.example.com"), host("a.b.example.com")));
        assert!(takes(host("*.example.com"), host("*.b.example.com")));
        assert!(!takes(host("*.example.com"), host("example.com")));
        assert!(!takes(host("a.example.com"), RouteMatch::default()));
    }

    #[test]
    fn get_takes_head_and_not_post() {
        let get = || RouteMatch::default().methods(vec![Method::GET]);
        assert!(takes(
            get(),
            RouteMatch::default().methods(vec![Method::HEAD])
        ));
        assert!(!takes(
            get(),
            RouteMatch::default().methods(vec![Method::POST])
        ));
    }
}
