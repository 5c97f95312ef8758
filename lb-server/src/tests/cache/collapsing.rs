//! Requests for the same thing share one fetch.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;

use super::super::client::{get, read};
use super::super::settle;
use super::origin::{Origin, fresh, response};
use super::{cached, cached_to};

#[tokio::test(start_paused = true)]
async fn a_hundred_misses_are_one_request() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut clients = Vec::new();
    for _client in 0..100 {
        clients.push(proxy.connect().await);
    }
    let mut replies = Vec::new();
    for client in &mut clients {
        replies.push(client.start(get("/"), true).await.0);
    }
    let mut backend = backlog.http1().await;
    backend.head().await;
    settle().await;
    backend.say(fresh("shared")).await;
    let mut collapsed = 0;
    for reply in join_all(replies.into_iter().map(read)).await {
        let reply = reply.unwrap();
        assert_eq!(reply.text(), "shared");
        collapsed += usize::from(reply.field("cache-status").contains("; collapsed"));
    }
    assert_eq!(collapsed, 99);
    assert!(backlog.is_empty());
    assert_eq!(proxy.handle.metrics().caches["main"].collapsed, 99);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_stops_nobody() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let (mut leader, mut follower) = (proxy.connect().await, proxy.connect().await);
    let (led, mut stream) = leader.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let (followed, _) = follower.start(get("/"), true).await;
    settle().await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(led);
    settle().await;
    backend.say(fresh("hello")).await;
    assert_eq!(read(followed).await.unwrap().text(), "hello");
    assert!(backlog.is_empty());
    assert_eq!(
        follower.get("/").await.field("cache-status"),
        "lb; hit; ttl=59"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_nobody_waits_for_is_given_up() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut leader = proxy.connect().await;
    let (led, mut stream) = leader.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(led);
    backend.closed().await;
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let proxy = cached("collapse_timeout = \"2s\"");
    let mut backlog = proxy.backend("a");
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    let (first, _) = one.start(get("/"), true).await;
    let mut slow = backlog.http1().await;
    slow.head().await;
    let (second, _) = two.start(get("/"), true).await;
    let started = tokio::time::Instant::now();
    let mut quick = backlog.http1().await;
    quick.head().await;
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(3),
        "{waited:?}"
    );
    quick.say(fresh("mine")).await;
    let second = read(second).await.unwrap();
    assert_eq!(second.text(), "mine");
    let status = second.field("cache-status");
    assert_eq!(status, "lb; fwd=uri-miss; detail=collapse-timeout");
    slow.say(fresh("first")).await;
    assert_eq!(read(first).await.unwrap().text(), "first");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_collapsing_is_off() {
    let proxy = cached("collapse_timeout = \"0s\"");
    let mut backlog = proxy.backend("a");
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    let (first, _) = one.start(get("/"), true).await;
    let mut a = backlog.http1().await;
    a.head().await;
    let (second, _) = two.start(get("/"), true).await;
    let mut b = backlog.http1().await;
    b.head().await;
    a.say(fresh("a")).await;
    b.say(fresh("b")).await;
    assert_eq!(read(first).await.unwrap().text(), "a");
    assert_eq!(read(second).await.unwrap().text(), "b");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_shared_and_not_waited_for_again() {
    let proxy = cached_to("h2c://a:80", "");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut replies = Vec::new();
    for _request in 0..3 {
        replies.push(client.start(get("/"), true).await.0);
    }
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    settle().await;
    assert!(backend.is_quiet(), "two of them wait");
    super::super::backend::answer(&mut respond, "one");
    for _request in 0..2 {
        let (_, mut respond) = backend.request().await;
        super::super::backend::answer(&mut respond, "own");
    }
    let mut texts = Vec::new();
    for reply in replies {
        texts.push(read(reply).await.unwrap().text().to_owned());
    }
    texts.sort();
    assert_eq!(texts, ["one", "own", "own"]);
    // Now it is known: all go at once.
    let mut replies = Vec::new();
    for _request in 0..3 {
        replies.push(client.start(get("/"), true).await.0);
    }
    for _request in 0..3 {
        let (_, mut respond) = backend.request().await;
        super::super::backend::answer(&mut respond, "own");
    }
    for reply in replies {
        let reply = read(reply).await.unwrap();
        assert_eq!(
            reply.field("cache-status"),
            "lb; fwd=uri-miss; detail=hit-for-miss"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_select_something_else_fetch_it() {
    let proxy = cached_to("h2c://a:80", "");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let asks = |language: &'static str| {
        let mut request = get("/");
        let value = language.parse().unwrap();
        request.headers_mut().insert("accept-language", value);
        request
    };
    let mut replies = Vec::new();
    for language in ["de", "en", "de", "en"] {
        replies.push(client.start(asks(language), true).await.0);
    }
    let mut backend = backlog.http2().await;
    for _language in 0..2 {
        let (request, mut respond) = backend.request().await;
        let language = request.headers()["accept-language"].clone();
        let response = http::Response::builder()
            .header("cache-control", "max-age=60")
            .header("vary", "accept-language")
            .body(())
            .unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        let body = bytes::Bytes::copy_from_slice(language.as_bytes());
        stream.send_data(body, true).unwrap();
    }
    for (reply, language) in replies.into_iter().zip(["de", "en", "de", "en"]) {
        assert_eq!(read(reply).await.unwrap().text(), language);
    }
    settle().await;
    assert!(backend.is_quiet());
    for language in ["de", "en"] {
        assert_eq!(
            client.send(asks(language)).await.field("cache-status"),
            "lb; hit; ttl=59"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stale_is_sent_while_one_validates_behind() {
    let proxy = cached("stale_while_revalidate = \"30s\"");
    let fields = ["cache-control: max-age=10", "etag: \"v1\""];
    let same = response(304, &fields, "");
    let origin = Origin::of(&proxy, &[&response(200, &fields, "hello"), &same]);
    let mut client = proxy.connect().await;
    client.get("/").await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    for _request in 0..3 {
        let reply = client.get("/").await;
        assert_eq!(reply.text(), "hello");
        if reply.field("cache-status") == "lb; hit; ttl=-5; detail=stale-while-revalidate" {
            assert_eq!(reply.field("age"), "15");
        } else {
            assert_eq!(reply.field("cache-status"), "lb; hit; ttl=10");
        }
    }
    settle().await;
    assert_eq!(origin.count(), 2);
    assert_eq!(origin.last_field("if-none-match").unwrap(), "\"v1\"");
    assert_eq!(
        client.get("/").await.field("cache-status"),
        "lb; hit; ttl=9"
    );
}

#[tokio::test(start_paused = true)]
async fn validations_are_shared() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let fields = ["cache-control: max-age=10", "etag: \"v1\""];
    backend.say(response(200, &fields, "hello")).await;
    read(first).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut replies = Vec::new();
    for _request in 0..5 {
        replies.push(client.start(get("/"), true).await.0);
    }
    let head = backend.head().await;
    assert!(head.contains("if-none-match: \"v1\"\r\n"), "{head}");
    backend
        .say(response(304, &["cache-control: max-age=10"], ""))
        .await;
    for (index, reply) in replies.into_iter().enumerate() {
        let reply = read(reply).await.unwrap();
        assert_eq!(reply.text(), "hello");
        let leads = "lb; fwd=stale; fwd-status=304; ttl=10; stored";
        let follows = "lb; fwd=stale; ttl=10; collapsed";
        let expected = if index == 0 { leads } else { follows };
        assert_eq!(reply.field("cache-status"), expected);
    }
    assert!(backlog.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stale_stands_in_for_failures_where_it_may() {
    let proxy = cached("stale_if_error = \"1m\"");
    let fields = ["cache-control: max-age=10"];
    let strict = ["cache-control: max-age=10, must-revalidate"];
    let broken = response(503, &[], "broken");
    let answers = [
        response(200, &fields, "kind"),
        response(200, &strict, "strict"),
        broken,
    ];
    let origin = Origin::of(&proxy, &[&answers[0], &answers[1], &answers[2]]);
    let mut client = proxy.connect().await;
    client.get("/kind").await;
    client.get("/strict").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let reply = client.get("/kind").await;
    assert_eq!(reply.text(), "kind");
    let status = "lb; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error";
    assert_eq!(reply.field("cache-status"), status);
    let reply = client.get("/strict").await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.text(), "broken");
    assert_eq!(origin.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn without_a_backend_stale_stands_in_or_504_says_so() {
    let proxy = cached("");
    let fields = ["cache-control: max-age=10", "connection: close"];
    let strict = [
        "cache-control: max-age=10, must-revalidate",
        "connection: close",
    ];
    let answers = [
        response(200, &fields, "kind"),
        response(200, &strict, "strict"),
    ];
    let _origin = Origin::of(&proxy, &[&answers[0], &answers[1]]);
    let mut client = proxy.connect().await;
    client.get("/kind").await;
    client.get("/strict").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    proxy.network.hosts.lock().clear();
    let reply = client.get("/kind").await;
    assert_eq!(reply.text(), "kind");
    let status = "lb; fwd=stale; ttl=-10; detail=connect_refused";
    assert_eq!(reply.field("cache-status"), status);
    let reply = client.get("/strict").await;
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(reply.reason(), "connect_refused");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_fails_its_own_request_only() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let handler = |_request: crate::handler::Request, _exchange: crate::handler::Exchange| async {
        settle().await;
        assert!(PANICKED.swap(true, Ordering::Relaxed), "the handler's bug");
        Ok(crate::reply::text(200, "second"))
    };
    let toml = "[listeners.default]\naddress = \"127.0.0.1:0\"\n\
                [pools.default]\nbackends = [\"http://a:80\"]\n";
    let mut config = crate::config::Config::from_toml(toml, "test").unwrap();
    config.routes[0].target = crate::config::TargetConfig::Handler;
    config.cache_everything(crate::config::CacheConfig::default());
    let proxy = super::super::Proxy::start(&config, Some(std::sync::Arc::new(handler)));
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/"), true).await;
    let (second, _) = client.start(get("/"), true).await;
    let first = read(first).await.unwrap();
    assert_eq!(first.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(read(second).await.unwrap().text(), "second");
}

#[tokio::test(start_paused = true)]
async fn what_is_validated_each_time_is_not_shared() {
    let proxy = cached_to("h2c://a:80", "");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let no_cache = |status: u16| {
        http::Response::builder()
            .status(status)
            .header("cache-control", "no-cache, max-age=60")
            .header("etag", "\"v1\"")
            .body(())
            .unwrap()
    };
    let (led, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let (followed, _) = client.start(get("/"), true).await;
    settle().await;
    let mut streams = vec![respond.send_response(no_cache(200), false).unwrap()];
    let (_, mut respond) = backend.request().await;
    streams.push(respond.send_response(no_cache(200), false).unwrap());
    for stream in &mut streams {
        stream.send_data("hello".into(), true).unwrap();
    }
    assert_eq!(read(led).await.unwrap().text(), "hello");
    let followed = read(followed).await.unwrap();
    assert_eq!(
        followed.field("cache-status"),
        "lb; fwd=uri-miss; detail=no-cache"
    );
    // Once stored, each is validated for itself, at once.
    let (one, _) = client.start(get("/"), true).await;
    let (two, _) = client.start(get("/"), true).await;
    let mut asked = vec![backend.request().await, backend.request().await];
    for (request, respond) in &mut asked {
        assert_eq!(request.headers()["if-none-match"], "\"v1\"");
        respond.send_response(no_cache(304), true).unwrap();
    }
    for reply in [one, two] {
        let reply = read(reply).await.unwrap();
        assert_eq!(reply.text(), "hello");
        assert!(
            reply
                .field("cache-status")
                .starts_with("lb; fwd=stale; fwd-status=304; ttl=60")
        );
    }
}
