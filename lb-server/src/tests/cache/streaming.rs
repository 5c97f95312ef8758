//! A response streams to all who wait while it is stored, and none of them can stop it for the others.

use bytes::Bytes;
use futures_util::future::join;
use h2::Reason;

use super::super::client::{get, read, read_body, reset_reason, write_body};
use super::super::{settle, soon};
use super::origin::{Origin, fresh, response};
use super::{cached, cached_to};

const HALF: &str =
    "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nfirst";

#[tokio::test(start_paused = true)]
async fn all_who_wait_read_while_it_comes() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (led, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let (followed, _) = client.start(get("/"), true).await;
    backend.say(HALF).await;
    let mut bodies = Vec::new();
    for reply in [led, followed] {
        let (head, mut body) = soon("a head", reply).await.unwrap().into_parts();
        assert_eq!(head.headers["content-length"], "10");
        assert_eq!(
            soon("the first half", body.data()).await.unwrap().unwrap(),
            "first"
        );
        bodies.push(body);
    }
    // Even who comes now.
    let (late, _) = client.start(get("/"), true).await;
    let (head, mut body) = soon("a head", late).await.unwrap().into_parts();
    assert_eq!(
        head.headers["cache-status"],
        "lb; fwd=uri-miss; ttl=60; collapsed"
    );
    assert_eq!(
        soon("the first half", body.data()).await.unwrap().unwrap(),
        "first"
    );
    bodies.push(body);
    backend.say("other").await;
    for body in bodies {
        assert_eq!(read_body(body).await.unwrap().0, b"other");
    }
    assert_eq!(
        client.get("/").await.field("cache-status"),
        "lb; hit; ttl=60"
    );
    assert!(backlog.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_in_the_body_stops_nobody() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (led, mut stream) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let (followed, _) = client.start(get("/"), true).await;
    backend.say(HALF).await;
    let led = soon("a head", led).await.unwrap();
    stream.send_reset(Reason::CANCEL);
    drop(led);
    settle().await;
    backend.say("other").await;
    assert_eq!(read(followed).await.unwrap().text(), "firstother");
    assert_eq!(client.get("/").await.text(), "firstother");
    assert!(backlog.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_any_more_is_given_up() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (led, mut stream) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend.say(HALF).await;
    let led = soon("a head", led).await.unwrap();
    stream.send_reset(Reason::CANCEL);
    drop(led);
    backend.closed().await;
    assert_eq!(proxy.in_flight(), 0);
    let metrics = proxy.handle.metrics().caches["main"].clone();
    assert_eq!((metrics.entries, metrics.bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_nobody() {
    let proxy = cached_to("h2c://a:80", "");
    let mut backlog = proxy.backend("a");
    let (mut slow, mut quick) = (proxy.connect().await, proxy.connect().await);
    let whole = Bytes::from(vec![b'x'; 2 << 20]);
    let (led, _) = slow.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let (followed, _) = quick.start(get("/"), true).await;
    let response = http::Response::builder()
        .header("cache-control", "max-age=60")
        .body(())
        .unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    let sent = whole.clone();
    let writing = write_body(&mut stream, sent, true);
    let (reply, ()) = join(read(followed), writing).await;
    assert_eq!(reply.unwrap().body.len(), whole.len());
    // The leader has not taken a byte, and still gets all of it.
    let (_, body) = soon("a head", led).await.unwrap().into_parts();
    assert_eq!(read_body(body).await.unwrap().0, whole);
    let hit = quick.get("/").await;
    assert_eq!(hit.field("cache-status"), "lb; hit; ttl=60");
    assert_eq!(hit.field("content-length"), whole.len().to_string());
    assert_eq!(hit.body, whole);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_is_never_stored() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (led, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let (followed, _) = client.start(get("/"), true).await;
    backend.say(HALF).await;
    settle().await;
    drop(backend);
    for reply in [led, followed] {
        let error = read(reply).await.unwrap_err();
        assert_eq!(reset_reason(&error), Some(Reason::INTERNAL_ERROR));
    }
    let (again, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend.say(fresh("whole")).await;
    assert_eq!(read(again).await.unwrap().text(), "whole");
}

#[tokio::test(start_paused = true)]
async fn an_announced_large_object_passes_through() {
    let proxy = cached("max_size = \"1MiB\"\nmax_object = \"10KiB\"");
    let large = fresh(&"x".repeat(10_241));
    let origin = Origin::of(&proxy, &[&large]);
    let mut client = proxy.connect().await;
    for asked in 1..=2 {
        let reply = client.get("/").await;
        assert_eq!(reply.body.len(), 10_241);
        assert_eq!(
            reply.field("cache-status"),
            "lb; fwd=uri-miss; detail=too-large"
        );
        assert_eq!(origin.count(), asked);
    }
    assert_eq!(proxy.handle.metrics().caches["main"].bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn an_unannounced_large_object_passes_through_for_all_who_began() {
    let proxy = cached_to("h2c://a:80", "max_size = \"1MiB\"\nmax_object = \"100KiB\"");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (led, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let (followed, _) = client.start(get("/"), true).await;
    let response = http::Response::builder()
        .header("cache-control", "max-age=60")
        .body(())
        .unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    let whole = Bytes::from(vec![b'x'; 3 << 20]);
    let writing = write_body(&mut stream, whole.clone(), true);
    let (replies, ()) = join(join(read(led), read(followed)), writing).await;
    assert_eq!(replies.0.unwrap().body.len(), whole.len());
    assert_eq!(replies.1.unwrap().body.len(), whole.len());
    settle().await;
    let metrics = proxy.handle.metrics().caches["main"].clone();
    assert_eq!((metrics.entries, metrics.bytes), (0, 0));
    // Others do not wait for such a one any more.
    let _own = client.start(get("/"), true).await;
    backend.request().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_holds_up_others_is_cut_off_once_nothing_is_stored() {
    let proxy = cached_to("h2c://a:80", "max_size = \"1MiB\"\nmax_object = \"64KiB\"");
    let mut backlog = proxy.backend("a");
    let (mut slow, mut quick) = (proxy.connect().await, proxy.connect().await);
    let (led, _) = slow.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let (followed, _) = quick.start(get("/"), true).await;
    let response = http::Response::builder()
        .header("cache-control", "max-age=60")
        .body(())
        .unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    let whole = Bytes::from(vec![b'x'; 2 << 20]);
    let writing = write_body(&mut stream, whole.clone(), true);
    let (reply, ()) = join(read(followed), writing).await;
    assert_eq!(reply.unwrap().body.len(), whole.len());
    let (_, body) = soon("a head", led).await.unwrap().into_parts();
    let error = read_body(body).await.unwrap_err();
    assert_eq!(reset_reason(&error), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn a_passing_body_goes_at_its_readers_pace() {
    let proxy = cached_to("h2c://a:80", "max_size = \"1MiB\"\nmax_object = \"64KiB\"");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (led, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let response = http::Response::builder()
        .header("cache-control", "max-age=60")
        .body(())
        .unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    let (_, body) = soon("a head", led).await.unwrap().into_parts();
    let mut sent = 0;
    loop {
        stream.reserve_capacity(64 * 1024);
        settle().await;
        let granted = stream.capacity();
        if granted == 0 {
            break;
        }
        sent += granted;
        stream
            .send_data(Bytes::from(vec![0; granted]), false)
            .unwrap();
        assert!(sent < 4 << 20, "it takes without end");
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(read_body(body).await.unwrap().0.len(), sent);
}

#[tokio::test(start_paused = true)]
async fn its_bytes_stay_within_the_bound() {
    let proxy = cached("max_size = \"256KiB\"\nmax_object = \"16KiB\"");
    let body = "x".repeat(10_000);
    let origin = Origin::of(&proxy, &[&fresh(&body)]);
    let mut client = proxy.connect().await;
    for index in 0..100 {
        client.get(&format!("/{index}")).await;
        let metrics = proxy.handle.metrics().caches["main"].clone();
        assert!(metrics.bytes <= 256 << 10, "{metrics:?}");
    }
    assert_eq!(origin.count(), 100);
    let metrics = proxy.handle.metrics().caches["main"].clone();
    assert!(metrics.entries > 10 && metrics.evicted > 50, "{metrics:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_while_memory_is_tight() {
    let proxy = super::Proxy::with(
        &["http://a:80"],
        "[server]\nmemory_limit = \"1MiB\"\n[caches.main]\nmax_size = \"1MiB\"\nmax_object = \"64KiB\"\n\
         [[routes]]\npool = \"default\"\ncache = \"main\"\n",
    );
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    // Each may hold 128 KiB: three quarters of what there is.
    let mut uploads = Vec::new();
    for _upload in 0..6 {
        let (response, mut stream) = client.open(super::super::client::post("/")).await;
        stream.send_data(Bytes::from_static(b"x"), false).unwrap();
        uploads.push((response, stream, backlog.http1().await));
    }
    settle().await;
    let (reply, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend.say(fresh("hello")).await;
    let reply = read(reply).await.unwrap();
    assert_eq!(reply.text(), "hello");
    assert_eq!(reply.field("cache-status"), "lb; fwd=uri-miss");
    assert_eq!(proxy.handle.metrics().caches["main"].entries, 0);
}

#[tokio::test(start_paused = true)]
async fn trailers_reach_who_reads_and_are_not_stored() {
    let proxy = cached("");
    let chunked = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
    let _origin = Origin::of(&proxy, &[chunked]);
    let mut client = proxy.connect().await;
    let first = client.get("/").await;
    assert_eq!(first.text(), "hello");
    assert_eq!(first.trailers.unwrap()["x-sum"], "1");
    let second = client.get("/").await;
    assert_eq!(second.text(), "hello");
    assert_eq!(second.field("content-length"), "5");
    assert!(second.trailers.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_is_stored_like_any_other() {
    let proxy = cached("");
    let empty = response(204, &["cache-control: max-age=60"], "");
    let origin = Origin::of(&proxy, &[&empty]);
    let mut client = proxy.connect().await;
    for _request in 0..2 {
        let reply = client.get("/").await;
        assert_eq!(reply.status(), http::StatusCode::NO_CONTENT);
        assert!(reply.body.is_empty());
    }
    assert_eq!(origin.count(), 1);
}
