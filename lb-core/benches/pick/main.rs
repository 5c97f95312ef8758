//! `cargo bench -p lb-core`: nanoseconds per pick and quality of placement, beside other crates in the same run.
//!
//! All entries are measured in turn, round after round, and each figure is the median over the rounds, so that what else
//! the machine does falls on all of them alike. One thread; the table says what is included.

#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "the benchmark reads the clock for the library"
)]

mod anchors;
mod measure;
mod ours;
mod quality;
mod upkeep;

use measure::Entry;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

fn main() {
    let mut entries: Vec<Entry> = Vec::new();
    for size in SIZES {
        ours::add_to(&mut entries, size);
        upkeep::add_to(&mut entries, size);
        // The maglev crate needs half a minute and 5 GB to build for 10,000.
        if size <= 1_000 {
            anchors::add_to(&mut entries, size);
        }
    }
    let medians = measure::run(&mut entries);
    println!(
        "nanoseconds per operation, median of {} rounds, one thread\n",
        measure::ROUNDS
    );
    medians.print(&SIZES);
    drop(entries);

    let quality = quality::measure();
    quality.print();

    println!("\n{:<72} {:>7} {:>7}", "ratio", "goal", "here");
    let ratio = |text: &str, goal: f64, here: f64| {
        println!(
            "{text:<72} {goal:>7} {here:>7.3}{}",
            if here <= goal { "" } else { "  missed" }
        );
    };
    let at = |name: &str, size| medians.of(name, size);
    let (bytes, number) = ("consistent-hashing", "consistent-hashing, u64 key");
    ratio(
        "consistent-hashing ÷ pingora-ketama, 8 bytes, at 100",
        0.2,
        at(bytes, 100) / at("pingora-ketama", 100),
    );
    ratio(
        "consistent-hashing ÷ maglev crate, u64 key, at 100",
        0.3,
        at(number, 100) / at("maglev crate", 100),
    );
    ratio("busiest ÷ mean at 100", 1.03, quality.ours[1].busiest);
    for (placement, size) in quality.ours.iter().zip(quality::SIZES) {
        ratio(
            &format!("keys moved beyond the necessary at {size}, %"),
            0.7,
            placement.unneeded_percent,
        );
    }
    ratio(
        "table built ÷ maglev crate at 1000",
        0.1,
        quality.ours[2].build_micros / quality.maglev[2].build_micros,
    );
    let (pending, ewma) = ("tower Balance PendingRequests", "tower Balance PeakEwma");
    for size in [100, 1_000] {
        for (text, ours, theirs) in [
            (
                "least-connections ÷ tower Balance of PendingRequests",
                "least-connections",
                pending,
            ),
            (
                "the same with the pool and its guard",
                "pool, guard: least-connections",
                pending,
            ),
            (
                "least-response-time ÷ tower Balance of PeakEwma",
                "least-response-time",
                ewma,
            ),
            (
                "the same with the pool, its guard and a sample",
                "pool, guard, sample: least-response-time",
                ewma,
            ),
        ] {
            ratio(
                &format!("{text}, at {size}"),
                0.1,
                at(ours, size) / at(theirs, size),
            );
        }
    }
}
