//! `[[routes]]`.

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::Cursor;
use crate::config::model::{Config, HeaderChanges, RouteConfig, RouteMatch, TargetConfig};
use crate::config::suggest::enumerate;
use crate::config::tree::Value;

/// The one route of a configuration that has no `[[routes]]`.
pub(super) fn catch_all(config: &Config, root: &Cursor<'_>) -> Vec<RouteConfig> {
    let pools = &config.pools;
    let only = match (pools.contains_key("default"), pools.len()) {
        (_, 0) => return Vec::new(),
        (_, 1) => pools.keys().next().map_or("default", String::as_str),
        _ => {
            let mut names = pools.keys().map(String::as_str);
            let help = format!(
                "add `[[routes]]`, each with `pool = \"{}\"` or another of them",
                names.clone().next().unwrap_or("default")
            );
            let message = format!("several pools and no routes: {}", enumerate(names.by_ref()));
            let mut place = root.clone();
            "pools".clone_into(&mut place.path);
            place.report(message, help);
            return Vec::new();
        }
    };
    let route = RouteConfig::new("default", TargetConfig::Pool(only.to_owned()));
    // The short form of a limit holds for the short form of routes.
    let limit = config.rate_limits.keys().filter(|name| *name == "default");
    vec![route.rate_limits(limit.cloned().collect())]
}

pub(super) fn route(cursor: &Cursor<'_>, index: usize) -> Option<RouteConfig> {
    let mut name = None;
    let (mut pool, mut redirect, mut respond) = (None, None, None);
    let mut config = RouteConfig::new("", TargetConfig::Handler);
    let mut targets = Vec::new();
    cursor.table(|fields| {
        fields.read_some("name", &mut name, Cursor::filled_text);
        fields.read("match", &mut config.matches, route_match);
        for key in ["pool", "redirect", "respond"] {
            targets.extend(fields.get(key).map(|_| key));
        }
        fields.read_some("pool", &mut pool, |cursor| {
            cursor.filled_text().map(TargetConfig::Pool)
        });
        fields.read_some("redirect", &mut redirect, redirect_to);
        fields.read_some("respond", &mut respond, reply);
        fields.read(
            "request_headers",
            &mut config.request_headers,
            header_changes,
        );
        fields.read(
            "response_headers",
            &mut config.response_headers,
            header_changes,
        );
        fields.read_some("cache", &mut config.cache, Cursor::filled_text);
        fields.read_some("stream_idle", &mut config.stream_idle, Cursor::duration);
        fields.read("rate_limits", &mut config.rate_limits, |cursor| {
            cursor.each(Cursor::filled_text)
        });
        fields.read("access_log", &mut config.access_log, Cursor::boolean);
    })?;
    let label = name.clone().unwrap_or_else(|| format!("routes[{index}]"));
    match targets.as_slice() {
        [_] => {}
        [] => cursor.report(
            format!("route `{label}` has no target"),
            "write `pool = \"…\"`, `redirect = { to = \"…\" }` or `respond = { status = 200 }`",
        ),
        several => cursor.report(
            format!(
                "route `{label}` has more than one target: {}",
                enumerate(several.iter().copied())
            ),
            "keep one of them",
        ),
    }
    config.name = name.unwrap_or_else(|| format!("route-{}", index + 1));
    config.target = pool.or(redirect).or(respond)?;
    Some(config)
}

fn route_match(cursor: &Cursor<'_>) -> Option<RouteMatch> {
    let mut config = RouteMatch::default();
    cursor.table(|fields| {
        fields.read("host", &mut config.host, |cursor| {
            cursor.each(|cursor| cursor.filled_text().map(|host| host.to_ascii_lowercase()))
        });
        fields.read_some("path", &mut config.path, Cursor::filled_text);
        fields.read("methods", &mut config.methods, |cursor| cursor.each(method));
        fields.read("headers", &mut config.headers, header_matches);
    })?;
    Some(config)
}

