//! Foreign programs: found, started, read, ended.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; only a hang gets this far.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, killed on drop.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    messages: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a program whose output is read from here on.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = spawn(command.stdin(Stdio::piped()));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let messages = Arc::new(Mutex::new(String::new()));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test may have ended and dropped the receiver; the pipe is still emptied.
                let _ = sender.send(line);
            }
        });
        let errors = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let kept = Arc::clone(&messages);
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("no holder panics");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self {
            name: name.to_owned(),
            child,
            lines,
            messages,
        }
    }

    /// Waits for a line of output that begins with `prefix` and gives what follows it.
    pub(crate) fn line_after(&self, prefix: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return rest.trim().to_owned();
                    }
                }
                Err(error) => panic!(
                    "{} printed no `{prefix}`: {error}\n{}",
                    self.name,
                    self.messages()
                ),
            }
        }
    }

    /// Gives the program a line to read.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("stdin is piped");
        writeln!(input, "{line}").expect("the program reads");
    }

    /// What the program wrote to standard error so far.
    pub(crate) fn messages(&self) -> String {
        self.messages.lock().expect("no holder panics").clone()
    }

    /// Sends a signal by its name (`TERM`).
    pub(crate) fn signal(&self, name: &str) {
        // The standard library sends no signal but KILL; `kill` is in every shell.
        let script = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &script]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "`{script}` failed");
    }

    /// Waits for the end of the program.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child, PATIENCE)
            .unwrap_or_else(|| panic!("{} did not end\n{}", self.name, self.messages()))
    }

    /// Peak of the resident memory in bytes.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Resident memory in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, key: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).expect("the process is alive");
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.expect("memory is a number of kB") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            report(&format!("--- {} said:\n{}", self.name, self.messages()));
        }
    }
}

/// What a program that has ended left.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: Vec<u8>,
    pub(crate) messages: String,
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    run_within(PATIENCE, command)
}

/// Runs a program that has more to do than others.
pub(crate) fn run_within(patience: Duration, command: &mut Command) -> Ended {
    let mut child = spawn(command.stdin(Stdio::null()));
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    let ended = wait(&mut child, patience);
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let messages =
        String::from_utf8_lossy(&errors.join().expect("reading does not panic")).into_owned();
    let output = output.join().expect("reading does not panic");
    let Some(status) = ended else {
        let text = String::from_utf8_lossy(&output).into_owned();
        panic!("{command:?} did not end within {patience:?}\n{text}\n{messages}");
    };
    Ended {
        code: status.code(),
        output,
        messages,
    }
}

/// Runs a program that must succeed and gives its output.
pub(crate) fn succeed(command: &mut Command) -> String {
    succeed_within(PATIENCE, command)
}

/// Runs a program that must succeed and has more to do than others.
pub(crate) fn succeed_within(patience: Duration, command: &mut Command) -> String {
    let ended = run_within(patience, command);
    assert!(
        ended.code == Some(0),
        "{command:?} ended with {:?}\n{}\n{}",
        ended.code,
        ended.text(),
        ended.messages
    );
    ended.text()
}

/// A program by its name, and the Debian package that has it.
pub(crate) fn program(name: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = directories
        .map(|directory| directory.join(name))
        .find(|file| file.is_file());
    Command::new(found.unwrap_or_else(|| {
        panic!("{name} is missing: `apt-get install {package}`, or run `cargo xtask test`")
    }))
}

/// The interpreter that has the packages of `peers/requirements.txt`, on a script of `peers/`.
pub(crate) fn python(script: &str) -> Command {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-python/bin/python");
    let interpreter = std::env::var_os("LB_TEST_PYTHON").map_or(made, PathBuf::from);
    assert!(
        interpreter.is_file(),
        "{} is missing: run `cargo xtask test`, which makes it",
        interpreter.display()
    );
    let mut command = Command::new(interpreter);
    // Proxies of the environment are not for loopback.
    command
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        // Scripts that import another of `peers/` would leave its bytecode among the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(peer(script));
    command
}

/// Node on a script of `peers/`.
pub(crate) fn node(script: &str) -> Command {
    let mut command = program("node", "nodejs");
    command.arg(peer(script));
    command
}

fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(script)
}

fn spawn(command: &mut Command) -> Child {
    let spawned = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    spawned.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The standard library has no wait with a deadline, so this one looks again and again.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let mut ended = None;
    poll(patience, || {
        ended = child.try_wait().expect("the child can be waited for");
        ended.is_some()
    });
    ended
}

/// Looks again and again until `done` or the end of patience; tells which.
pub(crate) fn poll(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    true
}

#[expect(
    clippy::print_stderr,
    reason = "shown by the test runner with the failure it explains"
)]
fn report(text: &str) {
    eprintln!("{text}");
}
