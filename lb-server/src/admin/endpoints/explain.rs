//! The routes, and where a request would go. The code that decides is the pipeline's own.

use std::net::IpAddr;

use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri, Version};
use lb_core::{PickHint, Verdict};

use crate::admin::problem::Problem;
use crate::admin::reply::{self, Reply};
use crate::admin::service::{Call, Service};
use crate::admin::{
    ConsideredRoute, ExplainRequest, Explained, ExplainedAffinity, ExplainedCandidate,
    ExplainedPool, FieldValues, RouteStatus, TargetStatus,
};
use crate::clock;
use crate::config::Config;
use crate::dispatch::hash_key;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind};
use crate::headers::Survey;
use crate::incoming::{Incoming, Terms};
use crate::limits::Subject;
use crate::routes::{self, Route, Target};
use crate::snapshot::{PoolEntry, Snapshot};

/// RFC 5737: an address of nobody.
const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

pub(super) fn routes(service: &Service) -> Response<Reply> {
    let snapshot = service.handle.snapshot();
    let config = service.handle.config();
    let status = |route: &Route| {
        let configured = config.routes.iter().find(|it| it.name == route.name);
        let matches = route.matches();
        RouteStatus {
            name: route.name.clone(),
            hosts: matches.host.clone(),
            path: matches.path.clone(),
            methods: matches.methods.iter().map(ToString::to_string).collect(),
            headers: matches
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
            target: target(route, None),
            rate_limits: configured.map_or_else(Vec::new, |it| it.rate_limits.clone()),
            cache: configured.and_then(|it| it.cache.clone()),
        }
    };
    let all: Vec<RouteStatus> = snapshot.routes.iter().map(status).collect();
    reply::json(&all)
}

fn target(route: &Route, request: Option<&Incoming>) -> TargetStatus {
    match &route.target {
        Target::Pool(pool) => TargetStatus::Pool {
            pool: pool.name.to_string(),
        },
        Target::Handler(pool) => TargetStatus::Handler {
            pool: pool.as_ref().map(|pool| pool.name.to_string()),
        },
        Target::Redirect { to, status } => TargetStatus::Redirect {
            to: request.map_or_else(|| to.clone(), |it| routes::location(to, &it.host, &it.uri)),
            status: status.as_u16(),
        },
        Target::Respond { status, .. } => TargetStatus::Respond {
            status: status.as_u16(),
        },
    }
}

pub(super) fn explain(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let wanted: ExplainRequest = call.json()?;
    let (request, client) = (request(&wanted)?, client(&wanted)?);
    let snapshot = service.handle.snapshot();
    let random = service.about.entropy.draw();
    Ok(reply::json(&explained(&snapshot, request, client, random)))
}

/// Tells where a request would go by a configuration, without a server: all backends count as idle and healthy.
///
/// # Errors
/// The configuration cannot be put in force, or the request is none.
pub fn explain_offline(
    config: &Config,
    wanted: &ExplainRequest,
) -> Result<Explained, Box<Problem>> {
    let unusable = |error| Box::new(Problem::of(&error, "run `lb-cli check`"));
    let (request, client) = (
        request(wanted).map_err(Box::new)?,
        client(wanted).map_err(Box::new)?,
    );
    let entropy = Entropy::from_system().map_err(|error| {
        let text = "the system gives no randomness";
        unusable(Error::new(ErrorKind::Start, text).with_source(error))
    })?;
    let snapshot = Snapshot::build(config, false, None).map_err(unusable)?;
    Ok(explained(&snapshot, request, client, entropy.draw()))
}

fn client(wanted: &ExplainRequest) -> Result<IpAddr, Problem> {
    let Some(text) = wanted.client.as_deref() else {
        return Ok(NOBODY);
    };
    text.parse().map_err(|_no_address| {
        Problem::bad_request(
            format!("`{}` is no address", text.escape_debug()),
            "write `client` as 192.0.2.1 or 2001:db8::1",
        )
    })
}

/// The request as a client would send it.
fn request(wanted: &ExplainRequest) -> Result<Request<()>, Problem> {
    const HELP: &str =
        "write the whole URL, `https://example.com/path`, and fields as HTTP has them";
    let wrong = |detail: String| Problem::bad_request(detail, HELP);
    let uri: Uri = wanted.url.parse().map_err(|error| {
        wrong(format!(
            "`{}` is no URL: {error}",
            wanted.url.escape_debug()
        ))
    })?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
        let text = format!("`{}` has no scheme or no host", wanted.url.escape_debug());
        return Err(wrong(text));
    }
    let method = Method::from_bytes(wanted.method.as_bytes())
        .map_err(|_no_method| wrong(format!("`{}` is no method", wanted.method.escape_debug())))?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    for (name, values) in &wanted.headers {
        let field = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_no_name| wrong(format!("`{}` is no field name", name.escape_debug())))?;
        let values = match values {
            FieldValues::One(value) => std::slice::from_ref(value),
            FieldValues::Several(values) => values.as_slice(),
        };
        for value in values {
            let value = HeaderValue::from_str(value)
                .map_err(|_no_value| wrong(format!("`{name}` has no value of a field")))?;
            request.headers_mut().append(field.clone(), value);
        }
    }
    Ok(request)
}

