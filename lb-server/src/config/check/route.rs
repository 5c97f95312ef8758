//! `[[routes]]`.

mod pattern;

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, StatusCode};

use super::{FRAMING, Findings};
use crate::config::model::{
    Config, HeaderChanges, ListenerTls, RouteConfig, RouteMatch, TargetConfig,
};
use crate::config::suggest::{enumerate, nearest};
pub(super) use pattern::takes_everything_of;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let mut names = BTreeMap::new();
    for (index, route) in config.routes.iter().enumerate() {
        let path = format!("routes[{index}]");
        findings.name(format!("{path}.name"), &route.name);
        if let Some(first) = names.insert(route.name.as_str(), index) {
            findings.add(
                format!("{path}.name"),
                format!(
                    "route `{}` stands here twice, first as routes[{first}]",
                    route.name
                ),
                "give each route its own name",
            );
        }
        patterns(&path, &route.matches, findings);
        target(&path, route, config, findings);
        super::limits::of_route(&path, route, config, findings);
        changes(
            &format!("{path}.request_headers"),
            &route.request_headers,
            findings,
        );
        changes(
            &format!("{path}.response_headers"),
            &route.response_headers,
            findings,
        );
        if let Some(idle) = route.stream_idle {
            findings.timeout(format!("{path}.stream_idle"), idle);
            findings.not_forever(format!("{path}.stream_idle"), idle);
        }
        let shadow = config.routes[..index]
            .iter()
            .find(|earlier| takes_everything_of(&earlier.matches, &route.matches));
        if let Some(earlier) = shadow {
            findings.add(
                path,
                format!(
                    "route `{}` can never match: route `{}` before it takes every such request",
                    route.name, earlier.name
                ),
                format!(
                    "move it before `{}`, or narrow that one's `match`",
                    earlier.name
                ),
            );
        }
    }
}

fn patterns(path: &str, matches: &RouteMatch, findings: &mut Findings) {
    for (index, host) in matches.host.iter().enumerate() {
        if let Some((message, help)) = pattern::wrong_host(host) {
            findings.add(format!("{path}.match.host[{index}]"), message, help);
        }
    }
    if let Some(wrong) = matches.path.as_deref().and_then(pattern::wrong_path) {
        findings.add(format!("{path}.match.path"), wrong.0, wrong.1);
    }
    duplicates(
        &format!("{path}.match.headers"),
        matches.headers.iter().map(|(name, _)| name),
        findings,
    );
}

fn target(path: &str, route: &RouteConfig, config: &Config, findings: &mut Findings) {
    match &route.target {
        TargetConfig::Pool(pool) if !config.pools.contains_key(pool) => {
            let pools = || config.pools.keys().map(String::as_str);
            let help = nearest(pool, pools()).map_or_else(
                || format!("known pools: {}", enumerate(pools())),
                |name| format!("did you mean `{name}`?"),
            );
            findings.add(
                format!("{path}.pool"),
                format!("route `{}` names the unknown pool `{pool}`", route.name),
                help,
            );
        }
        TargetConfig::Redirect { to, status } => redirect(path, to, *status, config, findings),
        TargetConfig::Respond {
            status,
            body,
            content_type,
        } => {
            respond(path, *status, body, content_type, findings);
        }
        TargetConfig::Pool(_) | TargetConfig::Handler => {}
    }
}

fn redirect(path: &str, to: &str, status: StatusCode, config: &Config, findings: &mut Findings) {
    let code = status.as_u16();
    if ![301, 302, 303, 307, 308].contains(&code) {
        findings.add(
            format!("{path}.redirect.status"),
            format!("status {code} is no redirect"),
            "write 308 (for good) or 307 (for now); 301, 302 and 303 turn POST into GET",
        );
    }
    let path = format!("{path}.redirect.to");
    if let Some((message, help)) = pattern::wrong_location(to) {
        findings.add(path, message, help);
        return;
    }
    let same = |scheme: &str| {
        to.strip_prefix(scheme)
            .is_some_and(|rest| ["{host}{path_and_query}", "{host}{path}"].contains(&rest))
    };
    for (name, listener) in &config.listeners {
        let cleartext = listener.tls == ListenerTls::Off;
        let scheme = if cleartext { "http://" } else { "https://" };
        if listener.redirect_to.is_none() && same(scheme) {
            findings.add(
                path.clone(),
                format!("`{to}` sends a client of listener `{name}` where it is already: a loop"),
                "write `redirect_to = \"https\"` on the cleartext listener instead of this route",
            );
        }
    }
}

fn respond(
    path: &str,
    status: StatusCode,
    body: &str,
    content_type: &str,
    findings: &mut Findings,
) {
    let code = status.as_u16();
    if !(200..=599).contains(&code) {
        findings.add(
            format!("{path}.respond.status"),
            format!("status {code} cannot end an exchange"),
            "write a status from 200 to 599",
        );
    }
    if [204, 205, 304].contains(&code) && !body.is_empty() {
        findings.add(
            format!("{path}.respond.body"),
            format!("a reply with status {code} has no body, got {body:?}"),
            "remove `body`, or write `status = 200`",
        );
    }
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let is_media = media
        .split_once('/')
        .is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
    if !is_media || HeaderValue::from_str(content_type).is_err() {
        findings.add(
            format!("{path}.respond.content_type"),
            format!("{content_type:?} is no media type"),
            "write one like \"text/plain; charset=utf-8\" or \"application/json\"",
        );
    }
}

fn changes(path: &str, changes: &HeaderChanges, findings: &mut Findings) {
    duplicates(
        &format!("{path}.set"),
        changes.set.iter().map(|(name, _)| name),
        findings,
    );
    let set = changes
        .set
        .iter()
        .map(|(name, _)| (format!("{path}.set.{name}"), name));
    let removed = changes.remove.iter().enumerate();
    let removed = removed.map(|(index, name)| (format!("{path}.remove[{index}]"), name));
    for (path, name) in set.chain(removed) {
        // Framing belongs to the protocol: changing it here would desynchronise the two sides.
        if FRAMING.contains(&name.as_str()) {
            findings.add(
                path,
                format!("`{name}` belongs to the protocol and cannot be changed"),
                "remove it from `set` and `remove`",
            );
        }
    }
}

fn duplicates<'a>(
    path: &str,
    names: impl Iterator<Item = &'a HeaderName>,
    findings: &mut Findings,
) {
    let mut seen: Vec<&HeaderName> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            findings.add(
                path,
                format!("`{name}` stands here twice"),
                "write it once; letter case does not matter",
            );
        }
        seen.push(name);
    }
}
