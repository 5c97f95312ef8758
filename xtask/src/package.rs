//! `cargo xtask package`: the Debian package, with what the binary itself can write beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::build;
use crate::files;
use crate::steps::{Steps, Workspace, say, succeed};

/// Each shell with the name that it looks for.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "lb-cli"),
    ("zsh", "_lb-cli"),
    ("fish", "lb-cli.fish"),
];

pub(crate) fn run(arguments: &build::Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    steps.step("cargo-deb", || {
        let known = workspace.cargo(&["deb", "--version"]).output();
        ensure!(
            known.is_ok_and(|known| known.status.success()),
            "cargo-deb is missing: `cargo install cargo-deb`"
        );
        Ok(())
    })?;
    let built = build::build(&workspace, arguments, &mut steps)?;
    let made = workspace.target.join("package");
    steps.step("manual pages and completions", || {
        generate(&built.binary, &made)
    })?;
    let output = workspace.target.join("debian");
    let mut deb = workspace.cargo(&["deb", "--locked", "-p", "lb-cli", "--no-build"]);
    deb.args(&built.found_by).arg("--output").arg(&output);
    deb.env("CARGO_TARGET_DIR", &built.target);
    steps.command("package", &mut deb)?;
    steps.end();
    say(&format!("the package is in {}", output.display()));
    Ok(())
}

/// Lets the binary write its own pages and completions, so that they are true.
fn generate(binary: &Path, directory: &Path) -> Result<()> {
    files::empty(directory)?;
    let pages = directory.join("man");
    succeed(Command::new(binary).args(["man", "--out"]).arg(&pages))?;
    for (shell, name) in COMPLETIONS {
        let output = Command::new(binary).args(["completions", shell]).output();
        let output = output.with_context(|| format!("cannot run {}", binary.display()))?;
        ensure!(output.status.success(), "no completions for {shell}");
        let place = directory.join(shell);
        fs::create_dir_all(&place)
            .and_then(|()| fs::write(place.join(name), output.stdout))
            .with_context(|| format!("cannot write to {}", place.display()))?;
    }
    Ok(())
}
