//! Programs that are started, told, stopped and killed.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Longer than any of them takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running program, ended on drop.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    messages: PathBuf,
}

impl Program {
    /// Starts it; what it says on standard error goes to a file of `directory`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be started.
    pub(crate) fn start(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let messages = directory.join(format!("{name}.messages"));
        let file = File::options().create(true).append(true).open(&messages);
        let file = file.with_context(|| format!("cannot create {}", messages.display()))?;
        let mut child = command
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let output = child.stdout.take().context("stdout is piped")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Whoever listened may be gone; the pipe is still emptied.
                let _ = sender.send(line);
            }
        });
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            messages,
        })
    }

    /// The next line it prints.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub(crate) fn line(&self) -> Result<String> {
        let line = self.lines.recv_timeout(PATIENCE);
        line.with_context(|| format!("{} printed nothing: {}", self.name, self.messages()))
    }

    /// Writes a line to it.
    ///
    /// # Errors
    ///
    /// Fails if it has gone.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("stdin is piped")?;
        writeln!(input, "{line}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Sends a signal by its name (`STOP`).
    ///
    /// # Errors
    ///
    /// Fails if it has ended.
    pub(crate) fn signal(&mut self, name: &str) -> Result<()> {
        // Once it has been waited for, its number may be another's.
        ensure!(
            self.child.try_wait()?.is_none(),
            "{} has ended: {}",
            self.name,
            self.messages()
        );
        // The standard library sends no signal but KILL.
        let mut kill = Command::new("kill");
        let sent = kill.args([&format!("-{name}"), &self.child.id().to_string()]);
        ensure!(sent.status()?.success(), "cannot signal {}", self.name);
        Ok(())
    }

    /// Ends it at once, with `SIGKILL`.
    ///
    /// # Errors
    ///
    /// Fails if that cannot be sent.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill")?;
        self.child.wait().context("cannot wait")?;
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// Fails if it goes on.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "{} did not end: {}",
                self.name,
                self.messages()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it accepts connections on the port.
    ///
    /// # Errors
    ///
    /// Fails if it ends or does not.
    pub(crate) fn accepts(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if TcpStream::connect_timeout(&address, PATIENCE).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.messages());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("{} does not accept: {}", self.name, self.messages())
    }

    /// The last it said, for an error message.
    fn messages(&self) -> String {
        let said = fs::read(&self.messages).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        // A master that is killed leaves its workers; one that is asked ends them. One that is
        // stopped hears nothing.
        let _ = self.signal("CONT");
        let _ = self.signal("TERM");
        if self.wait(Duration::from_secs(2)).is_err() {
            let _ = self.kill();
        }
    }
}

/// A port that nothing listens on, as long as nobody else takes it.
///
/// # Errors
///
/// Fails if there is none.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr().context("no address")?.port())
}

/// Connections that wait to be accepted, so many that no other can be made.
///
/// # Errors
///
/// Fails if there is always room for one more.
pub(crate) fn fill_backlog(port: u16) -> Result<Vec<TcpStream>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut waiting = Vec::new();
    while waiting.len() < 1024 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return Ok(waiting),
        }
    }
    bail!("the backlog of port {port} has no end")
}

/// A directory for configurations and files, removed on drop.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("lb-chaos-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> Result<String> {
        let file = self.file(name);
        fs::write(&file, content).with_context(|| format!("cannot write {file}"))?;
        Ok(file)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
