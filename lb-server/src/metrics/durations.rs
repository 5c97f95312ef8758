//! How long things took: counted in the configured buckets for monitoring systems, and in fine ones for percentiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::stripes::{Striped, Worker};

/// Upper bounds of the configured buckets, ascending; at most [`BOUNDS_MAX`].
#[derive(Debug, PartialEq)]
pub(crate) struct Bounds {
    seconds: Box<[f64]>,
    nanos: Box<[u64]>,
}

/// Each bucket is a series for every route and every backend.
pub(crate) const BOUNDS_MAX: usize = 32;

impl Bounds {
    pub(crate) fn of_seconds(seconds: &[f64]) -> Arc<Self> {
        let seconds = &seconds[..seconds.len().min(BOUNDS_MAX)];
        let nanos =
            |seconds: &f64| Duration::try_from_secs_f64(*seconds).map_or(u64::MAX, nanos_of);
        Arc::new(Self {
            nanos: seconds.iter().map(nanos).collect(),
            seconds: seconds.into(),
        })
    }

    fn place(&self, nanos: u64) -> usize {
        self.nanos.partition_point(|bound| *bound < nanos)
    }
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Durations in the configured buckets, as a monitoring system reads them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buckets {
    /// Upper bound in seconds, the last one infinite, and how many lie in it and in none before.
    pub(crate) counts: Vec<(f64, u64)>,
    pub(crate) sum_seconds: f64,
}

impl Buckets {
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

/// Durations that workers count apart from each other.
#[derive(Debug)]
pub(crate) struct Durations {
    bounds: Arc<Bounds>,
    stripes: Striped<Stripe>,
}

struct Stripe {
    buckets: [AtomicU64; BOUNDS_MAX + 1],
    sum_nanos: AtomicU64,
    fine: Fine,
}

impl Default for Stripe {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1],
            sum_nanos: AtomicU64::new(0),
            fine: Fine::default(),
        }
    }
}

impl Durations {
    pub(crate) fn new(bounds: Arc<Bounds>) -> Self {
        Self {
            bounds,
            stripes: Striped::default(),
        }
    }

    pub(crate) fn observe(&self, worker: Worker, duration: Duration) {
        let nanos = nanos_of(duration);
        let stripe = self.stripes.of(worker);
        stripe.buckets[self.bounds.place(nanos)].fetch_add(1, Ordering::Relaxed);
        stripe.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        stripe.fine.count(nanos / 1000);
    }

    pub(crate) fn buckets(&self) -> Buckets {
        let bounds = self.bounds.seconds.iter().copied();
        let mut counts: Vec<(f64, u64)> = bounds
            .chain([f64::INFINITY])
            .map(|bound| (bound, 0))
            .collect();
        let mut sum_seconds = 0.0;
        for stripe in self.stripes.iter() {
            for ((_, count), counted) in counts.iter_mut().zip(&stripe.buckets) {
                *count += counted.load(Ordering::Relaxed);
            }
            let sum = Duration::from_nanos(stripe.sum_nanos.load(Ordering::Relaxed));
            sum_seconds += sum.as_secs_f64();
        }
        Buckets {
            counts,
            sum_seconds,
        }
    }

    /// In microseconds, to two digits.
    pub(crate) fn histogram(&self) -> Histogram<u64> {
        Fine::histogram(self.stripes.iter().map(|stripe| &stripe.fine))
    }

    pub(crate) fn average(&self) -> Duration {
        let buckets = self.buckets();
        let count = buckets.count();
        if count == 0 {
            return Duration::ZERO;
        }
        #[expect(clippy::cast_precision_loss, reason = "an average, not a count")]
        let seconds = buckets.sum_seconds / count as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Microseconds to two digits, in the buckets that [`Histogram`] has for them (128 for each power of two), but counted
/// without a lock; powers of two that nothing falls into take no room.
#[derive(Default)]
pub(super) struct Fine([OnceLock<Box<Octave>>; OCTAVES]);

struct Octave([AtomicU64; HALF]);

const HALF: usize = 128;
/// Up to 2³⁶ µs, 19 hours; what took longer counts as that.
const OCTAVES: usize = 30;
const MICROS_MAX: u64 = (1 << 36) - 1;

impl Default for Octave {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; HALF])
    }
}

