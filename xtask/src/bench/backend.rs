//! The backend: one nginx worker, whichever proxy stands before it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::machine;
use super::process::{Directory, Process, free_ports, pinned};
use super::workload::{Load, Upstream, Workload};
use crate::programs;

/// Bodies that are served, in bytes.
const BODIES: [u32; 5] = [0, 1 << 10, 100 << 10, 4 << 20, 10 << 20];

/// Backends that a workload can have over HTTP/1.1; others have two.
const MOST_BACKENDS: u32 = 1000;

/// nginx with listeners for each protocol, the files it serves and the certificates of all.
#[derive(Debug)]
pub(crate) struct Backends {
    directory: Directory,
    h1: [u16; 2],
    h2c: [u16; 2],
    tls: [u16; 2],
    /// Where spans are sent: it takes everything and keeps nothing.
    collector: u16,
    _process: Process,
}

impl Backends {
    /// Starts it; `binary` makes the certificates.
    pub(crate) fn start(directory: Directory, binary: &Path) -> Result<Self> {
        certificates(&directory, binary)?;
        for bytes in BODIES {
            directory.write(&format!("body-{bytes}"), noise(bytes))?;
        }
        let nginx = programs::find("nginx").context("nginx is missing: it is the backend")?;
        let ports = free_ports(7)?;
        let (h1, h2c, tls) = (
            [ports[0], ports[1]],
            [ports[2], ports[3]],
            [ports[4], ports[5]],
        );
        let collector = ports[6];
        let text = config(&directory, [h1, h2c, tls], collector);
        let file = directory.write("backend.conf", text)?;
        directory.write("nobody", "")?;
        let mut command = pinned(&nginx, &machine::backend_core());
        command.args(["-p", &directory.file(""), "-e", "stderr", "-c", &file]);
        let mut process = Process::start("backend", command, directory.path())?;
        process.accepts(tls[1])?;
        Ok(Self {
            directory,
            h1,
            h2c,
            tls,
            collector,
            _process: process,
        })
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// `host:port` of the backends of a workload.
    pub(crate) fn addresses(&self, workload: &Workload) -> Vec<String> {
        let ports = match workload.upstream {
            Upstream::H1 => self.h1,
            Upstream::H2c => self.h2c,
            Upstream::TlsH2 => self.tls,
        };
        if workload.backends == 2 {
            return ports.map(|port| format!("127.0.0.1:{port}")).to_vec();
        }
        let numbers = 0..workload.backends.min(MOST_BACKENDS);
        numbers.map(|number| address(number, ports[0])).collect()
    }

    /// Where spans can be sent.
    pub(crate) fn collector(&self) -> String {
        format!("http://127.0.0.1:{}", self.collector)
    }

    /// PEM file with the proxy's certificate.
    pub(crate) fn certificate(&self) -> String {
        self.directory.file("server.crt")
    }

    pub(crate) fn key(&self) -> String {
        self.directory.file("server.key")
    }

    /// Certificate and key in one file.
    pub(crate) fn pem(&self) -> String {
        self.directory.file("server.pem")
    }

    /// Who signed the certificate.
    pub(crate) fn authority(&self) -> String {
        self.directory.file("ca.crt")
    }
}

/// One of many addresses of loopback, each a backend of its own.
fn address(number: u32, port: u16) -> String {
    format!("127.1.{}.{}:{port}", number / 250, number % 250 + 1)
}

/// What a workload asks for.
pub(crate) fn path(load: Load) -> String {
    match load {
        Load::Download { bytes } => format!("/body-{bytes}"),
        Load::Upload { .. } => "/upload".to_owned(),
        Load::Grpc => "/bench.Echo/Unary".to_owned(),
        Load::Active => "/never".to_owned(),
        Load::Handshake { .. } | Load::Rate { .. } | Load::Standing | Load::Idle => {
            "/body-1024".to_owned()
        }
    }
}

fn certificates(directory: &Directory, binary: &Path) -> Result<()> {
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
        let file = directory.file(name);
        fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))
    };
    directory.write("server.pem", read("server.crt")? + &read("server.key")?)?;
    Ok(())
}

/// Bytes of xorshift64, which nothing compresses.
pub(crate) fn noise(bytes: u32) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = (0..bytes.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes as usize).collect()
}

fn config(directory: &Directory, [h1, h2c, tls]: [[u16; 2]; 3], collector: u16) -> String {
    let listen = |ports: [u16; 2], how: &str| -> String {
        let lines = ports.map(|port| format!("listen 127.0.0.1:{port} backlog=4096 {how};\n"));
        lines.concat()
    };
    let many = (0..MOST_BACKENDS).map(|number| format!("listen {};\n", address(number, h1[0])));
    let many: String = many.collect();
    // The body of an upload is read to its end before it is answered: nginx alone would answer
    // at once and drop what still comes, so it asks itself, without the body. What is not
    // authorised is refused late, later than anything here waits.
    format!(
        r#"
daemon off; master_process off; pid {pid}; error_log stderr crit; worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=100;
    default_type application/octet-stream;
    keepalive_requests 1000000000; keepalive_timeout 3600;
    http2_max_requests 1000000000; http2_max_concurrent_streams 1024; http2_recv_buffer_size 1m;
    http2_body_preread_size 1m;
    client_max_body_size 0; client_body_buffer_size 2m;
    client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp};
    uwsgi_temp_path {temp}; scgi_temp_path {temp};
    upstream itself {{ server unix:{socket}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        {h1}{many}{h2c}{tls}
        ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;
        root {root};
        location /upload {{
            proxy_pass http://itself; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass_request_body off; proxy_set_header Content-Length "";
        }}
        location /bench.Echo/ {{
            default_type application/grpc; add_trailer grpc-status 0; return 200 "message of the service";
        }}
        location /never {{ auth_basic never; auth_basic_user_file {root}/nobody; auth_delay 10m; }}
    }}
    server {{ listen 127.0.0.1:{collector}; location / {{ return 200; }} }}
    server {{ listen unix:{socket}; location / {{ return 200 ok; }} }}
}}
"#,
        pid = directory.file("backend.pid"),
        temp = directory.file("temp"),
        socket = directory.file("itself.sock"),
        h1 = listen(h1, ""),
        h2c = listen(h2c, "http2"),
        tls = listen(tls, "ssl http2"),
        cert = directory.file("server.crt"),
        key = directory.file("server.key"),
        root = directory.file(""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_bodies_of_any_size() {
        assert_eq!(noise(0).len(), 0);
        assert_eq!(noise(1021).len(), 1021);
        assert_ne!(noise(1024)[..512], noise(1024)[512..]);
    }
}
