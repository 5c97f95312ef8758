//! `lb-cli check`: everything that can be known about a configuration before serving it.

mod certificates;
mod secrets;

use std::net::ToSocketAddrs as _;

use lb_server::{Config, LoadedConfig};
use serde_json::{Value, json};

use crate::args::{CheckArguments, CheckFormat};
use crate::failure::{Exit, Failure};
use crate::layers::Layers;
use crate::locate::locate;
use crate::output;

/// Checks the configuration that `serve` would use.
pub(crate) fn run(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let layers = Layers::of_environment(locate(arguments.config.as_deref()));
    if arguments.format == CheckFormat::Json {
        return Ok(machine(&layers, arguments.resolve));
    }
    let loaded = load(&layers)?;
    refuse(&problems(&loaded.config, arguments.resolve))?;
    accept(&layers, &loaded);
    Ok(Exit::Done)
}

/// `serve --check`: the same with the flags of `serve`.
pub(crate) fn whole(layers: &Layers) -> Result<Exit, Failure> {
    let loaded = load(layers)?;
    refuse(&problems(&loaded.config, false))?;
    accept(layers, &loaded);
    Ok(Exit::Done)
}

fn refuse(problems: &[String]) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(
        anyhow::anyhow!("{}", problems.join("\n")),
        "correct the path or the name; `lb-cli gen-cert` makes a certificate with its key, `openssl rand -base64 32` a secret",
    ))
}

/// What only the machine can tell about a valid configuration.
fn problems(config: &Config, resolve: bool) -> Vec<String> {
    let mut problems = certificates::problems(config);
    problems.extend(secrets::problems(config));
    if resolve {
        problems.extend(unresolved(config));
    }
    problems
}

fn load(layers: &Layers) -> Result<LoadedConfig, Failure> {
    if layers.is_empty() {
        return Err(Failure::invalid(
            anyhow::anyhow!("there is no configuration to check"),
            "name one with `--config FILE`, or write one with `lb-cli init`",
        ));
    }
    layers.load()
}

fn accept(layers: &Layers, loaded: &LoadedConfig) {
    for warning in &loaded.warnings {
        output::warning(warning);
    }
    let config = &loaded.config;
    let name = layers.path().map_or_else(
        || "configuration".to_owned(),
        |path| path.display().to_string(),
    );
    output::line(format_args!(
        "{name}: ok, listeners {}, pools {}, routes {}",
        config.listeners.len(),
        config.pools.len(),
        config.routes.len()
    ));
}

/// Prints one object; its `errors` and `warnings` have source, line, column, path, message, help.
fn machine(layers: &Layers, resolve: bool) -> Exit {
    let (errors, warnings) = match load(layers) {
        Ok(loaded) => {
            let message = |message| json!({ "message": message });
            (
                problems(&loaded.config, resolve)
                    .into_iter()
                    .map(message)
                    .collect::<Vec<_>>(),
                json!(loaded.warnings),
            )
        }
        Err(failure) => {
            let problems = failure.config_error().map(|error| json!(error.problems()));
            let whole = || vec![json!({ "message": failure.to_string(), "help": failure.next() })];
            let errors = match problems {
                Some(Value::Array(problems)) => problems,
                _ => whole(),
            };
            (errors, json!([]))
        }
    };
    let valid = errors.is_empty();
    output::line(json!({ "valid": valid, "errors": errors, "warnings": warnings }));
    if valid { Exit::Done } else { Exit::Invalid }
}

/// The backends whose names have no address now.
fn unresolved(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, pool) in &config.pools {
        for (index, backend) in pool.backends.iter().enumerate() {
            let url = backend.url.to_string();
            // Unix sockets have no name to look up.
            let Some((_, address)) = url.split_once("://") else {
                continue;
            };
            if let Err(error) = address.to_socket_addrs() {
                problems.push(format!("pools.{name}.backends[{index}]: `{url}`: {error}"));
            }
        }
    }
    problems
}
