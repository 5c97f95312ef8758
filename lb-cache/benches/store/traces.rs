//! Sequences of keys as a cache would see them.

/// Keys that a trace draws from.
const UNIVERSE: usize = 1_000_000;
const ACCESSES: usize = 2_000_000;

/// What is popular and for how long.
#[derive(Clone, Copy)]
pub(crate) enum Trace {
    /// Popularity falls as rank to the power of −0.99.
    Zipf,
    /// The same, but after each 80,000 accesses follow 20,000 to keys that are never seen again.
    Scan,
    /// The same, but after each 200,000 accesses every other key becomes a new one; the rest stay.
    Shift,
    /// The same, but each time any half of the keys, so that in the end none stays.
    Churn,
}

impl Trace {
    pub(crate) const ALL: [Self; 4] = [Self::Zipf, Self::Scan, Self::Shift, Self::Churn];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zipf => "Zipf",
            Self::Scan => "scan",
            Self::Shift => "shift",
            Self::Churn => "churn",
        }
    }

    pub(crate) fn keys(self) -> Vec<u64> {
        let zipf = Zipf::new(UNIVERSE);
        let mut random = Random(0x5eed_0123_4567_89ab);
        let mut names: Vec<u64> = (0..UNIVERSE as u64).collect();
        let mut unseen = UNIVERSE as u64;
        let mut keys = Vec::with_capacity(ACCESSES);
        for access in 0..ACCESSES {
            if access % 200_000 == 0 {
                for (rank, name) in names.iter_mut().enumerate() {
                    let renewed = match self {
                        Self::Zipf | Self::Scan => false,
                        Self::Shift => rank % 2 == 1,
                        Self::Churn => random.next() & 1 == 0,
                    };
                    if renewed {
                        *name = unseen;
                        unseen += 1;
                    }
                }
            }
            if matches!(self, Self::Scan) && access % 100_000 >= 80_000 {
                keys.push(unseen);
                unseen += 1;
            } else {
                keys.push(names[zipf.rank(&mut random)]);
            }
        }
        keys
    }
}

/// Ranks below a number, each drawn as often as its share says.
pub(crate) struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(ranks: usize) -> Self {
        let mut sum = 0.0;
        let share = |rank: usize| {
            sum += 1.0 / (rank as f64 + 1.0).powf(0.99);
            sum
        };
        Self {
            cumulated: (0..ranks).map(share).collect(),
        }
    }

    pub(crate) fn rank(&self, random: &mut Random) -> usize {
        let sum = self.cumulated.last().copied().unwrap_or_default();
        let drawn = (random.next() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        let rank = self.cumulated.partition_point(|&upto| upto <= drawn);
        rank.min(self.cumulated.len() - 1)
    }
}

/// The same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
