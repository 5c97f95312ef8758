//! Why a pick goes where it goes.

use std::fmt;
use std::time::Instant;

use super::status;
use super::tier::{Published, Tier};
use crate::backend::{BackendId, Exclusion};
use crate::strategy::{Algorithm, PickHint, Strategy};

/// What a pick would do and why, from [`Pool::explain`](crate::Pool::explain). Displays as a small table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The algorithm in force.
    pub algorithm: Algorithm,
    /// The key's hash, if the request has one.
    pub key: Option<u64>,
    /// The random bits.
    pub random: u64,
    /// All backends: the others in their order, then the backups in theirs.
    pub candidates: Vec<Candidate>,
    /// What the algorithm prefers and what a score means, in one sentence without a full stop.
    pub rule: &'static str,
    /// What was drawn, looked up or skipped, in words.
    pub draw: String,
    /// Whether the pool has as many requests in flight as it may.
    pub is_pool_full: bool,
    /// The result.
    pub verdict: Verdict,
}

/// A backend as a pick sees it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// Its identity.
    pub id: BackendId,
    /// Its weight; while a backend is warmed up, all are finer.
    pub weight: u32,
    /// The percentage of its share that it gets, while it is warmed up.
    pub percent: u8,
    /// Whether it is a backup.
    pub backup: bool,
    /// Its requests in flight.
    pub in_flight: u32,
    /// Its score, if it has one; [`Explanation::rule`] tells the meaning.
    pub score: Option<f64>,
    /// Why it is out; `None` for a true candidate.
    pub exclusion: Option<Exclusion>,
    /// Since when it is out, where the pool found that and not the operator said it.
    pub since: Option<Instant>,
    /// What the pool found it by, for people.
    pub why: Option<String>,
}

/// The result of an explained pick.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The strategy picks this backend.
    Picked(BackendId),
    /// The client's own backend is picked, whatever the strategy says.
    Affinity(BackendId),
    /// As [`Pick::AllFull`](crate::Pick::AllFull).
    AllFull,
    /// As [`Pick::NoneEligible`](crate::Pick::NoneEligible).
    NoneEligible,
}

impl Published {
    pub(super) fn explain(&self, hint: &PickHint<'_>, now: Instant) -> Explanation {
        let mut explanation = Explanation {
            algorithm: self.algorithm,
            key: hint.key,
            random: hint.random,
            candidates: Vec::new(),
            rule: "",
            draw: String::new(),
            is_pool_full: false,
            verdict: Verdict::NoneEligible,
        };
        let affinity = hint.affinity.and_then(|id| self.place(id));
        let affinity =
            affinity.filter(|(tier, index)| tier.roster.is_usable_by_affinity(*index, hint));
        // The tier that decides is the first one that can take the request at all.
        let decides = |tier: &Tier| tier.is_any_only_full(hint);
        let decisive = self.tiers.iter().position(decides);
        for (rank, tier) in self.tiers.iter().enumerate() {
            let reasoning = tier.strategy.explain(&tier.roster, &tier.seeded(hint), now);
            let is_shadowed = rank == 1 && decisive == Some(0);
            for (index, member) in tier.roster.members().iter().enumerate() {
                let over_bound = || {
                    reasoning
                        .over_bound
                        .contains(&index)
                        .then_some(Exclusion::OverBound)
                };
                let shadowed = || is_shadowed.then_some(Exclusion::Backup);
                let found = tier.roster.exclusion(index, hint);
                let (since, why) = status::reason(&member.state, found).unzip();
                explanation.candidates.push(Candidate {
                    id: member.state.id().clone(),
                    weight: member.weight,
                    backup: rank == 1,
                    in_flight: member.state.in_flight(),
                    score: reasoning.scores.get(index).copied().flatten(),
                    exclusion: found.or_else(shadowed).or_else(over_bound),
                    percent: member.state.percent(),
                    since,
                    why,
                });
            }
            if decisive.unwrap_or(0) == rank {
                explanation.rule = reasoning.rule;
                explanation.draw = reasoning.draw;
                if decisive.is_some() {
                    let picked = reasoning
                        .picked
                        .map(|index| Verdict::Picked(tier.roster.id(index).clone()));
                    explanation.verdict = picked.unwrap_or(Verdict::AllFull);
                }
            }
        }
        if let Some((tier, index)) = affinity {
            explanation.verdict = Verdict::Affinity(tier.roster.id(index).clone());
        }
        explanation
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Picked(id) => write!(f, "{}: {id}", self.algorithm)?,
            Verdict::Affinity(id) => write!(f, "affinity: {id}")?,
            Verdict::AllFull if self.is_pool_full => {
                write!(f, "{}: the pool is full", self.algorithm)?;
            }
            Verdict::AllFull => write!(f, "{}: all eligible backends are full", self.algorithm)?,
            Verdict::NoneEligible => write!(f, "{}: no backend is eligible", self.algorithm)?,
        }
        write!(
            f,
            "\nrule: {}\ndraw: {}; random {:#018x}",
            self.rule, self.draw, self.random
        )?;
        if let Some(key) = self.key {
            write!(f, ", key {key:#018x}")?;
        }
        let width = self
            .candidates
            .iter()
            .map(|candidate| candidate.id.as_str().chars().count())
            .max()
            .unwrap_or(0)
            .max(7);
        write!(
            f,
            "\n{:width$}  weight  in flight       score  out because",
            "backend"
        )?;
        for candidate in &self.candidates {
            let score = candidate
                .score
                .map_or_else(|| "-".to_owned(), |score| format!("{score:.3}"));
            let backup = if candidate.backup && candidate.exclusion.is_none() {
                "(backup)"
            } else {
                ""
            };
            let reason = candidate.exclusion.map_or(backup, Exclusion::as_str);
            let why = candidate.why.as_ref().map(|why| format!(": {why}"));
            let line = format!(
                "{:width$}  {:>6}  {:>9}  {score:>10}  {reason}{}",
                candidate.id,
                candidate.weight,
                candidate.in_flight,
                why.unwrap_or_default()
            );
            write!(f, "\n{}", line.trim_end())?;
        }
        Ok(())
    }
}
