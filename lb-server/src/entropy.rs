//! The sources of randomness: one seeded once, from the system or by a test, and the system itself
//! for what nobody may guess.

use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of 64-bit draws for balancing and identifiers that need not be secret.
#[derive(Debug)]
pub(crate) struct Entropy {
    state: AtomicU64,
}

/// The increment of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// 128 secret bits from the operating system.
pub(crate) fn secret() -> Result<u128, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

impl Entropy {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// Seeds from the operating system.
    pub(crate) fn from_system() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self::from_seed)
    }

    pub(crate) fn draw(&self) -> u64 {
        let mut bits = self
            .state
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// Bytes that nobody can guess.
pub(crate) fn secret_bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
