//! `cargo xtask bench`: the benchmarks of one operation each.

use anyhow::Result;

use crate::steps::{self, Workspace};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut bench = Workspace::load()?.cargo(&["bench", "-p", "lb-core", "-p", "lb-session"]);
    if !arguments.is_empty() {
        bench.arg("--").args(arguments);
    }
    steps::succeed(&mut bench)
}
