//! What exchanges may hold is bounded for the process; beyond it requests are shed.

use bytes::Bytes;
use http::StatusCode;

use super::client::{get, post, read};
use super::{Proxy, settle};

fn with_one_mebibyte() -> Proxy {
    Proxy::with(&["http://a:80"], "[server]\nmemory_limit = \"1MiB\"")
}

#[tokio::test(start_paused = true)]
async fn sheds_what_there_is_no_room_for_and_recovers() {
    let proxy = with_one_mebibyte();
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut uploads = Vec::new();
    // Each may hold 128 KiB, and 160 KiB have to be left for the next.
    for _upload in 0..7 {
        let (response, mut stream) = client.open(post("/")).await;
        stream.send_data(Bytes::from_static(b"x"), false).unwrap();
        uploads.push((response, stream));
    }
    settle().await;
    assert_eq!(proxy.handle.metrics().held_bytes, 7 * 128 * 1024);
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.reason(), "overloaded");
    assert_eq!(reply.field("retry-after"), "1");
    for (response, mut stream) in uploads {
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
    settle().await;
    assert_eq!(proxy.handle.metrics().held_bytes, 0);
    drop(backlog.accept().await);
    let (response, _) = client.start(get("/"), true).await;
    while let Ok(pipe) = backlog.0.try_recv() {
        drop(pipe);
    }
    backlog.http1().await.answer("ok").await;
    assert_eq!(read(response).await.unwrap().text(), "ok");
}

#[tokio::test(start_paused = true)]
async fn a_small_body_takes_no_more_than_its_length() {
    let proxy = with_one_mebibyte();
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut request = post("/");
    request
        .headers_mut()
        .insert("content-length", "3".parse().unwrap());
    let (response, mut stream) = client.open(request).await;
    stream.send_data(Bytes::from_static(b"ask"), true).unwrap();
    let mut backend = backlog.http1().await;
    backend.hear("ask").await;
    assert_eq!(proxy.handle.metrics().held_bytes, 6);
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        .await;
    settle().await;
    assert_eq!(proxy.handle.metrics().held_bytes, 106);
    backend.say("x".repeat(100)).await;
    assert_eq!(read(response).await.unwrap().body.len(), 100);
    settle().await;
    assert_eq!(proxy.handle.metrics().held_bytes, 0);
}
