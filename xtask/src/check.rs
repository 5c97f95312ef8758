//! `cargo xtask check`: all that needs nothing but the toolchain.

use std::process::Command;

use anyhow::Result;

use crate::steps::{Steps, Workspace};
use crate::tidy;

/// Crates that decide and do nothing else; each must build and pass without the others.
pub(crate) const LEAF_CRATES: [&str; 4] = ["lb-core", "lb-session", "lb-ratelimit", "lb-cache"];

/// Integration tests with this prefix talk to programs written by others.
const END_TO_END: &str = "e2e_";

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    sources(&workspace, &mut steps)?;
    tests(&workspace, &mut steps)?;
    steps.end();
    Ok(())
}

/// What reads the sources without running them.
pub(crate) fn sources(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.step("tidy", || tidy::check(workspace))?;
    steps.command("fmt", &mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    let clippy = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    steps.command("clippy", &mut workspace.cargo(&clippy))?;
    let load = ["clippy", "--locked", "-p", "xtask", "--features", "load"];
    let mut load = workspace.cargo(&load);
    load.args(["--all-targets", "--", "-D", "warnings"]);
    steps.command("clippy of the load generator", &mut load)?;
    let mut docs = workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    steps.command("docs", docs.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The tests that need nothing but the toolchain.
pub(crate) fn tests(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    for leaf in LEAF_CRATES
        .iter()
        .filter(|leaf| workspace.crates().contains(leaf))
    {
        let mut alone = workspace.cargo(&["test", "--locked", "-p", leaf]);
        steps.command(&format!("{leaf} alone"), &mut alone)?;
    }
    let mut rest = workspace.cargo(&[
        "test",
        "--locked",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ]);
    rest.args(["--workspace", "--exclude", "lb-cli"]);
    for leaf in LEAF_CRATES
        .iter()
        .filter(|leaf| workspace.crates().contains(leaf))
    {
        rest.args(["--exclude", leaf]);
    }
    steps.command("tests", &mut rest)?;
    let mut cli = workspace.cargo(&["test", "--locked", "-p", "lb-cli", "--bins"]);
    for name in workspace.integration_tests("lb-cli") {
        if !name.starts_with(END_TO_END) {
            cli.args(["--test", name]);
        }
    }
    steps.command("command line tests", &mut cli)?;
    let mut docs = workspace.cargo(&["test", "--locked", "-p", "lb-server", "--doc"]);
    steps.command("doc tests", &mut docs)
}

/// The tests on real sockets against programs written by others, with the interpreter they use.
pub(crate) fn end_to_end(workspace: &Workspace, steps: &mut Steps, python: &str) -> Result<()> {
    for name in workspace.integration_tests("lb-cli") {
        if name.starts_with(END_TO_END) {
            steps.command(name, &mut end_to_end_test(workspace, name, python))?;
        }
    }
    Ok(())
}

/// One of them.
pub(crate) fn end_to_end_test(workspace: &Workspace, name: &str, python: &str) -> Command {
    let mut test = workspace.cargo(&["test", "--locked", "-p", "lb-cli", "--test", name]);
    // Two at a time: each starts several programs, and the machine may have two cores.
    test.args(["--", "--test-threads=2"]);
    test.env("LB_TEST_PYTHON", python);
    test
}
