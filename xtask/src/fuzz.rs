//! `cargo xtask fuzz`: the fuzz targets in `lb-server/fuzz/`, for a bounded time.

use anyhow::Result;
use clap::Args;

use crate::steps::{Steps, Workspace};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seconds for all targets together
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Inputs follow from it: the same again, or others
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One target instead of all; an unknown one is answered with those there are
    target: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    let seconds = arguments.seconds.to_string();
    let target = arguments.target.as_deref().unwrap_or("all");
    let mut fuzz = workspace.cargo(&["run", "--locked", "--quiet", "--package", "lb-fuzz", "--"]);
    fuzz.args([&seconds, target, &arguments.seed.to_string()]);
    steps.command("fuzz", &mut fuzz)?;
    steps.end();
    Ok(())
}
