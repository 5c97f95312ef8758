//! Steps run one after the other, each with its name and time; the first that fails ends the run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The steps of one run.
#[derive(Debug)]
pub(crate) struct Steps {
    begun: Instant,
    passed: usize,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            passed: 0,
        }
    }

    /// Runs one step, or fails with its name.
    pub(crate) fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        say(&format!("==> {name}"));
        let begun = Instant::now();
        let outcome = step();
        let took = seconds(begun.elapsed());
        match outcome {
            Ok(done) => {
                self.passed += 1;
                say(&format!("    {name}: ok in {took}"));
                Ok(done)
            }
            Err(error) => {
                say(&format!("    {name}: failed after {took}"));
                say(&format!("steps: {} passed, 1 failed", self.passed));
                Err(error.context(format!("step `{name}`")))
            }
        }
    }

    /// Runs one step that is a single command.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.step(name, || succeed(command))
    }

    /// Prints the closing line.
    pub(crate) fn end(self) {
        say(&format!(
            "all steps done in {}",
            seconds(self.begun.elapsed())
        ));
        say(&format!("steps: {} passed, 0 failed", self.passed));
    }
}

/// Where cargo builds to, if it is told by its environment.
const TARGET: &str = "CARGO_TARGET_DIR";

/// What cargo knows of the workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    metadata: Value,
}

impl Workspace {
    /// The one that we are run in.
    pub(crate) fn load() -> Result<Self> {
        Self::read(&mut Command::new(cargo_program()))
    }

    /// One in another place, with its own target directory.
    pub(crate) fn at(root: &Path, target: &Path) -> Result<Self> {
        let mut cargo = Command::new(cargo_program());
        Self::read(cargo.current_dir(root).env(TARGET, target))
    }

    fn read(cargo: &mut Command) -> Result<Self> {
        let output = cargo
            .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run `cargo metadata`")?;
        ensure!(output.status.success(), "`cargo metadata` failed");
        let metadata: Value =
            serde_json::from_slice(&output.stdout).context("cannot read `cargo metadata`")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` names no `{key}`"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            metadata,
        })
    }

    /// A cargo command in the root of the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo_program());
        command.args(arguments).current_dir(&self.root);
        command.env(TARGET, &self.target);
        command
    }

    /// Names of the crates.
    pub(crate) fn crates(&self) -> Vec<&str> {
        let packages = self.metadata["packages"].as_array().into_iter().flatten();
        packages
            .filter_map(|package| package["name"].as_str())
            .collect()
    }

    /// Names of what a crate needs to run: neither dev- nor build-dependencies.
    pub(crate) fn dependencies(&self, name: &str) -> Vec<&str> {
        self.list(name, "dependencies")
            .filter(|dependency| dependency["kind"].is_null())
            // What is optional is not needed to run: the anchors of a benchmark, say.
            .filter(|dependency| dependency["optional"] != true)
            .filter_map(|dependency| dependency["name"].as_str())
            .collect()
    }

    /// Names of the integration tests of a crate.
    pub(crate) fn integration_tests(&self, name: &str) -> Vec<&str> {
        self.list(name, "targets")
            .filter(|target| target["kind"][0] == "test")
            .filter_map(|target| target["name"].as_str())
            .collect()
    }

    /// The crates that have benchmarks, each with the features that these need.
    pub(crate) fn benchmarked(&self) -> Vec<(&str, Vec<&str>)> {
        let mut found = Vec::new();
        for name in self.crates() {
            let targets = self.list(name, "targets");
            let benches: Vec<&Value> = targets
                .filter(|target| target["kind"][0] == "bench")
                .collect();
            let features = benches
                .iter()
                .filter_map(|bench| bench["required-features"].as_array())
                .flatten();
            if !benches.is_empty() {
                found.push((name, features.filter_map(Value::as_str).collect()));
            }
        }
        found
    }

    fn list(&self, name: &str, key: &str) -> impl Iterator<Item = &Value> {
        let packages = self.metadata["packages"].as_array().into_iter().flatten();
        packages
            .filter(move |package| package["name"] == name)
            .flat_map(move |package| package[key].as_array().into_iter().flatten())
    }
}

/// Runs a command to its end, its output being ours.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let line = line(command);
    say(&format!("    $ {line}"));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// Prints one line of progress.
#[expect(clippy::print_stdout, reason = "progress is what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

fn line(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program
        .file_name()
        .unwrap_or_else(|| command.get_program())
        .to_string_lossy();
    let arguments = command
        .get_args()
        .map(|argument| format!(" {}", argument.to_string_lossy()));
    program.into_owned() + &arguments.collect::<String>()
}

fn cargo_program() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
