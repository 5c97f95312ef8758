//! Feeds what strangers write to what reads it, for a bounded time: `lb-fuzz SECONDS [TARGET] [SEED]`.
//!
//! It needs no other toolchain than the workspace, and repeats exactly by its seed. Inputs are edits and splices of
//! samples; a target panics where a promise does not hold, and the input is printed.

mod inputs;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use inputs::Inputs;
use targets::{Target, all};

/// Inputs between two looks at the clock.
const BATCH: u32 = 256;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().unwrap_or_else(|| "10".to_owned());
    let seconds: u64 = seconds
        .parse()
        .context("the first argument is a number of seconds")?;
    let wanted = arguments.next().filter(|name| name != "all");
    let seed = arguments.next().map(|seed| seed.parse()).transpose();
    let seed: u64 = seed.context("the third argument is a seed")?.unwrap_or(1);
    let targets: Vec<Target> = all()
        .into_iter()
        .filter(|target| wanted.as_ref().is_none_or(|name| name == target.name))
        .collect();
    if targets.is_empty() {
        let known: Vec<_> = all().iter().map(|target| target.name).collect();
        bail!("there is no such target; there are: {}", known.join(", "));
    }
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len())?;
    for target in targets {
        run(target, share, seed)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn run(target: Target, time: Duration, seed: u64) -> Result<()> {
    let Target {
        name,
        samples,
        mut check,
    } = target;
    let mut inputs = Inputs::new(samples, seed);
    let begun = Instant::now();
    let mut count: u64 = 0;
    while begun.elapsed() < time {
        for _input in 0..BATCH {
            let input = inputs.next();
            count += 1;
            if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
                let text = input.escape_ascii();
                bail!("`{name}` failed at input {count} of seed {seed}: b\"{text}\"");
            }
        }
    }
    println!("{name}: {count} inputs, no failure");
    Ok(())
}
