//! The scenarios: what goes wrong, and what is promised all the same.

mod backends;
mod lies;
mod restarts;

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::Run;
use crate::children::Directory;
use crate::outcome::Outcome;
use crate::proxies::{Kind, certificates};
use crate::stage::Play;

/// A scenario by its name.
struct Scenario {
    name: &'static str,
    /// What of it peers do not take part in.
    is_ours_only: bool,
    play: fn(&Play<'_>) -> Result<Outcome>,
}

const fn with_peers(name: &'static str, play: fn(&Play<'_>) -> Result<Outcome>) -> Scenario {
    Scenario {
        name,
        is_ours_only: false,
        play,
    }
}

const fn alone(name: &'static str, play: fn(&Play<'_>) -> Result<Outcome>) -> Scenario {
    Scenario {
        name,
        is_ours_only: true,
        play,
    }
}

const SCENARIOS: [Scenario; 18] = [
    with_peers("killed", backends::killed),
    alone("killed-h2c", backends::killed_h2c),
    with_peers("frozen", backends::frozen),
    alone("frozen-h2c", backends::frozen_h2c),
    with_peers("slow", backends::slow),
    alone("slow-by-latency", backends::slow_by_latency),
    with_peers("black-holed", backends::black_holed),
    with_peers("flapping", backends::flapping),
    with_peers("resets", lies::resets),
    alone("resets-h2c", lies::resets_h2c),
    with_peers("errors", lies::errors),
    with_peers("broken-bodies", lies::broken_bodies),
    alone("broken-bodies-h2c", lies::broken_bodies_h2c),
    with_peers("storm", lies::storm),
    with_peers("all-down", restarts::all_down),
    with_peers("drained", restarts::drained),
    with_peers("cut", restarts::cut),
    with_peers("rolling", restarts::rolling),
];

/// Plays what was asked for, each scenario with each proxy.
pub(crate) fn run(run: &Run) -> Result<()> {
    for name in &run.scenarios {
        ensure!(
            SCENARIOS.iter().any(|scenario| scenario.name == name),
            "no scenario is named `{name}`; there are {}",
            SCENARIOS.map(|scenario| scenario.name).join(", ")
        );
    }
    let directory = Directory::new()?;
    let binary = run.binary.canonicalize();
    let binary = binary.with_context(|| format!("no program {}", run.binary.display()))?;
    certificates(&directory, &binary)?;
    let mut proxies = vec![(Kind::Ours, binary)];
    proxies.extend(run.peers.iter().cloned());
    for scenario in &SCENARIOS {
        let is_asked = run.scenarios.iter().any(|name| name == scenario.name);
        if !is_asked && !run.scenarios.is_empty() {
            continue;
        }
        for (kind, program) in &proxies {
            if scenario.is_ours_only && *kind != Kind::Ours {
                continue;
            }
            let play = Play {
                directory: &directory,
                kind: *kind,
                program,
                rate: run.rate,
                fault: Duration::from_secs(run.seconds),
            };
            let outcome = (scenario.play)(&play)
                .with_context(|| format!("scenario `{}` with {}", scenario.name, kind.name()));
            match outcome {
                Ok(outcome) => {
                    crate::print(&outcome.json(scenario.name, kind.name()).to_string())?;
                }
                Err(error) if *kind == Kind::Ours => return Err(error),
                // What a peer cannot do is no reason to end.
                Err(error) => crate::say(&format!("{error:#}")),
            }
        }
    }
    Ok(())
}

fn pause(duration: Duration) {
    thread::sleep(duration);
}