impl Fine {
    pub(super) fn count(&self, micros: u64) {
        let (octave, at) = place(micros.min(MICROS_MAX));
        let octave = self.0[octave].get_or_init(Box::default);
        octave.0[at].fetch_add(1, Ordering::Relaxed);
    }

    /// All of them together.
    pub(super) fn histogram<'a>(all: impl Iterator<Item = &'a Self>) -> Histogram<u64> {
        let mut histogram = Histogram::new(2).expect("two significant digits are valid");
        all.for_each(|fine| fine.add_to(&mut histogram));
        histogram
    }

    fn add_to(&self, histogram: &mut Histogram<u64>) {
        for (number, octave) in self.0.iter().enumerate() {
            let Some(octave) = octave.get() else {
                continue;
            };
            for (at, counted) in octave.0.iter().enumerate() {
                let counted = counted.load(Ordering::Relaxed);
                if counted > 0 {
                    // It resizes itself, and a count that does not fit is none.
                    let _too_many = histogram.record_n(lowest(number, at), counted);
                }
            }
        }
    }
}

/// The octave of a value, and its place there.
fn place(micros: u64) -> (usize, usize) {
    // Below 256 every value has a place of its own.
    let shift = 56_u32.saturating_sub((micros | 0xff).leading_zeros());
    let sub = usize::try_from(micros >> shift).unwrap_or(usize::MAX);
    match sub.checked_sub(HALF) {
        None => (0, sub),
        Some(at) => (shift as usize + 1, at.min(HALF - 1)),
    }
}

/// The lowest value that has this place.
fn lowest(octave: usize, at: usize) -> u64 {
    match octave {
        0 => at as u64,
        _ => ((at + HALF) as u64) << (octave - 1),
    }
}

impl std::fmt::Debug for Fine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fine").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Stripe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Stripe")
            .field("sum_nanos", &self.sum_nanos)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn counts_in_the_first_bucket_whose_bound_is_not_exceeded() {
        let durations = Durations::new(Bounds::of_seconds(&[0.005, 0.01, 1.0]));
        let took = [0, 5_000, 5_001, 10_000, 999_999, 1_000_001, u64::MAX / 4096];
        for (worker, took) in took.into_iter().enumerate() {
            durations.observe(Worker::new(worker), micros(took));
        }
        let counts: Vec<u64> = durations.buckets().counts.iter().map(|it| it.1).collect();
        assert_eq!(counts, [2, 2, 1, 2]);
        assert_eq!(durations.buckets().count(), durations.histogram().len());
    }

    #[test]
    fn knows_averages_and_percentiles_over_all_workers() {
        let durations = Durations::new(Bounds::of_seconds(&[1.0]));
        assert_eq!(durations.average(), Duration::ZERO);
        for took in 1..=1000 {
            let worker = Worker::new(usize::try_from(took % 3).unwrap());
            durations.observe(worker, micros(took * 100));
        }
        assert_eq!(durations.average(), Duration::from_nanos(50_050_000));
        let histogram = durations.histogram();
        for (quantile, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            #[expect(clippy::cast_precision_loss, reason = "compared to two digits")]
            let found = histogram.value_at_quantile(quantile) as f64;
            assert!((found / exact - 1.0).abs() < 0.01, "{quantile}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_place_is_that_of_the_library(value in 0_u64..=MICROS_MAX) {
            let (octave, at) = place(value);
            let lowest = lowest(octave, at);
            let histogram: Histogram<u64> = Histogram::new_with_bounds(1, MICROS_MAX, 2).unwrap();
            prop_assert_eq!(histogram.lowest_equivalent(value), lowest);
        }
    }
}
