//! Hashes and placements agree with a second implementation; recipe in `tests/data/README.md`.

use std::collections::HashMap;
use std::time::Instant;

use lb_core::{Backend, ConsistentHashing, IpHash, PickHint, Roster, Strategy, Weight, hash};

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().map(|line| line.split('\t').collect())
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text, 16).expect("a hexadecimal number")
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn keys_hash_to_the_published_function() {
    for row in rows(include_str!("data/hash.tsv")) {
        assert_eq!(hash::key(row[0].as_bytes()), hexadecimal(row[1]), "{row:?}");
    }
}

#[test]
fn client_addresses_hash_by_their_network() {
    for row in rows(include_str!("data/addresses.tsv")) {
        let actual = hash::client_address(
            row[0].parse().unwrap(),
            row[1].parse().unwrap(),
            row[2].parse().unwrap(),
        );
        assert_eq!(actual, hexadecimal(row[3]), "{row:?}");
    }
}

#[test]
fn keys_are_placed_where_the_recipe_says() {
    let weighted = |id: String, weight| Backend::new(id).weight(Weight::try_new(weight).unwrap());
    let pools = HashMap::from([
        (
            "even",
            (11..16)
                .map(|host| weighted(format!("http://192.168.1.{host}:80/"), 1))
                .collect(),
        ),
        (
            "weighted",
            [("d", 65_535), ("b", 1), ("a", 5), ("c", 1)]
                .map(|(id, weight)| weighted(id.into(), weight))
                .into(),
        ),
        (
            "hundred",
            (0..100)
                .rev()
                .map(|host| weighted(format!("10.0.0.{host}:8080"), host % 7 + 1))
                .collect(),
        ),
        (
            "large",
            (0..700)
                .map(|host| weighted(format!("backend-{host}"), 1))
                .collect::<Vec<_>>(),
        ),
    ]);
    let now = now();
    let rosters: HashMap<&str, Roster> = pools
        .iter()
        .map(|(&name, pool)| (name, Roster::new(pool, now)))
        .collect();
    let strategies: HashMap<&str, ConsistentHashing> = rosters
        .iter()
        .map(|(&name, roster)| (name, ConsistentHashing::new(roster)))
        .collect();
    for row in rows(include_str!("data/placement.tsv")) {
        let (roster, strategy) = (&rosters[row[0]], &strategies[row[0]]);
        let strategy = strategy.clone().seed(row[1].parse().unwrap());
        let hint = PickHint::new(0).key(hexadecimal(row[2]));
        let picked = strategy.pick(roster, &hint, now).unwrap();
        assert_eq!(roster.id(picked).as_str(), row[3], "{row:?}");
        assert_eq!(
            IpHash::from(strategy).pick(roster, &hint, now),
            Some(picked)
        );
    }
}
