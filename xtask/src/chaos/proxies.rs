//! The proxies, each set up as somebody who knows it would for backends that fail: probes every
//! second, a second for an attempt that may be repeated, retries elsewhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::children::{Directory, Program, free_port};

/// Time between probes, and of one try; what the promises about time refer to.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// A proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Nginx,
    HaProxy,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
        }
    }

    /// What makes it finish its requests and end.
    pub(crate) fn graceful_signal(self) -> &'static str {
        match self {
            Self::Ours => "TERM",
            Self::Nginx => "QUIT",
            Self::HaProxy => "USR1",
        }
    }
}

/// What differs from scenario to scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// Least response time instead of least connections, where the proxy knows it.
    pub(crate) by_latency: bool,
    /// Backends that fail are taken out, even if their probes pass.
    pub(crate) ejects: bool,
    /// A breaker beside that, where the proxy knows it.
    pub(crate) has_breaker: bool,
    pub(crate) h2c: bool,
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            by_latency: false,
            ejects: true,
            has_breaker: false,
            h2c: false,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    program: Program,
}

impl Proxy {
    /// Starts it before these backends.
    ///
    /// # Errors
    ///
    /// Fails if it does not start.
    pub(crate) fn start(
        (kind, binary): (Kind, &Path),
        setup: Setup,
        backends: &[u16],
        directory: &Directory,
    ) -> Result<Self> {
        let port = free_port()?;
        let config = match kind {
            Kind::Ours => ours(setup, backends, port, directory),
            Kind::Nginx => nginx(setup, backends, port, directory),
            Kind::HaProxy => haproxy(setup, backends, port, directory),
        };
        let file = directory.write(&format!("{}.toml", kind.name()), &config)?;
        let mut command = Command::new(binary);
        match kind {
            Kind::Ours => command.args(["serve", "--config", &file]),
            Kind::Nginx => command.args(["-p", &directory.file(""), "-e", "stderr", "-c", &file]),
            Kind::HaProxy => command.args(["-db", "-f", &file]),
        };
        if kind == Kind::Ours {
            let ours = |name: &str| name.starts_with("LB_");
            for (name, _) in std::env::vars_os().filter(|(name, _)| ours(&name.to_string_lossy())) {
                command.env_remove(name);
            }
        }
        let mut program = Program::start(kind.name(), &mut command, directory.path())?;
        program.accepts(port)?;
        Ok(Self {
            kind,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            program,
        })
    }

    /// Asks it to finish and end.
    ///
    /// # Errors
    ///
    /// Fails if it has ended.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.program.signal(self.kind.graceful_signal())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// Fails if it goes on.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.program.wait(patience)
    }
}

