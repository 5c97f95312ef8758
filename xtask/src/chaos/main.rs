//! Faults under load: `lb-chaos run` breaks backends behind a proxy while requests come at a fixed
//! rate, `lb-chaos backend` is a backend that breaks when it is told to.
//!
//! It prints a line of JSON for each scenario and proxy, for `cargo xtask chaos` to show.

mod backend;
// The same connections as those of the benchmark.
mod children;
#[expect(dead_code, reason = "the benchmark closes connections too")]
#[path = "../load/client.rs"]
mod client;
mod journal;
mod load;
mod outcome;
mod proxies;
mod scenarios;
mod stage;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use crate::proxies::Kind;

/// Breaks backends behind a proxy under load.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Plays scenarios and prints what was seen.
    Run(Run),
    /// Is a backend that obeys lines on standard input.
    Backend(backend::Arguments),
}

/// What is played.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Run {
    /// Our program
    #[arg(long)]
    binary: PathBuf,
    /// Another proxy and its program (`nginx=/usr/sbin/nginx`)
    #[arg(long = "peer", value_parser = peer)]
    peers: Vec<(Kind, PathBuf)>,
    /// Only these scenarios
    #[arg(long = "scenario")]
    scenarios: Vec<String>,
    /// Requests per second
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Seconds that a fault lasts where the scenario leaves it open
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().part {
        Part::Run(run) => scenarios::run(&run),
        Part::Backend(arguments) => backend::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn peer(text: &str) -> Result<(Kind, PathBuf), String> {
    let (name, program) = text.split_once('=').ok_or("expected NAME=PROGRAM")?;
    let kind = match name {
        "nginx" => Kind::Nginx,
        "haproxy" => Kind::HaProxy,
        _ => return Err(format!("no peer is named `{name}`")),
    };
    Ok((kind, program.into()))
}

/// Prints one line of results.
///
/// # Errors
///
/// Fails if the other side has gone.
pub(crate) fn print(line: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .context("cannot print")
}

/// Prints one line of progress.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
