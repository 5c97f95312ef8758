//! `lb-cli config`: configurations to look at.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use lb_server::{Config, LoadedConfig};
use serde_json::Value;

use crate::args::{ConfigArguments, ConfigCommand, ConvertArguments, Notation, ShowArguments};
use crate::failure::{Exit, Failure};
use crate::layers::Layers;
use crate::locate::locate;
use crate::operate;
use crate::output;

/// Shows, converts or describes.
pub(crate) fn run(arguments: &ConfigArguments) -> Result<Exit, Failure> {
    match &arguments.command {
        ConfigCommand::Show(arguments) => show(arguments),
        ConfigCommand::Convert(arguments) => convert(arguments),
        ConfigCommand::Diff(arguments) => operate::diff(arguments),
        ConfigCommand::Schema => {
            output::line(format_args!("{:#}", Config::schema()));
            Ok(Exit::Done)
        }
    }
}

fn show(arguments: &ShowArguments) -> Result<Exit, Failure> {
    let layers = Layers::of_environment(locate(arguments.config.as_deref()));
    if layers.is_empty() {
        return Err(Failure::invalid(
            anyhow::anyhow!("there is no configuration to show"),
            "name one with `--config FILE`, or write one with `lb-cli init`",
        ));
    }
    let loaded = layers.load()?;
    for warning in &loaded.warnings {
        output::warning(warning);
    }
    if arguments.origin {
        print_origins(&loaded);
        return Ok(Exit::Done);
    }
    match layers.path() {
        // As written, comments and all, once it is known to be valid.
        Some(path) if !arguments.expanded && !layers.has_overrides() => {
            let text = fs::read(path)
                .with_context(|| format!("cannot read `{}`", path.display()))
                .map_err(|error| Failure::failed(error, "show it with --expanded"))?;
            output::bytes(&text);
        }
        path => print(&loaded.config, path.map_or(Notation::Toml, notation)),
    }
    Ok(Exit::Done)
}

fn convert(arguments: &ConvertArguments) -> Result<Exit, Failure> {
    let config = Layers::of_file(&arguments.file).load()?.config;
    let other = match notation(&arguments.file) {
        Notation::Toml => Notation::Json,
        Notation::Json => Notation::Toml,
    };
    print(&config, arguments.to.unwrap_or(other));
    Ok(Exit::Done)
}

fn print(config: &Config, notation: Notation) {
    let text = match notation {
        Notation::Toml => config.to_toml(),
        Notation::Json => config.to_json(),
    };
    output::line(text.trim_end());
}

/// Prints a line for each value: its path, the value, and where it comes from.
fn print_origins(loaded: &LoadedConfig) {
    // The long form is valid JSON; if it were not, paths and origins would still be right.
    let tree: Value = serde_json::from_str(&loaded.config.to_json()).unwrap_or_default();
    let mut text = String::new();
    for (path, origin) in &loaded.origins {
        let value = value_at(&tree, path).unwrap_or(&Value::Null);
        text.push_str(&format!("{path} = {value}  # {origin}\n"));
    }
    output::line(text.trim_end());
}

/// The value at `pools.api.backends[1].weight`; names have no dots.
fn value_at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '['])
        .try_fold(tree, |node, segment| match segment.strip_suffix(']') {
            Some(index) => node.get(index.parse::<usize>().ok()?),
            None => node.get(segment),
        })
}

fn notation(path: &Path) -> Notation {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        Notation::Json
    } else {
        Notation::Toml
    }
}
