//! Clients written by others: curl, h2load, node's http2, Chromium.

use std::process::Command;

use serde_json::Value;

use super::files::Directory;
use super::process::{PATIENCE, Process, node, program, python, run, succeed, succeed_within};

/// One request by curl.
pub(crate) struct Curl {
    command: Command,
    directory: Directory,
}

impl Curl {
    pub(crate) fn get(url: &str) -> Self {
        let directory = Directory::new();
        let mut command = program("curl", "curl");
        command.args([
            "--silent",
            "--show-error",
            "--insecure",
            "--noproxy",
            "*",
            "--max-time",
            "50",
        ]);
        command.args([
            "--dump-header",
            &directory.file("head"),
            "--output",
            &directory.file("body"),
        ]);
        command.args(["--write-out", "%{http_code} %{http_version}", url]);
        Self { command, directory }
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sends the request and waits for its end, whatever it is.
    pub(crate) fn send(mut self) -> Answer {
        let ended = run(&mut self.command);
        let told = ended.text();
        let (status, version) = told.split_once(' ').unwrap_or_default();
        let head = std::fs::read(self.directory.file("head")).unwrap_or_default();
        Answer {
            exit: ended.code,
            status: status.parse().unwrap_or_default(),
            version: version.to_owned(),
            head: String::from_utf8_lossy(&head).into_owned(),
            messages: ended.messages,
            directory: self.directory,
        }
    }
}

/// What curl got.
pub(crate) struct Answer {
    pub(crate) exit: Option<i32>,
    pub(crate) status: u16,
    pub(crate) version: String,
    /// All heads as received, the final one last.
    pub(crate) head: String,
    pub(crate) messages: String,
    directory: Directory,
}

impl Answer {
    /// The value of a field of the final head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let last = self
            .head
            .trim_end()
            .rsplit("\r\n\r\n")
            .next()
            .unwrap_or_default();
        last.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        std::fs::read(self.body_file()).unwrap_or_default()
    }

    pub(crate) fn body_file(&self) -> String {
        self.directory.file("body")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {} {text:?} {}", self.head, self.messages))
    }

    /// Panics unless the exchange was complete and had this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let seen = (self.exit, self.status);
        assert_eq!(
            seen,
            (Some(0), status),
            "{}\n{}\n{}",
            self.head,
            self.messages,
            self.text()
        );
        self
    }
}

/// Requests sent at once on one HTTP/2 connection by node; `peers/client.mjs` tells their form.
pub(crate) fn node_requests(url: &str, requests: &Value) -> Vec<Value> {
    let printed = succeed(node("client.mjs").args([url, &requests.to_string()]));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// What headless Chromium saw, steered by a script of `peers/` that prints it as JSON.
pub(crate) fn chromium(script: &str, arguments: &[&str]) -> Value {
    let browser = program("chromium", "chromium");
    let mut command = python(script);
    command.arg(browser.get_program()).args(arguments);
    // A browser takes a while, and each of its many steps has a deadline of its own.
    let printed = succeed_within(4 * PATIENCE, &mut command);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// What h2load counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
    pub(crate) status_2xx: usize,
}

/// Sends so many requests with h2load.
pub(crate) fn load(url: &str, requests: usize, clients: usize, streams: usize) -> Load {
    h2load(url, requests, clients, streams, &mut h2load_command())
}

/// As [`load`], so many a second in all.
pub(crate) fn load_at(
    url: &str,
    requests: usize,
    clients: usize,
    streams: usize,
    per_second: usize,
) -> Load {
    let mut command = h2load_command();
    command.args(["--rps", &(per_second / clients).to_string()]);
    h2load(url, requests, clients, streams, &mut command)
}

fn h2load_command() -> Command {
    program("h2load", "nghttp2-client")
}

fn h2load(
    url: &str,
    requests: usize,
    clients: usize,
    streams: usize,
    command: &mut Command,
) -> Load {
    command.args([
        "-n",
        &requests.to_string(),
        "-c",
        &clients.to_string(),
        "-m",
        &streams.to_string(),
        url,
    ]);
    let printed = succeed(command);
    let number = |line: &str, word: &str| {
        let line = printed
            .lines()
            .find(|candidate| candidate.starts_with(line));
        let before = line
            .and_then(|line| line.split_once(word))
            .map(|(before, _)| before.trim_end());
        let digits = before.and_then(|before| before.rsplit([' ', ',', ':']).next()?.parse().ok());
        digits.unwrap_or_else(|| panic!("h2load tells no `{word}`:\n{printed}"))
    };
    Load {
        succeeded: number("requests:", " succeeded"),
        failed: number("requests:", " failed"),
        status_2xx: number("status codes:", " 2xx"),
    }
}

/// Some 200 requests a second by h2load, until this is dropped.
pub(crate) fn steady_load(url: &str) -> Process {
    let mut command = program("h2load", "nghttp2-client");
    command.args(["-D", "600", "-c", "4", "-m", "10", "--rps", "50", url]);
    Process::start("h2load", &mut command)
}
