//! Each algorithm, chosen by its name in the file, has its effect on the counts of the backends.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::backends::{Backend, Nginx};
use support::clients::{Curl, Load, load, node_requests};
use support::proxy::{Proxy, route};

fn all_good(requests: usize) -> Load {
    Load {
        succeeded: requests,
        failed: 0,
        status_2xx: requests,
    }
}

#[test]
fn round_robin_splits_exactly() {
    let nginx = Nginx::start(&["a", "b"]);
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    assert_eq!(load(proxy.tls(), 20_000, 16, 32), all_good(20_000));
    assert_eq!(nginx.counts(20_000), [10_000, 10_000]);
}

#[test]
fn weights_are_met_exactly() {
    let nginx = Nginx::start(&["a", "b"]);
    let urls = nginx.urls();
    let proxy = Proxy::start(&format!(
        "[pools.default]\nalgorithm = \"weighted-round-robin\"\n\
         backends = [{{ url = \"{}\", weight = 3 }}, {{ url = \"{}\", weight = 1 }}]\n{}",
        urls[0],
        urls[1],
        route("/*", "default"),
    ));
    assert_eq!(load(proxy.tls(), 4_000, 4, 8), all_good(4_000));
    assert_eq!(nginx.counts(4_000), [3_000, 1_000]);
}

/// Counts of a fast backend and one that takes 100 ms, each request being sent by one of ten streams.
fn fast_and_slow(algorithm: &str) -> (usize, usize) {
    let (fast, slow) = (Backend::node("fast", 0), Backend::node("slow", 100));
    let proxy = Proxy::with_pool(algorithm, &[fast.url(), slow.url()]);
    assert_eq!(load(proxy.tls(), 1_000, 1, 10), all_good(1_000));
    let counts = (fast.count(), slow.count());
    assert_eq!(counts.0 + counts.1, 1_000);
    counts
}

#[test]
fn least_connections_prefers_the_fast_backend() {
    let (fast, slow) = fast_and_slow("least-connections");
    assert!(slow > 0 && fast > 2 * slow, "fast {fast}, slow {slow}");
}

#[test]
fn least_response_time_prefers_the_fast_backend() {
    let (fast, slow) = fast_and_slow("least-response-time");
    assert!(fast > 4 * slow, "fast {fast}, slow {slow}");
}

#[test]
fn ip_hash_keeps_a_client_at_one_backend() {
    let nginx = Nginx::start(&["a", "b", "c"]);
    let proxy = Proxy::with_pool("ip-hash", &nginx.urls());
    assert_eq!(load(proxy.tls(), 300, 4, 4), all_good(300));
    let counts = nginx.counts(300);
    assert!(counts.contains(&300), "{counts:?}");
    let spread: BTreeSet<String> = (2..34)
        .map(|host| {
            let from = format!("127.0.0.{host}");
            Curl::get(proxy.plain())
                .arguments(&["--interface", &from])
                .send()
                .expect(200)
                .text()
        })
        .collect();
    assert_eq!(spread.len(), 3, "32 clients reach {spread:?}");
}

#[test]
fn consistent_hashing_keeps_a_path_at_one_backend() {
    let nginx = Nginx::start(&["a", "b", "c"]);
    let proxy = Proxy::with_pool("consistent-hashing", &nginx.urls());
    let requests: Vec<_> = (0..90)
        .map(|number| json!({ "path": format!("/{}", number % 45) }))
        .collect();
    let mut homes = BTreeMap::new();
    for url in [proxy.tls(), proxy.plain()] {
        for (request, answer) in requests.iter().zip(node_requests(url, &json!(requests))) {
            let backend = answer["headers"]["x-backend"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let path = request["path"].to_string();
            let home = homes.entry(path).or_insert_with(|| backend.clone());
            assert_eq!(*home, backend, "{request}");
        }
    }
    let spread: BTreeSet<&String> = homes.values().collect();
    assert_eq!(spread.len(), 3, "45 paths reach {spread:?}");
}
