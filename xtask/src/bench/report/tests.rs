use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::super::load::{Latency, Seen};
use super::super::measure::Sample;
use super::super::workload::WORKLOADS;
use super::*;
use crate::bench::goals;

fn series(peer: Peer, microseconds: u64) -> Series {
    let mut series = Series::new(peer);
    series.samples.push(Sample {
        seen: Seen {
            requests: 1000,
            elapsed: Duration::from_secs(1),
            latency: Some(Latency {
                p50: 100.0,
                p99: 200.0,
                p999: 300.0,
            }),
        },
        processor: Duration::from_micros(1000 * microseconds),
    });
    series
}

fn outcome(name: &str, series: Vec<Series>) -> Outcome {
    let workload = WORKLOADS.iter().find(|workload| workload.name == name);
    Outcome {
        workload: *workload.unwrap(),
        series,
    }
}

fn page(outcomes: &[Outcome]) -> String {
    let nginx = Candidate {
        peer: Peer::Nginx,
        program: PathBuf::from("/usr/sbin/nginx"),
        version: "1.22 <b>".to_owned(),
        leading: Vec::new(),
    };
    let facts = json!({"revision": "abc", "cores": 2});
    html(&facts, &[nginx], outcomes, &goals::verdicts(outcomes))
}

#[test]
fn tells_the_goals_and_draws_each_workload() {
    let measured = vec![series(Peer::Ours, 20), series(Peer::Nginx, 40)];
    let page = page(&[outcome("h2-h1", measured)]);
    assert!(page.contains("Goals: 1 of 1 met"), "{page}");
    assert!(page.contains("<h2 id=\"h2-h1\">"));
    assert_eq!(page.matches("<svg").count(), 1);
}

#[test]
fn needs_nothing_from_elsewhere_and_tells_no_paths() {
    let page = page(&[outcome("h2-h1", vec![series(Peer::Ours, 20)])]);
    for forbidden in ["http://", "https://", "<script", "src=", "url(", "/usr/"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn shows_text_as_it_is() {
    assert!(page(&[]).contains("1.22 &lt;b&gt;"));
}

#[test]
fn draws_growth_as_a_line() {
    let few = outcome("connections-10", vec![series(Peer::Ours, 20)]);
    let many = outcome("connections-10000", vec![series(Peer::Ours, 30)]);
    let page = page(&[few, many]);
    assert_eq!(page.matches("<polyline").count(), 1);
}

#[test]
fn leaves_out_what_was_not_measured() {
    let mut failed = Series::new(Peer::Nginx);
    failed.failure = Some("did not start".to_owned());
    let page = page(&[outcome("h2-h1", vec![failed])]);
    assert!(page.contains("nginx (failed)"));
    assert_eq!(page.matches("<svg").count(), 0);
}
