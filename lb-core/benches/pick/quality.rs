//! How evenly keys are placed, how many move in vain, and how long a table takes.

use std::net::SocketAddr;
use std::time::Instant;

use lb_core::{ConsistentHashing, PickHint, Roster, Strategy, hash};
use maglev::ConsistentHasher;

use crate::{anchors, ours};

pub(crate) const SIZES: [usize; 3] = [10, 100, 1_000];

pub(crate) struct Placement {
    /// Keys of the busiest backend ÷ mean.
    pub(crate) busiest: f64,
    /// Keys that change backend though theirs stayed when one leaves, in percent of all.
    pub(crate) unneeded_percent: f64,
    /// Median time to build.
    pub(crate) build_micros: f64,
}

pub(crate) struct Quality {
    pub(crate) ours: Vec<Placement>,
    pub(crate) maglev: Vec<Placement>,
    pub(crate) ketama: Vec<Placement>,
}

pub(crate) fn measure() -> Quality {
    let now = Instant::now();
    let ours = SIZES.map(|size| {
        let all = ours::backends(size);
        placement(all.len(), 5, |gone| {
            let mut left = all.clone();
            gone.map(|gone| left.remove(gone));
            let roster = Roster::new(&left, now);
            let strategy = ConsistentHashing::new(&roster);
            move |key| {
                strategy.pick(
                    &roster,
                    &PickHint::new(0).key(hash::key(&key.to_le_bytes())),
                    now,
                )
            }
        })
    });
    let maglev = SIZES.map(|size| {
        let all = anchors::addresses(size);
        placement(size, 1, |gone| {
            let left = without(&all, gone);
            let table = anchors::maglev(&left);
            move |key| {
                table
                    .get(&key)
                    .and_then(|node| left.binary_search(node).ok())
            }
        })
    });
    let ketama = SIZES.map(|size| {
        let all = anchors::addresses(size);
        placement(size, 3, |gone| {
            let left = without(&all, gone);
            let ring = anchors::ketama(&left);
            move |key: u64| {
                ring.node(&key.to_le_bytes())
                    .and_then(|node| left.binary_search(&node).ok())
            }
        })
    });
    Quality {
        ours: ours.into(),
        maglev: maglev.into(),
        ketama: ketama.into(),
    }
}

fn without(all: &[SocketAddr], gone: Option<usize>) -> Vec<SocketAddr> {
    let mut left = all.to_vec();
    gone.map(|gone| left.remove(gone));
    left.sort_unstable();
    left
}

/// `build` makes a placement over all backends, or all but one.
fn placement<P: Fn(u64) -> Option<usize>>(
    size: usize,
    builds: usize,
    build: impl Fn(Option<usize>) -> P,
) -> Placement {
    let mut micros: Vec<f64> = (0..builds)
        .map(|_| {
            let start = Instant::now();
            drop(build(None));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    micros.sort_by(f64::total_cmp);

    // So many keys that sampling adds less than 1 % to the busiest of 100.
    let before = build(None);
    let mut counts = vec![0_u32; size];
    for key in 0..10_000_000 {
        if let Some(owner) = before(key) {
            counts[owner] += 1;
        }
    }
    let busiest = f64::from(counts.into_iter().max().unwrap_or(0)) * size as f64 / 1e7;

    const KEYS: u64 = 1_000_000;
    let removed = [size / 5, size / 2, size - 1];
    let mut unneeded = 0_u32;
    for gone in removed {
        let after = build(Some(gone));
        for key in 0..KEYS {
            // Behind the one that is gone, positions are one less.
            let stays = |owner: usize| owner - usize::from(owner > gone);
            match before(key) {
                Some(owner) if owner != gone && after(key) != Some(stays(owner)) => unneeded += 1,
                _ => {}
            }
        }
    }
    let unneeded_percent = f64::from(unneeded) * 100.0 / (KEYS * removed.len() as u64) as f64;
    Placement {
        busiest,
        unneeded_percent,
        build_micros: micros[micros.len() / 2],
    }
}

impl Quality {
    #[expect(clippy::print_stdout, reason = "the table is the purpose")]
    pub(crate) fn print(&self) {
        println!(
            "\nplacement of 10,000,000 keys (busiest, sampling included) and of 1,000,000 when one backend leaves\n"
        );
        print!("{:<20} {:>9}", "", "backends");
        println!(
            " {:>15} {:>15} {:>12}",
            "busiest ÷ mean", "moved in vain %", "build µs"
        );
        let rows = [
            ("consistent-hashing", &self.ours),
            ("maglev crate", &self.maglev),
            ("pingora-ketama", &self.ketama),
        ];
        for (name, placements) in rows {
            for (placement, size) in placements.iter().zip(SIZES) {
                let Placement {
                    busiest,
                    unneeded_percent,
                    build_micros,
                } = placement;
                println!(
                    "{name:<20} {size:>9} {busiest:>15.3} {unneeded_percent:>15.3} {build_micros:>12.0}"
                );
            }
        }
    }
}
