//! What the binary tells about itself: completions, manual pages, its version.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};

use crate::args::{Arguments, CompletionsArguments, ManArguments, VersionArguments};
use crate::failure::{Exit, Failure};
use crate::output;

const NAME: &str = "lb-cli";

/// Prints the completion script of a shell.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        NAME,
        &mut script,
    );
    output::bytes(&script);
    Ok(Exit::Done)
}

/// Prints the manual page of the program, or writes one page per command.
pub(crate) fn man(arguments: &ManArguments) -> Result<Exit, Failure> {
    let retry = "choose a directory you can write to: `lb-cli man --out DIR`";
    let Some(directory) = &arguments.out else {
        let page = page(Arguments::command());
        output::bytes(&page.map_err(|error| Failure::failed(error, retry))?);
        return Ok(Exit::Done);
    };
    let write = || -> anyhow::Result<()> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create `{}`", directory.display()))?;
        let mut command = Arguments::command();
        command.build();
        write_pages(&command, directory)
    };
    write().map_err(|error| Failure::failed(error, retry))?;
    Ok(Exit::Done)
}

/// Writes the page of `command`, which has been built, and those of its subcommands.
fn write_pages(command: &Command, directory: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(NAME);
    let path = directory.join(format!("{name}.1"));
    let content = page(command.clone())?;
    fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
    output::line(path.display());
    for subcommand in command.get_subcommands() {
        if subcommand.get_name() != "help" {
            write_pages(subcommand, directory)?;
        }
    }
    Ok(())
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .context("cannot render the manual page")?;
    Ok(page)
}

/// Prints the version, for a person or for a program.
pub(crate) fn version(arguments: &VersionArguments) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if arguments.json {
        output::line(serde_json::json!({
            "name": NAME,
            "version": version,
            "os": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "allocator": if cfg!(feature = "mimalloc") { "mimalloc" } else { "system" },
            "debug_assertions": cfg!(debug_assertions),
        }));
    } else {
        output::line(format_args!("{NAME} {version}"));
    }
    Ok(Exit::Done)
}
