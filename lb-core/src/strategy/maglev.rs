//! The placement table of the hashing strategies.

use std::sync::Arc;

use crate::hash::{identity, reduce};
use crate::roster::Roster;

/// A table of cells, each of which belongs to one backend; a key's hash chooses the cell.
///
/// Each backend owns its exact share of the cells, to within one. It gets them by walking its own permutation of the
/// cells, all backends taking turns evenly spread by weight, so that a cell mostly keeps its owner when another backend
/// comes or goes. Identities, their weights and nothing else decide the result: not the order of the list, not what was
/// there before.
///
/// # Complexity
/// 2 bytes per cell, at least 100 cells per backend and at least 65,537 in all. Building takes about m·ln m steps for
/// m cells.
///
/// # References
/// Eisenbud et al., "Maglev: a fast and reliable software network load balancer" (NSDI 2016), §3.4.
#[derive(Debug, Clone)]
pub(crate) struct Maglev {
    cells: Arc<[u16]>,
}

/// Up to how many backends a table has how many cells: primes near powers of four, with at least 100 cells for each
/// backend, and as many as keep the keys that move in vain below 0.7 %: 65,537 cells move 0.6 % at 150 backends and 0.96 %
/// at 655. Each step moves nearly all keys when a pool outgrows it, hence few and far between.
const SIZES: [(usize, usize); 5] = [
    (160, 65_537),
    (2_621, 262_139),
    (10_485, 1_048_573),
    (41_943, 4_194_301),
    (BACKENDS_MAX, 16_777_213),
];
const FREE: u16 = u16::MAX;

/// The most backends that a table can tell apart.
pub(crate) const BACKENDS_MAX: usize = FREE as usize;

impl Maglev {
    /// `None` without backends, or with more than [`BACKENDS_MAX`].
    /// The table is as large as `expected` backends need it, if there are fewer.
    pub(crate) fn of(roster: &Roster, expected: usize) -> Option<Self> {
        let count = u16::try_from(roster.len())
            .ok()
            .filter(|&count| count > 0)?;
        let size = table_size(roster.len().max(expected));
        let mut sorted: Vec<u16> = (0..count).collect();
        sorted.sort_unstable_by_key(|&index| roster.id(usize::from(index)));
        let weights: Vec<u32> = sorted
            .iter()
            .map(|&index| roster.weight(usize::from(index)))
            .collect();
        let mut walks: Vec<Walk> = sorted
            .iter()
            .map(|&index| Walk::of(roster.id(usize::from(index)).as_str(), size))
            .collect();
        let mut cells = vec![FREE; size];
        for turn in turns(&quotas(&weights, size)) {
            let cell = walks[usize::from(turn)].next_free(&cells);
            cells[cell] = sorted[usize::from(turn)];
        }
        Some(Self {
            cells: cells.into(),
        })
    }

    /// The owner of a well-mixed hash.
    #[inline]
    pub(crate) fn owner(&self, hash: u64) -> usize {
        usize::from(self.cells[self.cell(hash)])
    }

    /// The cell of a well-mixed hash.
    #[inline]
    pub(crate) fn cell(&self, hash: u64) -> usize {
        reduce(hash, self.cells.len())
    }

    #[cfg(test)]
    fn cells(&self) -> &[u16] {
        &self.cells
    }

    /// How many cells there are, and how many each of `count` backends owns.
    pub(crate) fn shares(&self, count: usize) -> (usize, Vec<u32>) {
        let mut shares = vec![0; count];
        for &owner in self.cells.iter() {
            shares[usize::from(owner)] += 1;
        }
        (self.cells.len(), shares)
    }
}

fn table_size(backends: usize) -> usize {
    let fits = |&&(most, _): &&(usize, usize)| backends <= most;
    SIZES
        .iter()
        .find(fits)
        .map_or(SIZES[SIZES.len() - 1].1, |&(_, size)| size)
}

/// A backend's permutation of the cells: from an offset in steps that have no divisor in common with the prime size.
#[derive(Debug)]
struct Walk {
    at: u32,
    step: u32,
    size: u32,
}

impl Walk {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "table sizes and what is below them fit 32 bits"
    )]
    fn of(id: &str, size: usize) -> Self {
        let modulus = size as u64;
        let at = identity(id, 0) % modulus;
        let step = identity(id, 1) % (modulus - 1) + 1;
        Self {
            at: at as u32,
            step: step as u32,
            size: size as u32,
        }
    }

    /// Ends because the permutation visits all cells and the quotas add up to as many as there are.
    #[inline]
    fn next_free(&mut self, cells: &[u16]) -> usize {
        loop {
            let cell = self.at as usize;
            self.at += self.step;
            if self.at >= self.size {
                self.at -= self.size;
            }
            if cells[cell] == FREE {
                return cell;
            }
        }
    }
}

