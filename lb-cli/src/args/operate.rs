//! The commands for a server that runs, asked and told through its admin API.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// How the running server is reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which server")]
pub(crate) struct AdminArguments {
    /// Admin API of the server: 127.0.0.1:9900 or unix:/run/lb/admin.sock [default: LB_ADMIN, else as
    /// the configuration says, else 127.0.0.1:9900]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,

    /// File with the token of the admin API [default: LB_ADMIN_TOKEN, LB_ADMIN_TOKEN_FILE, else as the
    /// configuration says]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Configuration that says where the admin API is [default: the one that `serve` finds]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Show how the server, its pools and its backends are doing
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  lb-cli status\n  watch -n 2 lb-cli status\n  \
    lb-cli status --json | jq '.pools[].backends[] | select(.state != \"ready\")'\n  \
    lb-cli status --admin unix:/run/lb/admin.sock"
)]
pub(crate) struct StatusArguments {
    /// One JSON object with everything the server tells
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Watch the server, its pools and its backends as they change
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Keys: up, down, page up, page down scroll; s sorts by another column, r turns the \
    order;\nspace holds the picture; q ends.\n\nWhere standard output is no terminal it prints one \
    line each second."
)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// List, add, remove, drain and weight backends of the running server
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  lb-cli backend list\n  lb-cli backend drain http://10.0.0.1:3000\n  \
    lb-cli backend weight app-2 50 --pool api\n  lb-cli backend add http://10.0.0.9:3000 --pool api\n\n\
    What is changed here lasts until the next reload; `lb-cli config diff` shows it."
)]
pub(crate) struct BackendArguments {
    #[command(subcommand)]
    pub(crate) command: BackendCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BackendCommand {
    /// List the backends and how they are doing
    List(BackendListArguments),
    /// Add a backend to a pool
    Add(BackendAddArguments),
    /// Take a backend out of its pool; what it is answering goes on
    Remove(BackendIdArguments),
    /// Send a backend no new requests but those of clients that are bound to it
    Drain(BackendIdArguments),
    /// Send a backend nothing new at all, and no probes
    Maintain(BackendIdArguments),
    /// Send a backend requests again, as far as its health allows
    Ready(BackendIdArguments),
    /// Change the share of the requests that a backend gets
    Weight(BackendWeightArguments),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BackendListArguments {
    /// Only this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,

    /// One JSON array with everything the server tells of them
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BackendAddArguments {
    /// Where it is: http://, h2c:// or https://host:port, unix:/run/app.sock
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Its pool; not needed where there is one
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,

    /// Its name where the URL is not to be it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Its share of the requests relative to the others
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) weight: Option<u32>,

    /// How many requests it may have at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,

    /// Send it requests only while no other can take them
    #[arg(long)]
    pub(crate) backup: bool,

    /// Add it without sending it anything, until `lb-cli backend ready`
    #[arg(long)]
    pub(crate) maintain: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BackendIdArguments {
    /// Name of the backend as `lb-cli backend list` shows it: the configured name, else the URL
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Its pool; not needed where one pool alone has such a backend
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BackendWeightArguments {
    #[command(flatten)]
    pub(crate) backend: BackendIdArguments,

    /// The share relative to the other backends
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) weight: u32,
}

/// Tell which route, pool and backend a request would get, and why; nothing is sent
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  lb-cli route GET https://app.example.com/api/users\n  \
    lb-cli route POST /login -H 'host: app.example.com' --client 192.0.2.7\n  \
    lb-cli route GET / --running            with the health and the load of this moment\n\n\
    Without --running the configuration is read and no server is needed; every backend counts as healthy."
)]
pub(crate) struct RouteArguments {
    /// Method of the request
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,

    /// URL, or a path
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// A field of the request; repeat for more
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    pub(crate) headers: Vec<(String, String)>,

    /// Address of the client [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub(crate) client: Option<IpAddr>,

    /// Ask the running server instead of reading the configuration
    #[arg(long)]
    pub(crate) running: bool,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Let the running server read its configuration, certificates and secrets again
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code 0 if it is in force, 3 if it is invalid, 1 if there was no answer; then what \
    was in force before stays so."
)]
pub(crate) struct ReloadArguments {
    /// One JSON object with what has changed
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Let the running server finish what it began and end; wait until it is gone
#[derive(Debug, Clone, Args)]
#[command(
    visible_alias = "drain",
    after_help = "Examples:\n  lb-cli stop\n  lb-cli drain --timeout 5m\n\n\
    Exit code 0 when the server is gone, 4 when it is still there after the timeout."
)]
pub(crate) struct StopArguments {
    /// How long to wait until it is gone, such as 30s or 5m; 0s does not wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Tell by the exit code whether the running server is ready
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code 0 if it is, 1 if it is not or does not answer within 3 s.\n\n\
    In a container file: HEALTHCHECK CMD [\"lb-cli\", \"health\"]"
)]
pub(crate) struct HealthArguments {
    /// Whether the process is alive at all, rather than whether it should get requests
    #[arg(long)]
    pub(crate) live: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Remove responses from the caches of the running server
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct CacheArguments {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CacheCommand {
    Purge(PurgeArguments),
}

/// Remove responses, exactly one way of saying which
#[derive(Debug, Clone, Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true),
    after_help = "Examples:\n  lb-cli cache purge --url https://app.example.com/logo.svg\n  \
    lb-cli cache purge --prefix https://app.example.com/static/\n  lb-cli cache purge --tag article-7\n  \
    lb-cli cache purge --all --cache pages"
)]
pub(crate) struct PurgeArguments {
    /// The responses to one URL
    #[arg(long, value_name = "URL", group = "which")]
    pub(crate) url: Option<String>,

    /// The responses to all URLs that begin so
    #[arg(long, value_name = "URL", group = "which")]
    pub(crate) prefix: Option<String>,

    /// The responses with this tag
    #[arg(long, value_name = "TAG", group = "which")]
    pub(crate) tag: Option<String>,

    /// What a program stored under this key
    #[arg(long, value_name = "KEY", group = "which")]
    pub(crate) key: Option<String>,

    /// Everything
    #[arg(long, group = "which")]
    pub(crate) all: bool,

    /// The cache; not needed where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) cache: Option<String>,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// List and end sessions of the running server
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct SessionArguments {
    #[command(subcommand)]
    pub(crate) command: SessionCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SessionCommand {
    /// End a session: its client is logged out with its next request
    End(SessionEndArguments),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SessionEndArguments {
    /// The session's handle, which is not its id
    #[arg(value_name = "HANDLE")]
    pub(crate) handle: String,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Show or change how much the running server logs
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  lb-cli log-level\n  lb-cli log-level debug\n  \
    lb-cli log-level info,lb_server::probe=trace"
)]
pub(crate) struct LogLevelArguments {
    /// error, warn, info, debug or trace, also by module as in RUST_LOG
    #[arg(value_name = "LEVEL")]
    pub(crate) level: Option<String>,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

/// Show how the file, the configuration in force and what was changed at run time differ
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code 0 where nothing differs, 1 where something does.")]
pub(crate) struct DiffArguments {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) admin: AdminArguments,
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected NAME: VALUE, such as 'accept: application/json'".to_owned()),
    }
}

/// A number with a unit: `500ms`, `30s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number with a unit, such as 30s or 5m".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(expected)?;
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    let total = number.checked_mul(milliseconds).ok_or_else(expected)?;
    Ok(Duration::from_millis(total))
}
