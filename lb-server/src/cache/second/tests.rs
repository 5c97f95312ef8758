//! The second level on a real Redis: what the scripts do, and what becomes of it when they are lost.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lb_cache::{
    CacheKey, CacheRequest, Entry as _, Looked, Received, RequestHead, ResponseHead,
    ResponsePolicy, StoredBody, StoredResponse,
};

use super::{Outgoing, SecondLevel};
use crate::cache::{HttpCache, Purge};
use crate::clock;
use crate::config::{CacheConfig, Config, StoreKind};
use crate::redis::tests::server::{RedisServer, ask, eventually};
use crate::redis::{Store, Value};

/// Caches of several instances, each in touch with the same Redis.
fn instances<const N: usize>(server: &RedisServer) -> [HttpCache; N] {
    let mut config = Config::from_toml(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\nbackends = [\"http://a:80\"]\n",
        "test",
    )
    .unwrap();
    config.redis = Some(server.config());
    let cache = CacheConfig::default().store(StoreKind::Redis);
    std::array::from_fn(|_| HttpCache::new(("main", &cache), &config, &[], None))
}

fn level(cache: &HttpCache) -> &Arc<SecondLevel> {
    cache.second().unwrap()
}

fn key(key: &str) -> CacheKey {
    CacheKey::from(key)
}

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        })
        .collect()
}

/// What a backend answers a request with these fields.
fn response(
    cache: &HttpCache,
    asked: &HeaderMap,
    said: &[(&'static str, &'static str)],
    tags: &[&'static str],
) -> Arc<StoredResponse> {
    let said = fields(said);
    let now = clock::now();
    let head = RequestHead {
        method: &Method::GET,
        headers: asked,
        has_body: false,
    };
    let received = ResponseHead {
        status: StatusCode::OK,
        headers: &said,
    };
    let times = Received {
        requested: now,
        received: now,
        wall: clock::wall(),
    };
    let policy = ResponsePolicy::of(&head, &received, &times, &cache.rules);
    let body = StoredBody::new(vec!["text".into()]);
    let tags = tags.iter().copied();
    StoredResponse::new(policy.policy().unwrap(), said, body, tags).into()
}

async fn write(cache: &HttpCache, at: &str, response: &StoredResponse, store: &Arc<dyn Store>) {
    let outgoing: Outgoing = level(cache).outgoing(Some(Arc::clone(store))).unwrap();
    let lives = response.policy().useful_for(&cache.rules, clock::now());
    level(cache)
        .send(at, response, lives, outgoing)
        .await
        .unwrap();
}

/// Whether a request with these fields finds something of use.
async fn finds(cache: &HttpCache, at: &str, asked: &HeaderMap, store: &Arc<dyn Store>) -> bool {
    let head = RequestHead {
        method: &Method::GET,
        headers: asked,
        has_body: false,
    };
    let request = CacheRequest::of(&head, &cache.rules).unwrap();
    let looked = level(cache).lookup(cache, &key(at), &request, store).await;
    matches!(looked, Looked::Hit(_))
}

const FRESH: (&str, &str) = ("cache-control", "max-age=600");
const PAGE: &str = "http://a/page";

#[tokio::test]
async fn a_purge_of_any_kind_reaches_what_lies_in_the_store_and_in_the_memory_of_others() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let [one, two] = instances(&server);
    let none = HeaderMap::new();
    for (purge, is_gone) in [
        (Purge::Url(PAGE), true),
        (Purge::Prefix("http://a/"), true),
        (Purge::Tag("news"), true),
        (Purge::All, true),
        (Purge::Url("http://a/other"), false),
        (Purge::Prefix("http://b/"), false),
        (Purge::Tag("old"), false),
    ] {
        for cache in [&one, &two] {
            cache.synchronise(&*store).await.unwrap();
        }
        let page = response(&one, &none, &[FRESH], &["news"]);
        write(&one, PAGE, &page, &store).await;
        assert!(finds(&two, PAGE, &none, &store).await, "{purge:?}");
        one.purge(purge).unwrap();
        // Before the purge is announced: who has made it knows of it.
        assert_eq!(
            finds(&one, PAGE, &none, &store).await,
            !is_gone,
            "{purge:?}"
        );
        let late = response(&one, &none, &[FRESH], &["news"]);
        write(&one, PAGE, &late, &store).await;
        one.synchronise(&*store).await.unwrap();
        // What was asked for before the purge and written after it is no better.
        assert_eq!(
            finds(&two, PAGE, &none, &store).await,
            !is_gone,
            "{purge:?}"
        );
        write(&one, PAGE, &page, &store).await;
        assert!(finds(&two, PAGE, &none, &store).await, "{purge:?}");
    }
}

#[tokio::test]
async fn responses_that_vary_lie_apart() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let [one, two] = instances(&server);
    one.synchronise(&*store).await.unwrap();
    let german = fields(&[("accept-language", "de, en")]);
    let same = fields(&[("accept-language", "EN, de")]);
    let french = fields(&[("accept-language", "fr")]);
    let vary = ("vary", "accept-language");
    for asked in [&german, &french] {
        let page = response(&one, asked, &[FRESH, vary], &[]);
        write(&one, PAGE, &page, &store).await;
    }
    for asked in [&german, &same, &french] {
        assert!(finds(&two, PAGE, asked, &store).await, "{asked:?}");
    }
    let other = fields(&[("accept-language", "it")]);
    assert!(!finds(&two, PAGE, &other, &store).await);
    assert!(!finds(&two, PAGE, &HeaderMap::new(), &store).await);
}

