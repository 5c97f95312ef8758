//! A real Redis on a unix socket.

use std::process::Command;

use super::files::Directory;
use super::process::{PATIENCE, Process, poll, program, run, succeed};

/// A running `redis-server` that keeps nothing on disk.
pub(crate) struct Redis {
    process: Option<Process>,
    directory: Directory,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let mut redis = Self {
            process: None,
            directory: Directory::new(),
        };
        redis.restart();
        redis
    }

    /// Kills it, as a crash would, and starts it again, empty.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let mut command = program("redis-server", "redis-server");
        command.args(["--port", "0", "--unixsocket", &self.socket()]);
        command.args(["--save", "", "--appendonly", "no"]);
        command.current_dir(self.directory.path());
        self.process = Some(Process::start("redis-server", &mut command));
        let ready = poll(PATIENCE, || {
            let answer = run(self.cli().arg("PING"));
            answer.text().trim() == "PONG"
        });
        assert!(ready, "Redis does not answer");
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
        let _ = std::fs::remove_file(self.socket());
    }

    /// Stops it in its tracks: connections stay open and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        self.process.as_ref().expect("it runs").signal(name);
    }

    /// What `redis-cli` answers.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        succeed(self.cli().args(words)).trim().to_owned()
    }

    fn cli(&self) -> Command {
        let mut command = program("redis-cli", "redis-tools");
        command.args(["-s", &self.socket()]);
        command
    }

    fn socket(&self) -> String {
        self.directory.file("redis.sock")
    }

    /// For `[redis]` of a configuration.
    pub(crate) fn url(&self) -> String {
        format!("unix:{}", self.socket())
    }
}
