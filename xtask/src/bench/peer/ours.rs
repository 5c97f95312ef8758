//! Our own: the default configuration as an operator gets it.

use std::process::Command;

use anyhow::Result;

use super::{Peer, Setup};
use crate::bench::workload::{Upstream, Workload};

pub(super) fn configure(setup: &Setup<'_>, peer: Peer, command: &mut Command) -> Result<()> {
    let name = peer.name();
    let text = config(setup) + &observed(setup, peer);
    let file = setup.directory.write(&format!("{name}.toml"), text)?;
    command.args(["serve", "--config", &file]);
    Ok(())
}

/// What is told of each request besides the counters, which are always on.
fn observed(setup: &Setup<'_>, peer: Peer) -> String {
    let log = match peer {
        Peer::Logged | Peer::Traced => setup.directory.file(&format!("{}.log", peer.name())),
        _ => "off".to_owned(),
    };
    let traces = if peer == Peer::Traced {
        let collector = setup.backends.collector();
        format!("[tracing]\nendpoint = {collector:?}\nsample_ratio = 0.05\n")
    } else {
        String::new()
    };
    format!("[access_log]\noutput = {log:?}\n{traces}")
}

fn config(setup: &Setup<'_>) -> String {
    let scheme = match setup.workload.upstream {
        Upstream::H1 => "http",
        Upstream::H2c => "h2c",
        Upstream::TlsH2 => "https",
    };
    let backends = setup.backends.addresses(setup.workload);
    let urls: Vec<String> = backends
        .iter()
        .map(|at| format!("{scheme}://{at}"))
        .collect();
    let trust = match setup.workload.upstream {
        Upstream::TlsH2 => format!(
            "tls = {{ ca = {:?}, server_name = \"localhost\" }}\n",
            setup.backends.authority()
        ),
        Upstream::H1 | Upstream::H2c => String::new(),
    };
    // The routes that do not match stand before the one that does.
    let others = (1..setup.workload.routes).map(|number| {
        format!(
            "[[routes]]\nname = \"other-{number}\"\nmatch = {{ path = \"/other/{number}/*\" }}\npool = \"all\"\n"
        )
    });
    let Workload {
        cached, limited, ..
    } = *setup.workload;
    format!(
        r#"
[server]
threads = {threads}
[listeners.tls]
address = "127.0.0.1:{tls}"
tls = {{ cert = {cert:?}, key = {key:?} }}
[listeners.clear]
address = "127.0.0.1:{clear}"
tls = "off"
[pools.all]
algorithm = "round-robin"
backends = {urls:?}
{trust}
{others}
{cache}
{limit}
[[routes]]
name = "all"
match = {{ path = "/*" }}
pool = "all"
{uses_cache}
{uses_limit}
"#,
        cache = if cached {
            "[caches.all]\ndefault_ttl = \"1h\""
        } else {
            ""
        },
        uses_cache = if cached { "cache = \"all\"" } else { "" },
        limit = if limited {
            "[rate_limits.all]\nlimit = 1000000000\nwindow = \"1s\""
        } else {
            ""
        },
        uses_limit = if limited {
            "rate_limits = [\"all\"]"
        } else {
            ""
        },
        threads = setup.workload.workers,
        tls = setup.tls_port,
        clear = setup.clear_port,
        cert = setup.backends.certificate(),
        key = setup.backends.key(),
        others = others.collect::<String>(),
    )
}