/// How many cells each backend gets: in proportion to its weight by largest remainder, but at least one.
fn quotas(weights: &[u32], size: usize) -> Vec<u32> {
    let (total, cells) = (
        weights.iter().map(|&weight| u64::from(weight)).sum::<u64>(),
        size as u64,
    );
    let share = |weight: u32| u64::from(weight) * cells;
    let mut quotas: Vec<u64> = weights
        .iter()
        .map(|&weight| (share(weight) / total).max(1))
        .collect();
    let given: u64 = quotas.iter().sum();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    if given <= cells {
        // A stable sort: equal remainders are served in the order of identities.
        order.sort_by_key(|&place| {
            let rounded_up = share(weights[place]) < total;
            std::cmp::Reverse(if rounded_up {
                0
            } else {
                share(weights[place]) % total
            })
        });
        for &place in order
            .iter()
            .cycle()
            .take(size.saturating_sub(usize::try_from(given).unwrap_or(size)))
        {
            quotas[place] += 1;
        }
    } else {
        order.sort_by_key(|&place| std::cmp::Reverse(quotas[place]));
        let mut excess = given - cells;
        for &place in order.iter().cycle() {
            if excess == 0 {
                break;
            }
            if quotas[place] > 1 {
                quotas[place] -= 1;
                excess -= 1;
            }
        }
    }
    quotas
        .into_iter()
        .map(|quota| u32::try_from(quota).unwrap_or(u32::MAX))
        .collect()
}

/// Whose turn it is, for each cell: the turns of each backend are spread evenly over all rounds. A counting sort, since
/// going round by round would take years for 10,000 backends of which one is 65,535 times as heavy as the others.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a round is below the highest quota, a u32; places fit 16 bits"
)]
fn turns(quotas: &[u32]) -> Vec<u16> {
    let rounds = quotas.iter().copied().max().unwrap_or(0);
    let round = |turn: u32, quota: u32| {
        ((2 * u64::from(turn) + 1) * u64::from(rounds) / (2 * u64::from(quota))) as usize
    };
    let mut ends = vec![0_usize; rounds as usize];
    for &quota in quotas {
        (0..quota).for_each(|turn| ends[round(turn, quota)] += 1);
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut order = vec![0; sum];
    // From the last backend to the first, filling each round from its end.
    for (place, &quota) in quotas.iter().enumerate().rev() {
        for turn in 0..quota {
            let end = &mut ends[round(turn, quota)];
            *end -= 1;
            order[*end] = place as u16;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{backends, now, roster};

    #[test]
    fn sizes_are_primes_and_grow_with_the_pool() {
        let is_prime = |n: usize| {
            (2..)
                .take_while(|d| d * d <= n)
                .all(|d| !n.is_multiple_of(d))
        };
        assert!(
            SIZES
                .iter()
                .all(|&(most, size)| is_prime(size) && size >= 100 * most)
        );
        assert_eq!(table_size(1), 65_537);
        assert_eq!(table_size(160), 65_537);
        assert_eq!(table_size(161), 262_139);
        assert_eq!(table_size(BACKENDS_MAX), 16_777_213);
    }

    #[test]
    fn shares_are_exact_to_within_one_cell() {
        for weights in [
            vec![1; 100],
            vec![1, 2, 3, 4],
            vec![65_535, 1, 500, 500],
            vec![7; 160],
        ] {
            let (size, shares) = Maglev::of(&roster(&weights), 0)
                .unwrap()
                .shares(weights.len());
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            for (share, &weight) in shares.iter().zip(&weights) {
                let wanted = size as f64 * f64::from(weight) / total as f64;
                assert!(
                    (f64::from(*share) - wanted).abs() <= 1.0,
                    "{share} cells for {wanted}"
                );
            }
        }
    }

    #[test]
    fn no_weight_is_too_small_for_a_cell() {
        let mut weights = vec![65_535; 600];
        weights.extend([1; 55]);
        let (size, shares) = Maglev::of(&roster(&weights), 0)
            .unwrap()
            .shares(weights.len());
        assert!(shares.iter().all(|&share| share >= 1));
        assert_eq!(
            shares.iter().map(|&share| share as usize).sum::<usize>(),
            size
        );
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let mut listed = backends(&[1, 2, 3, 4, 5]);
        let table = |listed: &[crate::Backend]| {
            let roster = Roster::new(listed, now());
            let table = Maglev::of(&roster, 0).unwrap();
            table
                .cells()
                .iter()
                .map(|&owner| roster.id(usize::from(owner)).clone())
                .collect::<Vec<_>>()
        };
        let placed = table(&listed);
        listed.reverse();
        assert!(table(&listed) == placed);
        listed.swap(1, 3);
        assert!(table(&listed) == placed);
    }

    #[test]
    fn turns_of_unequal_quotas_are_spread() {
        assert_eq!(turns(&[4, 2, 1]), [0, 0, 1, 0, 2, 0, 1]);
    }

    #[test]
    fn nobody_has_no_table() {
        assert!(Maglev::of(&roster(&[]), 0).is_none());
    }
}
