//! Connections end gracefully after so many requests, and at their age.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::{Proxy, soon};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn wearing(listener: &str) -> Proxy {
    Proxy::new(&format!(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n{listener}\n\
         [pools.default]\nbackends = [\"http://a:80\"]\nhealth_check = \"off\""
    ))
}

async fn ask(pipe: &mut DuplexStream) -> String {
    pipe.write_all(b"GET / HTTP/1.1\r\nhost: app.example\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\nok") {
        let read = soon("a response", pipe.read_buf(&mut heard)).await.unwrap();
        assert!(read > 0, "{:?}", String::from_utf8_lossy(&heard));
    }
    String::from_utf8(heard).unwrap()
}

#[tokio::test(start_paused = true)]
async fn http2_says_goodbye_after_its_last_request() {
    let proxy = wearing("max_requests_per_connection = 3");
    let asked = proxy.backend("a").always(OK);
    let mut client = proxy.connect().await;
    for _request in 0..3 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
    let started = Instant::now();
    client.closed().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn http1_says_close_with_its_last_response() {
    let proxy = wearing("max_requests_per_connection = 3");
    proxy.backend("a").always(OK);
    let mut pipe = proxy.pipe().await;
    for _request in 0..2 {
        assert!(!ask(&mut pipe).await.contains("connection: close"));
    }
    assert!(ask(&mut pipe).await.contains("connection: close"));
    assert_eq!(soon("the end", pipe.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_ends_between_requests() {
    let proxy = wearing("max_connection_age = \"10s\"");
    proxy.backend("a").always(OK);
    let mut http2 = proxy.connect().await;
    let mut http1 = proxy.pipe().await;
    let started = Instant::now();
    assert_eq!(http2.get("/").await.text(), "ok");
    assert!(!ask(&mut http1).await.contains("connection: close"));
    tokio::time::sleep(Duration::from_millis(8990)).await;
    assert_eq!(http2.get("/").await.text(), "ok");
    http2.closed().await.unwrap();
    let age = started.elapsed();
    assert!((9.0..=10.1).contains(&age.as_secs_f64()), "{age:?}");
    assert_eq!(soon("the end", http1.read(&mut [0])).await.unwrap(), 0);
    assert!(started.elapsed() < Duration::from_millis(10_100));
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_finishes_what_it_serves() {
    let proxy = wearing("max_connection_age = \"10s\"");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(super::client::get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    tokio::time::sleep(Duration::from_secs(14)).await;
    backend.say(OK).await;
    assert_eq!(super::client::read(response).await.unwrap().text(), "ok");
    client.closed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_old_http1_connection_says_close_when_asked_late() {
    let proxy = wearing("max_connection_age = \"10s\"");
    let mut backlog = proxy.backend("a");
    let mut pipe = proxy.pipe().await;
    let answering = tokio::spawn(async move {
        let mut backend = backlog.http1().await;
        backend.head().await;
        tokio::time::sleep(Duration::from_secs(14)).await;
        backend.say(OK).await;
        backend
    });
    assert!(ask(&mut pipe).await.contains("connection: close"));
    assert_eq!(soon("the end", pipe.read(&mut [0])).await.unwrap(), 0);
    answering.await.unwrap();
}
