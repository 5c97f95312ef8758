//! The command line as typed.

mod config;
mod demo_backend;
mod operate;
mod serve;
mod tools;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::config::{
    ConfigArguments, ConfigCommand, ConvertArguments, InitArguments, Notation, ShowArguments,
};
pub(crate) use self::demo_backend::DemoBackendArguments;
pub(crate) use self::operate::{
    AdminArguments, BackendAddArguments, BackendArguments, BackendCommand, BackendIdArguments,
    BackendListArguments, BackendWeightArguments, CacheArguments, CacheCommand, DiffArguments,
    HealthArguments, LogLevelArguments, ReloadArguments, RouteArguments, SessionArguments,
    SessionCommand, StatusArguments, StopArguments, TopArguments,
};
pub(crate) use self::serve::{AccessLog, CheckArguments, CheckFormat, ServeArguments};
pub(crate) use self::tools::{
    CompletionsArguments, GenCertArguments, KeyType, ManArguments, VersionArguments,
};

const AFTER_HELP: &str = "\
Examples:
  lb-cli serve                                     a demonstration on https://127.0.0.1:8443
  lb-cli serve -b http://127.0.0.1:3000 -b http://127.0.0.1:3001
  lb-cli init && lb-cli check && lb-cli serve      a configuration of your own
  lb-cli status                                    how the server that runs is doing

Without --config a configuration is looked for in LB_CONFIG, ./lb.toml, ./lb.json,
$XDG_CONFIG_HOME/lb/ and /etc/lb/, and the first one found is used.

Exit codes: 0 done, 1 could not start or run, 2 usage, 3 configuration invalid,
4 forced by a second signal or past the shutdown deadline.";

/// An HTTP/2 load balancer in one binary
#[derive(Debug, Parser)]
#[command(name = "lb-cli", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<ServeArguments>),
    Check(CheckArguments),
    Init(InitArguments),
    Config(ConfigArguments),
    Status(StatusArguments),
    Top(TopArguments),
    Health(HealthArguments),
    Backend(BackendArguments),
    Route(RouteArguments),
    Reload(ReloadArguments),
    Stop(StopArguments),
    Cache(CacheArguments),
    Session(SessionArguments),
    LogLevel(LogLevelArguments),
    GenCert(GenCertArguments),
    DemoBackend(DemoBackendArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
    Version(VersionArguments),
}

/// How much is logged on standard error.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Verbosity {
    /// Log more; twice for every decision, three times for the protocols too (RUST_LOG wins)
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Log errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[cfg(test)]
mod tests;
