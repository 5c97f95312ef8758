//! `serve` and `check`: what runs a configuration, and what only reads it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lb_server::AccessLogFormat;

use super::Verbosity;

const SERVE_HELP: &str = "\
Examples:
  lb-cli serve
      the demonstration: three backends, an example application, a certificate in memory
  lb-cli serve -c lb.toml
  lb-cli serve -b http://127.0.0.1:3000 -b h2c://127.0.0.1:3001 -a least-connections
  lb-cli serve -c lb.toml --set pools.api.algorithm=ip-hash --set server.threads=2

For each address one line goes to standard output once it accepts connections:
  listening name=<listener> url=<https://127.0.0.1:8443>
After them come the lines of the access log, unless [access_log] or --access-log say otherwise.

Flags win over LB_* variables, those over the file, and the file over the defaults.
Signals: TERM, INT and QUIT finish what is running and take nothing new; a second one forces.
HUP reads configuration, certificates and secrets again; with a mistake in them nothing changes.
USR1 opens the file of the access log anew.";

/// Run the server; without any configuration, a demonstration on loopback
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArguments {
    /// Configuration file, TOML or JSON by its extension
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Test the configuration and exit, as `lb-cli check` does
    #[arg(short = 't', long)]
    pub(crate) check: bool,

    /// A backend: http://, h2c:// or https://host:port; repeat for more
    #[arg(short, long = "backend", value_name = "URL")]
    pub(crate) backends: Vec<String>,

    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8443]
    #[arg(short, long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,

    /// How a backend is picked: round-robin, weighted-round-robin, least-connections,
    /// least-response-time, ip-hash or consistent-hashing
    #[arg(short, long, value_name = "NAME")]
    pub(crate) algorithm: Option<String>,

    /// Reload when the configuration, a certificate or a secret changes
    #[arg(long)]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) tls: TlsArguments,

    /// Address of the admin API, TCP or unix:PATH, or `off` [default: that of `[admin]`; in the demonstration
    /// 127.0.0.1:9900]
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) admin: Option<String>,

    /// Set one value of the configuration, such as pools.api.algorithm=ip-hash; repeat for more
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,

    /// A line for each exchange on standard output, in this format
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) access_log: Option<AccessLog>,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// How exchanges are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessLog {
    /// One JSON object
    Json,
    /// key=value pairs
    Logfmt,
    /// What matters, for people
    Pretty,
    /// The common log format
    Common,
    /// The same with referer and user agent
    Combined,
    /// HAProxy's HTTP log format
    Haproxy,
    /// No line
    Off,
}

/// The certificate of the listener, at most one of three ways.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TlsArguments {
    /// PEM file with the certificate chain; needs --key
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["self_signed", "no_tls"])]
    pub(crate) cert: Option<PathBuf>,

    /// PEM file with the private key; needs --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// A certificate for localhost, made at start and kept in memory
    #[arg(long, conflicts_with = "no_tls")]
    pub(crate) self_signed: bool,

    /// Cleartext: HTTP/2 with prior knowledge and HTTP/1.1
    #[arg(long)]
    pub(crate) no_tls: bool,
}

impl AccessLog {
    /// As the library names it; `None` is no line.
    pub(crate) fn format(self) -> Option<AccessLogFormat> {
        Some(match self {
            Self::Json => AccessLogFormat::Json,
            Self::Logfmt => AccessLogFormat::Logfmt,
            Self::Pretty => AccessLogFormat::Pretty,
            Self::Common => AccessLogFormat::Common,
            Self::Combined => AccessLogFormat::Combined,
            Self::Haproxy => AccessLogFormat::Haproxy,
            Self::Off => return None,
        })
    }
}

impl ServeArguments {
    /// Whether a flag describes the server, so that it is not the demonstration.
    pub(crate) fn describes_a_server(&self) -> bool {
        !self.backends.is_empty()
            || self.algorithm.is_some()
            || !self.set.is_empty()
            || self.tls.is_given()
    }
}

impl TlsArguments {
    fn is_given(&self) -> bool {
        self.cert.is_some() || self.self_signed || self.no_tls
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() => {
            Ok((path.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected PATH=VALUE, such as server.threads=2".to_owned()),
    }
}

const CHECK_HELP: &str = "\
Examples:
  lb-cli check
  lb-cli check -c lb.toml --resolve
  lb-cli check --format json        for editors: one object with `errors` and `warnings`

Exit code 0 if the configuration can be served, 3 if not.";

/// Test a configuration without serving it
#[derive(Debug, Clone, Args)]
#[command(short_flag = 't', after_help = CHECK_HELP)]
pub(crate) struct CheckArguments {
    /// Configuration file, TOML or JSON by its extension
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Also look up the names of the backends
    #[arg(long)]
    pub(crate) resolve: bool,

    /// Form of the findings
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Text with the place, for people
    Human,
    /// One JSON object on standard output
    Json,
}
