//! The least score of all, or the better of two draws.

use super::{PickHint, Reasoning};
use crate::draw::Draws;
use crate::roster::Roster;

/// Up to so many eligible backends all are compared: that costs less than 0.5 µs. Above it two draws come within a
/// constant of the best load at a cost that does not grow.
pub(crate) const SCAN_MAX: usize = 64;

/// So many draws in vain in a row, then all are compared: most of the pool is full or was tried.
const DRAWS_MAX: usize = 16;

/// Picks the usable backend with the least score. Equal scores are decided by a draw according to the weights, so that
/// an idle pool is used evenly and not from its front.
#[inline]
pub(crate) fn pick(
    roster: &Roster,
    hint: &PickHint<'_>,
    score: impl Fn(usize) -> f64,
) -> Option<usize> {
    let mut draws = Draws::new(hint.random);
    if roster.eligible().len() > SCAN_MAX
        && let Some((first, second)) = draw_two(roster, hint, &mut draws)
    {
        return Some(if score(second) < score(first) {
            second
        } else {
            first
        });
    }
    scan(roster, hint, &mut draws, score)
}

#[inline]
fn scan(
    roster: &Roster,
    hint: &PickHint<'_>,
    draws: &mut Draws,
    score: impl Fn(usize) -> f64,
) -> Option<usize> {
    let eligible = || roster.eligible().iter().map(|&index| index as usize);
    // What was compared, for the second pass: scores change under it, and may be costly. Infinite if not usable.
    let mut seen = [f64::INFINITY; SCAN_MAX];
    let mut least = f64::INFINITY;
    // The first of those with the least score, and the weight of all of them.
    let (mut first, mut tied_weight, mut is_tied) = (None, 0, false);
    for (place, index) in eligible().enumerate() {
        if !roster.is_usable(index, hint) {
            continue;
        }
        let score = score(index);
        if let Some(seen) = seen.get_mut(place) {
            *seen = score;
        }
        if score < least || first.is_none() {
            (least, first, tied_weight, is_tied) =
                (score, Some(index), roster.weight(index) as usize, false);
        } else if score == least {
            tied_weight += roster.weight(index) as usize;
            is_tied = true;
        }
    }
    if !is_tied {
        return first;
    }
    let mut drawn = draws.below(tied_weight);
    for (place, index) in eligible().enumerate() {
        let is_least = match seen.get(place) {
            Some(&seen) => seen == least,
            None => roster.is_usable(index, hint) && score(index) == least,
        };
        if is_least {
            let weight = roster.weight(index) as usize;
            if drawn < weight {
                return Some(index);
            }
            drawn -= weight;
        }
    }
    // Other threads have changed the scores meanwhile.
    first
}

/// Two *distinct* usable backends, drawn by weight. `None` if they are hard to find.
#[inline]
fn draw_two(roster: &Roster, hint: &PickHint<'_>, draws: &mut Draws) -> Option<(usize, usize)> {
    let eligible = roster.eligible();
    let mut first = None;
    for _ in 0..DRAWS_MAX {
        let place = match roster.weighted_draw() {
            Some(table) => table.draw(draws),
            None => draws.below(eligible.len()),
        };
        let index = eligible[place] as usize;
        if first == Some(index) || !roster.is_usable(index, hint) {
            continue;
        }
        match first {
            None => first = Some(index),
            Some(first) => return Some((first, index)),
        }
    }
    // One backend has nearly all of the weight, or nearly all others are unusable: any second choice will do.
    let first = first?;
    for _ in 0..DRAWS_MAX {
        let index = eligible[draws.below(eligible.len())] as usize;
        if index != first && roster.is_usable(index, hint) {
            return Some((first, index));
        }
    }
    None
}

/// Explains [`pick`] with the same scores and the same draws.
pub(crate) fn explain(
    roster: &Roster,
    hint: &PickHint<'_>,
    rule: &'static str,
    score: impl Fn(usize) -> f64,
) -> Reasoning {
    let mut reasoning = Reasoning::new(pick(roster, hint, &score), rule);
    reasoning.scores = (0..roster.len()).map(|index| Some(score(index))).collect();
    let count = roster.eligible().len();
    let two = if count > SCAN_MAX {
        draw_two(roster, hint, &mut Draws::new(hint.random))
    } else {
        None
    };
    reasoning.draw = match two {
        Some((first, second)) => {
            format!(
                "better of two draws from {count} eligible: {} and {}",
                roster.id(first),
                roster.id(second)
            )
        }
        None => format!("least of {count} eligible, ties drawn by weight"),
    };
    reasoning
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{roster, share};

    fn shares(weights: &[u32], score: impl Fn(usize) -> f64) -> Vec<f64> {
        let roster = roster(weights);
        share(weights.len(), |random| {
            pick(&roster, &PickHint::new(random), &score)
        })
    }

    #[test]
    fn the_least_score_wins_wherever_it_stands() {
        for least in 0..5 {
            let shares = shares(&[1; 5], |index| f64::from(index != least));
            assert_eq!(shares[least], 1.0);
        }
    }

    #[test]
    fn ties_are_drawn_by_weight() {
        let shares = shares(&[1, 2, 5], |_| 0.0);
        for (share, wanted) in shares.iter().zip([0.125, 0.25, 0.625]) {
            assert!((share - wanted).abs() < 0.01, "{shares:?}");
        }
    }

    /// With two distinct draws the busiest backend is never chosen and the idlest one in 2/n of the cases. Draws with
    /// replacement would choose the busiest in 1/n² of the cases, a fold over all would choose it in half of them.
    #[test]
    fn two_draws_are_distinct_and_the_better_one_wins() {
        let n = 100;
        let shares = shares(&vec![1; n], |index| index as f64);
        assert_eq!(shares[n - 1], 0.0);
        assert!((shares[0] - 0.02).abs() < 0.003, "{}", shares[0]);
        assert!((shares[n / 2] - 0.01).abs() < 0.003, "{}", shares[n / 2]);
    }

    #[test]
    fn equal_scores_of_two_draws_leave_the_weights() {
        let mut weights = vec![1; 99];
        weights.push(33);
        let shares = shares(&weights, |_| 0.0);
        assert!((shares[99] - 0.25).abs() < 0.01, "{}", shares[99]);
    }

    #[test]
    fn a_dominant_weight_still_meets_a_rival() {
        let mut weights = vec![1; 99];
        weights.push(65_535);
        let shares = shares(&weights, |index| f64::from(index == 99));
        assert_eq!(shares[99], 0.0);
    }
}
