//! `init` and `config`: writing configurations and looking at them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::DiffArguments;

/// Write a commented configuration to start from
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  lb-cli init\n  lb-cli init --json --full --output lb.json\n  \
    lb-cli init --output -          to standard output\n\nAn existing file is never overwritten."
)]
pub(crate) struct InitArguments {
    /// JSON instead of TOML; it has no comments
    #[arg(long)]
    pub(crate) json: bool,

    /// Every key with its default
    #[arg(long)]
    pub(crate) full: bool,

    /// File to write, or `-` [default: lb.toml, with --json lb.json]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Show, convert or describe configurations
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ConfigArguments {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCommand {
    Show(ShowArguments),
    Convert(ConvertArguments),
    Diff(DiffArguments),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

/// Print the configuration that `serve` would use
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  lb-cli config show\n  lb-cli config show --expanded -c lb.json\n  \
    lb-cli config show --origin | grep -v default$"
)]
pub(crate) struct ShowArguments {
    /// Configuration file, TOML or JSON by its extension
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The long form, with every default written out
    #[arg(long)]
    pub(crate) expanded: bool,

    /// One line for each value of the long form: its path, the value, and where it comes from
    #[arg(long, conflicts_with = "expanded")]
    pub(crate) origin: bool,
}

/// Print a configuration in the other notation, in its long form
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  lb-cli config convert lb.toml --to json > lb.json")]
pub(crate) struct ConvertArguments {
    /// File to read
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Notation to print [default: the one FILE is not in]
    #[arg(long, value_enum)]
    pub(crate) to: Option<Notation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Notation {
    Toml,
    Json,
}
