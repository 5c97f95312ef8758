//! Interleaved rounds and their medians.

use std::time::Instant;

pub(crate) const ROUNDS: usize = 101;
/// How long one entry runs in one round.
const ROUND_NANOS: f64 = 1_000_000.0;

/// One operation to measure.
pub(crate) struct Entry {
    name: String,
    operation: Box<dyn FnMut(u64)>,
}

impl Entry {
    /// `operation` does the work as many times as it is told.
    pub(crate) fn new(name: impl Into<String>, operation: impl FnMut(u64) + 'static) -> Self {
        Self {
            name: name.into(),
            operation: Box::new(operation),
        }
    }

    fn nanos(&mut self, count: u64) -> f64 {
        let start = Instant::now();
        (self.operation)(count);
        start.elapsed().as_nanos() as f64
    }
}

/// Nanoseconds per operation, in order of appearance.
pub(crate) struct Medians(Vec<(String, f64)>);

pub(crate) fn run(entries: &mut [Entry]) -> Medians {
    let counts: Vec<u64> = entries.iter_mut().map(calibrate).collect();
    let mut samples = vec![Vec::with_capacity(ROUNDS); entries.len()];
    for _ in 0..ROUNDS {
        for ((entry, &count), samples) in entries.iter_mut().zip(&counts).zip(&mut samples) {
            // What the others left in the caches is not this entry's business.
            entry.nanos(count / 8 + 1);
            samples.push(entry.nanos(count) / count as f64);
        }
    }
    let median = |(entry, mut samples): (&Entry, Vec<f64>)| {
        samples.sort_by(f64::total_cmp);
        (entry.name.clone(), samples[ROUNDS / 2])
    };
    Medians(entries.iter().zip(samples).map(median).collect())
}

fn calibrate(entry: &mut Entry) -> u64 {
    let mut count = 16;
    loop {
        let nanos = entry.nanos(count);
        if nanos > ROUND_NANOS / 4.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive count"
            )]
            return (count as f64 * ROUND_NANOS / nanos).ceil() as u64;
        }
        count *= 2;
    }
}

impl Medians {
    pub(crate) fn of(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or(f64::NAN, |(_, nanos)| *nanos)
    }

    #[expect(clippy::print_stdout, reason = "the table is the purpose")]
    pub(crate) fn print(&self) {
        for (name, nanos) in &self.0 {
            println!("{name:<60} {nanos:>9.1}");
        }
    }
}
