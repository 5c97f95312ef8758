//! `cargo xtask build`: the binary, with what cargo alone does not do for it.

use std::path::PathBuf;

use anyhow::Result;

use crate::patched;
use crate::pgo;
use crate::steps::{Steps, Workspace, say, succeed};

/// How to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Build with this profile of cargo
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Build with the patches of `xtask/patches/`
    #[arg(long)]
    patched: bool,
    /// Build twice: to count what the benchmark's workloads do, and with the counts
    ///
    /// Takes some ten minutes and needs what the benchmark needs, and `llvm-profdata`
    /// (`rustup component add llvm-tools`).
    #[arg(long, conflicts_with = "profile")]
    pgo: bool,
}

/// A binary that is there.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) binary: PathBuf,
    /// The target directory of its build, and the arguments by which cargo's tools find it there.
    pub(crate) target: PathBuf,
    pub(crate) found_by: [String; 2],
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    let built = build(&workspace, arguments, &mut steps)?;
    steps.end();
    say(&format!("the binary is {}", built.binary.display()));
    Ok(())
}

pub(crate) fn build(
    workspace: &Workspace,
    arguments: &Arguments,
    steps: &mut Steps,
) -> Result<Built> {
    let staged = match arguments.patched {
        true => Some(steps.step("patched sources", || {
            patched::stage(workspace, &workspace.target.join("patched"))
        })?),
        false => None,
    };
    let sources = staged.as_ref().unwrap_or(workspace);
    if arguments.pgo {
        return pgo::build(sources, workspace, steps);
    }
    let found_by = ["--profile".to_owned(), arguments.profile.clone()];
    steps.step("binary", || {
        let mut build = sources.cargo(&["build", "--locked", "-p", "lb-cli"]);
        succeed(build.args(&found_by))
    })?;
    let directory = match arguments.profile.as_str() {
        "dev" => "debug",
        other => other,
    };
    Ok(Built {
        binary: sources.target.join(directory).join("lb-cli"),
        target: sources.target.clone(),
        found_by,
    })
}
