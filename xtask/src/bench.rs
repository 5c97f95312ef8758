//! `cargo xtask bench`: the benchmarks of one operation each, then the whole proxy under load.
//!
//! The proxy runs in its own process on the first core, backend and load generator on others
//! (on the second where there are two). Its main figure is processor time per request: it does
//! not depend on how fast the load comes, as requests per second do.

mod backend;
mod goals;
pub(crate) mod instructions;
mod json;
mod load;
pub(crate) mod machine;
mod measure;
mod memory;
mod peer;
mod process;
mod report;
mod statistics;
mod table;
mod training;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::backend::Backends;
use self::measure::{Bench, Effort, Outcome};
use self::peer::{Candidate, PEERS, Peer, VARIANTS};
use self::process::Directory;
pub(crate) use self::statistics::number;
pub(crate) use self::table::render;
pub(crate) use self::training::train;
use self::workload::{WORKLOADS, Workload};
use crate::programs;
use crate::steps::{self, Workspace, say};

/// What every run needs, and the Debian packages that have it.
const TOOLS: [(&str, &str); 3] = [
    ("nginx", "nginx"),
    ("h2load", "nghttp2-client"),
    ("taskset", "util-linux"),
];

/// What was asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Measure these beside ours; `all` for those that are installed
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = peer_names)]
    peers: Vec<Vec<Peer>>,
    /// Install the peers, the backend and the load generator that are missing (Debian, as root)
    #[arg(long)]
    install_peers: bool,
    /// Only these workloads; `NAME*` for all that begin so, `--list` tells the names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    workload: Vec<String>,
    /// Rounds, in each of which every peer has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of a turn, in seconds
    #[arg(long, value_name = "S", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Three rounds of two seconds, and only the workloads that have a goal
    #[arg(long)]
    quick: bool,
    /// Leave out the benchmarks of one operation each
    #[arg(long)]
    no_micro: bool,
    /// Measure this build instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Measure this build of ours beside it, as if it were a peer
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// List the workloads and do nothing else
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workloads = choose(arguments)?;
    if arguments.list {
        for workload in workloads {
            say(&format!("{:<20} {}", workload.name, workload.title));
        }
        return Ok(());
    }
    let workspace = Workspace::load()?;
    if !arguments.no_micro {
        for (name, features) in workspace.benchmarked() {
            let mut bench = workspace.cargo(&["bench", "--locked", "-p", name]);
            if !features.is_empty() {
                bench.args(["--features", &features.join(",")]);
            }
            steps::succeed(&mut bench)?;
        }
    }
    let candidates = candidates(arguments, &workspace)?;
    for one in &candidates {
        say(&format!("    {:<8} {}", one.peer.name(), one.version));
    }
    let generator = generator(&workspace)?;
    let backends = Backends::start(Directory::new()?, &candidates[0].program)?;
    let effort = if arguments.quick {
        Effort {
            rounds: 3,
            round: Duration::from_secs(2),
        }
    } else {
        Effort {
            rounds: arguments.rounds,
            round: Duration::from_secs(arguments.seconds),
        }
    };
    let bench = Bench {
        candidates: &candidates,
        backends: &backends,
        generator: &generator,
        effort,
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (number, workload) in workloads.iter().enumerate() {
        say(&format!(
            "==> {} of {}: {}",
            number + 1,
            workloads.len(),
            workload.title
        ));
        let outcome = measure::run(workload, &bench)?;
        say(&table::workload(&outcome));
        outcomes.push(outcome);
    }
    let verdicts = goals::verdicts(&outcomes);
    say(&table::summary(&outcomes));
    if !verdicts.is_empty() {
        say(&table::goals(&verdicts));
    }
    let mut revision = revision(&workspace);
    if arguments.binary.is_some() {
        // What was given may be the build of any revision.
        revision += "-binary";
    }
    if !arguments.workload.is_empty() {
        // Beside the report of all of them, not in its place.
        revision += "-part";
    }
    let mut facts = machine::facts();
    facts["revision"] = revision.clone().into();
    facts["rounds"] = effort.rounds.into();
    facts["allocator"] = allocator(&candidates[0].program).into();
    facts["seconds"] = effort.round.as_secs().into();
    let directory = workspace.target.join("bench");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let json = json::run(&facts, &candidates, &outcomes, &verdicts);
    let page = report::html(&facts, &candidates, &outcomes, &verdicts);
    for (ending, text) in [("json", format!("{json:#}\n")), ("html", page)] {
        let file = directory.join(format!("{revision}.{ending}"));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        say(&format!("written: {}", file.display()));
    }
    let failed = outcomes.iter().flat_map(|outcome| &outcome.series);
    let failed = failed.filter(|series| series.failure.is_some()).count();
    ensure!(
        failed == 0,
        "{failed} series of measurements failed; see above"
    );
    Ok(())
}

