//! An HTTP/2 load balancer in one binary: the command line of `lb-server`.
//!
//! `args.rs` is what was typed, one module per command does it, and every way out of the process
//! passes through `main`: results on standard output, messages on standard error, one exit code.

mod admin;
mod args;
mod check;
mod config;
mod demo;
mod demo_backend;
mod documents;
mod failure;
mod figures;
mod gen_cert;
mod init;
mod layers;
mod locate;
mod logging;
mod operate;
mod otel;
mod output;
mod paint;
mod reload;
mod serve;
mod service;

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
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Status(arguments) => operate::status(&arguments),
        Command::Top(arguments) => operate::top(&arguments),
        Command::Health(arguments) => operate::health(&arguments),
        Command::Backend(arguments) => operate::backend(&arguments),
        Command::Route(arguments) => operate::route(&arguments),
        Command::Reload(arguments) => operate::reload(&arguments),
        Command::Stop(arguments) => operate::stop(&arguments),
        Command::Cache(arguments) => operate::cache(&arguments),
        Command::Session(arguments) => operate::session(&arguments),
        Command::LogLevel(arguments) => operate::log_level(&arguments),
        Command::DemoBackend(arguments) => demo_backend::run(&arguments),
        Command::GenCert(arguments) => gen_cert::run(&arguments),
        Command::Completions(arguments) => documents::completions(&arguments),
        Command::Man(arguments) => documents::man(&arguments),
        Command::Version(arguments) => documents::version(&arguments),
    }
}
