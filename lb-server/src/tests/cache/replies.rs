//! What a reply from the cache says and has.

use std::time::Duration;

use http::{Method, StatusCode};

use super::super::client::{get, post};
use super::super::settle;
use super::cached;
use super::origin::{Origin, fresh, response};

#[tokio::test(start_paused = true)]
async fn a_hit_has_its_age_and_asks_nobody() {
    let proxy = cached("");
    let origin = Origin::of(&proxy, &[&fresh("hello")]);
    let mut client = proxy.connect().await;
    let reply = client.get("/").await;
    assert_eq!(
        reply.field("cache-status"),
        "lb; fwd=uri-miss; ttl=60; stored"
    );
    assert_eq!(reply.field("age"), "");
    tokio::time::sleep(Duration::from_secs(7)).await;
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.text(), "hello");
    assert_eq!(reply.field("cache-status"), "lb; hit; ttl=53");
    assert_eq!(reply.field("age"), "7");
    assert_eq!(reply.field("content-length"), "5");
    assert_ne!(reply.field("date"), "");
    assert_eq!(reply.field("x-request-id").len(), 36);
    assert_eq!(origin.count(), 1);
    let metrics = proxy.handle.metrics().caches["main"].clone();
    assert_eq!((metrics.hits, metrics.misses, metrics.stored), (1, 1, 1));
    assert_eq!(metrics.entries, 1);
}

#[tokio::test(start_paused = true)]
async fn another_query_host_or_method_is_another_response() {
    let proxy = cached("");
    let origin = Origin::of(&proxy, &[&fresh("hello")]);
    let mut client = proxy.connect().await;
    for path in ["/", "/?", "/?a", "/b"] {
        client.get(path).await;
    }
    let mut other = get("/");
    *other.uri_mut() = "http://other.example/".parse().unwrap();
    client.send(other).await;
    assert_eq!(origin.count(), 5);
    let mut same = get("/");
    *same.uri_mut() = "http://App.Example:80/".parse().unwrap();
    assert_eq!(
        client.send(same).await.field("cache-status"),
        "lb; hit; ttl=60"
    );
}

