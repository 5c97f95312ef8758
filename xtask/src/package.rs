//! `cargo xtask package`: the Debian package, with what the binary itself can write beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::pgo::{self, Optimised};
use crate::steps::{Steps, Workspace, say, succeed};

/// Each shell with the name that it looks for.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "lb-cli"),
    ("zsh", "_lb-cli"),
    ("fish", "lb-cli.fish"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Build with this profile of cargo
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Pack the build of `cargo xtask pgo`, made now
    #[arg(long, conflicts_with = "profile")]
    pgo: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::begin();
    steps.step("cargo-deb", || {
        let known = workspace.cargo(&["deb", "--version"]).output();
        ensure!(
            known.is_ok_and(|known| known.status.success()),
            "cargo-deb is missing: `cargo install cargo-deb`"
        );
        Ok(())
    })?;
    let built = if arguments.pgo {
        Built::optimised(pgo::build(&workspace, &mut steps)?)
    } else {
        Built::with_profile(&arguments.profile, &workspace, &mut steps)?
    };
    let made = workspace.target.join("package");
    steps.step("manual pages and completions", || {
        generate(&built.binary, &made)
    })?;
    let output = workspace.target.join("debian");
    let mut deb = workspace.cargo(&["deb", "--locked", "-p", "lb-cli", "--no-build"]);
    deb.args(&built.found_by).arg("--output").arg(&output);
    if let Some(target) = &built.target {
        deb.env("CARGO_TARGET_DIR", target);
    }
    steps.command("package", &mut deb)?;
    steps.end();
    say(&format!("the package is in {}", output.display()));
    Ok(())
}

/// A binary that is there, and how cargo-deb finds it.
struct Built {
    binary: PathBuf,
    found_by: [String; 2],
    target: Option<PathBuf>,
}

impl Built {
    fn with_profile(profile: &str, workspace: &Workspace, steps: &mut Steps) -> Result<Self> {
        let found_by = ["--profile".to_owned(), profile.to_owned()];
        let mut build = workspace.cargo(&["build", "--locked", "-p", "lb-cli"]);
        steps.command("binary", build.args(&found_by))?;
        let directory = match profile {
            "dev" => "debug",
            other => other,
        };
        Ok(Self {
            binary: workspace.target.join(directory).join("lb-cli"),
            found_by,
            target: None,
        })
    }

    fn optimised(optimised: Optimised) -> Self {
        Self {
            binary: optimised.binary(),
            found_by: ["--target".to_owned(), optimised.host],
            target: Some(optimised.target),
        }
    }
}

/// Lets the binary write its own pages and completions, so that they are true.
fn generate(binary: &Path, directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    let pages = directory.join("man");
    succeed(Command::new(binary).args(["man", "--out"]).arg(&pages))?;
    for (shell, name) in COMPLETIONS {
        let output = Command::new(binary).args(["completions", shell]).output();
        let output = output.with_context(|| format!("cannot run {}", binary.display()))?;
        ensure!(output.status.success(), "no completions for {shell}");
        let place = directory.join(shell);
        fs::create_dir_all(&place)
            .and_then(|()| fs::write(place.join(name), output.stdout))
            .with_context(|| format!("cannot write to {}", place.display()))?;
    }
    Ok(())
}
