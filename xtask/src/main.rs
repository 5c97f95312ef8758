//! Tests, checks and benchmarks of the workspace: `cargo xtask test` is what CI runs.
//!
//! It depends on no crate of the workspace, so that it still builds when they do not.

mod bench;
mod build;
mod chaos;
mod check;
mod files;
mod fuzz;
mod package;
mod patched;
mod pgo;
mod programs;
mod steps;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the chores of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Does everything CI does: installs the programs the tests talk to, then checks and tests.
    ///
    /// As root on Debian, missing programs are installed with apt-get; elsewhere the command that
    /// installs them is printed and the run fails. Python packages go to a virtual environment
    /// under `target/`.
    Test,
    /// The same without installing anything and without the tests that need foreign programs.
    ///
    /// With `--perf` it instead counts the instructions of the binary for each request.
    Check(Check),
    /// Measures the proxy under load, beside other proxies if asked to.
    ///
    /// First come the crates' own benchmarks of one operation each. Results go to a table, and to
    /// `target/bench/`. A quiet machine is needed for figures worth quoting.
    Bench(bench::Arguments),
    /// Breaks backends under load and tells what clients saw, behind other proxies too if asked to.
    ///
    /// Each scenario is a fault (a backend killed, frozen, slow, lying, all of them gone, the proxy
    /// asked to end) under requests at a fixed rate. Results go to a table, and to `target/chaos/`.
    Chaos(chaos::Arguments),
    /// Builds the binary with what cargo alone does not do: patched dependencies, counts of a run.
    Build(build::Arguments),
    /// Builds it and packs it for Debian into `target/debian/`, with manual pages and completions.
    Package(build::Arguments),
    /// Feeds what strangers write to what reads it: cookies, fields, records, configurations.
    ///
    /// Runs for a bounded time and repeats exactly by its seed.
    Fuzz(fuzz::Arguments),
    /// Checks the rules of layout that neither rustfmt nor clippy knows.
    Tidy,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// Count instructions per request with valgrind, and fail where they grew by more than 3 %
    #[arg(long)]
    perf: bool,
    /// Make what was counted the baseline (`xtask/instructions.json`)
    #[arg(long, requires = "perf")]
    renew: bool,
    /// Count this build instead of making one
    #[arg(long, requires = "perf", value_name = "PATH")]
    binary: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Args::parse().chore {
        Chore::Test => test::run(),
        Chore::Check(Check {
            perf: true,
            renew,
            binary,
        }) => bench::instructions::run(binary.as_deref(), renew),
        Chore::Check(_) => check::run(),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Chaos(arguments) => chaos::run(&arguments),
        Chore::Build(arguments) => build::run(&arguments),
        Chore::Package(arguments) => package::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            steps::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