#[tokio::test]
async fn the_log_forgets_the_oldest_and_says_up_to_where() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let [one, two] = instances(&server);
    let none = HeaderMap::new();
    for cache in [&one, &two] {
        cache.synchronise(&*store).await.unwrap();
    }
    let page = response(&one, &none, &[FRESH], &[]);
    write(&one, PAGE, &page, &store).await;
    for round in 0..10 {
        for number in 0..1_000 {
            one.purge(Purge::Tag(&format!("{round}-{number}"))).unwrap();
        }
        one.synchronise(&*store).await.unwrap();
    }
    let length = ask(&*store, &["ZCARD", "lb:purges:main"]).await.unwrap();
    let Value::Integer(length) = length else {
        panic!("{length:?}");
    };
    assert!((7_000..=8_194).contains(&length), "{length}");
    // Whether one of those forgotten names it cannot be told any more.
    assert!(!finds(&two, PAGE, &none, &store).await);
    two.synchronise(&*store).await.unwrap();
    let page = response(&two, &none, &[FRESH], &[]);
    write(&two, PAGE, &page, &store).await;
    assert!(finds(&one, PAGE, &none, &store).await);
}

#[tokio::test]
async fn a_purge_survives_a_store_that_comes_back_empty() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let [one, two] = instances(&server);
    for cache in [&one, &two] {
        cache.synchronise(&*store).await.unwrap();
    }
    let none = HeaderMap::new();
    one.purge(Purge::Url(PAGE)).unwrap();
    one.synchronise(&*store).await.unwrap();
    // The second has not read it, and the store forgets it.
    ask(&*store, &["FLUSHALL"]).await.unwrap();
    keep(&two, PAGE, &none);
    assert_eq!(two.metrics().entries, 1);
    two.synchronise(&*store).await.unwrap();
    assert_eq!(two.metrics().entries, 1);
    one.synchronise(&*store).await.unwrap();
    two.synchronise(&*store).await.unwrap();
    assert_eq!(two.metrics().entries, 0);
}

/// Puts a response into the memory of one instance.
fn keep(cache: &HttpCache, at: &str, asked: &HeaderMap) {
    let head = RequestHead {
        method: &Method::GET,
        headers: asked,
        has_body: false,
    };
    let request = CacheRequest::of(&head, &cache.rules).unwrap();
    let now = clock::now();
    let make = |_: &lb_cache::FillTicket| Arc::default();
    let joined = cache
        .responses()
        .join(&key(at), &request, &cache.rules, None, make, now);
    let lb_cache::Joined::Lead(ticket, _fill) = joined else {
        panic!("nobody else fills it");
    };
    let page = response(cache, asked, &[FRESH], &[]);
    let most = cache.rules.max_variants;
    cache.responses().store(ticket, page, 0, most, now).unwrap();
}

#[tokio::test]
async fn too_much_on_its_way_is_not_written() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let [cache] = instances(&server);
    cache.synchronise(&*store).await.unwrap();
    let page = response(&cache, &HeaderMap::new(), &[FRESH], &[]);
    // None of them runs before all are there.
    for number in 0..200 {
        let outgoing = level(&cache).outgoing(Some(Arc::clone(&store))).unwrap();
        let at = key(&format!("http://a/{number}"));
        level(&cache).write(&cache, &at, &page, outgoing);
    }
    let metrics = cache.metrics();
    assert_eq!((metrics.store_writes, metrics.store_skipped), (0, 136));
    eventually("everything else is written", async || {
        let metrics = cache.metrics();
        let is_written = metrics.store_writes == 64;
        is_written
            .then_some(())
            .ok_or_else(|| format!("{metrics:?}"))
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_removed() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let [cache] = instances(&server);
    cache.synchronise(&*store).await.unwrap();
    let none = HeaderMap::new();
    let page = response(&cache, &none, &[FRESH], &[]);
    write(&cache, PAGE, &page, &store).await;
    let name = level(&cache).name(PAGE, b"", None);
    for foreign in [
        &["SET", &name, "something else", "PX", "100000"][..],
        &["PERSIST", &name],
        &["SETRANGE", &name, "100", "?"],
    ] {
        write(&cache, PAGE, &page, &store).await;
        assert!(finds(&cache, PAGE, &none, &store).await);
        let errors = cache.metrics().store_errors;
        ask(&*store, foreign).await.unwrap();
        assert!(!finds(&cache, PAGE, &none, &store).await, "{foreign:?}");
        assert_eq!(cache.metrics().store_errors, errors + 1);
        let exists = ["EXISTS", name.as_str()];
        eventually("it is removed", async || {
            let answer = ask(&*store, &exists).await;
            let is_gone = answer == Ok(Value::Integer(0));
            is_gone.then_some(()).ok_or_else(|| format!("{answer:?}"))
        })
        .await;
    }
    // A list is no value at all: Redis refuses to read it.
    ask(&*store, &["RPUSH", &name, "x"]).await.unwrap();
    assert!(!finds(&cache, PAGE, &none, &store).await);
}
