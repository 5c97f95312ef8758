//! Programs under measurement: pinned to cores, read through `/proc`, ended on drop.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Longer than any of them takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Descriptors each program may open: two for each of 10,000 connections, and room.
const DESCRIPTORS: &str = "65536";

/// Raises the limit as far as this user may, and becomes the program.
const RAISE: &str = r#"ulimit -n "$0" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@""#;

/// A command on the given cores (`0`, `0,1`), with room for connections.
pub(crate) fn pinned(program: &Path, cores: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", RAISE, DESCRIPTORS, "taskset", "-c", cores]);
    command.arg(program).stdin(Stdio::null());
    command
}

/// A running program, ended with its children on drop.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    errors: PathBuf,
}

impl Process {
    /// Starts it in `directory`, where it also leaves what it says.
    pub(crate) fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let errors = directory.join(format!("{name}.messages"));
        let file = fs::File::create(&errors)
            .with_context(|| format!("cannot create {}", errors.display()))?;
        let same = file.try_clone().context("cannot share a file")?;
        let child = command
            .current_dir(directory)
            .stdout(same)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            errors,
        })
    }

    /// Waits until it accepts connections on the port.
    pub(crate) fn accepts(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if TcpStream::connect_timeout(&address, PATIENCE).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                bail!("{} ended with {status}: {}", self.name, self.messages());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!(
            "{} does not accept connections: {}",
            self.name,
            self.messages()
        )
    }

    /// The last it said, for an error message.
    pub(crate) fn messages(&self) -> String {
        let said = fs::read(&self.errors).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    /// User and system time of it and its children since they began.
    pub(crate) fn processor_time(&self) -> Duration {
        let nanoseconds = self.family().into_iter().flat_map(tasks).map(|task| {
            let told = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            scheduled_nanoseconds(&told)
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Peak of the resident memory, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn end(mut self, patience: Duration) -> Result<()> {
        ensure!(self.ended_in(patience), "{} did not end", self.name);
        Ok(())
    }

    fn ended_in(&mut self, patience: Duration) -> bool {
        // Once it has been waited for, its number may be another's.
        if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            return true;
        }
        let _ = signal("-TERM", &[self.child.id()]);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return true;
            }
        }
        false
    }

    fn memory(&self, key: &str) -> u64 {
        let told = self.family().into_iter().map(|id| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            status_bytes(&status, key)
        });
        told.sum()
    }

    /// Itself and all its children.
    fn family(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut next = 0;
        while let Some(&id) = found.get(next) {
            for task in tasks(id) {
                let children = fs::read_to_string(task.join("children")).unwrap_or_default();
                found.extend(
                    children
                        .split_whitespace()
                        .filter_map(|id| id.parse::<u32>().ok()),
                );
            }
            next += 1;
        }
        found
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = self.family();
        // A master that is killed leaves its workers; one that is asked ends them.
        if !self.ended_in(Duration::from_secs(2)) {
            let _ = signal("-KILL", &family);
            let _ = self.child.wait();
        }
    }
}

fn signal(name: &str, ids: &[u32]) -> Result<()> {
    // The standard library sends no signal but KILL, and only to its own child.
    let mut kill = Command::new("kill");
    kill.arg(name).args(ids.iter().map(u32::to_string));
    kill.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(())
}

/// Directories of the threads of a process.
fn tasks(id: u32) -> Vec<PathBuf> {
    let directory = fs::read_dir(format!("/proc/{id}/task"));
    let entries = directory.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The first number of a `schedstat`: nanoseconds on a processor (proc(5), sched-stats).
fn scheduled_nanoseconds(schedstat: &str) -> u64 {
    let first = schedstat.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// A line of `/proc/PID/status`, which counts in kB of 1,024 bytes.
fn status_bytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Ports nothing listens on, as long as nobody else takes them.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("loopback has no free port")?;
    let ports = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect()
}

/// A directory for configurations and files, removed on drop.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Result<Self> {
        // Not below `target/`: the path of a unix socket has at most 107 bytes.
        let path = std::env::temp_dir().join(format!("lb-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_time_on_a_processor() {
        assert_eq!(scheduled_nanoseconds("1234567 89 10\n"), 1_234_567);
        assert_eq!(scheduled_nanoseconds(""), 0);
    }

    #[test]
    fn reads_memory_in_bytes() {
        let status = "Name:\tnginx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(status_bytes(status, "VmHWM:"), 2 << 20);
        assert_eq!(status_bytes(status, "VmSwap:"), 0);
    }

    #[test]
    fn sees_its_own_time_and_memory() {
        let directory = Directory::new().unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let process = Process::start("sleep", command, directory.path()).unwrap();
        assert!(process.resident_bytes() <= process.peak_bytes());
        assert_eq!(process.family().len(), 1);
    }
}
