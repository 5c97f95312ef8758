//! Memory for each connection or stream: what a fresh proxy grows by.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::backend::Backends;
use super::load::own::Generator;
use super::measure::{Bench, Outcome, Series, count, report};
use super::peer::Candidate;
use super::statistics::number;
use super::workload::{Load, Workload};

/// What is freed late (buffers of the handshakes) is freed by then.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures each candidate with a process of its own in each round: what an allocator keeps of an
/// earlier round would hide what the next one takes.
pub(crate) fn run(workload: &Workload, bench: &Bench<'_>, outcome: &mut Outcome) {
    for candidate in bench
        .candidates
        .iter()
        .filter(|one| one.peer.supports(workload))
    {
        outcome.series.push(Series::new(candidate.peer));
    }
    let taking_part = bench
        .candidates
        .iter()
        .filter(|one| one.peer.supports(workload));
    let taking_part: Vec<&Candidate> = taking_part.collect();
    for round in 1..=bench.effort.rounds {
        for (candidate, series) in taking_part.iter().zip(&mut outcome.series) {
            if series.failure.is_some() {
                continue;
            }
            match once(workload, candidate, bench) {
                Ok((each, peak)) => {
                    let figures = format!("round {round}: {} KiB each", number(each / 1024.0));
                    report(workload, candidate.peer, &figures);
                    series.bytes_each.push(each);
                    series.peak_bytes = series.peak_bytes.max(peak);
                }
                Err(error) => series.fail(workload, &error),
            }
        }
    }
}

fn once(workload: &Workload, candidate: &Candidate, bench: &Bench<'_>) -> Result<(f64, u64)> {
    let backends: &Backends = bench.backends;
    let proxy = candidate.start(workload, backends, backends.directory())?;
    thread::sleep(SETTLE / 4);
    let before = proxy.process.resident_bytes();
    let generator = Generator::start(bench.generator, workload, proxy.port, 0, backends)?;
    thread::sleep(SETTLE);
    let grown = proxy.process.resident_bytes().saturating_sub(before);
    let peak = proxy.process.peak_bytes();
    generator.run()?;
    let each = match workload.load {
        Load::Active => workload.connections * workload.streams,
        _ => workload.connections,
    };
    Ok((count(grown) / count(u64::from(each)), peak))
}
