//! `cargo xtask test`: what CI runs.

use anyhow::{Result, ensure};

use crate::chaos;
use crate::check;
use crate::programs;
use crate::steps::{Steps, Workspace};

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    steps.step("programs", programs::install)?;
    let mut python = None;
    steps.step("python packages", || {
        python = Some(programs::python(&workspace)?);
        Ok(())
    })?;
    check::sources(&workspace, &mut steps)?;
    check::tests(&workspace, &mut steps)?;
    let python = python.unwrap_or_default();
    ensure!(
        !python.is_empty(),
        "the step `python packages` left no interpreter"
    );
    check::end_to_end(&workspace, &mut steps, &python)?;
    let tests = ["test", "--locked", "-p", "xtask", "--features", "load"];
    let mut tests = workspace.cargo(&tests);
    tests.args(["--bin", "lb-chaos", "--bin", "lb-load"]);
    steps.command("tests of the load generators", &mut tests)?;
    steps.step("chaos", || chaos::short(&workspace))?;
    steps.end();
    Ok(())
}
