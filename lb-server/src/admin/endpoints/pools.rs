//! Pools and their backends: what they do, and what they are to do.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};

use crate::admin::problem::Problem;
use crate::admin::reply::{self, Reply};
use crate::admin::service::{Call, Service};
use crate::admin::{BackendChange, BackendStatus, NewBackend, PoolStatus};
use crate::error::{Error, ErrorKind};

const HELP: &str =
    "GET /api/v1/pools lists pools and backends; a name with `/` is written with `%2F`";

fn problem(error: &Error) -> Problem {
    Problem::of(error, HELP)
}

/// A pool with its rates.
fn find(service: &Service, name: &str) -> Result<PoolStatus, Problem> {
    service.handle.pool(name).map_err(|error| problem(&error))?;
    let mut pools = service.status().pools.into_iter();
    let found = pools.find(|pool| pool.name == name);
    found.ok_or_else(|| Problem::not_found(format!("there is no pool `{name}`"), HELP))
}

fn find_backend(service: &Service, call: &Call) -> Result<BackendStatus, Problem> {
    let (pool, name) = (call.parameter(0), call.parameter(1));
    let mut backends = find(service, pool)?.backends.into_iter();
    let found = backends.find(|backend| backend.id == name);
    let pool = service.handle.pool(pool).map_err(|error| problem(&error))?;
    found.ok_or_else(|| problem(&pool.no_backend(name)))
}

pub(super) fn pool(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    find(service, call.parameter(0)).map(|pool| reply::json(&pool))
}

pub(super) fn backends(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    find(service, call.parameter(0)).map(|pool| reply::json(&pool.backends))
}

pub(super) fn backend(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    find_backend(service, call).map(|backend| reply::json(&backend))
}

pub(super) fn add(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let pool = call.parameter(0);
    let new: NewBackend = call.json()?;
    let added = service.handle.add_backend_to(pool, &new);
    let added = added.map_err(|error| match error.kind() {
        ErrorKind::Conflict => Problem::new(
            StatusCode::CONFLICT,
            error.to_string(),
            "PATCH changes the one there is",
        ),
        _ => problem(&error),
    })?;
    let details = format!("{} was added with weight {}", added.url, added.weight);
    service.tell(call, (Some(pool), Some(&added.id)), "added", details);
    let mut response = reply::with_status(StatusCode::CREATED, &added);
    let place = format!("/api/v1/pools/{pool}/backends/{}", encode(&added.id));
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

pub(super) fn change(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let (pool, name) = (call.parameter(0), call.parameter(1));
    let change: BackendChange = call.json()?;
    if change.is_empty() {
        return Err(Problem::bad_request(
            "the body asks for no change",
            "name `state`, `weight` or `max_connections`",
        ));
    }
    let changed = service.handle.change_backend(pool, name, &change);
    changed.map_err(|error| problem(&error))?;
    let mut done = Vec::new();
    if let Some(state) = change.state {
        done.push(format!("state {}", state.as_str()));
    }
    if let Some(weight) = change.weight {
        done.push(format!("weight {weight}"));
    }
    match change.max_connections {
        Some(Some(limit)) => done.push(format!("max_connections {limit}")),
        Some(None) => done.push("no max_connections".to_owned()),
        None => {}
    }
    let event = change.state.map_or("changed", |state| state.as_str());
    service.tell(call, (Some(pool), Some(name)), event, done.join(", "));
    find_backend(service, call).map(|backend| reply::json(&backend))
}

pub(super) fn remove(service: &Service, call: &Call) -> Result<Response<Reply>, Problem> {
    let (pool, name) = (call.parameter(0), call.parameter(1));
    let removed = service.handle.remove_backend_of(pool, name);
    removed.map_err(|error| problem(&error))?;
    let details = "it was removed; what it is answering goes on".to_owned();
    service.tell(call, (Some(pool), Some(name)), "removed", details);
    Ok(reply::done())
}

/// A name as one segment of a path.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
