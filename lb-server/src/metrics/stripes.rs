//! One value for each worker, so that no two of them count on the same cache line.

use std::fmt;
use std::sync::OnceLock;

/// Workers beyond these share; counts stay right, only slower.
const STRIPES: usize = 16;

/// Which worker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worker(usize);

impl Worker {
    /// Whoever it is: for what is too rare to get in anybody's way.
    pub(crate) const ANY: Self = Self(0);

    pub(crate) fn new(number: usize) -> Self {
        Self(number % STRIPES)
    }
}

/// A value per worker, made when that worker counts for the first time.
pub(crate) struct Striped<T>([OnceLock<Box<Apart<T>>>; STRIPES]);

/// On cache lines of its own; two, because processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Striped<T> {
    pub(crate) fn of(&self, worker: Worker) -> &T {
        &self.0[worker.0].get_or_init(Box::default).0
    }
}

impl<T> Striped<T> {
    /// What has been counted so far, by whichever worker.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|stripe| Some(&stripe.get()?.0))
    }
}

impl<T> Default for Striped<T> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; STRIPES])
    }
}

impl<T> fmt::Debug for Striped<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Striped")
            .field("in_use", &self.iter().count())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn workers_count_apart_and_any_number_of_them_may() {
        let counts: Striped<AtomicU64> = Striped::default();
        for number in 0..40 {
            counts
                .of(Worker::new(number))
                .fetch_add(1, Ordering::Relaxed);
        }
        let counted: Vec<u64> = counts.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        assert_eq!(counted.len(), STRIPES);
        assert_eq!(counted.iter().sum::<u64>(), 40);
    }
}
