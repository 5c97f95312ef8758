//! HAProxy, as a proxy that writes the fields that we write by default, and as a copier of bytes.

use std::process::Command;

use anyhow::Result;

use super::Setup;
use crate::bench::workload::Upstream;

pub(super) fn configure(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let how = match setup.workload.upstream {
        Upstream::H1 => String::new(),
        Upstream::H2c => "proto h2".to_owned(),
        Upstream::TlsH2 => format!(
            "ssl alpn h2 sni str(localhost) verifyhost localhost verify required ca-file {}",
            setup.backends.authority()
        ),
    };
    let text = format!(
        r"{process}
defaults
    mode http
    timeout connect 2s
    timeout client 5m
    timeout server 5m
    timeout http-keep-alive 5m
    option forwardfor
    http-reuse always
frontend all
    bind 127.0.0.1:{tls} ssl crt {pem} alpn h2,http/1.1 backlog 4096
    bind 127.0.0.1:{clear} proto h2 backlog 4096
    http-request set-header x-forwarded-proto https if {{ ssl_fc }}
    http-request set-header x-forwarded-host %[req.hdr(host)]
    http-request set-header via 2.0\ haproxy
    unique-id-format %[uuid]
    unique-id-header x-request-id
    http-response set-header x-request-id %[unique-id]
    default_backend all
backend all
    balance roundrobin
{servers}",
        process = process(setup),
        tls = setup.tls_port,
        clear = setup.clear_port,
        pem = setup.backends.pem(),
        servers = servers(setup, &how),
    );
    run(setup, "haproxy.cfg", &text, command)
}

/// TLS on one side, TCP on the other: what a proxy that knows HTTP can hardly go below.
pub(super) fn configure_floor(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let text = format!(
        r"{process}
defaults
    mode tcp
    timeout connect 2s
    timeout client 5m
    timeout server 5m
frontend all
    bind 127.0.0.1:{tls} ssl crt {pem} alpn h2 backlog 4096
    default_backend all
backend all
    balance roundrobin
{servers}",
        process = process(setup),
        tls = setup.tls_port,
        pem = setup.backends.pem(),
        servers = servers(setup, ""),
    );
    run(setup, "floor.cfg", &text, command)
}

fn process(setup: &Setup<'_>) -> String {
    // It would not start where the limit of descriptors is below what this many connections take.
    // Windows of a stream and streams of a connection as ours are by default.
    format!(
        r"global
    nbthread {workers}
    no strict-limits
    maxconn 25000
    ssl-default-bind-options ssl-min-ver TLSv1.3
    tune.ssl.cachesize 100000
    tune.h2.initial-window-size 65536
    tune.h2.max-concurrent-streams 100",
        workers = setup.workload.workers,
    )
}

fn servers(setup: &Setup<'_>, how: &str) -> String {
    let backends = setup.backends.addresses(setup.workload);
    let lines = backends.iter().enumerate();
    lines
        .map(|(number, at)| format!("    server s{number} {at} {how}\n"))
        .collect()
}

fn run(setup: &Setup<'_>, name: &str, text: &str, command: &mut Command) -> Result<()> {
    let file = setup.directory.write(name, text)?;
    command.args(["-db", "-f", &file]);
    Ok(())
}
