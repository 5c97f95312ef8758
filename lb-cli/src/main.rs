//! An HTTP/2 load balancer in one binary: the command line of `lb-server`.
//!
//! `args.rs` is what was typed, one module per command does it, and every way out of the process
//! passes through `main`: results on standard output, messages on standard error, one exit code.

mod args;
mod documents;
mod failure;
mod gen_cert;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};
use crate::failure::{Exit, Failure};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let exit = run(Arguments::parse().command).unwrap_or_else(|failure| {
        output::failure(&failure);
        failure.exit()
    });
    exit.into()
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::GenCert(arguments) => gen_cert::run(&arguments),
        Command::Completions(arguments) => documents::completions(&arguments),
        Command::Man(arguments) => documents::man(&arguments),
        Command::Version(arguments) => documents::version(&arguments),
    }
}
