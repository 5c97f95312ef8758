//! Inputs: samples, cut and edited by a generator that repeats itself.

/// Longer ones only take more time.
const LONGEST: usize = 4096;

/// An endless row of inputs.
#[derive(Debug)]
pub(crate) struct Inputs {
    samples: Vec<Vec<u8>>,
    state: u64,
}

impl Inputs {
    /// Samples must not be empty.
    pub(crate) const fn new(samples: Vec<Vec<u8>>, seed: u64) -> Self {
        Self {
            samples,
            state: seed,
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which counts as 1 at least.
    fn below(&mut self, end: usize) -> usize {
        let drawn = self.draw() % (end.max(1) as u64);
        usize::try_from(drawn).unwrap_or(0)
    }

    fn sample(&mut self) -> Vec<u8> {
        let at = self.below(self.samples.len());
        self.samples[at].clone()
    }

    fn byte(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.sample();
        for _edit in 0..self.below(6) {
            let at = self.below(input.len() + 1);
            match self.below(7) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.byte(),
                2 => input.insert(at, self.byte()),
                3 if at < input.len() => {
                    input.remove(at);
                }
                4 => input.truncate(at),
                5 => {
                    let other = self.sample();
                    let from = self.below(other.len());
                    let to = from + self.below(other.len() - from + 1);
                    input.splice(at..at, other[from..to].iter().copied());
                }
                _ => {
                    let to = at + self.below(input.len() - at + 1);
                    let again = input[at..to].to_vec();
                    input.splice(at..at, again);
                }
            }
            input.truncate(LONGEST);
        }
        input
    }
}
