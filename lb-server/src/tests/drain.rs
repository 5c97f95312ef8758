//! A drain lets what runs finish and takes nothing new.

use std::time::Duration;

use futures_util::future::join;
use tokio::io::AsyncReadExt;

use super::client::{get, read};
use super::wire::{self, Wire, block};
use super::{Proxy, settle, soon};
use crate::error::ErrorKind;
use crate::running::Running;
use tokio_util::task::TaskTracker;

#[tokio::test(start_paused = true)]
async fn says_goodbye_in_two_steps_and_lets_the_exchange_finish() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut wire = Wire::client(proxy.pipe().await).await;
    let head = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "app.example"),
        (":path", "/"),
    ]);
    let flags = wire::END_STREAM | wire::END_HEADERS;
    wire.send(wire::HEADERS, flags, 1, &head).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    proxy.drain.begin();
    let first = wire.find(wire::GOAWAY).await;
    assert_eq!((first.last_stream(), first.code()), (0x7fff_ffff, 0));
    let ping = wire.find(wire::PING).await;
    wire.send(wire::PING, wire::ACK, 0, &ping.payload).await;
    let second = wire.find(wire::GOAWAY).await;
    assert_eq!((second.last_stream(), second.code()), (1, 0));
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await;
    let data = wire.find(wire::DATA).await;
    assert_eq!(data.payload, b"ok");
    while wire.frame().await.is_some() {}
    soon("the end of the drain", proxy.drain.finished()).await;
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn closes_idle_connections_at_once() {
    let proxy = Proxy::to(&["http://a:80"]);
    let client = proxy.connect().await;
    settle().await;
    proxy.drain.begin();
    let (closed, ()) = join(client.closed(), async {
        let end = tokio::time::timeout(Duration::from_secs(1), proxy.drain.finished()).await;
        assert!(end.is_ok());
    })
    .await;
    assert!(closed.is_ok(), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn turns_connections_away_once_it_drains() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.drain.begin();
    let mut pipe = proxy.pipe().await;
    let mut said = Vec::new();
    soon("the end", pipe.read_to_end(&mut said)).await.unwrap();
    assert!(said.is_empty());
}

#[tokio::test(start_paused = true)]
async fn cuts_what_runs_when_forced() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    proxy.drain.begin();
    settle().await;
    assert_eq!(proxy.in_flight(), 1);
    proxy.drain.force();
    assert!(read(response).await.is_err());
    backend.closed().await;
    soon("the end of the drain", proxy.drain.finished()).await;
    assert_eq!(proxy.in_flight(), 0);
}

const PATIENCE: &str = "[server]\nshutdown_delay = \"2s\"\nshutdown_timeout = \"5s\"\n";

/// The server as its program sees it, without threads.
fn running(proxy: &Proxy) -> Running {
    let workers = TaskTracker::new();
    workers.close();
    Running {
        admin: None,
        addresses: Vec::new(),
        handle: proxy.handle.clone(),
        workers,
    }
}

#[tokio::test(start_paused = true)]
async fn serves_on_for_the_delay_and_cuts_exactly_at_the_deadline() {
    let proxy = Proxy::with(&["http://a:80"], PATIENCE);
    let mut backlog = proxy.backend("a");
    let mut slow = proxy.connect().await;
    let (response, _) = slow.start(get("/slow"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let began = tokio::time::Instant::now();
    let ended = tokio::spawn(running(&proxy).shutdown());
    tokio::time::sleep(Duration::from_millis(1900)).await;
    let mut late = proxy.connect().await;
    let (reply, _) = join(late.get("/"), async {
        backlog.http1().await.answer("served").await
    })
    .await;
    assert_eq!(reply.text(), "served");
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ShutdownTimeout);
    assert_eq!(began.elapsed().as_millis(), 7000);
    assert!(read(response).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn ends_with_the_last_exchange() {
    let proxy = Proxy::with(&["http://a:80"], PATIENCE);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    let began = tokio::time::Instant::now();
    let ended = tokio::spawn(running(&proxy).shutdown());
    tokio::time::sleep(Duration::from_secs(4)).await;
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await;
    assert_eq!(read(response).await.unwrap().text(), "ok");
    ended.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_drains_finishes_and_gets_nothing_new() {
    let proxy = Proxy::to(&["http://a:80", "http://b:80"]);
    let mut backlog = proxy.backend("a");
    let others = proxy
        .backend("b")
        .always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    assert!(proxy.handle.drain_backend("default/http://a:80", true));
    for _request in 0..4 {
        assert_eq!(client.get("/").await.text(), "other");
    }
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await;
    assert_eq!(read(response).await.unwrap().text(), "ok");
    assert_eq!(others.load(std::sync::atomic::Ordering::Relaxed), 4);
    assert!(proxy.handle.drain_backend("default/http://a:80", false));
    // One of the next two is its turn.
    let (first, _) = client.start(get("/"), true).await;
    let (second, _) = client.start(get("/"), true).await;
    backend.answer("back").await;
    let texts = [read(first).await.unwrap(), read(second).await.unwrap()];
    assert!(texts.iter().any(|reply| reply.text() == "back"));
    assert!(!proxy.handle.drain_backend("default/http://c:80", true));
}
