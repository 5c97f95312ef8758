//! `cargo bench -p lb-ratelimit`: nanoseconds per check by key, beside governor in the same run.
//!
//! All entries are measured in turn, round after round, and each figure is the median over the rounds, so that what else
//! the machine does falls on all of them alike. On two threads it is the time one check takes while the other thread
//! checks as well, not half of it.

#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "the benchmark reads the clock for the library"
)]

mod entries;
mod measure;
mod memory;

use measure::Medians;

const KEYS: [u64; 3] = [1, 10_000, 1_000_000];

fn main() {
    let mut entries = Vec::new();
    for keys in KEYS {
        entries::add_to(&mut entries, keys);
    }
    let medians = measure::run(&entries);
    println!(
        "nanoseconds per check, median of {} rounds\n",
        measure::ROUNDS
    );
    medians.print(&KEYS);
    drop(entries);
    memory::print();
    println!("\n{:<66} {:>7} {:>7}", "ratio", "goal", "here");
    for keys in KEYS {
        for threads in [1, 2] {
            ratio(&medians, entries::OURS, entries::THEIRS, keys, threads);
        }
    }
    for keys in KEYS {
        ratio(&medians, entries::REFUSED, entries::THEIRS_REFUSED, keys, 1);
    }
}

fn ratio(medians: &Medians, ours: &str, theirs: &str, keys: u64, threads: usize) {
    const GOAL: f64 = 0.5;
    let here = medians.of(ours, keys, threads) / medians.of(theirs, keys, threads);
    let missed = if here <= GOAL { "" } else { "  missed" };
    let text = format!("{ours} ÷ {theirs}, {keys} keys, {threads} threads");
    println!("{text:<66} {GOAL:>7} {here:>7.3}{missed}");
}
