//! `cargo xtask test`: what CI runs.

use anyhow::Result;

use crate::chaos;
use crate::check;
use crate::patched;
use crate::programs;
use crate::steps::{Steps, Workspace};

/// Tests with clients and servers written by others that are worth a second run.
const PATCHED_END_TO_END: [&str; 4] = ["e2e_bodies", "e2e_clients", "e2e_failures", "e2e_messages"];

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    steps.step("programs", programs::install)?;
    let python = steps.step("python packages", || programs::python(&workspace))?;
    check::sources(&workspace, &mut steps)?;
    check::tests(&workspace, &mut steps)?;
    check::end_to_end(&workspace, &mut steps, &python)?;
    let tests = ["test", "--locked", "-p", "xtask", "--features", "load"];
    let mut tests = workspace.cargo(&tests);
    tests.args(["--bin", "lb-chaos", "--bin", "lb-load"]);
    steps.command("tests of the load generators", &mut tests)?;
    steps.step("chaos", || chaos::short(&workspace))?;
    // Last, since what it builds takes the place of what the steps before have built.
    patched_tests(&workspace, &mut steps, &python)?;
    steps.end();
    Ok(())
}

/// The tests of what patched dependencies carry: messages over HTTP/2, and what breaks them.
fn patched_tests(workspace: &Workspace, steps: &mut Steps, python: &str) -> Result<()> {
    let patched = steps.step("patched sources", || {
        patched::stage(workspace, &workspace.target)
    })?;
    let tests = ["test", "--locked", "-p", "lb-server", "--lib", "--tests"];
    steps.command("tests, patched", &mut patched.cargo(&tests))?;
    for name in PATCHED_END_TO_END {
        let test = &mut check::end_to_end_test(&patched, name, python);
        steps.command(&format!("{name}, patched"), test)?;
    }
    Ok(())
}
