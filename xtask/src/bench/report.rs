//! The results as one HTML file that needs nothing else: no script, no font, no picture.

mod chart;

use std::fmt::Write as _;

use serde_json::Value;

use self::chart::{Bar, Line};
use super::goals::Verdict;
use super::measure::{Outcome, Series};
use super::peer::{Candidate, Peer};
use super::statistics::{Spread, number};
use super::table;
use super::workload::Load;

const STYLE: &str = include_str!("report/style.css");

/// A figure of a series, and how to write it.
struct Measure {
    name: &'static str,
    of: fn(&Series) -> Option<Spread>,
    scale: f64,
}

const COST: Measure = Measure {
    name: "processor time per request, µs",
    of: Series::cost,
    scale: 1.0,
};
const P99: Measure = Measure {
    name: "99th percentile of the latency, ms",
    of: |series| series.latency(|latency| latency.p99),
    scale: 1e-3,
};
const EACH: Measure = Measure {
    name: "memory each, KiB",
    of: Series::each,
    scale: 1.0 / 1024.0,
};

/// Workloads that differ in one number, drawn as a line over it.
const GROWTH: [(&str, &str); 3] = [
    (
        "connections-",
        "Processor time per request over open connections",
    ),
    ("backends-", "Processor time per request over backends"),
    ("routes-", "Processor time per request over routes"),
];

/// The whole page.
pub(crate) fn html(
    facts: &Value,
    candidates: &[Candidate],
    outcomes: &[Outcome],
    verdicts: &[Verdict],
) -> String {
    let mut body = String::new();
    head(&mut body, facts, candidates);
    if !verdicts.is_empty() {
        goals(&mut body, verdicts);
    }
    for (start, title) in GROWTH {
        growth(&mut body, start, title, outcomes);
    }
    for outcome in outcomes {
        section(&mut body, outcome);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>What a proxied request costs</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn head(body: &mut String, facts: &Value, candidates: &[Candidate]) {
    let text = |key: &str| match &facts[key] {
        Value::String(text) => escape(text),
        other => escape(&other.to_string()),
    };
    let _ = write!(
        body,
        "<h1>What a proxied request costs</h1>\n\
         <p>Revision {revision}, {cores} cores ({processor}), Linux {kernel}, allocator {allocator}; \
         {rounds} rounds of {seconds} s, interleaved. The proxy has one worker on the first core unless it is \
         said otherwise, the backend (nginx) core {backend}, the load generator core {load}. Each figure is the \
         median over the rounds; the thin line goes from the least to the most. Ratios are ours ÷ theirs, below \
         1 ours is cheaper.</p>\n<p>",
        revision = text("revision"),
        cores = text("cores"),
        processor = text("processor"),
        kernel = text("kernel"),
        allocator = text("allocator"),
        rounds = text("rounds"),
        seconds = text("seconds"),
        backend = text("backend_core"),
        load = text("load_core"),
    );
    let named = candidates
        .iter()
        .map(|one| format!("{} {}", one.peer.name(), escape(&one.version)));
    let _ = writeln!(body, "{}</p>", named.collect::<Vec<_>>().join(", "));
}

fn goals(body: &mut String, verdicts: &[Verdict]) {
    let met = verdicts.iter().filter(|verdict| verdict.is_met()).count();
    let _ = writeln!(body, "<h2>Goals: {met} of {} met</h2>", verdicts.len());
    body.push_str("<div class=\"wide\"><table>\n<thead><tr><th>workload<th>figure<th>against<th>reached<th>goal<th></tr></thead>\n<tbody>\n");
    for verdict in verdicts {
        let (class, word) = if verdict.is_met() {
            ("met", "✓ met")
        } else {
            ("missed", "✗ missed")
        };
        let _ = writeln!(
            body,
            "<tr><td><a href=\"#{}\">{}</a><td>{}<td>{}<td>{}<td>{}<td class=\"{class}\">{word}</tr>",
            verdict.workload,
            escape(verdict.title),
            verdict.figure,
            verdict.against,
            number(verdict.reached),
            verdict.bound_text(),
        );
    }
    body.push_str("</tbody>\n</table></div>\n");
}

fn growth(body: &mut String, start: &str, title: &str, outcomes: &[Outcome]) {
    let points: Vec<(f64, &Outcome)> = outcomes
        .iter()
        .filter_map(|outcome| {
            let size = outcome.workload.name.strip_prefix(start)?;
            Some((size.parse().ok()?, outcome))
        })
        .collect();
    if points.len() < 2 {
        return;
    }
    let mut lines: Vec<Line> = Vec::new();
    for peer in points
        .iter()
        .flat_map(|(_, outcome)| &outcome.series)
        .map(|series| series.peer)
    {
        if lines.iter().any(|line| line.peer == peer) {
            continue;
        }
        let at = |(x, outcome): &(f64, &Outcome)| Some((*x, outcome.of(peer)?.cost()?.median));
        lines.push(Line {
            peer,
            points: points.iter().filter_map(at).collect(),
        });
    }
    let _ = writeln!(
        body,
        "<h2>{title}</h2>\n<figure>\n{}<figcaption>{}</figcaption>\n</figure>",
        chart::lines(&lines),
        COST.name
    );
}

fn section(body: &mut String, outcome: &Outcome) {
    let workload = &outcome.workload;
    let _ = writeln!(
        body,
        "<h2 id=\"{}\">{}</h2>",
        workload.name,
        escape(workload.title)
    );
    let measures: &[Measure] = match workload.load {
        Load::Idle | Load::Active => &[EACH],
        Load::Rate { .. } => &[P99, COST],
        _ => &[COST],
    };
    for measure in measures {
        let bars: Vec<Bar> = outcome
            .series
            .iter()
            .filter_map(|series| bar(series, measure))
            .collect();
        if !bars.is_empty() {
            let _ = writeln!(
                body,
                "<figure>\n{}<figcaption>{}</figcaption>\n</figure>",
                chart::bars(&bars),
                measure.name
            );
        }
    }
    let (heads, rows) = table::cells(outcome);
    body.push_str(
        "<details><summary>All figures</summary><div class=\"wide\"><table>\n<thead><tr>",
    );
    for head in heads {
        let _ = write!(body, "<th>{}", escape(head));
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        body.push_str("<tr>");
        for cell in row {
            let _ = write!(body, "<td>{}", escape(&cell));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table></div></details>\n");
}

fn bar(series: &Series, measure: &Measure) -> Option<Bar> {
    let spread = (measure.of)(series)?;
    Some(Bar {
        peer: series.peer,
        spread: Spread {
            median: spread.median * measure.scale,
            least: spread.least * measure.scale,
            most: spread.most * measure.scale,
        },
    })
}

/// How the style sheet calls what belongs to a peer: ours stands out, bounds step back.
fn class(peer: Peer) -> &'static str {
    match peer {
        Peer::Ours => "ours",
        Peer::Against | Peer::Logged | Peer::Traced => "against",
        Peer::Floor => "floor",
        _ => "peer",
    }
}

/// Text that a browser shows as it is.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
