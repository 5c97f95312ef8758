//! What this crate does.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lb_core::{
    Algorithm, Backend, ConsistentHashing, IpHash, LeastConnections, LeastResponseTime, Outcome,
    Pick, PickHint, Pool, PoolParameters, Roster, RoundRobin, Strategy, Weight, WeightedRoundRobin,
    hash,
};

use crate::measure::Entry;

pub(crate) fn backends(size: usize) -> Vec<Backend> {
    (0..size)
        .map(|index| Backend::new(format!("10.0.{}.{}:8080", index / 250, index % 250 + 1)))
        .collect()
}

/// Weights 1 to 10.
fn weighted(size: usize) -> Vec<Backend> {
    let weight = |index: usize| {
        u32::try_from(index % 10)
            .ok()
            .and_then(|weight| Weight::try_new(weight + 1).ok())
    };
    let weighted =
        |(index, backend): (usize, Backend)| backend.weight(weight(index).unwrap_or(Weight::ONE));
    backends(size)
        .into_iter()
        .enumerate()
        .map(weighted)
        .collect()
}

/// Random bits that cost next to nothing.
pub(crate) fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

pub(crate) fn add_to(entries: &mut Vec<Entry>, size: usize) {
    let now = Instant::now();
    let even = Rc::new(Roster::new(&backends(size), now));
    let uneven = Rc::new(Roster::new(&weighted(size), now));
    add_strategy(entries, "round-robin", &even, RoundRobin::default());
    add_strategy(entries, "least-connections", &even, LeastConnections);
    add_strategy(
        entries,
        "weighted-round-robin",
        &uneven,
        WeightedRoundRobin::new(&uneven),
    );
    add_strategy(entries, "ip-hash", &even, IpHash::new(&even));
    add_strategy(entries, "least-response-time", &even, LeastResponseTime);
    add_strategy(
        entries,
        "consistent-hashing",
        &even,
        ConsistentHashing::new(&even),
    );
    // As the maglev crate is used: a number is the key, and only the pick mixes it.
    let (strategy, roster) = (ConsistentHashing::new(&even), Rc::clone(&even));
    entries.push(Entry::new(
        "consistent-hashing, u64 key",
        size,
        move |count| {
            let mut random = 88_172_645_463_325_252;
            for _ in 0..count {
                black_box(strategy.pick(&roster, &PickHint::new(0).key(next(&mut random)), now));
            }
        },
    ));
    for (name, algorithm) in [
        ("pool: round-robin", Algorithm::RoundRobin),
        ("pool: least-connections", Algorithm::LeastConnections),
        ("pool: weighted-round-robin", Algorithm::WeightedRoundRobin),
        ("pool: ip-hash", Algorithm::IpHash),
        ("pool: least-response-time", Algorithm::LeastResponseTime),
        ("pool: consistent-hashing", Algorithm::ConsistentHashing),
    ] {
        let pool = Pool::new(PoolParameters::new(algorithm), weighted(size), now)
            .expect("the parameters are right");
        let now = now + Duration::from_secs(5);
        entries.push(Entry::new(name, size, move |count| {
            let mut random = 88_172_645_463_325_252;
            for _ in 0..count {
                let random = next(&mut random);
                let hint = PickHint::new(random).key(hash::key(&random.to_le_bytes()));
                let Pick::Picked(picked) = pool.pick(&hint, now) else {
                    continue;
                };
                black_box(picked.id());
            }
        }));
    }
    // The work around a call that tower's Balance does as well: count in, take a sample, count out.
    let pool = Pool::new(
        PoolParameters::new(Algorithm::LeastConnections),
        backends(size),
        now,
    )
    .expect("they are right");
    entries.push(Entry::new(
        "pool, guard: least-connections",
        size,
        move |count| {
            let mut random = 88_172_645_463_325_252;
            for _ in 0..count {
                black_box(pool.pick(&PickHint::new(next(&mut random)), now).picked());
            }
        },
    ));
    let pool = Pool::new(
        PoolParameters::new(Algorithm::LeastResponseTime),
        backends(size),
        now,
    )
    .expect("they are right");
    entries.push(Entry::new(
        "pool, guard, sample: least-response-time",
        size,
        move |count| {
            let mut random = 88_172_645_463_325_252;
            let latency = Duration::from_millis(5);
            for _ in 0..count {
                let Pick::Picked(picked) = pool.pick(&PickHint::new(next(&mut random)), now) else {
                    continue;
                };
                picked.finish(Outcome::Success { latency }, now + latency);
            }
        },
    ));
}

/// The strategy alone, with the hash of an 8-byte key if it uses one.
fn add_strategy(
    entries: &mut Vec<Entry>,
    name: &'static str,
    roster: &Rc<Roster>,
    strategy: impl Strategy + 'static,
) {
    // Later than all estimates, so that they have to decay.
    let (roster, now) = (Rc::clone(roster), Instant::now() + Duration::from_secs(5));
    let size = roster.len();
    if ["ip-hash", "consistent-hashing"].contains(&name) {
        entries.push(Entry::new(name, size, move |count| {
            let mut random = 88_172_645_463_325_252;
            for _ in 0..count {
                let key = hash::key(&next(&mut random).to_le_bytes());
                black_box(strategy.pick(&roster, &PickHint::new(0).key(key), now));
            }
        }));
    } else {
        entries.push(Entry::new(name, size, move |count| {
            let mut random = 88_172_645_463_325_252;
            for _ in 0..count {
                black_box(strategy.pick(&roster, &PickHint::new(next(&mut random)), now));
            }
        }));
    }
}
