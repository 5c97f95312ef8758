//! `lb-cli route`: where a request would go, by a configuration or by a server that runs.

use std::collections::BTreeMap;

use http::Method;
use lb_server::admin::{
    ExplainRequest, Explained, ExplainedCandidate, ExplainedLimit, ExplainedPool, TargetStatus,
    explain_offline,
};
use serde_json::{Value, json};

use crate::admin::Client;
use crate::args::RouteArguments;
use crate::failure::{Exit, Failure};
use crate::layers::Layers;
use crate::locate::locate;
use crate::output;

/// Explains, without sending anything anywhere but to the admin API.
pub(crate) fn run(arguments: &RouteArguments) -> Result<Exit, Failure> {
    let wanted = request(arguments);
    let explained: Value = if arguments.running {
        Client::new(&arguments.admin)?.send(Method::POST, "/api/v1/routes/explain", &wanted)?
    } else {
        offline(arguments, wanted)?
    };
    if arguments.json {
        output::line(format_args!("{explained:#}"));
        return Ok(Exit::Done);
    }
    let explained: Explained = serde_json::from_value(explained)
        .map_err(|error| Failure::failed(error, "look at it with --json"))?;
    for line in lines(&explained) {
        output::line(line);
    }
    Ok(Exit::Done)
}

fn offline(arguments: &RouteArguments, wanted: Value) -> Result<Value, Failure> {
    let layers = Layers::of_environment(locate(arguments.admin.config.as_deref()));
    if layers.is_empty() {
        return Err(Failure::invalid(
            anyhow::anyhow!("there is no configuration to look into"),
            "name one with `--config FILE`, or ask the running server with --running",
        ));
    }
    let config = layers.load()?.config;
    let wrong = |error| Failure::failed(error, "report this as a bug");
    let wanted: ExplainRequest = serde_json::from_value(wanted).map_err(wrong)?;
    let explained = explain_offline(&config, &wanted)
        .map_err(|problem| Failure::usage(anyhow::anyhow!(problem.detail), problem.help))?;
    serde_json::to_value(explained).map_err(wrong)
}

/// The request as the admin API takes it. A path alone gets the host from the fields.
fn request(arguments: &RouteArguments) -> Value {
    let mut url = arguments.url.clone();
    let mut headers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in &arguments.headers {
        let name = name.to_ascii_lowercase();
        headers.entry(name).or_default().push(value);
    }
    if url.starts_with('/') {
        let host = headers
            .remove("host")
            .and_then(|hosts| hosts.first().copied());
        url = format!("https://{}{url}", host.unwrap_or("localhost"));
    }
    let mut request = json!({ "method": arguments.method, "url": url, "headers": headers });
    if let Some(client) = arguments.client {
        request["client"] = json!(client);
    }
    request
}

fn lines(explained: &Explained) -> Vec<String> {
    let mut lines = vec![format!(
        "request    {} {}{} from {}",
        explained.method, explained.host, explained.path, explained.client
    )];
    for route in &explained.considered {
        lines.push(if route.matches {
            format!("route      {} matches", route.name)
        } else {
            format!(
                "           {} does not: {}",
                route.name,
                route.why.join("; ")
            )
        });
    }
    lines.extend(explained.rate_limits.iter().map(limit));
    if let Some(cache) = &explained.cache {
        let why = cache.why.as_ref().map(|why| format!(": {why}"));
        lines.push(format!(
            "cache      {} {}{}",
            cache.name,
            cache.result,
            why.unwrap_or_default()
        ));
    }
    if let Some(target) = &explained.target {
        lines.push(match target {
            TargetStatus::Pool { pool } => format!("target     pool {pool}"),
            TargetStatus::Handler { .. } => "target     the request handler".to_owned(),
            TargetStatus::Redirect { to, status } => {
                format!("target     redirect {status} to {to}")
            }
            TargetStatus::Respond { status } => format!("target     fixed reply {status}"),
            _ => "target     of a kind that this version does not know".to_owned(),
        });
    }
    if let Some(affinity) = &explained.affinity {
        let bound = affinity.backend.as_deref().unwrap_or("no backend");
        lines.push(format!(
            "affinity   cookie {} binds to {bound}",
            affinity.cookie
        ));
    }
    if let Some(pool) = &explained.pool {
        lines.extend(of_pool(pool));
    }
    if let Some(refused) = &explained.refused {
        lines.push(format!("refused    {refused}"));
    }
    lines
}

fn limit(limit: &ExplainedLimit) -> String {
    let verdict = match limit.admits {
        Some(true) => "admits",
        Some(false) if limit.enforces => "refuses",
        Some(false) => "would refuse, and only observes",
        None => "is decided by the shared store",
    };
    let remaining = limit.remaining.map(|left| format!(", {left} left"));
    let retry = limit
        .retry_after_seconds
        .map(|seconds| format!(", again in {seconds:.1} s"));
    format!(
        "limit      {} {verdict}{}{}",
        limit.name,
        remaining.unwrap_or_default(),
        retry.unwrap_or_default()
    )
}

fn of_pool(pool: &ExplainedPool) -> Vec<String> {
    let mut lines = vec![match &pool.backend {
        Some(backend) => format!("backend    {backend} ({})", pool.verdict.replace('_', " ")),
        None => format!("backend    none: {}", pool.verdict.replace('_', " ")),
    }];
    lines.push(format!("           {}: {}", pool.algorithm, pool.rule));
    if !pool.draw.is_empty() {
        lines.push(format!("           {}", pool.draw));
    }
    let width = pool.candidates.iter().map(|it| it.id.chars().count()).max();
    let candidates = pool.candidates.iter();
    lines.extend(candidates.map(|it| candidate(it, width.unwrap_or_default())));
    lines
}

fn candidate(candidate: &ExplainedCandidate, width: usize) -> String {
    let mut line = format!(
        "           {:<width$}  weight {}  in flight {}",
        candidate.id, candidate.weight, candidate.in_flight
    );
    if let Some(score) = candidate.score {
        line.push_str(&format!("  score {score}"));
    }
    if candidate.backup {
        line.push_str("  backup");
    }
    if let Some(excluded) = &candidate.excluded {
        line.push_str(&format!("  out: {}", excluded.replace('_', " ")));
        if let Some(why) = &candidate.why {
            line.push_str(&format!(", {why}"));
        }
    }
    line
}
