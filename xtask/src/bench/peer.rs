//! The proxies that are measured beside ours, each set up as somebody who knows it would.
//!
//! All get the same certificate, backends, cores and number of workers, keep connections to
//! backends open, add the forwarding fields, and write no access log.

mod haproxy;
mod nginx;
mod others;
mod ours;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::backend::Backends;
use super::process::{Directory, Process, free_ports, pinned};
use super::workload::{Client, Load, Upstream, Workload};
use crate::programs;

/// A proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Peer {
    #[value(skip)]
    Ours,
    /// Another build of ours.
    #[value(skip)]
    Against,
    /// Ours with the access log.
    #[value(skip)]
    Logged,
    /// Ours with the access log, and a trace of one request in twenty.
    #[value(skip)]
    Traced,
    Nginx,
    #[value(name = "haproxy")]
    HaProxy,
    Nghttpx,
    H2o,
    Caddy,
    /// Only over cleartext: it has no TLS.
    Varnish,
    /// HAProxy copying bytes between TLS and TCP, without knowing HTTP.
    Floor,
}

/// Ours with more to say.
pub(crate) const VARIANTS: [Peer; 2] = [Peer::Logged, Peer::Traced];

/// The peers that can be asked for.
pub(crate) const PEERS: [Peer; 7] = [
    Peer::Nginx,
    Peer::HaProxy,
    Peer::Nghttpx,
    Peer::H2o,
    Peer::Caddy,
    Peer::Varnish,
    Peer::Floor,
];

/// A peer that is there.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) peer: Peer,
    pub(crate) program: PathBuf,
    /// As it tells it itself.
    pub(crate) version: String,
    /// Arguments before those of the peer, as those of a program that runs it.
    pub(crate) leading: Vec<OsString>,
}

/// What a configuration is written from.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) workload: &'a Workload,
    pub(crate) backends: &'a Backends,
    pub(crate) tls_port: u16,
    pub(crate) clear_port: u16,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Against => "against",
            Self::Logged => "logged",
            Self::Traced => "traced",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Nghttpx => "nghttpx",
            Self::H2o => "h2o",
            Self::Caddy => "caddy",
            Self::Varnish => "varnish",
            Self::Floor => "floor",
        }
    }

    /// The program and the Debian package that has it.
    pub(crate) fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Ours | Self::Against | Self::Logged | Self::Traced => ("lb-cli", ""),
            Self::Nginx => ("nginx", "nginx"),
            Self::HaProxy | Self::Floor => ("haproxy", "haproxy"),
            Self::Nghttpx => ("nghttpx", "nghttp2-proxy"),
            Self::H2o => ("h2o", "h2o"),
            Self::Caddy => ("caddy", "caddy"),
            Self::Varnish => ("varnishd", "varnish"),
        }
    }

    /// Whether it takes part in a workload.
    pub(crate) fn supports(self, workload: &Workload) -> bool {
        let h1_upstream = workload.upstream == Upstream::H1;
        match self {
            Self::Ours | Self::Against => true,
            Self::Logged | Self::Traced => workload.observed,
            _ if workload.ours_only => false,
            Self::HaProxy | Self::Nghttpx | Self::H2o | Self::Caddy if workload.cached => false,
            Self::HaProxy | Self::Nghttpx | Self::Caddy => true,
            // Their releases in Debian know no HTTP/2 towards backends.
            Self::Nginx | Self::H2o => h1_upstream,
            Self::Varnish => workload.client == Client::ClearH2 && h1_upstream,
            // It can only pass on what the client speaks, and says nothing about memory.
            Self::Floor => {
                workload.client == Client::TlsH2
                    && workload.upstream == Upstream::H2c
                    && !matches!(workload.load, Load::Idle | Load::Active)
            }
        }
    }

    /// Whether it is a peer to be ahead of: not a build of ours, not a bound.
    pub(crate) fn competes(self) -> bool {
        !matches!(
            self,
            Self::Ours | Self::Against | Self::Logged | Self::Traced | Self::Floor
        )
    }

    /// Finds it on this machine.
    pub(crate) fn find(self) -> Option<Candidate> {
        let program = programs::find(self.program().0)?;
        Some(Candidate {
            peer: self,
            version: self.version(&program),
            program,
            leading: Vec::new(),
        })
    }

    fn version(self, program: &Path) -> String {
        let argument = match self {
            Self::Caddy => "version",
            Self::Nginx | Self::HaProxy | Self::Floor => "-v",
            Self::Varnish => "-V",
            _ => "--version",
        };
        let told = Command::new(program).arg(argument).output();
        let told = told.map_or_else(
            |_| String::new(),
            |told| {
                let text = [told.stdout, told.stderr].concat();
                String::from_utf8_lossy(&text).into_owned()
            },
        );
        version_of(&told).to_owned()
    }
}

/// The first word with a digit and a dot: `1.22.1` of `nginx version: nginx/1.22.1`.
fn version_of(told: &str) -> &str {
    let words = told.split(|letter: char| letter.is_whitespace() || "/()".contains(letter));
    let words = words.map(|word| word.strip_prefix("varnish-").unwrap_or(word));
    let mut versions = words.filter(|word| {
        let number = word.trim_start_matches(['v', '-']);
        number.starts_with(|first: char| first.is_ascii_digit()) && number.contains('.')
    });
    versions.next().unwrap_or("unknown")
}

/// A proxy in operation.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    /// Port of the listener that the workload's clients talk to.
    pub(crate) port: u16,
}

impl Candidate {
    /// Starts it for a workload, on as many cores as that has workers.
    pub(crate) fn start(
        &self,
        workload: &Workload,
        backends: &Backends,
        directory: &Directory,
    ) -> Result<Running> {
        let ports = free_ports(2)?;
        let setup = Setup {
            directory,
            workload,
            backends,
            tls_port: ports[0],
            clear_port: ports[1],
        };
        let cores = super::machine::proxy_cores(workload.workers);
        let mut command = pinned(&self.program, &cores);
        command.args(&self.leading);
        match self.peer {
            Peer::Ours | Peer::Against | Peer::Logged | Peer::Traced => {
                ours::configure(&setup, self.peer, &mut command)?;
            }
            Peer::Nginx => nginx::configure(&setup, &mut command)?,
            Peer::HaProxy => haproxy::configure(&setup, &mut command)?,
            Peer::Floor => haproxy::configure_floor(&setup, &mut command)?,
            Peer::Nghttpx => others::nghttpx(&setup, &mut command)?,
            Peer::H2o => others::h2o(&setup, &mut command)?,
            Peer::Caddy => others::caddy(&setup, &mut command)?,
            Peer::Varnish => others::varnish(&setup, &mut command)?,
        }
        let mut process = Process::start(self.peer.name(), command, directory.path())?;
        let port = match workload.client {
            Client::TlsH2 | Client::TlsH1 => setup.tls_port,
            Client::ClearH2 => setup.clear_port,
        };
        process
            .accepts(port)
            .with_context(|| format!("cannot measure {}", self.peer.name()))?;
        Ok(Running { process, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_in_what_programs_print() {
        let told = [
            "nginx version: nginx/1.22.1",
            "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/",
            "nghttpx nghttp2/1.52.0",
            "v2.6.2 h1:abc=",
            "lb-cli 0.1.0",
            "varnishd (varnish-7.1.1 revision 7cee1c5)",
        ];
        let versions = told.map(version_of);
        assert_eq!(
            versions,
            [
                "1.22.1",
                "2.6.12-1+deb12u4",
                "1.52.0",
                "v2.6.2",
                "0.1.0",
                "7.1.1"
            ]
        );
    }
}
