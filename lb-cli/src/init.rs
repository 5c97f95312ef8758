//! `lb-cli init`: a configuration to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lb_server::Config;

use crate::args::InitArguments;
use crate::failure::{Exit, Failure};
use crate::output;

/// Writes the file, never over another one.
pub(crate) fn run(arguments: &InitArguments) -> Result<Exit, Failure> {
    let text = if arguments.json {
        Config::starter_json(arguments.full)
    } else {
        Config::starter_toml(arguments.full).to_owned()
    };
    let usual = if arguments.json { "lb.json" } else { "lb.toml" };
    let path = arguments
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(usual));
    if path == Path::new("-") {
        output::bytes(text.as_bytes());
        return Ok(Exit::Done);
    }
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    let result = file.and_then(|mut file| file.write_all(text.as_bytes()));
    match result {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::failed(
            anyhow::anyhow!("`{}` exists already and was left as it is", path.display()),
            "write elsewhere with `--output FILE`, or look at it with `--output -`",
        )),
        result => {
            result
                .with_context(|| format!("cannot write `{}`", path.display()))
                .map_err(|error| Failure::failed(error, "write elsewhere with `--output FILE`"))?;
            output::line(format_args!("wrote {}", path.display()));
            output::message(format_args!(
                "Edit it, then: lb-cli check -c {0} && lb-cli serve -c {0}",
                path.display()
            ));
            Ok(Exit::Done)
        }
    }
}
