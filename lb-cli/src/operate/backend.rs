//! `lb-cli backend`: the backends of a running server, one at a time.

use http::Method;
use lb_server::admin::{BackendStatus, PoolStatus, Status};
use serde_json::{Value, json};

use super::status::print_pools;
use crate::admin::{Client, segment};
use crate::args::{
    BackendAddArguments, BackendArguments, BackendCommand, BackendIdArguments,
    BackendListArguments, BackendWeightArguments,
};
use crate::failure::{Exit, Failure};
use crate::output;

const POOLS: &str = "/api/v1/pools";

/// Lists backends, or changes one and shows how it is then.
pub(crate) fn run(arguments: &BackendArguments) -> Result<Exit, Failure> {
    match &arguments.command {
        BackendCommand::List(arguments) => list(arguments),
        BackendCommand::Add(arguments) => add(arguments),
        BackendCommand::Remove(arguments) => remove(arguments),
        BackendCommand::Drain(arguments) => change(arguments, &json!({ "state": "drain" })),
        BackendCommand::Maintain(arguments) => change(arguments, &json!({ "state": "maintain" })),
        BackendCommand::Ready(arguments) => change(arguments, &json!({ "state": "ready" })),
        BackendCommand::Weight(BackendWeightArguments { backend, weight }) => {
            change(backend, &json!({ "weight": weight }))
        }
    }
}

fn list(arguments: &BackendListArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    if arguments.json {
        let mut pools: Vec<Value> = client.get(POOLS)?;
        if let Some(wanted) = &arguments.pool {
            let known: Vec<&str> = pools
                .iter()
                .filter_map(|pool| pool["name"].as_str())
                .collect();
            require(wanted, &known)?;
            pools.retain(|pool| pool["name"] == **wanted);
        }
        let backends: Vec<Value> = pools.iter_mut().flat_map(of_pool).collect();
        output::line(format_args!("{:#}", Value::from(backends)));
        return Ok(Exit::Done);
    }
    // Ages are counted by the clock of the server, which the status has.
    let Status { mut pools, now, .. } = client.get("/api/v1/status")?;
    if let Some(wanted) = &arguments.pool {
        require(wanted, &names(&pools))?;
        pools.retain(|pool| pool.name == *wanted);
    }
    print_pools(&pools, now);
    Ok(Exit::Done)
}

/// The backends of a pool, each with the name of the pool.
fn of_pool(pool: &mut Value) -> Vec<Value> {
    let name = pool["name"].take();
    let Some(backends) = pool["backends"].as_array_mut() else {
        return Vec::new();
    };
    for backend in &mut *backends {
        backend["pool"] = name.clone();
    }
    std::mem::take(backends)
}

fn add(arguments: &BackendAddArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    let pool = match &arguments.pool {
        Some(pool) => pool.clone(),
        None => only_pool(&client.get::<Vec<PoolStatus>>(POOLS)?)?,
    };
    let mut backend = json!({ "url": arguments.url, "backup": arguments.backup });
    if let Some(name) = &arguments.name {
        backend["name"] = json!(name);
    }
    if let Some(weight) = arguments.weight {
        backend["weight"] = json!(weight);
    }
    if let Some(most) = arguments.max_connections {
        backend["max_connections"] = json!(most);
    }
    if arguments.maintain {
        backend["state"] = json!("maintain");
    }
    let path = format!("{POOLS}/{}/backends", segment(&pool));
    let added: BackendStatus = client.send(Method::POST, &path, &backend)?;
    report(&pool, &added);
    Ok(Exit::Done)
}

fn change(arguments: &BackendIdArguments, change: &Value) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    let pool = pool_of(&client, arguments)?;
    let path = path(&pool, &arguments.id);
    let changed: BackendStatus = client.send(Method::PATCH, &path, change)?;
    report(&pool, &changed);
    Ok(Exit::Done)
}

fn remove(arguments: &BackendIdArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    let pool = pool_of(&client, arguments)?;
    client.order(Method::DELETE, &path(&pool, &arguments.id))?;
    output::line(format_args!("{} removed from pool {pool}", arguments.id));
    Ok(Exit::Done)
}

fn report(pool: &str, backend: &BackendStatus) {
    output::line(format_args!(
        "{} in pool {pool}: {}, weight {}, in flight {}",
        backend.id,
        backend.state.as_str().replace('_', " "),
        backend.weight,
        backend.in_flight
    ));
}

fn path(pool: &str, backend: &str) -> String {
    format!("{POOLS}/{}/backends/{}", segment(pool), segment(backend))
}

/// The pool that is named, or else the only one that has such a backend.
fn pool_of(client: &Client, arguments: &BackendIdArguments) -> Result<String, Failure> {
    if let Some(pool) = &arguments.pool {
        return Ok(pool.clone());
    }
    let id = &arguments.id;
    let pools: Vec<PoolStatus> = client.get(POOLS)?;
    let has = |pool: &&PoolStatus| pool.backends.iter().any(|backend| backend.id == *id);
    let found: Vec<&str> = pools
        .iter()
        .filter(has)
        .map(|pool| pool.name.as_str())
        .collect();
    match found[..] {
        [pool] => Ok(pool.to_owned()),
        [] => {
            let backends = pools.iter().flat_map(|pool| &pool.backends);
            let known: Vec<&str> = backends.map(|backend| backend.id.as_str()).collect();
            Err(Failure::failed(
                anyhow::anyhow!("there is no backend `{id}`"),
                format!("take one of: {}", known.join(", ")),
            ))
        }
        _ => Err(Failure::usage(
            anyhow::anyhow!("several pools have a backend `{id}`"),
            format!("say which one with --pool: {}", found.join(", ")),
        )),
    }
}

fn only_pool(pools: &[PoolStatus]) -> Result<String, Failure> {
    match pools {
        [pool] => Ok(pool.name.clone()),
        [] => Err(Failure::failed(
            anyhow::anyhow!("the server has no pool"),
            "add a pool to its configuration and run `lb-cli reload`",
        )),
        _ => Err(Failure::usage(
            anyhow::anyhow!("the server has several pools"),
            format!("say which one with --pool: {}", names(pools).join(", ")),
        )),
    }
}

fn require(wanted: &str, known: &[&str]) -> Result<(), Failure> {
    if known.contains(&wanted) {
        return Ok(());
    }
    Err(Failure::failed(
        anyhow::anyhow!("there is no pool `{wanted}`"),
        format!("take one of: {}", known.join(", ")),
    ))
}

fn names(pools: &[PoolStatus]) -> Vec<&str> {
    pools.iter().map(|pool| pool.name.as_str()).collect()
}
