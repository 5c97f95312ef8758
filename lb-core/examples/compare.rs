//! One minute of traffic through each algorithm, in virtual time: `cargo run -p lb-core --example compare`.
//!
//! Four backends: `a` has weight 3, `b` and `c` weight 1, and `slow` takes ten times as long as they do. From the
//! twentieth to the fortieth second `c` fails at once. A third of the requests is for one popular path; there are 200
//! clients.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lb_core::{
    Algorithm, Backend, Cause, Outcome, Pick, PickHint, Picked, Pool, PoolParameters, Weight, hash,
};

const REQUESTS: u64 = 12_000;
const INTERVAL: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<22} {:>6} {:>6} {:>6} {:>6} {:>9} {:>9}",
        "requests to", "a (3)", "b", "c", "slow", "failures", "mean ms"
    );
    let plain =
        Algorithm::ALL.map(|algorithm| (algorithm.to_string(), PoolParameters::new(algorithm)));
    let bounded = PoolParameters::new(Algorithm::ConsistentHashing).balance_factor(1.5);
    for (name, parameters) in plain
        .into_iter()
        .chain([("the same, bounded".to_owned(), bounded)])
    {
        let Tally {
            requests,
            failures,
            busy,
        } = play(parameters)?;
        let of = |name: &str| requests.get(name).copied().unwrap_or(0);
        let mean = busy.as_secs_f64() * 1000.0 / REQUESTS as f64;
        print!(
            "{name:<22} {:>6} {:>6} {:>6} {:>6}",
            of("a"),
            of("b"),
            of("c"),
            of("slow")
        );
        println!(" {failures:>9} {mean:>9.1}");
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    requests: BTreeMap<String, u32>,
    failures: u32,
    busy: Duration,
}

fn play(parameters: PoolParameters) -> Result<Tally, Box<dyn Error>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the caller of the library owns the clock; this one is virtual from here"
    )]
    let start = Instant::now();
    let mut backends = ["a", "b", "c", "slow"].map(Backend::new).to_vec();
    backends[0].weight = Weight::try_new(3)?;
    let algorithm = parameters.algorithm;
    let pool = Pool::new(parameters, backends, start)?;

    let mut tally = Tally::default();
    // What is in flight: ends first, then the order of arrival.
    let mut ends: BinaryHeap<Reverse<(Instant, u64)>> = BinaryHeap::new();
    let mut running: BTreeMap<u64, (Picked, Outcome)> = BTreeMap::new();
    for number in 0..REQUESTS {
        let now = start + INTERVAL * u32::try_from(number)?;
        while let Some(&Reverse((end, ended))) = ends.peek()
            && end <= now
        {
            ends.pop();
            if let Some((picked, outcome)) = running.remove(&ended) {
                picked.finish(outcome, end);
            }
        }
        let random = hash::key(&number.to_le_bytes());
        let key = if algorithm == Algorithm::IpHash {
            hash::client_address(
                Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(random % 200)?).into(),
                32,
                64,
            )
        } else if random.is_multiple_of(3) {
            hash::key(b"/popular")
        } else {
            hash::key(format!("/item/{}", random % 500).as_bytes())
        };
        let Pick::Picked(picked) = pool.pick(&PickHint::new(random).key(key), now) else {
            continue;
        };
        let (latency, outcome) = answer(&picked, random, now - start);
        *tally.requests.entry(picked.id().to_string()).or_default() += 1;
        tally.failures += u32::from(matches!(outcome, Outcome::Failure { .. }));
        tally.busy += latency;
        ends.push(Reverse((now + latency, number)));
        running.insert(number, (picked, outcome));
    }
    Ok(tally)
}

/// How long the backend takes and how it ends.
fn answer(picked: &Picked, random: u64, at: Duration) -> (Duration, Outcome) {
    if picked.id().as_str() == "c" && (20..40).contains(&at.as_secs()) {
        let latency = Duration::from_millis(1);
        return (latency, Outcome::failure(latency, Cause::Timeout));
    }
    let jitter = Duration::from_micros(random % 4_000);
    let slower = if picked.id().as_str() == "slow" {
        10
    } else {
        1
    };
    let latency = (Duration::from_millis(18) + jitter) * slower;
    (latency, Outcome::Success { latency })
}
