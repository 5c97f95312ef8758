//! Requests wait while every backend is full.

use std::time::Duration;

use futures_util::future::join;
use http::StatusCode;
use tokio::time::Instant;

use super::client::{get, read};
use super::{Proxy, settle};

fn full_after_one(more: &str) -> Proxy {
    Proxy::new(&format!(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\nhealth_check = \"off\"\n\
         backends = [{{ url = \"http://a:80\", max_connections = 1 }}]\n{more}"
    ))
}

#[tokio::test(start_paused = true)]
async fn waits_for_its_turn_and_gets_it_with_the_last_byte() {
    let proxy = full_after_one("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/first"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\non")
        .await;
    let (second, _) = client.start(get("/second"), true).await;
    settle().await;
    assert_eq!(proxy.in_flight(), 1);
    backend.say("ce").await;
    assert_eq!(read(first).await.unwrap().text(), "once");
    let (reply, head) = join(read(second), backend.answer("then")).await;
    assert!(head.starts_with("GET /second "), "{head}");
    assert_eq!(reply.unwrap().text(), "then");
    assert!(backlog.is_empty());
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn says_why_it_gave_up_waiting() {
    let proxy = full_after_one("timeouts = { queue = \"700ms\" }");
    let _silent = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (_first, _) = client.start(get("/"), true).await;
    settle().await;
    let started = Instant::now();
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.reason(), "queue_timeout");
    assert_eq!(reply.field("retry-after"), "1");
    assert_eq!(started.elapsed().as_millis(), 700);
}

#[tokio::test(start_paused = true)]
async fn refuses_whom_the_queue_has_no_room_for() {
    for (more, waits) in [("queue = 1", true), ("queue = \"off\"", false)] {
        let proxy = full_after_one(more);
        let _silent = proxy.backend("a");
        let mut client = proxy.connect().await;
        let (_first, _) = client.start(get("/"), true).await;
        settle().await;
        let (_second, _) = client.start(get("/"), waits).await;
        settle().await;
        let started = Instant::now();
        let reply = client.get("/").await;
        assert_eq!(reply.reason(), "queue_full", "{more}");
        assert!(started.elapsed() < Duration::from_millis(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_its_turn_to_the_next() {
    let proxy = full_after_one("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/first"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let (leaving, mut stream) = client.start(get("/leaving"), true).await;
    settle().await;
    let (third, _) = client.start(get("/third"), true).await;
    settle().await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(leaving);
    settle().await;
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await;
    let (reply, head) = join(read(third), backend.answer("third")).await;
    assert!(head.starts_with("GET /third "), "{head}");
    assert_eq!(reply.unwrap().text(), "third");
    assert_eq!(read(first).await.unwrap().status(), StatusCode::OK);
    assert_eq!(proxy.in_flight(), 0);
}
