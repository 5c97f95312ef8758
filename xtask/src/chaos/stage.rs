//! What a scenario is played on: backends, a proxy before them, and a load.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::children::{Directory, PATIENCE, Program};
use crate::journal::{Journal, now_micros};
use crate::load::{Load, Mix, Plan};
use crate::proxies::{Kind, Proxy, Setup};

/// Connections of the load: enough that the streams of one are not the limit.
const CONNECTIONS: usize = 8;

/// A scenario about to be played with one proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Play<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) kind: Kind,
    pub(crate) program: &'a Path,
    pub(crate) rate: u32,
    /// How long a fault lasts.
    pub(crate) fault: Duration,
}

/// When something was done, by the clocks of this process and of the journals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) micros: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            micros: now_micros(),
        }
    }
}

/// A backend and its file.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) port: u16,
    program: Program,
    journal: PathBuf,
    directory: PathBuf,
    h2c: bool,
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) backends: Vec<Backend>,
    authority: PathBuf,
    rate: u32,
}

impl Play<'_> {
    /// Starts two backends and the proxy before them.
    ///
    /// # Errors
    ///
    /// Fails if one does not start.
    pub(crate) fn stage(&self, setup: Setup) -> Result<Stage> {
        let mut backends = Vec::new();
        for name in ["a", "b"] {
            backends.push(Backend::start(name, self.directory, setup.h2c)?);
        }
        let ports: Vec<u16> = backends.iter().map(|backend| backend.port).collect();
        let proxy = Proxy::start((self.kind, self.program), setup, &ports, self.directory)?;
        Ok(Stage {
            proxy,
            backends,
            authority: self.directory.file("ca.crt").into(),
            rate: self.rate,
        })
    }

    /// Time for the first probes and connections.
    pub(crate) fn lead(&self) {
        thread::sleep(Duration::from_secs(1).min(self.fault / 2));
    }
}

impl Stage {
    /// Begins a load.
    ///
    /// # Errors
    ///
    /// Fails if the proxy cannot be reached.
    pub(crate) fn load(&self, mix: Mix) -> Result<Load> {
        Load::start(Plan {
            address: self.proxy.address,
            authority: self.authority.clone(),
            per_second: self.rate,
            connections: CONNECTIONS,
            mix,
        })
    }

    /// Who signed the certificate of the proxy.
    pub(crate) fn authority(&self) -> PathBuf {
        self.authority.clone()
    }

    /// What every backend received so far.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read.
    pub(crate) fn journals(&self) -> Result<Vec<Journal>> {
        let journals = self.backends.iter();
        journals
            .map(|backend| Journal::read(&backend.journal))
            .collect()
    }
}

impl Backend {
    fn start(name: &str, directory: &Directory, h2c: bool) -> Result<Self> {
        let journal = PathBuf::from(directory.file(&format!("{name}.journal")));
        if journal.exists() {
            std::fs::remove_file(&journal).context("cannot begin a journal")?;
        }
        let directory = directory.path();
        let (program, port) = launch(name, 0, &journal, directory, h2c)?;
        Ok(Self {
            name: name.to_owned(),
            port,
            program,
            journal,
            directory: directory.to_owned(),
            h2c,
        })
    }

    /// Has it do something, and returns when it does.
    ///
    /// # Errors
    ///
    /// Fails if it does not obey.
    pub(crate) fn tell(&mut self, command: &str) -> Result<()> {
        self.program.tell(command)?;
        let answer = self.program.line()?;
        ensure!(answer == "obeyed", "backend {}: {answer}", self.name);
        Ok(())
    }

    pub(crate) fn signal(&mut self, name: &str) -> Result<()> {
        self.program.signal(name)
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }

    /// Has it finish what it began, and waits until it has ended.
    pub(crate) fn drain(&mut self) -> Result<()> {
        self.tell("drain")?;
        self.program.wait(PATIENCE)?;
        Ok(())
    }

    /// Starts it again where it was, once it has ended; returns when it listens.
    ///
    /// # Errors
    ///
    /// Fails if somebody else took its port.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let (name, port) = (&self.name, self.port);
        let (program, _) = launch(name, port, &self.journal, &self.directory, self.h2c)?;
        self.program = program;
        Ok(())
    }
}

fn launch(
    name: &str,
    port: u16,
    journal: &Path,
    directory: &Path,
    h2c: bool,
) -> Result<(Program, u16)> {
    let program = std::env::current_exe().context("this program has no path")?;
    let mut command = Command::new(program);
    command.args(["backend", "--name", name, "--port", &port.to_string()]);
    command.arg("--journal").arg(journal);
    if h2c {
        command.arg("--h2c");
    }
    let program = Program::start(&format!("backend-{name}"), &mut command, directory)?;
    let line = program.line()?;
    let port = line.strip_prefix("listening ");
    let port = port.and_then(|port| port.parse().ok());
    let port = port.with_context(|| format!("backend {name} said `{line}`"))?;
    Ok((program, port))
}
