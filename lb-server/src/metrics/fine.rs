//! Latencies counted without a lock, for percentiles.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

/// Slots for each power of two: less than 1 % from a value to the middle of its slot.
const HALF: usize = 64;
/// 19 hours in microseconds; what took longer counts as that.
const MICROS_MAX: u64 = (1 << 36) - 1;
const SLOTS: usize = 2 * HALF + 29 * HALF;

/// Counters of microseconds, in slots that grow with the value.
pub(super) struct Fine([AtomicU64; SLOTS]);

impl Default for Fine {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; SLOTS])
    }
}

impl Fine {
    pub(super) fn count(&self, micros: u64) {
        self.0[slot(micros)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn histogram(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new(2).expect("two significant digits are valid");
        for (slot, count) in self.0.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                histogram.saturating_record_n(middle(slot), count);
            }
        }
        histogram
    }
}

fn slot(micros: u64) -> usize {
    let micros = micros.min(MICROS_MAX);
    let bits = u64::BITS - micros.leading_zeros();
    let shift = bits.saturating_sub(7);
    // Below 128 each value has its own slot; above, the seven highest bits tell.
    let upper = usize::try_from(micros >> shift).unwrap_or(0);
    shift as usize * HALF + upper
}

fn middle(slot: usize) -> u64 {
    if slot < 2 * HALF {
        return slot as u64;
    }
    let shift = slot / HALF - 1;
    let upper = (slot - shift * HALF) as u64;
    (upper << shift) + (1 << shift) / 2
}

impl fmt::Debug for Fine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fine").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_slot_near_to_it() {
        for micros in (0..300).chain([1000, 65_535, 65_536, 1_000_000, MICROS_MAX, u64::MAX]) {
            let known = micros.min(MICROS_MAX);
            let near = middle(slot(micros));
            assert!(near.abs_diff(known) * 100 <= known, "{micros}: {near}");
        }
        assert_eq!(slot(u64::MAX), SLOTS - 1);
    }
}
