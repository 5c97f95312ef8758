//! `cargo bench -p lb-cache`: nanoseconds per operation and hit ratios, beside other crates in the same run.
//!
//! With `--features anchors` also beside moka, TinyUFO and foyer, which take a while to build. All entries are measured in
//! turn, round after round, and each figure is the least over the rounds: what else the machine does can only add.

#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "the benchmark reads the clock for the library"
)]

mod hit_ratio;
mod measure;
mod speed;
mod traces;

use hit_ratio::HitRatios;

fn main() {
    let mut ratios = Vec::new();
    speed::measure(&mut ratios);
    hits(&mut ratios);
    println!("\n{:<56} {:>7} {:>7}", "figure", "goal", "here");
    for (text, goal, here) in ratios {
        let verdict = if here <= goal { "" } else { "  missed" };
        println!("{text:<56} {goal:>7} {here:>7.3}{verdict}");
    }
}

fn hits(ratios: &mut Vec<(String, f64, f64)>) {
    let measured = HitRatios::measure();
    measured.print();
    let (Some(ours), Some(lru)) = (measured.of("lb-cache S3Fifo"), measured.of("lb-cache Lru"))
    else {
        return;
    };
    for (column, title) in HitRatios::titles().enumerate().take(hit_ratio::WITH_GOAL) {
        let best = measured.others().map(|row| row[column]).fold(0.0, f64::max);
        let behind = |other: f64| other - ours[column];
        ratios.push((
            format!("points behind the best, {title}"),
            0.5,
            behind(best),
        ));
        ratios.push((
            format!("points behind LRU, {title}"),
            0.0,
            behind(lru[column]),
        ));
    }
}
