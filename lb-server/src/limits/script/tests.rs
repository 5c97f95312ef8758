//! The script decides as `lb-ratelimit` does, in a real Redis and by its clock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use lb_ratelimit::Decision;

use super::*;
use crate::config::{Config, RateLimitConfig};
use crate::limits::{Limits, RouteLimits, Subject};
use crate::redis::tests::server::{RedisServer, ask};
use crate::redis::{Store, StoreError};

/// The limits of one route, built as a configuration says.
fn route(tables: &str, names: &[&str]) -> RouteLimits {
    let text = format!(
        "listen = \"127.0.0.1:0\"\nbackends = [\"http://a:1\"]\n[redis]\nurl = \"unix:/none\"\n{tables}"
    );
    let config = Config::from_toml(&text, "test").unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let limits = Limits::build(&config, None).unwrap();
    limits.of_route(&names).unwrap()
}

async fn decide(store: &dyn Store, limits: &[Arc<Limit>], key: &str) -> (Vec<Decision>, Vec<i64>) {
    let command = command(limits, |limit| format!("{key}:{}", limit.name));
    let answer = store.run(command).await.unwrap();
    let integers = answer.integers().unwrap();
    (decisions(limits, &answer).unwrap(), integers)
}

#[tokio::test]
async fn the_script_decides_as_the_algorithms_do() {
    let server = RedisServer::start();
    let store = server.connect().await;
    // Windows short enough to turn, and buckets to fill, while this runs.
    let tables = "[rate_limits.bucket]\nlimit = 20\nwindow = \"40ms\"\nburst = 7\ncost = 2\nstore = \"redis\"\nmode = \"observe\"\n\
                  [rate_limits.window]\nalgorithm = \"sliding-window\"\nlimit = 9\nwindow = \"10ms\"\ncost = 3\nstore = \"redis\"\nmode = \"observe\"\n";
    let limits = route(tables, &["bucket", "window"]).limits;
    let (Policy::TokenBucket(quota), Policy::SlidingWindow(window)) =
        (&limits[0].policy, &limits[1].policy)
    else {
        panic!("the order is as named");
    };
    let (quota, window) = (StoreQuota::from(quota), StoreWindow::from(window));
    let (mut arrival, mut counts) = (0, HashMap::<u64, u32>::new());
    let mut admitted = [0, 0];
    for step in 0..2_000_u32 {
        let (decided, answer) = decide(&*store, &limits, "a").await;
        let now = u64::try_from(answer[4]).unwrap();
        let (stored, expected) = quota.decide(arrival, 2, now);
        arrival = stored.unwrap_or(arrival);
        assert_eq!(decided[0], expected, "step {step}");
        let (index, elapsed) = (now / 10_000, now % 10_000);
        assert_eq!(u64::try_from(answer[9]).unwrap(), elapsed);
        let count = |index| counts.get(&index).copied().unwrap_or(0);
        let (stored, expected) = window.decide((count(index - 1), count(index)), 3, elapsed);
        if let Some(stored) = stored {
            counts.insert(index, stored);
        }
        assert_eq!(decided[1], expected, "step {step}");
        for (admitted, decision) in admitted.iter_mut().zip(&decided) {
            *admitted += u32::from(decision.is_admitted());
        }
    }
    // Both were refused and admitted, or this has shown nothing.
    assert!(
        admitted.iter().all(|count| (2..2_000).contains(count)),
        "{admitted:?}"
    );
}

#[tokio::test]
async fn counts_under_all_limits_or_under_none() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let tables = "[rate_limits.few]\nlimit = 1\nwindow = \"1h\"\nstore = \"redis\"\n\
                  [rate_limits.many]\nlimit = 9\nwindow = \"1h\"\nstore = \"redis\"\n\
                  [rate_limits.seen]\nlimit = 2\nwindow = \"1h\"\nmode = \"observe\"\nstore = \"redis\"\n";
    let limits = route(tables, &["many", "few", "seen"]).limits;
    let admitted =
        |decided: &[Decision]| -> Vec<bool> { decided.iter().map(Decision::is_admitted).collect() };
    let (decided, _) = decide(&*store, &limits, "a").await;
    assert_eq!(admitted(&decided), [true, true, true]);
    for _ in 0..3 {
        let (decided, _) = decide(&*store, &limits, "a").await;
        assert_eq!(admitted(&decided), [true, false, true]);
        assert_eq!((decided[0].remaining(), decided[2].remaining()), (8, 1));
    }
    // Only observed limits never hold anything back.
    let (both, _) = decide(
        &*store,
        &[Arc::clone(&limits[0]), Arc::clone(&limits[2])],
        "a",
    )
    .await;
    assert_eq!(admitted(&both), [true, true]);
    let (both, _) = decide(
        &*store,
        &[Arc::clone(&limits[0]), Arc::clone(&limits[2])],
        "a",
    )
    .await;
    assert_eq!(admitted(&both), [true, false]);
    assert_eq!(both[0].remaining(), 6);
}

