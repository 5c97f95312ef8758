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
    /// Who can take part.
    proxies: &'static [Kind],
    play: fn(&Play<'_>) -> Result<Outcome>,
}

const EVERYBODY: &[Kind] = &[Kind::Ours, Kind::Nginx, Kind::HaProxy];

/// Debian's nginx speaks no HTTP/2 to backends.
const SPEAKS_H2C: &[Kind] = &[Kind::Ours, Kind::HaProxy];

const OURS: &[Kind] = &[Kind::Ours];

const SCENARIOS: [Scenario; 18] = [
    Scenario {
        name: "killed",
        proxies: EVERYBODY,
        play: backends::killed,
    },
    Scenario {
        name: "killed-h2c",
        proxies: SPEAKS_H2C,
        play: backends::killed_h2c,
    },
    Scenario {
        name: "frozen",
        proxies: EVERYBODY,
        play: backends::frozen,
    },
    Scenario {
        name: "frozen-h2c",
        proxies: SPEAKS_H2C,
        play: backends::frozen_h2c,
    },
    Scenario {
        name: "slow",
        proxies: EVERYBODY,
        play: backends::slow,
    },
    Scenario {
        name: "slow-by-latency",
        proxies: OURS,
        play: backends::slow_by_latency,
    },
    Scenario {
        name: "black-holed",
        proxies: EVERYBODY,
        play: backends::black_holed,
    },
    Scenario {
        name: "flapping",
        proxies: EVERYBODY,
        play: backends::flapping,
    },
    Scenario {
        name: "resets",
        proxies: EVERYBODY,
        play: lies::resets,
    },
    Scenario {
        name: "resets-h2c",
        proxies: SPEAKS_H2C,
        play: lies::resets_h2c,
    },
    Scenario {
        name: "errors",
        proxies: EVERYBODY,
        play: lies::errors,
    },
    Scenario {
        name: "broken-bodies",
        proxies: EVERYBODY,
        play: lies::broken_bodies,
    },
    Scenario {
        name: "broken-bodies-h2c",
        proxies: SPEAKS_H2C,
        play: lies::broken_bodies_h2c,
    },
    Scenario {
        name: "storm",
        proxies: EVERYBODY,
        play: lies::storm,
    },
    Scenario {
        name: "all-down",
        proxies: EVERYBODY,
        play: restarts::all_down,
    },
    Scenario {
        name: "drained",
        proxies: EVERYBODY,
        play: restarts::drained,
    },
    Scenario {
        name: "cut",
        proxies: EVERYBODY,
        play: restarts::cut,
    },
    Scenario {
        name: "rolling",
        proxies: EVERYBODY,
        play: restarts::rolling,
    },
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
            if !scenario.proxies.contains(kind) {
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
