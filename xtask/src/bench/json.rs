//! The results as JSON: every sample, so that others can compute what they like.

use serde_json::{Value, json};

use super::goals::Verdict;
use super::measure::{Outcome, Sample, Series};
use super::peer::Candidate;

/// All of a run.
pub(crate) fn run(
    facts: &Value,
    candidates: &[Candidate],
    outcomes: &[Outcome],
    verdicts: &[Verdict],
) -> Value {
    let versions: serde_json::Map<String, Value> = candidates
        .iter()
        .map(|one| (one.peer.name().to_owned(), json!(one.version)))
        .collect();
    json!({
        "run": facts,
        "versions": versions,
        "workloads": outcomes.iter().map(outcome).collect::<Vec<_>>(),
        "goals": verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    let workload = &outcome.workload;
    json!({
        "name": workload.name,
        "title": workload.title,
        "connections": workload.connections,
        "streams": workload.streams,
        "workers": workload.workers,
        "backends": workload.backends,
        "routes": workload.routes,
        "peers": outcome.series.iter().map(series).collect::<Vec<_>>(),
    })
}

fn series(series: &Series) -> Value {
    json!({
        "name": series.peer.name(),
        "failure": series.failure.is_some(),
        "peak_bytes": series.peak_bytes,
        "bytes_each": series.bytes_each,
        "samples": series.samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

fn sample(sample: &Sample) -> Value {
    json!({
        "requests": sample.seen.requests,
        "elapsed_seconds": sample.seen.elapsed.as_secs_f64(),
        "processor_seconds": sample.processor.as_secs_f64(),
        "processor_microseconds_per_request": sample.cost(),
        "requests_per_second": sample.rate(),
        "latency_microseconds": sample.seen.latency.map(|latency| json!({
            "p50": latency.p50, "p99": latency.p99, "p99.9": latency.p999,
        })),
    })
}

fn verdict(verdict: &Verdict) -> Value {
    json!({
        "workload": verdict.workload,
        "figure": verdict.figure,
        "against": verdict.against,
        "reached": verdict.reached,
        "goal": verdict.goal.bound,
        "met": verdict.is_met(),
    })
}
