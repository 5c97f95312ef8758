//! A build that knows from a run which ways through the code are taken.
//!
//! The binary is built to count, runs the benchmark's workloads, and is built anew with the counts
//! (<https://doc.rust-lang.org/rustc/profile-guided-optimization.html>). Nothing of the counts is
//! kept in the repository: they are worth something only to the compiler that made them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::bench;
use crate::build::Built;
use crate::files;
use crate::steps::{Steps, Workspace, succeed};

/// Where one of the builds goes.
#[derive(Debug)]
struct Place {
    target: PathBuf,
    /// The machine it is for.
    host: String,
}

impl Place {
    fn binary(&self) -> PathBuf {
        self.target.join(&self.host).join("release/lb-cli")
    }
}

/// Builds, trains and builds anew, below `pgo/` of the target directory; `workspace` has the load.
pub(crate) fn build(
    sources: &Workspace,
    workspace: &Workspace,
    steps: &mut Steps,
) -> Result<Built> {
    let here = sources.target.join("pgo");
    let counts = here.join("counts");
    let merged = here.join("merged.profdata");
    let host = host()?;
    let merge = llvm_profdata()?;
    let counting = Place {
        target: here.join("counting"),
        host: host.clone(),
    };
    let flag = format!("-Cprofile-generate={}", counts.display());
    steps.step("binary that counts", || compile(sources, &counting, flag))?;
    steps.step("training", || {
        // Building has counted too, and earlier runs may have counted other code.
        files::empty(&counts)?;
        bench::train(&counting.binary(), workspace)
    })?;
    let mut command = Command::new(merge);
    command.arg("merge").arg("-o").arg(&merged).arg(&counts);
    steps.command("counts merged", &mut command)?;
    let optimised = Place {
        target: here.join("optimised"),
        host,
    };
    let flag = format!("-Cprofile-use={}", merged.display());
    steps.step("binary", || compile(sources, &optimised, flag))?;
    Ok(Built {
        binary: optimised.binary(),
        target: optimised.target,
        found_by: ["--target".to_owned(), optimised.host],
    })
}

/// Builds with one flag more. Named as a target, the host's build scripts and macros are left alone.
fn compile(sources: &Workspace, into: &Place, flag: String) -> Result<()> {
    let asked = env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
    flags.push(flag);
    let mut build = sources.cargo(&["build", "--locked", "--release", "-p", "lb-cli"]);
    build.args(["--target", &into.host, "--target-dir"]);
    build.arg(&into.target);
    // Parted by a sign that no path has.
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    succeed(&mut build)
}

/// The triple of the machine this runs on.
fn host() -> Result<String> {
    let told = rustc(&["-vV"])?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc tells no host")?.to_owned())
}

/// The compiler's own; another release's may not read what it counted.
fn llvm_profdata() -> Result<PathBuf> {
    let libraries = rustc(&["--print", "target-libdir"])?;
    let beside = Path::new(libraries.trim()).parent();
    let program = beside
        .context("rustc has no libraries")?
        .join("bin/llvm-profdata");
    ensure!(
        program.exists(),
        "llvm-profdata is missing: `rustup component add llvm-tools`"
    );
    Ok(program)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let program = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&program).args(arguments).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} ended with {}",
        output.status
    );
    String::from_utf8(output.stdout).context("rustc tells no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_host() {
        let host = host().unwrap();
        assert!(host.contains('-') && !host.contains(char::is_whitespace));
    }
}
