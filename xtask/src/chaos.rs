//! `cargo xtask chaos`: backends that die, freeze, lie and restart under load, and what clients see
//! of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::bench::{machine, number, render, revision};
use crate::programs;
use crate::steps::{self, Workspace, say};

/// What was asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only these scenarios; an unknown name tells them all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Seconds that a fault lasts, where the scenario leaves it open
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    seconds: u64,
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    rate: u32,
    /// The same faults behind these proxies
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Break backends behind this build instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// What `cargo xtask test` plays: few requests, a build made for tests, counts and no times
    #[arg(long, conflicts_with_all = ["scenario", "seconds", "rate", "peers", "binary"])]
    short: bool,
}

/// A proxy beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    Nginx,
    #[value(name = "haproxy")]
    HaProxy,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    if arguments.short {
        return short(&workspace);
    }
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => {
            let build = ["build", "--locked", "--release", "-p", "lb-cli"];
            steps::succeed(&mut workspace.cargo(&build))?;
            workspace.target.join("release/lb-cli")
        }
    };
    let mut play = play(&workspace, &binary)?;
    play.args(["--rate", &arguments.rate.to_string()]);
    play.args(["--seconds", &arguments.seconds.to_string()]);
    for name in &arguments.scenario {
        play.args(["--scenario", name]);
    }
    let mut versions = serde_json::Map::new();
    for peer in &arguments.peers {
        let name = peer.name();
        let program = programs::find(name)
            .with_context(|| format!("{name} is not installed: `apt-get install {name}`"))?;
        versions.insert(name.to_owned(), version(&program).into());
        play.args(["--peer", &format!("{name}={}", program.display())]);
    }
    let outcomes = outcomes(&mut play)?;
    say(&table(&outcomes));
    say(&promises(&outcomes));
    let mut revision = revision(&workspace);
    if arguments.binary.is_some() {
        // What was given may be the build of any revision.
        revision += "-binary";
    }
    let mut facts = machine::facts();
    facts["revision"] = revision.clone().into();
    facts["peers"] = Value::Object(versions);
    let directory = workspace.target.join("chaos");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let file = directory.join(format!("{revision}.json"));
    let report = json!({ "facts": facts, "outcomes": outcomes });
    fs::write(&file, format!("{report:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    say(&format!("written: {}", file.display()));
    judge(&outcomes)
}

/// The short form, with a build made for tests: few requests, and no figure that a busy machine
/// could spoil.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    steps::succeed(&mut workspace.cargo(&["build", "--locked", "-p", "lb-cli"]))?;
    let mut play = play(workspace, &workspace.target.join("debug/lb-cli"))?;
    play.args(["--rate", "200", "--seconds", "1"]);
    let outcomes = outcomes(&mut play)?;
    say(&table(&outcomes));
    judge(&outcomes)
}

/// What plays the scenarios, built now.
fn play(workspace: &Workspace, binary: &Path) -> Result<Command> {
    let mut build = workspace.cargo(&["build", "--locked", "-p", "xtask"]);
    steps::succeed(build.args(["--features", "load", "--bin", "lb-chaos"]))?;
    let mut play = Command::new(workspace.target.join("debug/lb-chaos"));
    play.arg("run").arg("--binary").arg(binary);
    Ok(play)
}

/// Plays, and tells each outcome as it comes.
fn outcomes(play: &mut Command) -> Result<Vec<Value>> {
    let mut child = play
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run lb-chaos")?;
    let output = child.stdout.take().context("stdout is piped")?;
    let mut outcomes: Vec<Value> = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what lb-chaos prints")?;
        let outcome: Value =
            serde_json::from_str(&line).with_context(|| format!("lb-chaos printed `{line}`"))?;
        say(&format!(
            "    {} with {}: {} requests",
            text(&outcome["scenario"]),
            text(&outcome["proxy"]),
            outcome["requests"]
        ));
        outcomes.push(outcome);
    }
    let status = child.wait().context("cannot wait for lb-chaos")?;
    ensure!(status.success(), "lb-chaos ended with {status}");
    Ok(outcomes)
}

fn version(program: &Path) -> String {
    // nginx says it on standard error.
    let told = Command::new(program).arg("-v").output();
    let told = told.map(|told| [told.stdout, told.stderr].concat());
    let told = String::from_utf8_lossy(&told.unwrap_or_default()).into_owned();
    told.lines().next().unwrap_or("unknown").trim().to_owned()
}

fn table(outcomes: &[Value]) -> String {
    let heads = [
        "scenario",
        "proxy",
        "offered/s",
        "GET errors",
        "POST errors",
        "keyed",
        "no connection",
        "twice",
        "longest gap ms",
        "longest ms",
        "p99 ms",
        "ejected ms",
        "attempts",
    ];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let cell = |key: &str| outcome[key].as_f64().map_or_else(|| "–".to_owned(), number);
            let count = |key: &str| outcome[key].to_string();
            vec![
                text(&outcome["scenario"]).to_owned(),
                text(&outcome["proxy"]).to_owned(),
                cell("offered_per_second"),
                count("failed_gets"),
                count("failed_posts"),
                count("failed_keyed_posts"),
                count("unsent"),
                count("posts_twice"),
                cell("longest_gap_ms"),
                cell("longest_ms"),
                cell("p99_ms"),
                cell("ejected_after_ms"),
                cell("attempts_per_request"),
            ]
        })
        .collect();
    render(&heads, &rows)
}

fn promises(outcomes: &[Value]) -> String {
    let heads = ["scenario", "proxy", "promise", "reached", "goal", ""];
    let mut rows = Vec::new();
    for outcome in outcomes {
        for check in checks(outcome) {
            let figure = |key: &str| check[key].as_f64().map_or_else(|| "–".to_owned(), number);
            let verdict = if check["is_met"] == true {
                "met"
            } else {
                "missed"
            };
            rows.push(vec![
                text(&outcome["scenario"]).to_owned(),
                text(&outcome["proxy"]).to_owned(),
                text(&check["what"]).to_owned(),
                figure("reached"),
                figure("goal"),
                verdict.to_owned(),
            ]);
        }
    }
    render(&heads, &rows)
}

/// Fails where ours broke a promise by more than a busy machine explains.
fn judge(outcomes: &[Value]) -> Result<()> {
    let ours = outcomes.iter().filter(|outcome| outcome["proxy"] == "ours");
    let mut broken = Vec::new();
    for outcome in ours {
        for check in checks(outcome).filter(|check| check["is_broken"] == true) {
            broken.push(format!(
                "{}: {} {}, at most {}; {}",
                text(&outcome["scenario"]),
                text(&check["what"]),
                check["reached"],
                check["goal"],
                outcome["failures"]
            ));
        }
    }
    if !broken.is_empty() {
        bail!("promises were broken\n{}", broken.join("\n"));
    }
    Ok(())
}

fn checks(outcome: &Value) -> impl Iterator<Item = &Value> {
    outcome["checks"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(proxy: &str, reached: f64) -> Value {
        json!({
            "scenario": "killed",
            "proxy": proxy,
            "failures": {},
            "checks": [
                { "what": "failed", "reached": reached, "goal": 0, "is_broken": reached > 0.0 },
            ],
        })
    }

    #[test]
    fn only_our_own_broken_promise_fails() {
        assert!(judge(&[outcome("ours", 0.0), outcome("nginx", 7.0)]).is_ok());
        let told = judge(&[outcome("ours", 7.0)]).unwrap_err().to_string();
        assert!(told.contains("killed: failed 7"), "{told}");
    }
}
