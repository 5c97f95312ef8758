//! A limit holds across two instances on one Redis, and nothing is lost while that Redis is away.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::thread;

use support::clients::{Curl, load};
use support::process::{PATIENCE, poll};
use support::proxy::Proxy;
use support::redis::Redis;

/// An instance on this Redis, whose route answers by itself under one shared limit.
fn instance(redis: &Redis, timeout: &str, limit: &str) -> Proxy {
    Proxy::start(&format!(
        "[[routes]]\nname = \"all\"\nrespond = {{ status = 200 }}\nrate_limits = [\"shared\"]\n\
         [rate_limits.shared]\nstore = \"redis\"\nwindow = \"1h\"\n{limit}\n\
         [redis]\nurl = \"{}\"\ntimeout = \"{timeout}\"\n",
        redis.url()
    ))
}

/// How many of so many requests pass at all of these at once.
fn passing(proxies: &[&Proxy], requests: usize) -> usize {
    let urls: Vec<String> = proxies.iter().map(|p| format!("{}/", p.tls())).collect();
    thread::scope(|scope| {
        let loads: Vec<_> = urls
            .iter()
            .map(|url| scope.spawn(|| load(url, requests, 4, 10)))
            .collect();
        let mut passed = 0;
        for load in loads {
            let load = load.join().expect("h2load does not panic");
            // What is refused counts as failed; nothing may go unanswered.
            assert_eq!(load.succeeded + load.failed, requests);
            passed += load.status_2xx;
        }
        passed
    })
}

/// How often a text stands in what the instance said.
fn said(proxy: &Proxy, text: &str) -> usize {
    proxy.process.messages().matches(text).count()
}

/// Asks until Redis decides again, which the answer shows; every answer until then is status 200.
fn wait_for_redis(proxy: &Proxy) {
    let is_back = poll(PATIENCE, || {
        let answer = Curl::get(proxy.tls()).send().expect(200);
        answer.header("ratelimit").is_some()
    });
    assert!(is_back, "{}", proxy.process.messages());
}

#[test]
fn a_limit_holds_across_two_instances() {
    let redis = Redis::start();
    for algorithm in ["token-bucket", "sliding-window"] {
        redis.ask(&["FLUSHALL"]);
        let limit = format!("limit = 100\nalgorithm = \"{algorithm}\"");
        // A busy machine must not make a slow Redis: this test is about counts.
        let one = instance(&redis, "30s", &limit);
        let two = instance(&redis, "30s", &limit);
        assert_eq!(passing(&[&one, &two], 300), 100, "{algorithm}");
        for proxy in [&one, &two] {
            let answer = Curl::get(proxy.tls()).send().expect(429);
            assert_eq!(answer.json()["reason"], "rate_limited");
            let policy = "\"shared\";q=100;w=3600";
            assert_eq!(answer.header("ratelimit-policy"), Some(policy));
            assert!(answer.header("retry-after").is_some(), "{}", answer.head);
        }
        let keys = redis.ask(&["KEYS", "lb:rl:*"]);
        assert_eq!(keys.lines().count(), 1, "{keys}");
        let lives: i64 = redis.ask(&["PTTL", &keys]).parse().expect("milliseconds");
        assert!(0 < lives && lives <= 2 * 3_600_000, "{lives}");
    }
}

#[test]
fn no_request_fails_while_redis_is_away() {
    let mut redis = Redis::start();
    let limit = "limit = 1000000\non_store_error = \"allow\"";
    let proxy = instance(&redis, "200ms", limit);
    wait_for_redis(&proxy);

    redis.freeze();
    assert_eq!(passing(&[&proxy], 200), 200);
    redis.thaw();
    wait_for_redis(&proxy);

    redis.kill();
    assert_eq!(passing(&[&proxy], 200), 200);
    redis.restart();
    wait_for_redis(&proxy);

    // A replica of nobody: it answers, and takes no writes.
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(passing(&[&proxy], 200), 200);
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    wait_for_redis(&proxy);

    let (down, back) = (said(&proxy, "Redis is down"), said(&proxy, "Redis is back"));
    assert_eq!(down, 3, "{}", proxy.process.messages());
    assert_eq!(back, 3, "{}", proxy.process.messages());
}

#[test]
fn starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start();
    redis.kill();
    let proxy = instance(&redis, "200ms", "limit = 10\non_store_error = \"allow\"");
    Curl::get(proxy.tls()).send().expect(200);
    redis.restart();
    wait_for_redis(&proxy);
}

#[test]
fn an_instance_counts_by_itself_or_refuses_as_configured() {
    let mut redis = Redis::start();
    redis.kill();
    let local = instance(&redis, "200ms", "limit = 10\non_store_error = \"local\"");
    assert_eq!(passing(&[&local], 50), 10);
    let deny = instance(&redis, "200ms", "limit = 10\non_store_error = \"deny\"");
    let answer = Curl::get(deny.tls()).send().expect(503);
    assert_eq!(answer.json()["reason"], "store_unavailable");
    redis.restart();
    let passes = || Curl::get(deny.tls()).send().status == 200;
    assert!(poll(PATIENCE, passes), "{}", deny.process.messages());
}
