//! Interleaved rounds on one and on two threads, and their medians.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

pub(crate) const ROUNDS: usize = 151;
/// How long one entry runs in one round: short enough to be rarely interrupted on a busy machine.
const ROUND_NANOS: f64 = 500_000.0;

/// One operation to measure, with one number of keys.
pub(crate) struct Entry {
    name: &'static str,
    keys: u64,
    operation: Box<dyn Fn(u64, u64) + Sync>,
}

impl Entry {
    /// `operation` does the work as many times as its second argument says, with keys drawn from the first.
    pub(crate) fn new(
        name: &'static str,
        keys: u64,
        operation: impl Fn(u64, u64) + Sync + 'static,
    ) -> Self {
        Self {
            name,
            keys,
            operation: Box::new(operation),
        }
    }

    fn nanos(&self, seed: u64, count: u64) -> f64 {
        let start = Instant::now();
        (self.operation)(seed, count);
        start.elapsed().as_nanos() as f64
    }

    /// The mean of two threads that begin together.
    fn nanos_of_two(&self, seed: u64, count: u64) -> f64 {
        let barrier = Barrier::new(2);
        let one = |seed| {
            barrier.wait();
            self.nanos(seed, count)
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| one(!seed));
            let here = one(seed);
            (here + other.join().expect("the other thread")) / 2.0
        })
    }
}

/// Nanoseconds per operation, by name in order of appearance, number of keys and of threads.
pub(crate) struct Medians {
    names: Vec<&'static str>,
    nanos: BTreeMap<(&'static str, u64, usize), f64>,
}

pub(crate) fn run(entries: &[Entry]) -> Medians {
    let counts: Vec<u64> = entries.iter().map(calibrate).collect();
    let mut samples = vec![[const { Vec::new() }; 2]; entries.len()];
    for round in 1..=ROUNDS as u64 {
        for ((entry, &count), samples) in entries.iter().zip(&counts).zip(&mut samples) {
            // What the others left in the caches is not this entry's business.
            entry.nanos(round, count / 8 + 1);
            let seed = round * 0x9e37_79b9;
            samples[0].push(entry.nanos(seed, count) / count as f64);
            samples[1].push(entry.nanos_of_two(seed, count) / count as f64);
        }
    }
    let mut medians = Medians {
        names: Vec::new(),
        nanos: BTreeMap::new(),
    };
    for (entry, samples) in entries.iter().zip(&mut samples) {
        if !medians.names.contains(&entry.name) {
            medians.names.push(entry.name);
        }
        for (index, samples) in samples.iter_mut().enumerate() {
            samples.sort_by(f64::total_cmp);
            let key = (entry.name, entry.keys, index + 1);
            medians.nanos.insert(key, samples[ROUNDS / 2]);
        }
    }
    medians
}

fn calibrate(entry: &Entry) -> u64 {
    let mut count = 64;
    loop {
        let nanos = entry.nanos(count, count);
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
    pub(crate) fn of(&self, name: &str, keys: u64, threads: usize) -> f64 {
        let matches =
            |&(known, at, on): &(&str, u64, usize)| (known, at, on) == (name, keys, threads);
        let found = self.nanos.iter().find(|(key, _)| matches(key));
        found.map_or(f64::NAN, |(_, nanos)| *nanos)
    }

    #[expect(clippy::print_stdout, reason = "the table is the purpose")]
    pub(crate) fn print(&self, keys: &[u64]) {
        print!("{:<44}", "keys / threads");
        for keys in keys {
            print!(" {:>11} {:>9}", format!("{keys} / 1"), "/ 2");
        }
        println!();
        for name in &self.names {
            print!("{name:<44}");
            for &keys in keys {
                print!(
                    " {:>11.1} {:>9.1}",
                    self.of(name, keys, 1),
                    self.of(name, keys, 2)
                );
            }
            println!();
        }
    }
}
