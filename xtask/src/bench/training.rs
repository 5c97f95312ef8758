//! What a build is trained with: each way through the proxy, as the benchmark makes it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::backend::Backends;
use super::measure::{self, Bench, Effort};
use super::process::Directory;
use super::workload::{WORKLOADS, Workload};
use crate::steps::{Workspace, say};

/// Every protocol on both sides, short and long messages both ways, new connections, the cache, the
/// access log and traces.
const TRAINING: [&str; 17] = [
    "h2-h1",
    "h2-h1-128x1",
    "h2-h2c",
    "h2-h2c-128x1",
    "h2-h2tls",
    "clear-h1",
    "cache-tls",
    "h1-h1",
    "h2-h1-100k",
    "h2-h2c-100k",
    "h2-h1-4m",
    "h2-h1-upload",
    "h2-h2c-upload",
    "grpc",
    "handshake",
    "handshake-resumed",
    "observed",
];

/// Runs them for a second each.
pub(crate) fn train(binary: &Path, workspace: &Workspace) -> Result<()> {
    let candidates = super::ours(binary)?;
    let generator = super::generator(workspace)?;
    let backends = Backends::start(Directory::new()?, &candidates[0].program)?;
    let bench = Bench {
        candidates: &candidates,
        backends: &backends,
        generator: &generator,
        effort: Effort {
            rounds: 1,
            round: Duration::from_secs(1),
        },
    };
    for name in TRAINING {
        let workload = workload(name)?;
        say(&format!("==> {}", workload.title));
        let outcome = measure::run(workload, &bench)?;
        let failed = outcome.series.iter().find_map(|it| it.failure.as_ref());
        if let Some(why) = failed {
            bail!("`{name}` failed: {why}");
        }
    }
    Ok(())
}

fn workload(name: &str) -> Result<&'static Workload> {
    let found = WORKLOADS.iter().find(|workload| workload.name == name);
    found.with_context(|| format!("no workload is named `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trains_with_workloads_that_exist() {
        for name in TRAINING {
            assert!(workload(name).is_ok(), "{name}");
        }
    }
}
