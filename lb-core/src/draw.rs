//! Draws from the random bits of a request: a sequence of them, and draws by weight.

use crate::hash::{STEP, mix, reduce};

/// The random numbers that follow from one (the `SplitMix64` generator).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws(u64);

impl Draws {
    #[inline]
    pub(crate) const fn new(random: u64) -> Self {
        Self(random)
    }

    #[inline]
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`.
    #[inline]
    pub(crate) const fn below(&mut self, bound: usize) -> usize {
        reduce(self.next(), bound)
    }
}

/// Draws positions with a probability in proportion to their weights.
///
/// # Complexity
/// O(1) per draw, O(n) to build, 12 bytes per position.
///
/// # References
/// The alias method, as in Vose, "A linear algorithm for generating random numbers with a given distribution" (1991),
/// in integers: what rounds is the 2^-32 of a column.
#[derive(Debug)]
pub(crate) struct WeightedDraw(Vec<Column>);

/// A column stands for itself up to `own` of 2^32, above that for `alias`.
#[derive(Debug, Clone, Copy)]
struct Column {
    own: u64,
    alias: u32,
}

impl WeightedDraw {
    /// `None` if all weights are equal, where a plain draw does.
    pub(crate) fn of(weights: &[u32]) -> Option<Self> {
        if weights.iter().all(|&weight| weight == weights[0]) {
            return None;
        }
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let count = weights.len() as u64;
        // Scaled so that an even share is `total`.
        let mut shares: Vec<u64> = weights
            .iter()
            .map(|&weight| u64::from(weight) * count)
            .collect();
        let mut columns: Vec<Column> = (0_u32..)
            .zip(weights)
            .map(|(alias, _)| Column {
                own: 1 << 32,
                alias,
            })
            .collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = columns
            .iter()
            .map(|column| column.alias)
            .partition(|&index| shares[index as usize] < total);
        while let (Some(&donor), Some(taker)) = (large.last(), small.pop()) {
            let share = shares[taker as usize];
            columns[taker as usize] = Column {
                own: (share << 32) / total,
                alias: donor,
            };
            let rest = &mut shares[donor as usize];
            *rest -= total - share;
            if *rest < total {
                large.pop();
                small.push(donor);
            }
        }
        Some(Self(columns))
    }

    #[inline]
    pub(crate) fn draw(&self, draws: &mut Draws) -> usize {
        let random = draws.next();
        let index = reduce(random, self.0.len());
        let column = self.0[index];
        // The low half of the bits is independent of the high bits that chose the column.
        if random & 0xffff_ffff < column.own {
            index
        } else {
            column.alias as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_need_no_table() {
        assert!(WeightedDraw::of(&[]).is_none());
        assert!(WeightedDraw::of(&[7, 7, 7]).is_none());
    }

    #[test]
    fn draws_follow_the_weights() {
        let weights = [1, 2, 3, 94, 65_535, 400];
        let table = WeightedDraw::of(&weights).unwrap();
        let total: u32 = weights.iter().sum();
        // The probabilities themselves, not a sample: each column is worth 2^32.
        let mut shares = [0_u64; 6];
        for (index, column) in table.0.iter().enumerate() {
            shares[index] += column.own;
            shares[column.alias as usize] += (1 << 32) - column.own;
        }
        for (share, weight) in shares.iter().zip(weights) {
            let wanted = f64::from(weight) / f64::from(total);
            let actual = *share as f64 / (6.0 * 2_f64.powi(32));
            assert!((actual - wanted).abs() < 1e-8, "{actual} for {wanted}");
        }
    }

    #[test]
    fn sampled_draws_follow_the_weights() {
        let weights = [1, 3, 6];
        let table = WeightedDraw::of(&weights).unwrap();
        let mut counts = [0_u32; 3];
        let mut draws = Draws::new(1);
        for _ in 0..100_000 {
            counts[table.draw(&mut draws)] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!(count.abs_diff(weight * 10_000) < 600, "{counts:?}");
        }
    }
}
