//! The programs that tests and benchmarks talk to: found by `PATH`, installed where that is possible.
//!
//! A missing program is a failure, never a skipped test: a run that passed has seen all of them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::{Workspace, say, succeed};

/// A program and the Debian package that has it.
struct Program {
    name: &'static str,
    package: &'static str,
}

const PROGRAMS: [Program; 13] = [
    Program {
        name: "nginx",
        package: "nginx",
    },
    Program {
        name: "curl",
        package: "curl",
    },
    Program {
        name: "nghttp",
        package: "nghttp2-client",
    },
    Program {
        name: "h2load",
        package: "nghttp2-client",
    },
    Program {
        name: "halog",
        package: "haproxy",
    },
    Program {
        name: "goaccess",
        package: "goaccess",
    },
    Program {
        name: "node",
        package: "nodejs",
    },
    Program {
        name: "python3",
        package: "python3",
    },
    Program {
        name: "promtool",
        package: "prometheus",
    },
    Program {
        name: "systemd-analyze",
        package: "systemd",
    },
    Program {
        name: "redis-server",
        package: "redis-server",
    },
    Program {
        name: "redis-cli",
        package: "redis-tools",
    },
    Program {
        name: "chromium",
        package: "chromium",
    },
];

/// Installs what is missing, or says how to.
pub(crate) fn install() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        say("    all there");
        return Ok(());
    }
    let line = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if !may_install() {
        bail!("programs are missing; install them and run this again:\n    {line}");
    }
    install_packages(&missing)?;
    let still = missing_packages();
    if !still.is_empty() {
        bail!(
            "`{line}` succeeded, but these are still not found: {}",
            still.join(" ")
        );
    }
    Ok(())
}

/// Installs packages of Debian; the caller has asked whether it may.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    // Without the update a fresh machine knows no package; the frontend would ask questions.
    succeed(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    succeed(
        install
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// The interpreter of a virtual environment that holds the packages of the Python peers.
pub(crate) fn python(workspace: &Workspace) -> Result<String> {
    let list = workspace.root.join("lb-cli/tests/peers/requirements.txt");
    let wanted =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let home = workspace.target.join("test-python");
    let interpreter = home.join("bin/python");
    // Written last, so that an installation that was interrupted is begun again.
    let stamp = home.join("installed.txt");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) || !works(&interpreter) {
        let _ = fs::remove_dir_all(&home);
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(&interpreter);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        succeed(pip.arg(&list))?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    let interpreter = interpreter.into_os_string().into_string();
    interpreter.map_err(|path| anyhow::anyhow!("path is not UTF-8: {}", path.display()))
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|program| find(program.name).is_none())
        .map(|program| program.package)
        .collect();
    // Debian's python3 comes without the parts that make a virtual environment.
    let mut venv = Command::new("python3");
    venv.args(["-c", "import venv, ensurepip"]);
    if missing.contains(&"python3") || !quietly(&mut venv) {
        missing.push("python3-venv");
    }
    missing.dedup();
    missing
}

/// Where a program is.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    // Debian puts nginx where the PATH of ordinary users does not lead.
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(OsString::from(":/usr/sbin:/usr/local/sbin"));
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Whether this is Debian and the user may install packages.
pub(crate) fn may_install() -> bool {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    root && find("apt-get").is_some()
}

fn works(interpreter: &Path) -> bool {
    quietly(Command::new(interpreter).args(["-c", "import grpc, h2, httpx, playwright"]))
}

fn quietly(command: &mut Command) -> bool {
    let silent = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}
