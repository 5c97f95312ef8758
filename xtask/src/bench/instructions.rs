//! `cargo xtask check --perf`: instructions per request, counted by valgrind.
//!
//! Times differ from run to run by more than a slow regression does; instructions by less than
//! one in a hundred. Each path is counted over two numbers of requests, whose difference holds
//! neither start nor handshakes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::backend::Backends;
use super::load;
use super::measure::count;
use super::peer::{Candidate, Peer};
use super::process::Directory;
use super::statistics::number;
use super::table;
use super::workload::{WORKLOADS, Workload};
use crate::files;
use crate::programs;
use crate::steps::{Workspace, say};

/// Paths that are counted, with the instructions that they are meant to stay below.
const PATHS: [(&str, f64); 2] = [("h2-h1", 35_000.0), ("h2-h2c", 52_000.0)];

/// A path may grow by this share over the baseline.
const TOLERANCE: f64 = 0.03;

/// Requests of the two runs: whole turns of 32 × 32.
const REQUESTS: [u64; 2] = [4096, 12_288];

/// Longer than valgrind takes to write its file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts, and fails if a path got dearer; or makes what it counted the baseline.
pub(crate) fn run(binary: Option<&Path>, renew: bool) -> Result<()> {
    let workspace = Workspace::load()?;
    let binary = super::binary(binary, &workspace)?;
    let counted = measure(&binary, &workspace.target.join("bench"))?;
    let file = workspace.root.join("xtask/instructions.json");
    if renew {
        let json = serde_json::to_string_pretty(&counted).context("cannot write JSON")?;
        files::write(&file, &(json + "\n"))?;
    }
    let baseline: BTreeMap<String, f64> = serde_json::from_str(&files::read(&file)?)
        .with_context(|| format!("{} is not a map of numbers", file.display()))?;
    let rows: Vec<Vec<String>> = PATHS
        .iter()
        .filter_map(|(name, goal)| {
            Some(row(name, *counted.get(*name)?, baseline.get(*name), *goal))
        })
        .collect();
    let heads = ["path", "instructions/request", "baseline", "change", "goal"];
    say(&table::render(&heads, &rows));
    let dearer = dearer(&counted, &baseline);
    ensure!(
        dearer.is_empty(),
        "more than {:.0} % dearer than the baseline: {}; `--renew` if it is worth it",
        TOLERANCE * 100.0,
        dearer.join(", ")
    );
    Ok(())
}

/// The paths that grew by more than is tolerated, or that nobody has counted before.
fn dearer(counted: &BTreeMap<String, f64>, baseline: &BTreeMap<String, f64>) -> Vec<String> {
    let bad = counted.iter().filter(|(name, now)| {
        let before = baseline.get(*name);
        before.is_none_or(|before| **now > before * (1.0 + TOLERANCE))
    });
    bad.map(|(name, _)| name.clone()).collect()
}

fn row(name: &str, now: f64, before: Option<&f64>, goal: f64) -> Vec<String> {
    let change = |before: &f64| format!("{:+.1} %", (now / before - 1.0) * 100.0);
    let met = if now <= goal { "met" } else { "missed" };
    vec![
        name.to_owned(),
        number(now),
        before.map_or_else(|| "–".to_owned(), |before| number(*before)),
        before.map_or_else(|| "–".to_owned(), change),
        format!("≤ {} {met}", number(goal)),
    ]
}

fn measure(binary: &Path, output: &Path) -> Result<BTreeMap<String, f64>> {
    fs::create_dir_all(output).with_context(|| format!("cannot create {}", output.display()))?;
    let valgrind = programs::find("valgrind");
    let valgrind = valgrind.context("valgrind is missing: `apt-get install valgrind`")?;
    let backends = Backends::start(Directory::new()?, binary)?;
    let mut counted = BTreeMap::new();
    for (name, _) in PATHS {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name);
        let workload = workload.context("each path is a workload")?;
        say(&format!("==> {}", workload.title));
        let mut totals = Vec::new();
        for requests in REQUESTS {
            let profile = output.join(format!("{name}-{requests}.callgrind"));
            let total = once(&valgrind, binary, workload, &backends, requests, profile)?;
            say(&format!(
                "    {requests} requests: {} instructions",
                number(count(total))
            ));
            totals.push(count(total));
        }
        let each = (totals[1] - totals[0]) / count(REQUESTS[1] - REQUESTS[0]);
        counted.insert(name.to_owned(), each.round());
    }
    say(&format!(
        "profiles for callgrind_annotate: {}",
        output.display()
    ));
    Ok(counted)
}

/// Instructions of a process that serves so many requests.
fn once(
    valgrind: &Path,
    binary: &Path,
    workload: &Workload,
    backends: &Backends,
    requests: u64,
    profile: PathBuf,
) -> Result<u64> {
    let directory = backends.directory();
    let log = directory.file("valgrind.log");
    let binary = binary
        .canonicalize()
        .with_context(|| format!("no program {}", binary.display()))?;
    let candidate = Candidate {
        peer: Peer::Ours,
        program: valgrind.to_owned(),
        version: String::new(),
        leading: vec![
            "--tool=callgrind".into(),
            format!("--log-file={log}").into(),
            format!("--callgrind-out-file={}", profile.display()).into(),
            binary.into(),
        ],
    };
    let proxy = candidate.start(workload, backends, directory)?;
    load::h2load(workload, proxy.port, requests, directory)?;
    proxy.process.end(PATIENCE)?;
    let log = fs::read_to_string(&log).with_context(|| format!("cannot read {log}"))?;
    collected(&log)
}

/// What callgrind says it has counted.
fn collected(log: &str) -> Result<u64> {
    let total = log.lines().find_map(|line| line.split_once("Collected :"));
    let Some((_, total)) = total else {
        bail!("valgrind counted nothing: {log}");
    };
    total
        .trim()
        .parse()
        .with_context(|| format!("valgrind counted `{total}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counted: &[(&str, f64)]) -> BTreeMap<String, f64> {
        counted
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn reads_what_callgrind_counted() {
        let log = "==7== Events    : Ir\n==7== Collected : 123456789\n==7==\n";
        assert_eq!(collected(log).unwrap(), 123_456_789);
        assert!(collected("==7== killed").is_err());
    }

    #[test]
    fn tolerates_three_in_a_hundred() {
        let baseline = counts(&[("a", 1000.0), ("b", 1000.0)]);
        let now = counts(&[("a", 1030.0), ("b", 1031.0)]);
        assert_eq!(dearer(&now, &baseline), ["b"]);
    }

    #[test]
    fn refuses_a_path_without_a_baseline() {
        assert_eq!(dearer(&counts(&[("new", 1.0)]), &counts(&[])), ["new"]);
    }

    #[test]
    fn counts_paths_that_exist() {
        for (name, _) in PATHS {
            assert!(
                WORKLOADS.iter().any(|workload| workload.name == name),
                "{name}"
            );
        }
    }
}
