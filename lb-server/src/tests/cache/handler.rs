//! What request handlers keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;

use super::super::Proxy;
use super::super::client::{get, read};
use crate::cache::Purge;
use crate::config::{CacheConfig, Config, TargetConfig};
use crate::error::Error;
use crate::handler::{Exchange, Request, Response};
use crate::reply;

/// A handler that counts how often it makes something.
fn counting(cache: CacheConfig) -> (Proxy, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let handler = move |request: Request, exchange: Exchange| {
        let made = Arc::clone(&counted);
        async move {
            let path = request.uri().path().to_owned();
            let minute = Duration::from_secs(60);
            let make = || make(path.clone(), made);
            exchange
                .cache()
                .get_or_insert_with(&path, minute, make)
                .await
        }
    };
    let toml = "[listeners.default]\naddress = \"127.0.0.1:0\"\n\
                [pools.default]\nbackends = [\"http://a:80\"]\n";
    let mut config = Config::from_toml(toml, "test").unwrap();
    config.routes[0].target = TargetConfig::Handler;
    config.cache_everything(cache);
    (Proxy::start(&config, Some(Arc::new(handler))), made)
}

async fn make(path: String, made: Arc<AtomicUsize>) -> Result<Response, Error> {
    let number = made.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    match path.as_str() {
        "/fails" => Err(Error::handler(std::io::Error::other("trouble"))),
        "/sets" => {
            let mut response = reply::text(200, "mine");
            let cookie = http::HeaderValue::from_static("a=b");
            response.headers_mut().insert("set-cookie", cookie);
            Ok(response)
        }
        "/tagged" => {
            let mut response = reply::text(200, number.to_string());
            let tag = http::HeaderValue::from_static("t");
            response.headers_mut().insert("cache-tag", tag);
            Ok(response)
        }
        _ => Ok(reply::text(200, number.to_string())),
    }
}

#[tokio::test(start_paused = true)]
async fn makes_a_value_once() {
    let (proxy, made) = counting(CacheConfig::default());
    let mut client = proxy.connect().await;
    let mut replies = Vec::new();
    for _request in 0..20 {
        replies.push(client.start(get("/value"), true).await.0);
    }
    for (index, reply) in join_all(replies.into_iter().map(read))
        .await
        .into_iter()
        .enumerate()
    {
        let reply = reply.unwrap();
        assert_eq!(reply.text(), "0");
        let leads = "lb; fwd=uri-miss; ttl=60; stored";
        let expected = if index == 0 { leads } else { "lb; hit; ttl=60" };
        assert_eq!(reply.field("cache-status"), expected);
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_secs(58)).await;
    assert_eq!(client.get("/value").await.text(), "0");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(client.get("/value").await.text(), "1");
}

#[tokio::test(start_paused = true)]
async fn is_purged_by_key_and_tag() {
    let (proxy, made) = counting(CacheConfig::default());
    let mut client = proxy.connect().await;
    for purge in [Purge::Key("/tagged"), Purge::Tag("t")] {
        let reply = client.get("/tagged").await;
        assert_eq!(reply.field("cache-tag"), "");
        assert_eq!(
            proxy.handle.purge("default", purge).unwrap(),
            1,
            "{purge:?}"
        );
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn keeps_no_failure_and_no_cookie() {
    let (proxy, made) = counting(CacheConfig::default());
    let mut client = proxy.connect().await;
    for _request in 0..2 {
        let reply = client.get("/fails").await;
        assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(client.get("/sets").await.field("set-cookie"), "a=b");
    }
    assert_eq!(made.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn keeps_nothing_where_there_is_no_cache() {
    let (proxy, made) = counting(CacheConfig::off());
    let mut client = proxy.connect().await;
    for number in ["0", "1"] {
        let reply = client.get("/value").await;
        assert_eq!(reply.text(), number);
        assert_eq!(reply.field("cache-status"), "");
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}
