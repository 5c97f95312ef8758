//! Two instances on one Redis keep one cache, and nothing is lost while that Redis is away.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use support::backends::{Backend, Nginx};
use support::clients::{Answer, Curl};
use support::process::{PATIENCE, poll};
use support::proxy::{Proxy, pool, route};
use support::redis::Redis;

/// An instance on this Redis, with one cache for everything; nginx says nothing of freshness, so an hour is assumed.
fn instance(redis: &Redis, nginx: &Nginx, timeout: &str) -> Proxy {
    Proxy::start(&format!(
        "{}[caches.main]\ndefault_ttl = \"1h\"\nstore = \"redis\"\n\
         [redis]\nurl = \"{}\"\ntimeout = \"{timeout}\"\n{}cache = \"main\"\n",
        pool("default", "round-robin", &nginx.urls()),
        redis.url(),
        route("/*", "default"),
    ))
}

/// A request of the site that both instances serve.
fn ask(proxy: &Proxy, path: &str) -> Curl {
    let url = format!("{}{path}", proxy.tls());
    Curl::get(&url).arguments(&["--http2", "-H", "host: app.example"])
}

fn get(proxy: &Proxy, path: &str) -> Answer {
    ask(proxy, path).send().expect(200)
}

fn said(answer: &Answer) -> &str {
    answer.header("cache-status").unwrap_or_default()
}

/// Has one instance fetch a file, and waits until it lies in Redis.
fn fetch(redis: &Redis, proxy: &Proxy, path: &str) {
    let records = || redis.ask(&["KEYS", "lb:cache:main:*"]).lines().count();
    let before = records();
    let fetched = get(proxy, path);
    assert!(
        said(&fetched).starts_with("lb; fwd=uri-miss"),
        "{}",
        fetched.head
    );
    assert!(
        poll(PATIENCE, || records() > before),
        "{}",
        proxy.process.messages()
    );
}

/// Until the instance has Redis again, which a file that it keeps shows.
fn wait_for_redis(redis: &Redis, proxy: &Proxy) {
    let mut number = 0;
    let is_back = poll(PATIENCE, || {
        number += 1;
        let before = redis.ask(&["KEYS", "lb:cache:main:*"]).lines().count();
        let path = format!("/files/file?back-{number}");
        get(proxy, &path);
        redis.ask(&["KEYS", "lb:cache:main:*"]).lines().count() > before
    });
    assert!(is_back, "{}", proxy.process.messages());
}

#[test]
fn what_one_instance_has_fetched_the_other_has_too() {
    let (redis, nginx) = (Redis::start(), Nginx::start(&["a"]));
    let file = nginx.files().noise("file", 300_000);
    let whole = std::fs::read(file).expect("it was written");
    let (one, two) = (
        instance(&redis, &nginx, "30s"),
        instance(&redis, &nginx, "30s"),
    );
    fetch(&redis, &one, "/files/file");
    let first = get(&two, "/files/file");
    assert!(said(&first).starts_with("lb; hit; ttl="), "{}", first.head);
    assert!(said(&first).ends_with("; detail=store"), "{}", first.head);
    assert!(first.header("age").is_some(), "{}", first.head);
    assert_eq!(first.body(), whole);
    let second = get(&two, "/files/file");
    assert!(
        said(&second).starts_with("lb; hit; ttl="),
        "{}",
        second.head
    );
    assert!(!said(&second).contains("detail"), "{}", second.head);
    let part = ask(&two, "/files/file");
    let part = part.arguments(&["-r", "5-9"]).send().expect(206);
    assert_eq!(part.body(), whole[5..10]);
    assert_eq!(nginx.counts(1), [1]);
    let record = redis.ask(&["KEYS", "lb:cache:main:*"]);
    let lives: i64 = redis.ask(&["PTTL", &record]).parse().expect("milliseconds");
    // An hour, and ten minutes in which it may stand in for a backend that cannot be reached.
    assert!(0 < lives && lives <= 4_200_000, "{lives}");
}