/// Where a request of this client would go.
pub(crate) fn explained(
    snapshot: &Snapshot,
    request: Request<()>,
    client: IpAddr,
    random: u64,
) -> Explained {
    let (parts, ()) = request.into_parts();
    let process = &snapshot.process;
    let terms = Terms {
        peer: client,
        is_tls: parts.uri.scheme_str() == Some("https"),
        trusted: &process.trusted_proxies,
        forwarded: process.forwarded,
        underscores: process.underscore_headers,
        max_fields: usize::MAX,
    };
    let mut explained = Explained {
        method: parts.method.to_string(),
        host: parts.uri.host().unwrap_or_default().to_ascii_lowercase(),
        path: routes::matching_path(parts.uri.path()).into_owned(),
        client: client.to_string(),
        refused: None,
        route: None,
        considered: Vec::new(),
        target: None,
        rate_limits: Vec::new(),
        cache: None,
        affinity: None,
        pool: None,
    };
    let found = Survey::of(&parts.headers);
    let incoming = match Incoming::try_from(parts, found, &terms) {
        Ok(incoming) => incoming,
        Err(reject) => {
            explained.refused = Some(reject.reason().to_owned());
            return explained;
        }
    };
    explained.host = incoming.host.to_string();
    explained.client = incoming.client.to_string();
    let Incoming {
        host,
        method,
        headers,
        ..
    } = &incoming;
    let found = routes::position(&snapshot.routes, host, &explained.path, method, headers);
    let looked_at = found.map_or(snapshot.routes.len(), |index| index + 1);
    for route in &snapshot.routes[..looked_at] {
        let why = route.refusals(host, &explained.path, method, headers);
        explained.considered.push(ConsideredRoute {
            name: route.name.clone(),
            matches: why.is_empty(),
            why,
        });
    }
    let Some(route) = found.map(|index| &snapshot.routes[index]) else {
        explained.refused = Some("no_route".to_owned());
        return explained;
    };
    explained.route = Some(route.name.clone());
    explained.target = Some(target(route, Some(&incoming)));
    if let Some(limits) = &route.limits {
        let subject = Subject {
            client: incoming.client,
            headers,
            route: &route.name,
        };
        explained.rate_limits = limits.explain(&subject);
        let refuses =
            |limit: &&crate::admin::ExplainedLimit| limit.enforces && limit.admits == Some(false);
        if explained.rate_limits.iter().any(|limit| refuses(&limit)) {
            explained.refused = Some("rate_limited".to_owned());
        }
    }
    if let Some(cache) = &route.cache {
        let name = snapshot
            .caches
            .iter()
            .find(|(_, it)| std::sync::Arc::ptr_eq(it, cache));
        let name = name.map_or("", |(name, _)| name);
        explained.cache = Some(cache.explain(name, &incoming));
    }
    let pool = match &route.target {
        Target::Pool(pool) => Some(pool),
        Target::Handler(pool) => pool.as_ref(),
        Target::Redirect { .. } | Target::Respond { .. } => None,
    };
    if let Some(pool) = pool {
        let (affinity, how) = pick(pool, &incoming, random);
        if explained.refused.is_none() {
            explained.refused = match how.verdict.as_str() {
                "none_eligible" => Some("no_healthy_backend".to_owned()),
                _ => None,
            };
        }
        explained.affinity = affinity;
        explained.pool = Some(how);
    }
    explained
}

fn pick(
    pool: &PoolEntry,
    incoming: &Incoming,
    random: u64,
) -> (Option<ExplainedAffinity>, ExplainedPool) {
    let now = clock::now();
    let bound = pool
        .affinity
        .as_ref()
        .map(|affinity| affinity.bound(&incoming.headers));
    let affinity = pool.affinity.as_ref().map(|affinity| ExplainedAffinity {
        cookie: affinity.cookie().to_owned(),
        backend: bound
            .as_ref()
            .and_then(Option::as_ref)
            .map(|id| pool.label(id).to_owned()),
        strict: affinity.is_strict(),
    });
    let key = hash_key(pool, incoming.client, &incoming.headers, &incoming.uri);
    let mut hint = PickHint::new(random);
    if let Some(key) = key {
        hint = hint.key(key);
    }
    if let Some(Some(id)) = &bound {
        hint = hint.affinity(id);
    }
    let explanation = pool.balancer.explain(&hint, now);
    let (verdict, picked) = match &explanation.verdict {
        Verdict::Picked(id) => ("picked", Some(id)),
        Verdict::Affinity(id) => ("affinity", Some(id)),
        Verdict::AllFull => ("all_full", None),
        _ => ("none_eligible", None),
    };
    let candidates = explanation.candidates.iter().map(|it| ExplainedCandidate {
        id: pool.label(&it.id).to_owned(),
        weight: it.weight,
        percent: it.percent,
        backup: it.backup,
        in_flight: it.in_flight,
        score: it.score.filter(|score| score.is_finite()),
        excluded: it.exclusion.map(|exclusion| exclusion.as_str().to_owned()),
        since: it.since.map(clock::unix_seconds),
        why: it.why.clone(),
    });
    let how = ExplainedPool {
        name: pool.name.to_string(),
        algorithm: explanation.algorithm.to_string(),
        verdict: verdict.to_owned(),
        backend: picked.map(|id| pool.label(id).to_owned()),
        rule: explanation.rule.to_owned(),
        draw: explanation.draw.clone(),
        key: explanation.key.map(|key| format!("{key:016x}")),
        candidates: candidates.collect(),
    };
    (affinity, how)
}
