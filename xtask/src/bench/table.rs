//! The tables on the terminal.

use super::goals::{Verdict, best};
use super::measure::{Outcome, Series};
use super::peer::Peer;
use super::statistics::{Spread, number};
use super::workload::Workload;

/// Rows under heads, the first column to the left, the others to the right.
pub(crate) fn render(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        heads[column].chars().count().max(widest)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                if column == 0 {
                    format!("{cell}{space}")
                } else {
                    format!("{space}{cell}")
                }
            });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&mut heads.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// What one workload showed.
pub(crate) fn workload(outcome: &Outcome) -> String {
    let (heads, rows) = cells(outcome);
    let Workload { title, name, .. } = outcome.workload;
    format!("{title} ({name})\n{}", render(&heads, &rows))
}

/// The same as heads and rows.
pub(crate) fn cells(outcome: &Outcome) -> ([&'static str; 10], Vec<Vec<String>>) {
    let heads = [
        "",
        "µs/request",
        "least–most",
        "ours ÷",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "peak MiB",
        "KiB each",
    ];
    let ours = outcome.of(Peer::Ours).and_then(Series::cost);
    let rows = outcome.series.iter().map(|series| row(series, ours));
    (heads, rows.collect())
}

fn row(series: &Series, ours: Option<Spread>) -> Vec<String> {
    let cost = series.cost();
    let median = |spread: Option<Spread>, scale: f64| {
        spread.map_or_else(none, |spread| number(spread.median * scale))
    };
    let range = |spread: Spread| format!("{}–{}", number(spread.least), number(spread.most));
    let ratio = ours
        .zip(cost)
        .map(|(ours, theirs)| ours.median / theirs.median);
    let name = if series.failure.is_some() {
        format!("{} (failed)", series.peer.name())
    } else {
        series.peer.name().to_owned()
    };
    vec![
        name,
        median(cost, 1.0),
        cost.map_or_else(none, range),
        ratio
            .filter(|_| series.peer != Peer::Ours)
            .map_or_else(none, number),
        median(series.rate(), 1.0),
        median(series.latency(|latency| latency.p50), 1e-3),
        median(series.latency(|latency| latency.p99), 1e-3),
        median(series.latency(|latency| latency.p999), 1e-3),
        number(mebibytes(series.peak_bytes)),
        median(series.each(), 1.0 / 1024.0),
    ]
}

/// The goals, and what was reached.
pub(crate) fn goals(verdicts: &[Verdict]) -> String {
    let heads = ["workload", "figure", "against", "reached", "goal", ""];
    let rows: Vec<Vec<String>> = verdicts
        .iter()
        .map(|verdict| {
            vec![
                verdict.title.to_owned(),
                verdict.figure.to_owned(),
                verdict.against.clone(),
                number(verdict.reached),
                verdict.bound_text(),
                if verdict.is_met() { "met" } else { "missed" }.to_owned(),
            ]
        })
        .collect();
    render(&heads, &rows)
}

/// Ours ÷ the best peer in every workload.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let heads = ["workload", "ours µs", "best peer", "its µs", "ours ÷ best"];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .filter_map(|outcome| {
            let ours = outcome.of(Peer::Ours)?.cost()?;
            let best = best(outcome, None, Series::cost);
            Some(vec![
                outcome.workload.name.to_owned(),
                number(ours.median),
                best.map_or_else(none, |(peer, _)| peer.name().to_owned()),
                best.map_or_else(none, |(_, theirs)| number(theirs)),
                best.map_or_else(none, |(_, theirs)| number(ours.median / theirs)),
            ])
        })
        .collect();
    render(&heads, &rows)
}

fn none() -> String {
    "–".to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_the_first_column_left_and_the_others_right() {
        let rows = [
            vec!["ours".to_owned(), "9.50".to_owned()],
            vec!["nginx".to_owned(), "12.0".to_owned()],
        ];
        let text = render(&["", "µs"], &rows);
        assert_eq!(text, "         µs\nours   9.50\nnginx  12.0\n");
    }
}
