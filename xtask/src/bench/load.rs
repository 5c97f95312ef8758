//! The load generators: h2load where requests come as fast as they are answered, else our own.

pub(crate) mod own;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::backend::path;
use super::machine;
use super::process::{Directory, pinned};
use super::workload::{Client, Load, Workload};
use crate::programs;

/// What a load generator saw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    /// Of each request, from when it was due.
    pub(crate) latency: Option<Latency>,
}

/// Percentiles, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// Sends so many requests with h2load and waits for all answers.
pub(crate) fn h2load(
    workload: &Workload,
    port: u16,
    requests: u64,
    directory: &Directory,
) -> Result<Seen> {
    let program = programs::find("h2load").context("h2load is missing: it makes the load")?;
    let mut command = pinned(&program, &machine::load_core());
    let scheme = match workload.client {
        Client::ClearH2 => "http",
        Client::TlsH2 | Client::TlsH1 => "https",
    };
    command.arg(format!("--requests={requests}"));
    command.arg(format!("--clients={}", workload.connections));
    command.arg(format!("--max-concurrent-streams={}", workload.streams));
    // Windows that never stop a server: what is measured is not the client.
    command.args(["--window-bits=20", "--connection-window-bits=24"]);
    if workload.client == Client::TlsH1 {
        command.arg("--h1");
    }
    match workload.load {
        Load::Upload { .. } => {
            command.arg(format!("--data={}", directory.file("sent")));
        }
        Load::Grpc => {
            command.arg(format!("--data={}", directory.file("sent")));
            command.args([
                "--header=content-type: application/grpc",
                "--header=te: trailers",
            ]);
        }
        _ => {}
    }
    command.arg(format!(
        "{scheme}://127.0.0.1:{port}{}",
        path(workload.load)
    ));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run h2load")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "h2load ended with {}: {printed}",
        output.status
    );
    parse(&printed)
}

/// Reads what h2load prints; fails unless each request got a 2xx.
fn parse(printed: &str) -> Result<Seen> {
    let line = |start: &str| {
        let found = printed.lines().find_map(|line| line.strip_prefix(start));
        found.with_context(|| format!("h2load printed no line `{start}`: {printed}"))
    };
    let finished = line("finished in ")?;
    let elapsed = finished.split(',').next().and_then(seconds);
    let elapsed = elapsed.with_context(|| format!("h2load printed no time: {finished}"))?;
    let requests = line("requests: ")?;
    let count = |text: &str, word: &str| {
        let found = text
            .split(", ")
            .find_map(|part| part.trim().strip_suffix(word));
        found.and_then(|number| number.trim().parse::<u64>().ok())
    };
    let statuses = line("status codes: ")?;
    let (total, good) = count(requests, "total")
        .zip(count(statuses, "2xx"))
        .with_context(|| format!("h2load printed no counts: {printed}"))?;
    if total == 0 || good != total {
        bail!("not all requests were answered with 2xx: {requests}; {statuses}");
    }
    Ok(Seen {
        requests: good,
        elapsed,
        latency: None,
    })
}

/// `1.23s`, `456.78ms` or `9us`.
fn seconds(text: &str) -> Option<Duration> {
    let (number, scale) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.trim().strip_suffix(unit)?, scale)))?;
    let seconds = number.parse::<f64>().ok()? * scale;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
starting benchmark...
progress: 100% done

finished in 1.52s, 13157.89 req/s, 13.90MB/s
requests: 20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 21.13MB (22154752) total, 1.13MB (1185536) headers (space savings 73.18%), 19.53MB (20480000) data
";

    #[test]
    fn reads_what_h2load_prints() {
        let seen = parse(PRINTED).unwrap();
        assert_eq!(seen.requests, 20_000);
        assert_eq!(seen.elapsed, Duration::from_millis(1520));
    }

    #[test]
    fn reads_each_unit_of_time() {
        let read = ["9us", "456.78ms", "1.5s"].map(|text| seconds(text).unwrap());
        assert_eq!(read, [9, 456_780, 1_500_000].map(Duration::from_micros));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn refuses_a_run_with_failures() {
        let failed = PRINTED.replace(
            "20000 2xx, 0 3xx, 0 4xx, 0 5xx",
            "19999 2xx, 0 3xx, 0 4xx, 1 5xx",
        );
        assert!(parse(&failed).unwrap_err().to_string().contains("1 5xx"));
        assert!(parse("Aborted").is_err());
    }
}
