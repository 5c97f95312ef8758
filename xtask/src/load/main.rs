//! The load generator for what h2load cannot do: a fixed rate that no slow answer slows down, a
//! new TLS connection for each request, and thousands of connections that only stand there.
//!
//! It makes its connections first and prints `ready`; a line on standard input sets it off, so
//! that whoever measures can tell the two apart. Then it prints one line of JSON.

mod client;
mod exchange;
mod modes;

use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use http::Uri;

use crate::modes::Seen;

/// Makes HTTP/2 load for `cargo xtask bench`.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to connect to
    #[arg(long)]
    address: SocketAddr,
    /// Path of each request
    #[arg(long)]
    path: String,
    /// PEM file of who signed the server's certificate; cleartext without it
    #[arg(long)]
    authority: Option<PathBuf>,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// So many requests per second, each timed from when it was due.
    Rate {
        #[arg(long)]
        per_second: u32,
        #[arg(long)]
        requests: u64,
        #[arg(long)]
        connections: usize,
    },
    /// Requests as fast as they are answered, over connections that stand already.
    Standing {
        #[arg(long)]
        requests: u64,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        streams: usize,
    },
    /// A new connection for each request.
    Handshake {
        #[arg(long)]
        requests: u64,
        /// Connections at once.
        #[arg(long)]
        connections: usize,
        /// Resume the session of an earlier connection.
        #[arg(long)]
        resumed: bool,
    },
    /// Connections that have had one request and then nothing.
    Idle {
        #[arg(long)]
        connections: usize,
    },
    /// Requests whose answers do not come.
    Active {
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        streams: usize,
    },
}

impl Arguments {
    /// What each request asks for.
    fn uri(&self) -> Result<Uri> {
        let scheme = match self.authority {
            Some(_) => "https",
            None => "http",
        };
        let uri = format!("{scheme}://localhost{}", self.path);
        uri.parse()
            .with_context(|| format!("`{}` is no path", self.path))
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("cannot start the runtime")?;
    let seen = runtime.block_on(modes::run(arguments))?;
    print(&format!("{}\n", json(&seen)))
}

/// Tells that the connections stand, and waits for the word to begin.
///
/// # Errors
///
/// Fails if the other side has gone.
fn wait_for_word() -> Result<()> {
    print("ready\n")?;
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the word to begin")?;
    Ok(())
}

fn print(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("cannot print")
}

fn json(seen: &Seen) -> serde_json::Value {
    let percentile = |quantile: f64| seen.latency.value_at_quantile(quantile);
    let latency = (!seen.latency.is_empty()).then(|| {
        serde_json::json!({
            "p50": percentile(0.5),
            "p99": percentile(0.99),
            "p99.9": percentile(0.999),
        })
    });
    serde_json::json!({
        "requests": seen.requests,
        "resumed": seen.resumed,
        "elapsed_seconds": seen.elapsed.as_secs_f64(),
        "latency_microseconds": latency,
    })
}

/// Longer than any setup or round takes; only a hang gets this far.
const PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: &[&str]) -> Result<Uri> {
        let common = ["lb-load", "--address", "127.0.0.1:1"];
        let all = common
            .iter()
            .chain(more)
            .chain(&["idle", "--connections", "1"]);
        Arguments::try_parse_from(all).unwrap().uri()
    }

    #[test]
    fn asks_by_the_scheme_of_the_connection() {
        assert_eq!(asked(&["--path", "/a"]).unwrap(), "http://localhost/a");
        let over_tls = asked(&["--path", "/a", "--authority", "ca.pem"]);
        assert_eq!(over_tls.unwrap(), "https://localhost/a");
        assert!(asked(&["--path", "/ a"]).is_err());
    }
}
