//! A backend that fails is told from one that answers, and never takes another exchange with it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use h2::Reason;
use http::{Response, StatusCode};

use super::client::{self, get, post, read, reset_reason};
use super::wire::{self, Wire};
use super::{Proxy, backend, settle, soon};

/// What a client gets when the backend says this and hangs up.
async fn after(response: &str) -> Result<client::Reply, h2::Error> {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, ()) = join(client.try_send(get("/")), async {
        // A request that may be repeated is, where no byte of an answer came: once per backend.
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend.say(response).await;
    })
    .await;
    settle().await;
    assert_eq!(proxy.in_flight(), 0);
    reply
}

#[tokio::test(start_paused = true)]
async fn resets_what_is_cut_off() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    ] {
        let error = after(response).await.unwrap_err();
        assert_eq!(
            reset_reason(&error),
            Some(Reason::INTERNAL_ERROR),
            "{response:?}: {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_backend_that_speaks_nonsense() {
    for response in [
        "nonsense\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.1 000 Zero\r\n\r\n",
        "HTTP/1.1 999999 Many\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx a: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
    ] {
        let reply = after(response).await.unwrap();
        assert_eq!(reply.status(), StatusCode::BAD_GATEWAY, "{response:?}");
        assert_eq!(reply.reason(), "bad_response", "{response:?}");
        assert_eq!(reply.field("proxy-status"), "lb; error=http_protocol_error");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_backend_that_interrupts_too_often() {
    let response = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(11);
    let reply = after(&response).await.unwrap();
    assert_eq!(reply.reason(), "bad_response");
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_backend_that_hangs_up() {
    for response in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let reply = after(response).await.unwrap();
        assert_eq!(reply.status(), StatusCode::BAD_GATEWAY, "{response:?}");
        assert!(
            ["backend_reset", "bad_response"].contains(&&*reply.reason()),
            "{}",
            reply.reason()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_backend_that_refuses_connections() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut client = proxy.connect().await;
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(reply.field("proxy-status"), "lb; error=connection_refused");
    assert_eq!(reply.field("content-type"), "application/problem+json");
    assert_eq!(reply.reason(), "connect_refused");
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn resets_when_a_stream_of_the_backend_is_reset() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (broken, _) = client.start(get("/broken"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let (sibling, _) = client.start(get("/sibling"), true).await;
    let (_, mut respond_sibling) = backend.request().await;
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream
        .send_data(Bytes::from_static(b"part"), false)
        .unwrap();
    let broken = soon("a head", broken).await.unwrap();
    stream.send_reset(Reason::NO_ERROR);
    let error = client::read_body(broken.into_body()).await.unwrap_err();
    assert_eq!(reset_reason(&error), Some(Reason::INTERNAL_ERROR));
    backend::answer(&mut respond_sibling, "well");
    assert_eq!(read(sibling).await.unwrap().text(), "well");
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn resets_when_a_backends_body_misses_its_length() {
    for (length, body) in [("10", "short"), ("3", "too long")] {
        let proxy = Proxy::to(&["h2c://a:80"]);
        let mut backlog = proxy.backend("a");
        let mut client = proxy.connect().await;
        let (response, _) = client.start(get("/"), true).await;
        let mut wire = Wire::backend(backlog.accept().await, &[]).await;
        let stream = wire.find(wire::HEADERS).await.stream;
        let block = wire::block(&[(":status", "200"), ("content-length", length)]);
        wire.send(wire::HEADERS, wire::END_HEADERS, stream, &block)
            .await;
        wire.send(wire::DATA, wire::END_STREAM, stream, body.as_bytes())
            .await;
        let failed = match read(response).await {
            Err(error) => reset_reason(&error) == Some(Reason::INTERNAL_ERROR),
            Ok(reply) => reply.status() == StatusCode::BAD_GATEWAY,
        };
        assert!(failed, "{length}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_backend_whose_http2_is_malformed() {
    for fields in [
        &[("x", "no status")][..],
        &[(":status", "200"), ("Upper", "case")],
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "abc")],
        &[(":status", "101")],
    ] {
        let proxy = Proxy::to(&["h2c://a:80"]);
        let mut backlog = proxy.backend("a");
        let mut client = proxy.connect().await;
        let (response, mut upload) = client.open(post("/")).await;
        upload.send_data(Bytes::new(), true).unwrap();
        let mut wire = Wire::backend(backlog.accept().await, &[]).await;
        let stream = wire.find(wire::HEADERS).await.stream;
        let flags = wire::END_HEADERS | wire::END_STREAM;
        wire.send(wire::HEADERS, flags, stream, &wire::block(fields))
            .await;
        let reply = read(response).await.unwrap();
        assert_eq!(reply.status(), StatusCode::BAD_GATEWAY, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stops_the_backend_when_the_client_resets() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut stream) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    assert_eq!(proxy.in_flight(), 1);
    stream.send_reset(Reason::CANCEL);
    drop(response);
    let reason = soon(
        "the reset",
        std::future::poll_fn(|cx| respond.poll_reset(cx)),
    )
    .await;
    assert_eq!(reason.unwrap(), Reason::CANCEL);
    settle().await;
    assert_eq!(proxy.in_flight(), 0);
    assert_eq!(proxy.handle.metrics().reasons["client_closed"], 1);
}

#[tokio::test(start_paused = true)]
async fn stops_the_backend_when_the_client_resets_within_a_body() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut stream) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
        .await;
    let reply = soon("a head", response).await.unwrap();
    assert_eq!(proxy.in_flight(), 1);
    stream.send_reset(Reason::CANCEL);
    drop(reply);
    backend.closed().await;
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn stops_the_backend_when_the_client_is_gone() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    client.connection.abort();
    drop(response);
    backend.closed().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(proxy.in_flight(), 0);
}
