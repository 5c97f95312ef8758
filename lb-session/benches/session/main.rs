//! `cargo bench -p lb-session`: nanoseconds per operation beside the `cookie` crate in the same run, and bytes per session.
//!
//! All entries are measured in turn, round after round, and each figure is the median over the rounds, so that what else
//! the machine does falls on all of them alike. One thread.

#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "the benchmark reads the clock for the library"
)]

mod cookies;
mod measure;
mod sessions;

const SESSIONS: [usize; 3] = [1_000, 100_000, 1_000_000];

fn main() {
    let mut entries = Vec::new();
    cookies::add_to(&mut entries);
    let mut bytes = Vec::new();
    for count in SESSIONS {
        bytes.push((count, sessions::add_to(&mut entries, count)));
    }
    let medians = measure::run(&mut entries);
    println!(
        "nanoseconds per operation, median of {} rounds, one thread\n",
        measure::ROUNDS
    );
    medians.print();

    println!(
        "\n{:<60} {:>9}",
        "bytes per session with 20 bytes of values", "bytes"
    );
    for (count, bytes) in &bytes {
        println!("{count:<60} {bytes:>9.1}");
    }

    println!("\n{:<60} {:>9} {:>9}", "goal", "at most", "here");
    let goal = |text: &str, most: f64, here: f64| {
        let verdict = if here <= most { "" } else { "  missed" };
        println!("{text:<60} {most:>9} {here:>9.3}{verdict}");
    };
    let at = |name: &str| medians.of(name);
    goal(
        "last of five cookies found ÷ cookie::Cookie::split_parse",
        0.25,
        at(cookies::FIND) / at(cookies::SPLIT_PARSE),
    );
    goal(
        "affinity verified among 10 backends, ns",
        50.0,
        at(cookies::VERIFY_10),
    );
    goal(
        "affinity verified among 1,000 backends, ns",
        50.0,
        at(cookies::VERIFY_1000),
    );
}
