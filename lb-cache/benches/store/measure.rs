//! Interleaved rounds and the best of them.

use std::collections::BTreeMap;
use std::time::Instant;

pub(crate) const ROUNDS: usize = 61;
/// Operations of one entry in one round, and as many before them.
const COUNT: u64 = 50_000;

/// One operation to measure, at one size.
pub(crate) struct Entry {
    name: &'static str,
    size: usize,
    operation: Box<dyn FnMut(u64)>,
}

impl Entry {
    /// `operation` does the work as many times as it is told.
    pub(crate) fn new(
        name: &'static str,
        size: usize,
        operation: impl FnMut(u64) + 'static,
    ) -> Self {
        Self {
            name,
            size,
            operation: Box::new(operation),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn nanos(&mut self, count: u64) -> f64 {
        let start = Instant::now();
        (self.operation)(count);
        start.elapsed().as_nanos() as f64
    }
}

/// Nanoseconds per operation, by name in order of appearance, then by size.
pub(crate) struct Figures {
    names: Vec<&'static str>,
    nanos: BTreeMap<(&'static str, usize), f64>,
}

pub(crate) fn run(entries: &mut [Entry]) -> Figures {
    let mut samples = vec![Vec::with_capacity(ROUNDS); entries.len()];
    for _ in 0..ROUNDS {
        for (entry, samples) in entries.iter_mut().zip(&mut samples) {
            // What the others left in the caches is not this entry's business.
            entry.nanos(COUNT);
            samples.push(entry.nanos(COUNT) / COUNT as f64);
        }
    }
    let mut figures = Figures {
        names: Vec::new(),
        nanos: BTreeMap::new(),
    };
    for (entry, samples) in entries.iter().zip(&mut samples) {
        if !figures.names.contains(&entry.name) {
            figures.names.push(entry.name);
        }
        samples.sort_by(f64::total_cmp);
        figures.nanos.insert((entry.name, entry.size), samples[0]);
    }
    figures
}

impl Figures {
    pub(crate) fn of(&self, name: &str, size: usize) -> f64 {
        let found = self
            .nanos
            .iter()
            .find(|((known, at), _)| *known == name && *at == size);
        found.map_or(f64::NAN, |(_, nanos)| *nanos)
    }

    #[expect(clippy::print_stdout, reason = "the table is the purpose")]
    pub(crate) fn print(&self, sizes: &[usize]) {
        print!("{:<44}", "entries");
        sizes.iter().for_each(|size| print!(" {size:>9}"));
        println!();
        for name in &self.names {
            print!("{name:<44}");
            for &size in sizes {
                let nanos = self.of(name, size);
                if nanos.is_nan() {
                    print!(" {:>9}", "-");
                } else {
                    print!(" {nanos:>9.1}");
                }
            }
            println!();
        }
    }
}