#[tokio::test]
async fn every_key_expires() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let tables = "[rate_limits.b]\nlimit = 10\nwindow = \"10s\"\nstore = \"redis\"\n\
                  [rate_limits.w]\nalgorithm = \"sliding-window\"\nlimit = 10\nwindow = \"10s\"\nstore = \"redis\"\n";
    let limits = route(tables, &["b", "w"]).limits;
    decide(&*store, &limits, "a").await;
    for (key, most) in [("a:b", 1_000), ("a:w", 20_000)] {
        let Ok(Value::Integer(lives)) = ask(&*store, &["PTTL", key]).await else {
            panic!("PTTL answers a number");
        };
        assert!((0..=most).contains(&lives), "{key} {lives}");
    }
}

#[tokio::test]
async fn a_clock_set_back_costs_one_full_bucket() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let tables = "[rate_limits.b]\nlimit = 10\nwindow = \"10s\"\nstore = \"redis\"\n";
    let limits = route(tables, &["b"]).limits;
    ask(&*store, &["SET", "a:b", "9000000000000000"])
        .await
        .unwrap();
    let (decided, _) = decide(&*store, &limits, "a").await;
    let wait = decided[0].retry_after().unwrap();
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    let Ok(Value::Integer(lives)) = ask(&*store, &["PTTL", "a:b"]).await else {
        panic!("PTTL answers a number");
    };
    assert!((0..=10_000).contains(&lives), "{lives}");
}

#[tokio::test]
async fn whatever_is_found_under_a_key_is_survived() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let tables = "[rate_limits.b]\nlimit = 10\nwindow = \"10s\"\nstore = \"redis\"\n\
                  [rate_limits.w]\nalgorithm = \"sliding-window\"\nlimit = 10\nwindow = \"10s\"\nstore = \"redis\"\n";
    let limits = route(tables, &["b", "w"]).limits;
    for odd in [
        "", "x", "nan", "inf", "-inf", "-5", "1e300", "::", "1:2:3", "9:9:9:9",
    ] {
        for key in ["a:b", "a:w"] {
            ask(&*store, &["SET", key, odd]).await.unwrap();
        }
        let (decided, _) = decide(&*store, &limits, "a").await;
        assert!(decided.iter().all(Decision::is_admitted), "{odd}");
        assert_eq!(decided[1].remaining(), 9, "{odd}");
    }
    ask(&*store, &["DEL", "a:b"]).await.unwrap();
    ask(&*store, &["LPUSH", "a:b", "1"]).await.unwrap();
    let command = command(&limits, |limit| format!("a:{}", limit.name));
    let refused = store.run(command).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
}

#[test]
fn limits_that_stand_together_share_a_slot_of_a_cluster() {
    let tables = |cluster: bool| {
        let mut config = Config::from_toml(
            "listen = \"127.0.0.1:0\"\nbackends = [\"http://a:1\"]\n[redis]\nurl = \"redis://a\"\n",
            "test",
        )
        .unwrap();
        let shared = RateLimitConfig::new(5, Duration::from_secs(1));
        let shared = shared.store(crate::config::StoreKind::Redis);
        for name in ["a", "b", "c", "d"] {
            config = config.rate_limit(name, shared.clone());
        }
        let target = config.routes[0].target.clone();
        for (index, names) in [["c", "b"], ["b", "a"], ["d", "d"]].into_iter().enumerate() {
            let route = crate::config::RouteConfig::new(format!("r{index}"), target.clone());
            config = config.route(route.rate_limits(names.map(str::to_owned).to_vec()));
        }
        config.redis = config.redis.map(|redis| redis.cluster(cluster));
        Limits::build(&config, None).unwrap()
    };
    let headers = HeaderMap::new();
    let subject = Subject {
        client: IpAddr::from([192, 0, 2, 1]),
        headers: &headers,
        route: "r",
    };
    let key = |limits: &Limits, name: &str| {
        let route = limits.of_route(&[name.to_owned()]).unwrap();
        let key = route.states.store_key(&route.limits[0], &subject);
        key.rsplit_once(':').unwrap().0.to_owned()
    };
    let single = tables(false);
    assert_eq!(key(&single, "b"), "lb:rl:b");
    let cluster = tables(true);
    for (name, expected) in [("a", "{a}:a"), ("b", "{a}:b"), ("c", "{a}:c"), ("d", "d")] {
        assert_eq!(key(&cluster, name), format!("lb:rl:{expected}"));
    }
}