/// The workloads that were asked for.
fn choose(arguments: &Arguments) -> Result<Vec<Workload>> {
    let mut chosen = Vec::new();
    for asked in &arguments.workload {
        let fits = |workload: &&Workload| match asked.strip_suffix('*') {
            Some(start) => workload.name.starts_with(start),
            None => workload.name == asked,
        };
        let before = chosen.len();
        chosen.extend(WORKLOADS.iter().filter(fits));
        ensure!(
            chosen.len() > before,
            "no workload is named `{asked}`; `--list` tells the names"
        );
    }
    if arguments.workload.is_empty() {
        let wanted = |workload: &&Workload| workload.quick || !arguments.quick;
        chosen.extend(WORKLOADS.iter().filter(wanted));
    }
    Ok(chosen)
}

/// Ours first, then what it is measured against.
fn candidates(arguments: &Arguments, workspace: &Workspace) -> Result<Vec<Candidate>> {
    let mut found = ours(&binary(arguments.binary.as_deref(), workspace)?)?;
    if let Some(other) = &arguments.against {
        found.push(build(Peer::Against, other)?);
    }
    let mut wanted: Vec<Peer> = arguments.peers.concat();
    wanted.sort_unstable();
    wanted.dedup();
    let all = wanted.len() == PEERS.len();
    if arguments.install_peers {
        install(&wanted)?;
    }
    for peer in wanted {
        match peer.find() {
            Some(candidate) => found.push(candidate),
            None if all => say(&format!("    {} is not installed", peer.name())),
            None => bail!(
                "{} is not installed: `apt-get install {}`, or `--install-peers`",
                peer.name(),
                peer.program().1
            ),
        }
    }
    Ok(found)
}

/// A build of ours, as it is and with more to say.
fn ours(binary: &Path) -> Result<Vec<Candidate>> {
    let plain = build(Peer::Ours, binary)?;
    let variant = |peer| Candidate {
        peer,
        ..plain.clone()
    };
    Ok([Peer::Ours]
        .into_iter()
        .chain(VARIANTS)
        .map(variant)
        .collect())
}

/// The build that was asked for, or one made now.
fn binary(asked: Option<&Path>, workspace: &Workspace) -> Result<PathBuf> {
    if let Some(binary) = asked {
        return Ok(binary.to_owned());
    }
    steps::succeed(&mut workspace.cargo(&["build", "--locked", "--release", "-p", "lb-cli"]))?;
    Ok(workspace.target.join("release/lb-cli"))
}

/// Builds our load generator.
fn generator(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = workspace.cargo(&["build", "--locked", "--release", "-p", "xtask"]);
    steps::succeed(build.args(["--features", "load", "--bin", "lb-load"]))?;
    Ok(workspace.target.join("release/lb-load"))
}

fn build(peer: Peer, program: &Path) -> Result<Candidate> {
    let program = program
        .canonicalize()
        .with_context(|| format!("no program {}", program.display()))?;
    let told = Command::new(&program).arg("--version").output();
    let told = told.with_context(|| format!("cannot run {}", program.display()))?;
    let version = String::from_utf8_lossy(&told.stdout);
    Ok(Candidate {
        peer,
        program,
        leading: Vec::new(),
        version: version
            .lines()
            .next()
            .unwrap_or("unknown")
            .trim()
            .to_owned(),
    })
}

fn install(wanted: &[Peer]) -> Result<()> {
    let peers = wanted.iter().map(|peer| peer.program());
    let mut packages: Vec<&str> = peers
        .chain(TOOLS)
        .filter(|(program, _)| programs::find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    ensure!(
        programs::may_install(),
        "only root can install on Debian:\n    apt-get install {}",
        packages.join(" ")
    );
    programs::install_packages(&packages)
}

fn peer_names(text: &str) -> Result<Vec<Peer>, String> {
    if text == "all" {
        return Ok(PEERS.to_vec());
    }
    clap::ValueEnum::from_str(text, false).map(|peer| vec![peer])
}

/// The allocator of our binary, as it tells it itself.
fn allocator(program: &Path) -> String {
    let told = Command::new(program).args(["version", "--json"]).output();
    let told: serde_json::Value = told
        .ok()
        .and_then(|told| serde_json::from_slice(&told.stdout).ok())
        .unwrap_or_default();
    told["allocator"].as_str().unwrap_or("unknown").to_owned()
}

/// The commit, marked if the working tree differs from it.
pub(crate) fn revision(workspace: &Workspace) -> String {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git
            .args(arguments)
            .current_dir(&workspace.root)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}-changed"),
    }
}