/// Makes `ca.crt`, `server.crt`, `server.key`, and `server.pem` of both.
///
/// # Errors
///
/// Fails if our program makes none.
pub(crate) fn certificates(directory: &Directory, binary: &Path) -> Result<()> {
    let made = Command::new(binary)
        .args(["gen-cert", "--ca", "--out", &directory.file("")])
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    ensure!(
        made.status.success(),
        "cannot make certificates: {}",
        String::from_utf8_lossy(&made.stderr).trim()
    );
    let read = |name: &str| {
        let file = PathBuf::from(directory.file(name));
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    directory.write("server.pem", &(read("server.crt")? + &read("server.key")?))?;
    Ok(())
}

fn ours(setup: Setup, backends: &[u16], port: u16, directory: &Directory) -> String {
    let scheme = if setup.h2c { "h2c" } else { "http" };
    let urls: Vec<String> = backends
        .iter()
        .map(|port| format!("{scheme}://127.0.0.1:{port}"))
        .collect();
    let algorithm = if setup.by_latency {
        "least-response-time"
    } else {
        "least-connections"
    };
    let mut watch = String::new();
    if setup.has_breaker {
        watch += "circuit_breaker = { failure_ratio = 0.3, window = \"2s\" }\n";
    }
    if !setup.ejects {
        watch += "outlier_detection = \"off\"\n";
    }
    format!(
        r#"
[server]
threads = 1
shutdown_timeout = "{timeout}ms"
[access_log]
output = "off"
[listeners.tls]
address = "127.0.0.1:{port}"
[listeners.tls.tls]
certificates = [{{ cert = "{cert}", key = "{key}" }}]
[pools.default]
algorithm = "{algorithm}"
backends = {urls:?}
{watch}
[pools.default.timeouts]
connect = "1s"
[pools.default.health_check]
path = "/health"
interval = "1s"
timeout = "1s"
unhealthy_after = 2
[pools.default.retry]
per_try_timeout = "1s"
on = ["connect-error", "refused-stream", "reset-before-headers", "timeout", "500", "502", "503", "504"]
[[routes]]
name = "all"
match = {{ path = "/*" }}
pool = "default"
"#,
        timeout = setup.shutdown_timeout.as_millis(),
        cert = directory.file("server.crt"),
        key = directory.file("server.key"),
    )
}

/// Debian's has no probes and tells no POST from a GET by its timeouts; requests with an effect
/// get a location of their own, so that a second without an answer does not fail them.
fn nginx(setup: Setup, backends: &[u16], port: u16, directory: &Directory) -> String {
    let max_fails = if setup.ejects { 2 } else { 0 };
    let servers: String = backends
        .iter()
        .map(|port| format!("server 127.0.0.1:{port} max_fails={max_fails} fail_timeout=5s; "))
        .collect();
    let forward = "proxy_pass http://backends; proxy_http_version 1.1; \
        proxy_set_header Connection \"\"; proxy_connect_timeout 1s; \
        proxy_next_upstream_tries 3;";
    let on = "error timeout invalid_header http_500 http_502 http_503 http_504";
    format!(
        r#"
daemon off; worker_processes 1; user root; pid {pid}; error_log stderr crit;
worker_shutdown_timeout {timeout}ms;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000; http2_max_requests 1000000000;
    client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp};
    uwsgi_temp_path {temp}; scgi_temp_path {temp};
    upstream backends {{
        zone backends 64k; least_conn; {servers} keepalive 256; keepalive_requests 1000000000;
    }}
    map "$request_method:$http_idempotency_key" $effect {{ "POST:" once; default none; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;
        error_page 418 = @once;
        location / {{
            if ($effect = once) {{ return 418; }}
            {forward} proxy_read_timeout 1s; proxy_next_upstream {on} non_idempotent;
        }}
        location @once {{ {forward} proxy_read_timeout 15s; proxy_next_upstream {on}; }}
    }}
}}
"#,
        pid = directory.file("nginx.pid"),
        timeout = setup.shutdown_timeout.as_millis(),
        temp = directory.file("temp"),
        cert = directory.file("server.crt"),
        key = directory.file("server.key"),
    )
}

fn haproxy(setup: Setup, backends: &[u16], port: u16, directory: &Directory) -> String {
    let protocol = if setup.h2c { "proto h2" } else { "" };
    let servers: String = backends
        .iter()
        .enumerate()
        .map(|(number, port)| format!("    server s{number} 127.0.0.1:{port} check {protocol}\n"))
        .collect();
    let observe = if setup.ejects {
        "observe layer7 error-limit 5 on-error mark-down"
    } else {
        ""
    };
    // Layer 7 retries need the request to be idempotent; the check speaks the servers' protocol.
    format!(
        r"
global
    nbthread 1
    no strict-limits
    maxconn 8000
    hard-stop-after {timeout}ms
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 1s
    timeout client 1m
    timeout server 1s
    timeout check 1s
    http-reuse always
frontend all
    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1
    default_backend all
backend all
    balance leastconn
    option httpchk GET /health
    option redispatch 1
    retries 2
    retry-on conn-failure empty-response junk-response response-timeout 500 502 503 504
    acl once method POST
    acl keyed req.hdr(idempotency-key) -m found
    http-request disable-l7-retry if once !keyed
    http-request set-timeout server 15s if once !keyed
    default-server inter 1s fastinter 200ms downinter 200ms fall 2 rise 2 {observe}
{servers}",
        timeout = setup.shutdown_timeout.as_millis(),
        pem = directory.file("server.pem"),
    )
}
