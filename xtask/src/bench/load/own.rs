//! Our own load generator, for what h2load cannot do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Latency, Seen};
use crate::bench::backend::{Backends, path};
use crate::bench::machine;
use crate::bench::process::pinned;
use crate::bench::workload::{Client, Load, Workload};

/// A generator whose connections stand and which waits for the word to begin.
#[derive(Debug)]
pub(crate) struct Generator {
    child: Child,
    output: BufReader<ChildStdout>,
    must_resume: bool,
}

/// Whether it makes the load of a workload.
pub(crate) fn makes(load: Load) -> bool {
    !matches!(
        load,
        Load::Download { .. } | Load::Upload { .. } | Load::Grpc
    )
}

impl Generator {
    /// Starts it and waits until its connections stand.
    pub(crate) fn start(
        program: &Path,
        workload: &Workload,
        port: u16,
        requests: u64,
        backends: &Backends,
    ) -> Result<Self> {
        let mut command = pinned(program, &machine::load_core());
        command.arg(format!("--address=127.0.0.1:{port}"));
        command.arg(format!("--path={}", path(workload.load)));
        if workload.client != Client::ClearH2 {
            command.arg(format!("--authority={}", backends.authority()));
        }
        let requests = format!("--requests={requests}");
        let streams = format!("--streams={}", workload.streams);
        let mode: Vec<String> = match workload.load {
            Load::Rate { per_second } => {
                vec![
                    "rate".to_owned(),
                    format!("--per-second={per_second}"),
                    requests,
                ]
            }
            Load::Handshake { resumed: true } => {
                vec!["handshake".to_owned(), "--resumed".to_owned(), requests]
            }
            Load::Handshake { resumed: false } => vec!["handshake".to_owned(), requests],
            Load::Idle => vec!["idle".to_owned()],
            Load::Active => vec!["active".to_owned(), streams],
            Load::Standing | Load::Download { .. } | Load::Upload { .. } | Load::Grpc => {
                vec!["standing".to_owned(), requests, streams]
            }
        };
        command.args(mode);
        command.arg(format!("--connections={}", workload.connections));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the load generator")?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut generator = Self {
            child,
            output: BufReader::new(output),
            must_resume: workload.load == Load::Handshake { resumed: true },
        };
        let line = generator.line()?;
        if line != "ready" {
            bail!("the load generator could not connect");
        }
        Ok(generator)
    }

    /// Lets it begin, and waits for what it saw.
    pub(crate) fn run(mut self) -> Result<Seen> {
        let mut word = self.child.stdin.take().context("its input is piped")?;
        word.write_all(b"go\n")
            .context("the load generator has gone")?;
        let line = self.line()?;
        let seen = parse(&line)?;
        // Some proxies hand out fewer tickets than connections come at once.
        if self.must_resume && seen.resumed * 2 < seen.seen.requests {
            bail!(
                "{} of {} sessions were resumed",
                seen.resumed,
                seen.seen.requests
            );
        }
        Ok(seen.seen)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("cannot read from the load generator")?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // It has told what it saw, or failed; idle connections are closed by its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Told {
    seen: Seen,
    resumed: u64,
}

/// Reads the line of JSON it prints.
fn parse(line: &str) -> Result<Told> {
    let told: Value = serde_json::from_str(line).context("the load generator failed")?;
    let elapsed = told["elapsed_seconds"]
        .as_f64()
        .context("it told no time")?;
    let percentile = |name: &str| told["latency_microseconds"][name].as_f64();
    let latency = percentile("p50")
        .zip(percentile("p99"))
        .zip(percentile("p99.9"));
    Ok(Told {
        seen: Seen {
            requests: told["requests"].as_u64().context("it told no requests")?,
            elapsed: Duration::try_from_secs_f64(elapsed).context("it told no time")?,
            latency: latency.map(|((p50, p99), p999)| Latency { p50, p99, p999 }),
        },
        resumed: told["resumed"].as_u64().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_generator_prints() {
        let line = r#"{"requests":8000,"resumed":0,"elapsed_seconds":2.0,
            "latency_microseconds":{"p50":410,"p99":1200,"p99.9":3000}}"#;
        let told = parse(line).unwrap();
        assert_eq!(told.seen.requests, 8000);
        assert_eq!(told.seen.latency.unwrap().p999, 3000.0);
    }

    #[test]
    fn says_when_the_generator_failed() {
        assert!(parse("").is_err());
    }

    #[test]
    fn has_no_latency_where_none_was_measured() {
        let line = r#"{"requests":1,"elapsed_seconds":0.1,"latency_microseconds":null}"#;
        assert_eq!(parse(line).unwrap().seen.latency, None);
    }
}
