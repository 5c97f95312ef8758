//! The commands that need no configuration.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const GEN_CERT_HELP: &str = "\
Examples:
  lb-cli gen-cert                                  server.crt and server.key for localhost
  lb-cli gen-cert app.example.com 10.0.0.7 --out /etc/lb/tls
  lb-cli gen-cert --ca app.example.com             signed by ./ca.crt, which is made if absent
  lb-cli gen-cert --ca=/etc/pki/ca.crt --client alice
      client.crt for TLS client authentication, signed with /etc/pki/ca.key

Keys are readable by their owner only. Existing files stay unless --force is given, and an
existing authority is never replaced.";

/// Make a certificate and its key
#[derive(Debug, Clone, Args)]
#[command(after_help = GEN_CERT_HELP)]
pub(crate) struct GenCertArguments {
    /// DNS names and IP addresses [default: localhost 127.0.0.1 ::1; with --client: client]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Directory to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// Days the certificate is valid
    #[arg(long, value_name = "N", default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,

    /// Sign with an authority: ca.crt and ca.key in DIR, made if absent, or FILE with its key
    /// beside it (`--ca=FILE`, the same name with the extension .key)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(
        clippy::option_option,
        reason = "absent, without a value, with one: clap's form"
    )]
    pub(crate) ca: Option<Option<PathBuf>>,

    /// A client's certificate, client.crt and client.key, instead of a server's
    #[arg(long)]
    pub(crate) client: bool,

    /// Kind of key
    #[arg(long, value_enum, default_value_t = KeyType::Ecdsa)]
    pub(crate) key_type: KeyType,

    /// Overwrite the certificate and its key
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyType {
    /// ECDSA on P-256: what everything understands, small and fast
    Ecdsa,
    /// Ed25519: browsers do not accept it
    Ed25519,
    /// RSA with 3,072 bits: for old clients; slow
    Rsa,
}

/// Print a completion script
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  source <(lb-cli completions bash)\n  \
    lb-cli completions zsh > ~/.zfunc/_lb-cli\n  \
    lb-cli completions fish > ~/.config/fish/completions/lb-cli.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Print the manual page, or write one page per command
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  lb-cli man | man -l -\n  lb-cli man --out /usr/local/share/man/man1"
)]
pub(crate) struct ManArguments {
    /// Directory for the pages of all commands
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Print the version
#[derive(Debug, Clone, Args)]
pub(crate) struct VersionArguments {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
