//! nghttpx, h2o, Caddy and Varnish.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::bench::workload::Upstream;

pub(super) fn nghttpx(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let protocol = match setup.workload.upstream {
        Upstream::H1 => "",
        Upstream::H2c => ";proto=h2",
        Upstream::TlsH2 => ";proto=h2;tls;sni=localhost",
    };
    let backends = setup.backends.addresses(setup.workload);
    for at in &backends {
        let (host, port) = at.rsplit_once(':').unwrap_or((at, ""));
        command.arg(format!("--backend={host},{port};/{protocol}"));
    }
    // It reads a file of the machine's administrator unless told otherwise.
    let empty = setup.directory.write("nghttpx.conf", "")?;
    command.arg(format!("--conf={empty}"));
    command.args([
        "--single-process",
        &format!("--workers={}", setup.workload.workers),
        &format!("--frontend=127.0.0.1,{}", setup.tls_port),
        &format!("--frontend=127.0.0.1,{};no-tls", setup.clear_port),
        &format!("--cacert={}", setup.backends.authority()),
        "--backlog=4096",
        "--tls-min-proto-version=TLSv1.3",
        "--frontend-http2-max-concurrent-streams=100",
        "--frontend-http2-window-size=1048576",
        "--frontend-http2-connection-window-size=16777216",
        "--backend-http2-window-size=1048576",
        "--backend-http2-connection-window-size=16777216",
        "--backend-connections-per-host=2048",
        "--add-x-forwarded-for",
        "--no-ocsp",
        "--log-level=ERROR",
        "--errorlog-file=/dev/stderr",
    ]);
    command.args([setup.backends.key(), setup.backends.certificate()]);
    Ok(())
}

/// Its round robin came after the release in Debian: it gets one backend.
pub(super) fn h2o(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let backends = setup.backends.addresses(setup.workload);
    let backend = backends.first().map_or("", String::as_str);
    let text = format!(
        r#"
num-threads: {workers}
max-connections: 25000
user: root
http2-max-concurrent-requests-per-connection: 128
http2-idle-timeout: 3600
http1-request-timeout: 3600
proxy.timeout.keepalive: 60000
proxy.timeout.io: 300000
proxy.preserve-host: ON
ssl-session-resumption:
  mode: all
listen:
  host: 127.0.0.1
  port: {tls}
  ssl:
    certificate-file: {cert}
    key-file: {key}
    minimum-version: TLSv1.3
    ocsp-update-interval: 0
listen:
  host: 127.0.0.1
  port: {clear}
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://{backend}/"
"#,
        workers = setup.workload.workers,
        tls = setup.tls_port,
        clear = setup.clear_port,
        cert = setup.backends.certificate(),
        key = setup.backends.key(),
    );
    let file = setup.directory.write("h2o.conf", text)?;
    command.args(["-m", "worker", "-c", &file]);
    Ok(())
}

pub(super) fn caddy(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let transport = match setup.workload.upstream {
        Upstream::H1 => json!({"versions": ["1.1"]}),
        Upstream::H2c => json!({"versions": ["h2c"]}),
        Upstream::TlsH2 => json!({
            "versions": ["2"],
            "tls": {"server_name": "localhost", "root_ca_pem_files": [setup.backends.authority()]},
        }),
    };
    let mut transport = transport;
    transport["protocol"] = json!("http");
    transport["keep_alive"] = json!({"max_idle_conns": 4096, "max_idle_conns_per_host": 2048});
    let backends = setup.backends.addresses(setup.workload);
    let dials: Vec<_> = backends.iter().map(|at| json!({"dial": at})).collect();
    let routes = json!([{"handle": [{
        "handler": "reverse_proxy",
        "upstreams": dials,
        "transport": transport,
        "load_balancing": {"selection_policy": {"policy": "round_robin"}},
    }]}]);
    let config = json!({
        "admin": {"disabled": true, "config": {"persist": false}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "storage": {"module": "file_system", "root": setup.directory.file("caddy")},
        "apps": {
            "http": {"servers": {
                "tls": {
                    "listen": [format!("127.0.0.1:{}", setup.tls_port)],
                    "routes": routes,
                    "automatic_https": {"disable": true},
                    "tls_connection_policies": [{"protocol_min": "tls1.3", "alpn": ["h2", "http/1.1"]}],
                    "protocols": ["h1", "h2"],
                },
                "clear": {
                    "listen": [format!("127.0.0.1:{}", setup.clear_port)],
                    "routes": routes,
                    "automatic_https": {"disable": true},
                    "protocols": ["h1", "h2c"],
                },
            }},
            "tls": {"certificates": {"load_files": [
                {"certificate": setup.backends.certificate(), "key": setup.backends.key()},
            ]}},
        },
    });
    let file = setup.directory.write("caddy.json", config.to_string())?;
    command.args(["run", "--config", &file]);
    command.env("GOMAXPROCS", setup.workload.workers.to_string());
    command.env("HOME", setup.directory.path());
    Ok(())
}

pub(super) fn varnish(setup: &Setup<'_>, command: &mut Command) -> Result<()> {
    let backends = setup.backends.addresses(setup.workload);
    let declared = backends.iter().enumerate().map(|(number, at)| {
        let (host, port) = at.rsplit_once(':').unwrap_or((at, ""));
        format!("backend b{number} {{ .host = \"{host}\"; .port = \"{port}\"; }}\n")
    });
    let added = (0..backends.len()).map(|number| format!("    all.add_backend(b{number});\n"));
    let text = format!(
        r"vcl 4.1;
import directors;
{declared}
sub vcl_init {{
    new all = directors.round_robin();
{added}}}
sub vcl_recv {{
    set req.backend_hint = all.backend();
    return ({how});
}}
",
        how = if setup.workload.cached {
            "hash"
        } else {
            "pass"
        },
        declared = declared.collect::<String>(),
        added = added.collect::<String>(),
    );
    let file = setup.directory.write("varnish.vcl", text)?;
    command.args(["-F", "-j", "none", "-f", &file, "-p", "feature=+http2"]);
    command.args(["-s", "default,256m", "-p", "thread_pools=1", "-t", "3600"]);
    command.args(["-n", &setup.directory.file("varnish")]);
    command.args(["-a", &format!("127.0.0.1:{},HTTP", setup.clear_port)]);
    Ok(())
}
