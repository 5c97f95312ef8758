//! Interleaved rounds (A B C A B C): what disturbs the machine for a while disturbs all.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::backend::{Backends, noise};
use super::load::own::{self, Generator};
use super::load::{self, Seen};
use super::memory;
use super::peer::{Candidate, Peer, Running};
use super::process::Process;
use super::statistics::{Spread, number};
use super::workload::{Load, Workload};
use crate::steps::say;

/// One round of one peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) seen: Seen,
    /// User and system time of all the peer's processes.
    pub(crate) processor: Duration,
}

/// All rounds of one peer in one workload.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) peer: Peer,
    pub(crate) samples: Vec<Sample>,
    /// Peak of the resident memory, in bytes.
    pub(crate) peak_bytes: u64,
    /// Memory for each idle connection or active stream, in bytes, of each round.
    pub(crate) bytes_each: Vec<f64>,
    /// Why there are no more samples.
    pub(crate) failure: Option<String>,
}

/// What a workload showed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) workload: Workload,
    pub(crate) series: Vec<Series>,
}

/// What all workloads are measured with.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) candidates: &'a [Candidate],
    pub(crate) backends: &'a Backends,
    /// Our load generator.
    pub(crate) generator: &'a Path,
    pub(crate) effort: Effort,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) round: Duration,
}

impl Sample {
    /// Microseconds of processor time for each request.
    pub(crate) fn cost(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.requests()
    }

    pub(crate) fn rate(&self) -> f64 {
        self.requests() / self.seen.elapsed.as_secs_f64().max(1e-9)
    }

    fn requests(&self) -> f64 {
        count(self.seen.requests).max(1.0)
    }
}

impl Series {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            samples: Vec::new(),
            peak_bytes: 0,
            bytes_each: Vec::new(),
            failure: None,
        }
    }

    /// Ends the series, and says why.
    pub(crate) fn fail(&mut self, workload: &Workload, error: &anyhow::Error) {
        let why = format!("{error:#}");
        report(workload, self.peer, &why);
        self.failure = Some(why);
    }

    /// Microseconds of processor time for each request.
    pub(crate) fn cost(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(Sample::cost))
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(Sample::rate))
    }

    /// Bytes for each idle connection or active stream.
    pub(crate) fn each(&self) -> Option<Spread> {
        Spread::of(self.bytes_each.iter().copied())
    }

    /// A percentile of the latency, in microseconds.
    pub(crate) fn latency(&self, of: impl Fn(&load::Latency) -> f64) -> Option<Spread> {
        let known = self.samples.iter().filter_map(|sample| sample.seen.latency);
        Spread::of(known.map(|latency| of(&latency)))
    }
}

impl Outcome {
    pub(crate) fn of(&self, peer: Peer) -> Option<&Series> {
        self.series.iter().find(|series| series.peer == peer)
    }
}

/// Runs one workload with each candidate that takes part.
pub(crate) fn run(workload: &Workload, bench: &Bench<'_>) -> Result<Outcome> {
    let mut outcome = Outcome {
        workload: *workload,
        series: Vec::new(),
    };
    if matches!(workload.load, Load::Idle | Load::Active) {
        memory::run(workload, bench, &mut outcome);
        return Ok(outcome);
    }
    let sent = match workload.load {
        Load::Upload { bytes } => noise(bytes),
        // A message of 100 bytes after its prefix: not compressed, length.
        Load::Grpc => [&[0, 0, 0, 0, 100][..], &noise(100)].concat(),
        _ => Vec::new(),
    };
    bench.backends.directory().write("sent", sent)?;
    let mut running = Vec::new();
    for candidate in bench
        .candidates
        .iter()
        .filter(|one| one.peer.supports(workload))
    {
        let mut series = Series::new(candidate.peer);
        match start(workload, candidate, bench) {
            Ok(warm) => running.push(Some(warm)),
            Err(error) => {
                series.fail(workload, &error);
                running.push(None);
            }
        }
        outcome.series.push(series);
    }
    for round in 1..=bench.effort.rounds {
        for (series, slot) in outcome.series.iter_mut().zip(&mut running) {
            let Some((requests, proxy)) = slot else {
                continue;
            };
            match once(workload, proxy, *requests, bench) {
                Ok(sample) => {
                    let (cost, rate) = (number(sample.cost()), number(sample.rate()));
                    let figures = format!("{cost} µs/request, {rate} requests/s");
                    report(workload, series.peer, &format!("round {round}: {figures}"));
                    series.samples.push(sample);
                    series.peak_bytes = proxy.process.peak_bytes();
                }
                Err(error) => {
                    series.fail(workload, &error);
                    *slot = None;
                }
            }
        }
    }
    Ok(outcome)
}

/// Starts a proxy, fills pools and caches, and finds how many requests fill a round.
fn start(workload: &Workload, candidate: &Candidate, bench: &Bench<'_>) -> Result<(u64, Running)> {
    let proxy = candidate.start(workload, bench.backends, bench.backends.directory())?;
    let round = bench.effort.round;
    if let Load::Rate { per_second } = workload.load {
        once(workload, &proxy, u64::from(per_second) / 2, bench)?;
        let requests = f64::from(per_second) * round.as_secs_f64();
        return Ok((whole(requests), proxy));
    }
    let at_once = u64::from(workload.connections * workload.streams);
    // The first has the handshakes in it, so the second sets the pace.
    let mut requests = at_once * 2;
    for _ in 0..2 {
        let sample = once(workload, &proxy, requests, bench)?;
        let paced = (sample.rate() * round.as_secs_f64()).round();
        // In whole turns of all connections, so that none has more to do than another.
        let turns = whole(paced).div_ceil(at_once).max(2);
        requests = turns * at_once;
        if sample.seen.elapsed > round / 4 {
            break;
        }
    }
    Ok((requests, proxy))
}

fn once(workload: &Workload, proxy: &Running, requests: u64, bench: &Bench<'_>) -> Result<Sample> {
    let measured = || -> Result<Sample> {
        // Its connections stand before the clock starts; those of h2load are part of its load.
        let generator = if own::makes(workload.load) {
            let program = bench.generator;
            let started = Generator::start(program, workload, proxy.port, requests, bench.backends);
            Some(started?)
        } else {
            None
        };
        let before = proxy.process.processor_time();
        let seen = match generator {
            Some(generator) => generator.run()?,
            None => load::h2load(workload, proxy.port, requests, bench.backends.directory())?,
        };
        let processor = proxy.process.processor_time().saturating_sub(before);
        Ok(Sample { seen, processor })
    };
    measured().with_context(|| said(&proxy.process))
}

fn said(process: &Process) -> String {
    match process.messages() {
        silent if silent.is_empty() => "the load failed".to_owned(),
        messages => format!("the load failed, the proxy says: {messages}"),
    }
}

pub(crate) fn report(workload: &Workload, peer: Peer, what: &str) {
    say(&format!(
        "    {:<18} {:<8} {what}",
        workload.name,
        peer.name()
    ));
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts here are far below 2^52"
)]
fn whole(value: f64) -> u64 {
    value.clamp(0.0, 1e12) as u64
}
