//! Backends written by others: nginx, node's http2, Python's standard library, grpcio.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use super::clients::Curl;
use super::files::{Certificates, Directory};
use super::process::{PATIENCE, Process, node, poll, program, python};

/// One nginx with several servers, each on its own port and a unix socket, told apart by name.
pub(crate) struct Nginx {
    directory: Directory,
    names: Vec<String>,
    ports: Vec<u16>,
    _process: Process,
}

impl Nginx {
    pub(crate) fn start(names: &[&str]) -> Self {
        let directory = Directory::new();
        // nginx takes no port 0. Another program may take the free port first, so there are tries.
        for _ in 0..5 {
            let ports: Vec<u16> = names.iter().map(|_| free_port()).collect();
            let config = directory.write("nginx.conf", &nginx_config(&directory, names, &ports));
            let mut command = program("nginx", "nginx");
            command.args([
                "-p",
                &directory.file(""),
                "-e",
                &directory.file("error.log"),
                "-c",
                &config,
            ]);
            let process = Process::start("nginx", &mut command);
            let ready = directory.file("nginx.pid");
            let failed = directory.file("error.log");
            poll(PATIENCE, || {
                let errors = fs::read_to_string(&failed).unwrap_or_default();
                Path::new(&ready).exists() || errors.contains("[emerg]")
            });
            if Path::new(&ready).exists() {
                let names = names.iter().map(|&name| name.to_owned()).collect();
                return Self {
                    directory,
                    names,
                    ports,
                    _process: process,
                };
            }
            let _ = fs::remove_file(failed);
        }
        panic!("nginx found no free ports");
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.ports
            .iter()
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect()
    }

    pub(crate) fn unix_urls(&self) -> Vec<String> {
        self.names
            .iter()
            .map(|name| format!("unix:{}", self.directory.file(&format!("{name}.sock"))))
            .collect()
    }

    /// The directory it serves below `/files/`.
    pub(crate) fn files(&self) -> &Directory {
        &self.directory
    }

    /// Requests each server has logged, once they are `total` in all.
    pub(crate) fn counts(&self, total: usize) -> Vec<usize> {
        let mut counts = Vec::new();
        // The log line is written after the response.
        poll(PATIENCE, || {
            let log =
                |name: &String| fs::read_to_string(self.directory.file(&format!("{name}.log")));
            counts = self
                .names
                .iter()
                .map(|name| log(name).unwrap_or_default().lines().count())
                .collect();
            counts.iter().sum::<usize>() >= total
        });
        counts
    }
}

/// A backend that prints its port.
pub(crate) struct Backend {
    pub(crate) process: Process,
    scheme: &'static str,
    port: u16,
}

impl Backend {
    /// Node's http2 in cleartext, answering after `delay_ms`.
    pub(crate) fn node(name: &str, delay_ms: u32) -> Self {
        let mut command = node("backend.mjs");
        Self::start("h2c", name, command.args([name, &delay_ms.to_string()]))
    }

    /// Node's http2 over TLS.
    pub(crate) fn node_tls(name: &str, certificates: &Certificates) -> Self {
        let mut command = node("backend.mjs");
        Self::start(
            "https",
            name,
            command.args([name, "0", &certificates.cert, &certificates.key]),
        )
    }

    /// HTTP/1.1 by Python's standard library.
    pub(crate) fn python(name: &str) -> Self {
        Self::start("http", name, python("backend.py").arg(name))
    }

    /// gRPC.
    pub(crate) fn grpc() -> Self {
        Self::start("h2c", "grpc", &mut python("grpc_server.py"))
    }

    fn start(scheme: &'static str, name: &str, command: &mut std::process::Command) -> Self {
        let process = Process::start(name, command);
        let port = process
            .line_after("listening ")
            .parse()
            .expect("the backend prints its port");
        Self {
            process,
            scheme,
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        // By name where a certificate is checked against it.
        let host = if self.scheme == "https" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        format!("{}://{host}:{}", self.scheme, self.port)
    }

    /// Requests it has received from the proxy (node in cleartext).
    pub(crate) fn count(&self) -> usize {
        self.ask("/_count")
    }

    /// Connections it has accepted, but for this one (node in cleartext).
    pub(crate) fn connections(&self) -> usize {
        self.ask("/_sessions") - 1
    }

    fn ask(&self, path: &str) -> usize {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let told = Curl::get(&url)
            .arguments(&["--http2-prior-knowledge"])
            .send()
            .text();
        told.parse().expect("the backend tells a number")
    }
}

/// A port nothing listens on; connecting to it is refused as long as nobody else takes it.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

fn nginx_config(directory: &Directory, names: &[&str], ports: &[u16]) -> String {
    let servers = names.iter().zip(ports).map(|(name, port)| {
        format!(
            r#"
            server {{
                listen 127.0.0.1:{port};
                listen unix:{socket};
                access_log {log};
                location / {{ add_header x-backend {name}; return 200 "{name}\n"; }}
                location /empty {{ add_header x-backend {name}; return 204; }}
                location /gone {{ return 301 /new; }}
                location /files/ {{ alias {files}; }}
            }}"#,
            socket = directory.file(&format!("{name}.sock")),
            log = directory.file(&format!("{name}.log")),
            files = directory.file(""),
        )
    });
    // A single process: killing it leaves no worker behind.
    format!(
        r#"
        daemon off; master_process off; pid {pid}; worker_rlimit_nofile 4096;
        events {{ worker_connections 2048; }}
        http {{
            default_type text/plain; keepalive_requests 1000000; client_body_temp_path {body};
            proxy_temp_path {body}; fastcgi_temp_path {body}; uwsgi_temp_path {body}; scgi_temp_path {body};
            {servers}
        }}"#,
        pid = directory.file("nginx.pid"),
        body = directory.file("body"),
        servers = servers.collect::<String>(),
    )
}
