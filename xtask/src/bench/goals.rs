//! What was reached of the goals.

use super::measure::{Outcome, Series};
use super::peer::Peer;
use super::statistics::{Spread, number};
use super::workload::{Figure, Goal, Workload};

/// One goal and what was reached.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) workload: &'static str,
    pub(crate) title: &'static str,
    pub(crate) figure: &'static str,
    /// The peer that was best.
    pub(crate) against: String,
    pub(crate) reached: f64,
    pub(crate) goal: Goal,
}

impl Verdict {
    pub(crate) fn is_met(&self) -> bool {
        // As it is shown: what reads as the bound has met it.
        let shown = (self.reached * 100.0).round() / 100.0;
        match self.goal.figure {
            Figure::Scaling => shown >= self.goal.bound,
            _ => shown <= self.goal.bound,
        }
    }

    pub(crate) fn bound_text(&self) -> String {
        let sign = if self.goal.figure == Figure::Scaling {
            "≥"
        } else {
            "≤"
        };
        format!("{sign} {}", number(self.goal.bound))
    }
}

/// All goals that what was measured can tell of.
pub(crate) fn verdicts(outcomes: &[Outcome]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for outcome in outcomes {
        let Workload {
            name, title, goals, ..
        } = outcome.workload;
        for goal in goals {
            if let Some((figure, against, reached)) = reach(outcome, goal, outcomes) {
                verdicts.push(Verdict {
                    workload: name,
                    title,
                    figure,
                    against,
                    reached,
                    goal: *goal,
                });
            }
        }
    }
    verdicts
}

fn reach(outcome: &Outcome, goal: &Goal, all: &[Outcome]) -> Option<(&'static str, String, f64)> {
    let ours = outcome.of(Peer::Ours)?;
    let ratio = |figure: fn(&Series) -> Option<Spread>| {
        let (peer, theirs) = best(outcome, Some(goal.against), figure)?;
        Some((peer.name().to_owned(), figure(ours)?.median / theirs))
    };
    match goal.figure {
        Figure::ProcessorTime => {
            let (against, reached) = ratio(Series::cost)?;
            Some(("processor time, ours ÷", against, reached))
        }
        Figure::P99 => {
            let (against, reached) = ratio(|series| series.latency(|latency| latency.p99))?;
            Some(("p99 latency, ours ÷", against, reached))
        }
        Figure::KibibytesPerConnection => Some((
            "KiB per connection",
            String::new(),
            ours.each()?.median / 1024.0,
        )),
        Figure::OfOwn(name) => {
            let other = all.iter().find(|other| other.workload.name == name)?;
            let theirs = other.of(Peer::Ours)?.cost()?.median;
            Some((
                "processor time ÷ that of",
                name.to_owned(),
                ours.cost()?.median / theirs,
            ))
        }
        Figure::Overhead { of, over } => Some((
            "processor time of another set-up ÷",
            over.name().to_owned(),
            outcome.of(of)?.cost()?.median / outcome.of(over)?.cost()?.median,
        )),
        Figure::Scaling => {
            let single = all
                .iter()
                .find(|other| other.workload.name == "workers-1")?;
            let one = single.of(Peer::Ours)?.rate()?.median;
            Some((
                "requests/s, two workers ÷ one",
                String::new(),
                ours.rate()?.median / one,
            ))
        }
    }
}

/// The peer with the least median of a figure, among those named or all that compete.
pub(crate) fn best(
    outcome: &Outcome,
    among: Option<&[Peer]>,
    figure: impl Fn(&Series) -> Option<Spread>,
) -> Option<(Peer, f64)> {
    let asked = |peer: Peer| among.map_or_else(|| peer.competes(), |named| named.contains(&peer));
    let known = outcome.series.iter().filter(|series| asked(series.peer));
    let medians = known.filter_map(|series| Some((series.peer, figure(series)?.median)));
    medians.min_by(|one, other| one.1.total_cmp(&other.1))
}