#[test]
fn parts_heads_and_what_must_be_stored_are_answered_from_redis_too() {
    let (redis, nginx) = (Redis::start(), Nginx::start(&["a"]));
    let file = nginx.files().noise("file", 10_000);
    let whole = std::fs::read(file).expect("it was written");
    let one = instance(&redis, &nginx, "30s");
    fetch(&redis, &one, "/files/file");
    let requests: [(&[&str], u16); 3] = [
        (&["-r", "5-9"], 206),
        (&["-I"], 200),
        (&["-H", "cache-control: only-if-cached"], 200),
    ];
    for (arguments, status) in requests {
        let other = instance(&redis, &nginx, "30s");
        let answer = ask(&other, "/files/file");
        let answer = answer.arguments(arguments).send().expect(status);
        assert!(said(&answer).ends_with("detail=store"), "{}", answer.head);
        if status == 206 {
            assert_eq!(answer.body(), whole[5..10]);
        }
        let only = ["-H", "cache-control: only-if-cached"];
        ask(&other, "/files/other")
            .arguments(&only)
            .send()
            .expect(504);
    }
    assert_eq!(nginx.counts(1), [1]);
}

#[test]
fn a_change_through_one_instance_reaches_the_other() {
    let redis = Redis::start();
    let backend = Backend::python("a");
    let site = |redis: &Redis| {
        Proxy::start(&format!(
            "{}[caches.main]\ndefault_ttl = \"1h\"\nstore = \"redis\"\n\
             [redis]\nurl = \"{}\"\ntimeout = \"30s\"\n{}cache = \"main\"\n",
            pool("default", "round-robin", &[backend.url()]),
            redis.url(),
            route("/*", "default"),
        ))
    };
    let (one, two) = (site(&redis), site(&redis));
    fetch(&redis, &one, "/page");
    assert!(said(&get(&two, "/page")).ends_with("detail=store"));
    assert!(said(&get(&two, "/page")).starts_with("lb; hit"));
    let change = ask(&two, "/page").arguments(&["-X", "POST", "-d", "new"]);
    change.send().expect(200);
    // Where it was made, it counts at once, though the record may still lie in Redis.
    assert!(said(&get(&two, "/page")).starts_with("lb; fwd=uri-miss"));
    // The other learns of it within a moment, and finds the new one.
    let is_purged = || said(&get(&one, "/page")).ends_with("detail=store");
    assert!(poll(PATIENCE, is_purged), "{}", one.process.messages());
    assert!(said(&get(&one, "/page")).starts_with("lb; hit; ttl="));
}

#[test]
fn requests_go_on_while_redis_is_away() {
    let (mut redis, nginx) = (Redis::start(), Nginx::start(&["a"]));
    nginx.files().noise("file", 1_000);
    let proxy = instance(&redis, &nginx, "1s");
    wait_for_redis(&redis, &proxy);
    let mut number = 0;
    let mut go_on = || {
        for _ in 0..20 {
            number += 1;
            let path = format!("/files/file?away-{number}");
            assert!(said(&get(&proxy, &path)).contains("stored"));
            assert!(said(&get(&proxy, &path)).starts_with("lb; hit; ttl="));
        }
    };
    redis.freeze();
    go_on();
    redis.thaw();
    wait_for_redis(&redis, &proxy);

    redis.kill();
    go_on();
    redis.restart();
    wait_for_redis(&redis, &proxy);

    // A replica of nobody: it answers, and takes no writes.
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    go_on();
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    wait_for_redis(&redis, &proxy);

    // It says so once each time; a busy machine may add one of its own.
    let down = proxy.process.messages().matches("Redis is down").count();
    assert!((3..=6).contains(&down), "{}", proxy.process.messages());
}

#[test]
fn what_others_wrote_there_is_no_response() {
    let (redis, nginx) = (Redis::start(), Nginx::start(&["a"]));
    nginx.files().noise("file", 1_000);
    let one = instance(&redis, &nginx, "30s");
    fetch(&redis, &one, "/files/file");
    let record = redis.ask(&["KEYS", "lb:cache:main:*"]);
    redis.ask(&["SETRANGE", &record, "900", "?"]);
    let two = instance(&redis, &nginx, "30s");
    let answer = get(&two, "/files/file");
    assert!(
        said(&answer).starts_with("lb; fwd=uri-miss"),
        "{}",
        answer.head
    );
    assert_eq!(nginx.counts(2), [2]);
}