#[tokio::test(start_paused = true)]
async fn parameters_that_do_not_count_share_a_response() {
    let proxy = cached("query = [\"id\"]");
    let origin = Origin::of(&proxy, &[&fresh("hello")]);
    let mut client = proxy.connect().await;
    client.get("/?id=1&utm=x").await;
    client.get("/?utm=y&id=1").await;
    assert_eq!(origin.count(), 1);
    client.get("/?id=2").await;
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn head_and_conditions_and_ranges_are_answered_from_what_is_stored() {
    let proxy = cached("");
    let fields = [
        "cache-control: max-age=60",
        "etag: \"v1\"",
        "content-type: text/x",
    ];
    let origin = Origin::of(&proxy, &[&response(200, &fields, "0123456789")]);
    let mut client = proxy.connect().await;
    client.get("/").await;

    let mut head = get("/");
    *head.method_mut() = Method::HEAD;
    let reply = client.send(head).await;
    assert_eq!(reply.field("content-length"), "10");
    assert!(reply.body.is_empty());

    let with = |name: &'static str, value: &'static str| {
        let mut request = get("/");
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let reply = client.send(with("if-none-match", "\"v0\", W/\"v1\"")).await;
    assert_eq!(reply.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(reply.field("etag"), "\"v1\"");
    assert_eq!(reply.field("content-type"), "");
    assert!(reply.body.is_empty());

    let reply = client.send(with("range", "bytes=2-4")).await;
    assert_eq!(reply.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(reply.field("content-range"), "bytes 2-4/10");
    assert_eq!(reply.field("content-length"), "3");
    assert_eq!(reply.text(), "234");

    let reply = client.send(with("range", "bytes=-3")).await;
    assert_eq!(reply.text(), "789");

    let reply = client.send(with("range", "bytes=10-")).await;
    assert_eq!(reply.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(reply.field("content-range"), "bytes */10");

    let mut ranged = with("range", "bytes=0-1");
    let other = "\"v0\"".parse().unwrap();
    ranged.headers_mut().insert("if-range", other);
    let reply = client.send(ranged).await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.text(), "0123456789");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_ranges_are_framed() {
    let proxy = cached("");
    let long = "x".repeat(500);
    let _origin = Origin::of(&proxy, &[&fresh(&long)]);
    let mut client = proxy.connect().await;
    client.get("/").await;
    let mut request = get("/");
    let several = "bytes=0-1,400-402".parse().unwrap();
    request.headers_mut().insert("range", several);
    let reply = client.send(request).await;
    assert_eq!(reply.status(), StatusCode::PARTIAL_CONTENT);
    let boundary = reply
        .field("content-type")
        .split_once("boundary=")
        .unwrap()
        .1;
    let text = reply.text();
    assert_eq!(reply.field("content-length"), text.len().to_string());
    assert!(
        text.contains("Content-Range: bytes 0-1/500\r\n\r\nxx\r\n"),
        "{text}"
    );
    assert!(
        text.contains("Content-Range: bytes 400-402/500\r\n\r\nxxx\r\n"),
        "{text}"
    );
    assert!(text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_copy_fills_the_cache_for_others() {
    let proxy = cached("");
    let fields = ["cache-control: max-age=60", "etag: \"v1\""];
    let origin = Origin::of(&proxy, &[&response(200, &fields, "hello")]);
    let mut client = proxy.connect().await;
    let mut request = get("/");
    let tag = "\"v1\"".parse().unwrap();
    request.headers_mut().insert("if-none-match", tag);
    let reply = client.send(request).await;
    assert_eq!(reply.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(origin.last_field("if-none-match"), None);
    settle().await;
    assert_eq!(client.get("/").await.text(), "hello");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn tags_and_what_is_private_do_not_reach_others() {
    let proxy = cached("");
    let fields = [
        "cache-control: max-age=60, private=\"x-user\"",
        "cache-tag: a",
        "surrogate-key: b",
        "x-user: ada",
        "age: 5",
    ];
    let _origin = Origin::of(&proxy, &[&response(200, &fields, "hello")]);
    let mut client = proxy.connect().await;
    let first = client.get("/").await;
    let second = client.get("/").await;
    for reply in [&first, &second] {
        assert_eq!(reply.field("cache-tag"), "");
        assert_eq!(reply.field("surrogate-key"), "");
    }
    assert_eq!(first.field("x-user"), "ada");
    assert_eq!(second.field("x-user"), "");
    assert_eq!(second.field("age"), "5");
    assert_eq!(second.field("cache-status"), "lb; hit; ttl=55");
}

#[tokio::test(start_paused = true)]
async fn other_caches_on_the_way_keep_their_word() {
    let proxy = cached("");
    let fields = ["cache-control: max-age=60", "cache-status: origin; hit"];
    let _origin = Origin::of(&proxy, &[&response(200, &fields, "hello")]);
    let mut client = proxy.connect().await;
    client.get("/").await;
    let reply = client.get("/").await;
    let said: Vec<_> = reply
        .head
        .headers()
        .get_all("cache-status")
        .iter()
        .collect();
    assert_eq!(said, ["origin; hit", "lb; hit; ttl=60"]);
}

#[tokio::test(start_paused = true)]
async fn only_if_cached_finds_nothing() {
    let proxy = cached("");
    let origin = Origin::of(&proxy, &[&fresh("hello")]);
    let mut client = proxy.connect().await;
    let mut request = get("/");
    let only = "only-if-cached".parse().unwrap();
    request.headers_mut().insert("cache-control", only);
    let reply = client.send(request).await;
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(reply.reason(), "not_cached");
    assert_eq!(origin.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_post_passes_and_invalidates() {
    let proxy = cached("");
    let created = response(201, &["location: /b"], "");
    let origin = Origin::of(&proxy, &[&fresh("a"), &fresh("b"), &created, &fresh("new")]);
    let mut client = proxy.connect().await;
    client.get("/a").await;
    client.get("/b").await;
    let (reply, _) = client.start(post("/a"), true).await;
    let reply = super::super::client::read(reply).await.unwrap();
    assert_eq!(reply.field("cache-status"), "lb; fwd=method");
    for path in ["/a", "/b"] {
        assert_eq!(client.get(path).await.text(), "new", "{path}");
    }
    assert_eq!(origin.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_decides_over_the_route_keeps_responses_apart() {
    let proxy = super::Proxy::with(
        &["http://a:80"],
        "[caches.main]\n\
         [[routes]]\nmatch = { headers = { x-beta = true } }\npool = \"default\"\ncache = \"main\"\n\
         [[routes]]\npool = \"default\"\ncache = \"main\"\n",
    );
    let origin = Origin::of(&proxy, &[&fresh("stable"), &fresh("beta")]);
    let mut client = proxy.connect().await;
    assert_eq!(client.get("/").await.text(), "stable");
    let mut beta = get("/");
    beta.headers_mut().insert("x-beta", "1".parse().unwrap());
    assert_eq!(client.send(beta.clone()).await.text(), "beta");
    assert_eq!(client.get("/").await.text(), "stable");
    assert_eq!(client.send(beta).await.text(), "beta");
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cookie_of_ours_is_not_stored() {
    let secret = "1".repeat(34);
    let proxy = super::Proxy::with(
        &["http://a:80"],
        &format!(
            "affinity = {{ cookie = \"route\", secret = \"{secret}\" }}\n\
             [caches.main]\n[[routes]]\npool = \"default\"\ncache = \"main\"\n"
        ),
    );
    let origin = Origin::of(&proxy, &[&fresh("hello")]);
    let mut client = proxy.connect().await;
    let first = client.get("/").await;
    assert!(first.field("set-cookie").starts_with("route="));
    assert_eq!(
        first.field("cache-status"),
        "lb; fwd=uri-miss; ttl=60; stored"
    );
    let second = client.get("/").await;
    assert_eq!(second.field("set-cookie"), "");
    assert_eq!(second.field("cache-control"), "max-age=60");
    assert_eq!(origin.count(), 1);
}
