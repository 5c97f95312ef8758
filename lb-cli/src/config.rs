//! `lb-cli config`: configurations to look at.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use lb_server::Config;

use crate::args::{ConfigArguments, ConfigCommand, ConvertArguments, Notation, ShowArguments};
use crate::failure::{Exit, Failure};
use crate::layers::{self, Overrides};
use crate::locate::locate;
use crate::output;

/// Shows, converts or describes.
pub(crate) fn run(arguments: &ConfigArguments) -> Result<Exit, Failure> {
    match &arguments.command {
        ConfigCommand::Show(arguments) => show(arguments),
        ConfigCommand::Convert(arguments) => convert(arguments),
        ConfigCommand::Schema => {
            output::line(format_args!("{:#}", Config::schema()));
            Ok(Exit::Done)
        }
    }
}

fn show(arguments: &ShowArguments) -> Result<Exit, Failure> {
    let path = locate(arguments.config.as_deref());
    let overrides = Overrides::of_environment();
    if path.is_none() && overrides.is_empty() {
        return Err(Failure::invalid(
            anyhow::anyhow!("there is no configuration to show"),
            "name one with `--config FILE`, or write one with `lb-cli init`",
        ));
    }
    let config = layers::load(path.as_deref(), &overrides)?;
    match path {
        // As written, comments and all, once it is known to be valid.
        Some(path) if !arguments.expanded && overrides.is_empty() => {
            let text = fs::read(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))
                .map_err(|error| Failure::failed(error, "show it with --expanded"))?;
            output::bytes(&text);
        }
        path => print(&config, path.as_deref().map_or(Notation::Toml, notation)),
    }
    Ok(Exit::Done)
}

fn convert(arguments: &ConvertArguments) -> Result<Exit, Failure> {
    let config = layers::load(Some(&arguments.file), &Overrides::default())?;
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

fn notation(path: &Path) -> Notation {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        Notation::Json
    } else {
        Notation::Toml
    }
}
