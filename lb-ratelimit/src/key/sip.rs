//! SipHash-1-3 with 128 bits of output, over whole words.

/// The state of `SipHash`.
#[derive(Clone, Copy)]
pub(super) struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
    words: u64,
}

impl Sip {
    #[inline]
    pub(super) const fn new(k0: u64, k1: u64) -> Self {
        Self {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            // With 128 bits of output one byte of the constants differs.
            v1: k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
            words: 0,
        }
    }

    #[inline]
    pub(super) const fn write(&mut self, word: u64) {
        self.words += 1;
        self.compress(word);
    }

    /// The two halves, the lower one first.
    pub(super) const fn finish(self) -> (u64, u64) {
        let mut sip = self;
        sip.compress((sip.words * 8) << 56);
        sip.v2 ^= 0xee;
        sip.rounds();
        let low = sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
        sip.v1 ^= 0xdd;
        sip.rounds();
        (low, sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3)
    }

    #[inline]
    const fn compress(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline]
    const fn rounds(&mut self) {
        self.round();
        self.round();
        self.round();
    }

    #[inline]
    const fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use siphasher::sip128::{Hasher128 as _, SipHasher13};

    use super::*;

    #[test]
    fn agrees_with_another_implementation() {
        let mut random = 1_u64;
        for words in 0..40 {
            let mut next = || {
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                random
            };
            let (k0, k1) = (next(), next());
            let mut ours = Sip::new(k0, k1);
            let mut theirs = SipHasher13::new_with_keys(k0, k1);
            for _ in 0..words {
                let word = next();
                ours.write(word);
                theirs.write(&word.to_le_bytes());
            }
            let expected = theirs.finish128();
            assert_eq!(ours.finish(), (expected.h1, expected.h2));
        }
    }
}
