//! The load balancer under test: the real binary with a configuration file.

use std::collections::BTreeMap;
use std::process::Command;

use super::files::{Certificates, Directory};
use super::process::Process;

/// A running `lb-cli serve` with a TLS listener `tls` and a cleartext listener `plain`.
pub(crate) struct Proxy {
    pub(crate) process: Process,
    pub(crate) certificates: Certificates,
    /// With `admin` where there is one.
    urls: BTreeMap<String, String>,
    // Dropped last: the configuration and the certificates are in it.
    _directory: Directory,
}

impl Proxy {
    /// Starts with `rest` (pools, routes, `[server]`) beside the two listeners.
    pub(crate) fn start(rest: &str) -> Self {
        let directory = Directory::new();
        let certificates = directory.certificates();
        let file = directory.write("lb.toml", &with_listeners(&certificates, rest));
        let mut serve = command();
        serve
            .args(["serve", "--config", &file])
            .current_dir(directory.path());
        let process = Process::start("lb-cli", &mut serve);
        let mut urls = BTreeMap::new();
        while urls.len() < 2 {
            let (name, url) = listening(&process);
            urls.insert(name, url);
        }
        if rest.contains("[admin]") {
            let url = process.line_after("admin url=");
            urls.insert("admin".to_owned(), url);
        }
        Self {
            process,
            certificates,
            urls,
            _directory: directory,
        }
    }

    /// With one pool, and a route that leads everything to it.
    pub(crate) fn with_pool(algorithm: &str, backends: &[String]) -> Self {
        Self::start(&format!(
            "{}\n{}",
            pool("default", algorithm, backends),
            route("/*", "default")
        ))
    }

    /// `https://127.0.0.1:PORT`.
    pub(crate) fn tls(&self) -> &str {
        &self.urls["tls"]
    }

    /// Where the admin API is, if `[admin]` says so.
    pub(crate) fn admin(&self) -> &str {
        &self.urls["admin"]
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn plain(&self) -> &str {
        &self.urls["plain"]
    }
}

/// A configuration with a TLS listener `tls` and a cleartext listener `plain` beside the rest.
pub(crate) fn with_listeners(certificates: &Certificates, rest: &str) -> String {
    format!(
        r#"
            {rest}
            [listeners.tls]
            address = "127.0.0.1:0"
            [listeners.tls.tls]
            certificates = [{{ cert = "{}", key = "{}" }}]
            [listeners.plain]
            address = "127.0.0.1:0"
            tls = "off"
        "#,
        certificates.cert, certificates.key,
    )
}

/// `lb-cli serve` where no configuration is.
pub(crate) struct Demonstration {
    pub(crate) process: Process,
    /// `https://localhost:PORT`: its cookies and its certificate are for that name.
    pub(crate) url: String,
    _directory: Directory,
}

impl Demonstration {
    pub(crate) fn start(admin: &str, environment: &[(&str, &str)]) -> Self {
        let directory = Directory::new();
        let mut serve = command();
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", admin])
            .current_dir(directory.path())
            // No file of the machine is found either.
            .env("HOME", directory.path())
            .env("XDG_CONFIG_HOME", directory.path())
            .envs(environment.iter().copied());
        let process = Process::start("lb-cli", &mut serve);
        let (_, url) = listening(&process);
        Self {
            process,
            url: url.replace("127.0.0.1", "localhost"),
            _directory: directory,
        }
    }
}

/// The binary, free of what the environment of the tests may configure.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb-cli"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["LB_", "OTEL_", "REDIS_URL", "SECRET_FILE"];
        if ours.iter().any(|ours| text.starts_with(ours)) {
            command.env_remove(name);
        }
    }
    command
}

/// The next listener the proxy tells: its name and URL.
pub(crate) fn listening(process: &Process) -> (String, String) {
    let line = process.line_after("listening ");
    let word = |key: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(key))
    };
    let told = word("name=").zip(word("url="));
    let (name, url) =
        told.unwrap_or_else(|| panic!("`listening {line}` names no listener and URL"));
    (name.to_owned(), url.trim_end_matches('/').to_owned())
}

/// A pool in the configuration.
pub(crate) fn pool(name: &str, algorithm: &str, backends: &[String]) -> String {
    format!("[pools.{name}]\nalgorithm = \"{algorithm}\"\nbackends = {backends:?}\n")
}

/// A route in the configuration.
pub(crate) fn route(path: &str, pool: &str) -> String {
    let name: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!(
        "[[routes]]\nname = \"{pool}-{name}\"\nmatch = {{ path = \"{path}\" }}\npool = \"{pool}\"\n"
    )
}

/// `127.0.0.1:PORT` of a URL.
pub(crate) fn authority(url: &str) -> &str {
    url.split_once("://")
        .map_or(url, |(_, authority)| authority)
}
