//! The command line as typed.

mod tools;

use clap::{Parser, Subcommand};

pub(crate) use self::tools::{
    CompletionsArguments, GenCertArguments, KeyType, ManArguments, VersionArguments,
};

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 could not start or run, 2 usage.";

/// An HTTP/2 load balancer in one binary
#[derive(Debug, Parser)]
#[command(name = "lb-cli", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    GenCert(GenCertArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
    Version(VersionArguments),
}

#[cfg(test)]
mod tests;