fn method(cursor: &Cursor<'_>) -> Option<Method> {
    let text = cursor.text()?;
    let help = "write a method like \"GET\" or \"POST\"";
    let method = Method::from_bytes(text.as_bytes())
        .map_err(|_| cursor.report(format!("`{text}` is no method"), help))
        .ok()?;
    let upper = text.to_ascii_uppercase();
    // Methods are case-sensitive; "get" would match nothing that anybody sends.
    if upper != text
        && Method::from_bytes(upper.as_bytes()).is_ok_and(|method| STANDARD.contains(&method))
    {
        cursor.report(
            format!("`{text}` is no method"),
            format!("write \"{upper}\": methods are case-sensitive"),
        );
        return None;
    }
    Some(method)
}

const STANDARD: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

fn header_matches(cursor: &Cursor<'_>) -> Option<Vec<(HeaderName, Option<String>)>> {
    let mut headers = Vec::new();
    for (name, value) in cursor.children() {
        let Some(name) = header_name(&value, name) else {
            continue;
        };
        match &value.node.value {
            Value::Boolean(true) => headers.push((name, None)),
            Value::Text(text) => headers.push((name, Some(text.clone()))),
            _ => value.expected(
                "a string or true",
                "write the value, or `true` for any value",
            ),
        }
    }
    Some(headers)
}

pub(super) fn header_name(cursor: &Cursor<'_>, name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| {
            let help = "use letters, digits and `-`: \"x-request-id\"";
            cursor.report(format!("`{name}` is no header name"), help);
        })
        .ok()
}

fn redirect_to(cursor: &Cursor<'_>) -> Option<TargetConfig> {
    let mut to = None;
    let mut status = StatusCode::PERMANENT_REDIRECT;
    cursor.table(|fields| {
        fields.read_some("to", &mut to, Cursor::filled_text);
        fields.read("status", &mut status, status_code);
        if fields.get("to").is_none() {
            cursor.report(
                "a redirect needs a location, `to` is missing",
                "write `to = \"https://{host}{path_and_query}\"`",
            );
        }
    })?;
    Some(TargetConfig::Redirect { to: to?, status })
}

fn reply(cursor: &Cursor<'_>) -> Option<TargetConfig> {
    let (mut status, mut body) = (None, String::new());
    let mut content_type = TargetConfig::PLAIN_TEXT.to_owned();
    cursor.table(|fields| {
        fields.read_some("status", &mut status, status_code);
        fields.read("body", &mut body, |cursor| cursor.text().map(str::to_owned));
        fields.read("content_type", &mut content_type, Cursor::filled_text);
        if fields.get("status").is_none() {
            cursor.report("a fixed reply needs a status", "write `status = 200`");
        }
    })?;
    Some(TargetConfig::Respond {
        status: status?,
        body,
        content_type,
    })
}

fn status_code(cursor: &Cursor<'_>) -> Option<StatusCode> {
    StatusCode::from_u16(cursor.integer(100, 999)?).ok()
}

fn header_changes(cursor: &Cursor<'_>) -> Option<HeaderChanges> {
    let mut config = HeaderChanges::default();
    cursor.table(|fields| {
        fields.read("set", &mut config.set, |cursor| {
            let read = |(name, value): (&str, Cursor<'_>)| {
                Some((header_name(&value, name)?, header_value(&value)?))
            };
            Some(cursor.children().into_iter().filter_map(read).collect())
        });
        fields.read("remove", &mut config.remove, |cursor| {
            cursor.each(|cursor| header_name(cursor, cursor.text()?))
        });
    })?;
    Some(config)
}

pub(super) fn header_value(cursor: &Cursor<'_>) -> Option<HeaderValue> {
    let text = cursor.text()?;
    HeaderValue::from_str(text)
        .map_err(|_| {
            let help = "remove line breaks and control characters";
            cursor.report(format!("{text:?} is no header value"), help);
        })
        .ok()
}
