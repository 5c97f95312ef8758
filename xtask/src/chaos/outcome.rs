//! What a scenario showed, and what was promised.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::journal::Journal;
use crate::load::{End, Method, Record};
use crate::stage::Moment;

/// A request that took longer was held up by a fault, not by a busy machine.
const HELD_UP: Duration = Duration::from_millis(200);

/// One promise.
#[derive(Debug)]
struct Check {
    what: String,
    reached: f64,
    goal: f64,
    /// The most that is no failure on a machine that is busy with other things.
    bound: f64,
}

/// What was seen by clients and backends.
#[derive(Debug)]
pub(crate) struct Outcome {
    records: Vec<Record>,
    attempts: Option<f64>,
    twice: usize,
    ejected_after: Option<Duration>,
    checks: Vec<Check>,
    notes: Vec<(&'static str, Value)>,
}

impl Outcome {
    /// From all requests and the journals of all backends.
    pub(crate) fn new(records: Vec<Record>, journals: &[Journal]) -> Self {
        let heads: usize = journals.iter().map(|journal| journal.heads.len()).sum();
        let sent = records.iter().filter(|record| record.end != End::Unsent);
        let sent = sent.count();
        let twice = records.iter().filter(|record| {
            let times = journals
                .iter()
                .filter_map(|journal| journal.whole.get(&record.id));
            record.method == Method::Post && times.sum::<u32>() > 1
        });
        Self {
            attempts: (sent > 0).then(|| ratio(heads, sent)),
            twice: twice.count(),
            records,
            ejected_after: None,
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Requests of which the client did not get what it asked for.
    pub(crate) fn failed(&self, methods: &[Method]) -> usize {
        let failed = self.records.iter().filter(|record| !record.is_good());
        failed
            .filter(|record| methods.contains(&record.method))
            .count()
    }

    /// The same without those that could not even be sent.
    pub(crate) fn failed_sent(&self, methods: &[Method]) -> usize {
        self.failed(methods) - self.unsent(methods)
    }

    fn unsent(&self, methods: &[Method]) -> usize {
        let unsent = self.records.iter();
        let unsent = unsent.filter(|record| record.end == End::Unsent);
        unsent
            .filter(|record| methods.contains(&record.method))
            .count()
    }

    /// The longest that a GET took.
    pub(crate) fn longest(&self) -> Duration {
        let gets = self
            .records
            .iter()
            .filter(|record| record.method == Method::Get);
        gets.map(|record| record.took).max().unwrap_or_default()
    }

    /// A request with an effect, and no word that it may be repeated, never runs twice.
    pub(crate) fn promise_once(&mut self) {
        let twice = self.twice;
        self.promise_none("POSTs that ran twice", twice);
    }

    pub(crate) fn promise_none(&mut self, what: &str, count: usize) {
        self.promise(what, precise(count), 0.0, 0.0);
    }

    /// None, though where a fault shows in each answer anew, few are no failure.
    pub(crate) fn promise_hardly_any(&mut self, what: &str, count: usize) {
        let few = precise(self.records.len()) / 50.0;
        self.promise(what, precise(count), 0.0, few);
    }

    /// At most `goal`; above `bound` it is a failure.
    pub(crate) fn promise(&mut self, what: &str, reached: f64, goal: f64, bound: f64) {
        self.checks.push(Check {
            what: what.to_owned(),
            reached,
            goal,
            bound,
        });
    }

    pub(crate) fn note(&mut self, what: &'static str, value: impl Into<Value>) {
        self.notes.push((what, value.into()));
    }

    /// When a backend first got no request any more, for backends that can tell: the last one before
    /// a pause in which it would have had many.
    pub(crate) fn ejected_by_journal(&mut self, journal: &Journal, fault: Moment, end: Moment) {
        let heads = journal.heads.iter().copied();
        let mut during: Vec<u64> = heads
            .filter(|at| (fault.micros..end.micros).contains(at))
            .collect();
        during.sort_unstable();
        let mut last = fault.micros;
        for &at in &during {
            if u128::from(at - last) > HELD_UP.as_micros() {
                break;
            }
            last = at;
        }
        self.ejected_after = Some(Duration::from_micros(last - fault.micros));
        self.note("requests to the bad one", during.len());
    }

    /// The last request that failed or was held up, for backends that can tell nothing.
    pub(crate) fn ejected_by_clients(&mut self, fault: Moment, end: Moment) -> Duration {
        let after = self.records.iter();
        let after = after.filter(|record| record.due >= fault.at && record.due < end.at);
        let hurt = after.filter(|record| !record.is_good() || record.took > HELD_UP);
        let last = hurt.map(|record| record.due - fault.at).max();
        let ejected_after = last.unwrap_or_default();
        self.ejected_after = Some(ejected_after);
        ejected_after
    }

    pub(crate) fn json(&self, scenario: &str, proxy: &str) -> Value {
        let checks = self.checks.iter().map(|check| {
            json!({
                "what": check.what,
                "reached": check.reached,
                "goal": check.goal,
                "is_met": check.reached <= check.goal,
                "is_broken": check.reached > check.bound,
            })
        });
        json!({
            "scenario": scenario,
            "proxy": proxy,
            "requests": self.records.len(),
            "offered_per_second": self.offered(),
            "failed_gets": self.failed_sent(&[Method::Get]),
            "failed_posts": self.failed_sent(&[Method::Post]),
            "failed_keyed_posts": self.failed_sent(&[Method::Keyed]),
            "unsent": self.unsent(&Method::ALL),
            "failures": self.failures(),
            "posts_twice": self.twice,
            "longest_gap_ms": milliseconds(self.longest_gap()),
            "longest_ms": milliseconds(self.longest()),
            "p50_ms": self.percentile(0.5),
            "p99_ms": self.percentile(0.99),
            "ejected_after_ms": self.ejected_after.map(milliseconds),
            "attempts_per_request": self.attempts,
            "notes": self.notes.iter().cloned().map(|(what, value)| (what.to_owned(), value)).collect::<serde_json::Map<_, _>>(),
            "checks": checks.collect::<Vec<_>>(),
        })
    }

    fn offered(&self) -> f64 {
        let ends = self.records.first().zip(self.records.last());
        let span = ends.map_or(Duration::ZERO, |(first, last)| last.due - first.due);
        if span.is_zero() {
            return 0.0;
        }
        precise(self.records.len() - 1) / span.as_secs_f64()
    }

    /// The longest time without a good answer, between the first and the last of them.
    fn longest_gap(&self) -> Duration {
        let good = self.records.iter().filter(|record| record.is_good());
        let mut ends: Vec<Instant> = good.map(|record| record.due + record.took).collect();
        ends.sort_unstable();
        let gaps = ends.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }

    fn percentile(&self, quantile: f64) -> Option<f64> {
        let mut latency = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).ok()?;
        for record in &self.records {
            let micros = u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX);
            latency.saturating_record(micros);
        }
        let micros = latency.value_at_quantile(quantile);
        (!latency.is_empty()).then(|| milliseconds(Duration::from_micros(micros)))
    }

    /// How often each kind of failure was seen.
    fn failures(&self) -> Value {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for record in self.records.iter().filter(|record| !record.is_good()) {
            let kind = match &record.end {
                End::Complete(answer) => {
                    let error = answer.proxy_status.as_deref().unwrap_or_default();
                    format!("{} {error}", answer.status).trim_end().to_owned()
                }
                End::Broken { is_reset: true } => "reset in the body".to_owned(),
                End::Broken { is_reset: false } => "broken in the body".to_owned(),
                End::Lost { text, .. } => text.clone(),
                End::Unsent => "no connection".to_owned(),
                End::Late => "no answer".to_owned(),
            };
            *counts.entry(kind).or_default() += 1;
        }
        json!(counts)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    precise(part) / precise(whole.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn precise(count: usize) -> f64 {
    count as f64
}
