//! Every timeout fires at its moment, and only where its side is owed something.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use h2::Reason;
use http::StatusCode;
use tokio::time::Instant;

use super::client::{get, post, read, reset_reason};
use super::wire::{self, Wire};
use super::{Proxy, backend, soon};

const SECOND: Duration = Duration::from_secs(1);

/// Whether this is the moment, to the timer's millisecond.
fn assert_elapsed(since: Instant, expected: Duration) {
    let late = since.elapsed().checked_sub(expected).expect("too early");
    assert!(late <= Duration::from_millis(5), "{late:?} late");
}

#[tokio::test(start_paused = true)]
async fn gives_up_connecting_after_2_s() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.black_hole("a");
    let mut client = proxy.connect().await;
    let start = Instant::now();
    let reply = client.get("/").await;
    assert_elapsed(start, 2 * SECOND);
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(reply.reason(), "connect_timeout");
    assert_eq!(reply.field("proxy-status"), "lb; error=connection_timeout");
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_http2_settings_after_2_s() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let start = Instant::now();
    let (reply, _silent) = join(client.get("/"), backlog.accept()).await;
    assert_elapsed(start, 2 * SECOND);
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_response_head_after_15_s() {
    for url in ["http://a:80", "h2c://a:80"] {
        let proxy = Proxy::to(&[url]);
        let mut backlog = proxy.backend("a");
        let mut client = proxy.connect().await;
        let start = Instant::now();
        let (reply, _silent) = join(client.get("/"), async {
            if url.starts_with("h2c") {
                (Some(backlog.http2().await), None)
            } else {
                (None, Some(backlog.accept().await))
            }
        })
        .await;
        assert_elapsed(start, 15 * SECOND);
        assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(reply.reason(), "response_timeout");
        assert_eq!(proxy.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn counts_a_response_timeout_from_the_uploads_end() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    for _second in 0..20 {
        upload.send_data(Bytes::from(vec![7; 1000]), false).unwrap();
        tokio::time::sleep(SECOND).await;
    }
    upload.send_data(Bytes::new(), true).unwrap();
    let start = Instant::now();
    let mut backend = backlog.http1().await;
    let (reply, _) = join(read(response), backend.hear("0\r\n\r\n")).await;
    assert_elapsed(start, 15 * SECOND);
    assert_eq!(reply.unwrap().reason(), "response_timeout");
}

#[tokio::test(start_paused = true)]
async fn answers_a_request_whose_body_stops() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let start = Instant::now();
    let (response, _upload) = client.open(post("/")).await;
    let mut backend = backlog.http2().await;
    let (_request, mut respond) = backend.request().await;
    let reply = soon("an answer", response).await.unwrap();
    assert_elapsed(start, 10 * SECOND);
    assert_eq!(reply.status(), StatusCode::REQUEST_TIMEOUT);
    let reset = std::future::poll_fn(|cx| respond.poll_reset(cx));
    assert_eq!(soon("a reset", reset).await.unwrap(), Reason::CANCEL);
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_a_request_whose_body_drips() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let start = Instant::now();
    let (response, mut upload) = client.open(post("/")).await;
    let drip = tokio::spawn(async move {
        while upload.send_data(Bytes::from_static(b"x"), false).is_ok() {
            tokio::time::sleep(SECOND).await;
        }
    });
    let _backend = backlog.http1().await;
    let reply = soon("an answer", response).await.unwrap();
    assert!(start.elapsed() < 12 * SECOND, "{:?}", start.elapsed());
    assert_eq!(reply.status(), StatusCode::REQUEST_TIMEOUT);
    drip.abort();
}

#[tokio::test(start_paused = true)]
async fn resets_a_client_that_does_not_read() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let mut stream = respond
        .send_response(http::Response::new(()), false)
        .unwrap();
    stream
        .send_data(Bytes::from(vec![7; 1 << 20]), true)
        .unwrap();
    let start = Instant::now();
    let mut body = soon("a head", response).await.unwrap().into_body();
    let error = loop {
        match soon("the reset", body.data()).await.unwrap() {
            // Taken, but its window is not given back.
            Ok(_chunk) => {}
            Err(error) => break error,
        }
    };
    // What it took at once counts for the first 10 s.
    assert_elapsed(start, 20 * SECOND);
    assert_eq!(reset_reason(&error), Some(Reason::CANCEL));
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn lets_a_backend_pause_within_its_body() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, ()) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend
            .say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
            .await;
        tokio::time::sleep(299 * SECOND).await;
        backend.say("cd").await;
    })
    .await;
    assert_eq!(reply.text(), "abcd");
}

#[tokio::test(start_paused = true)]
async fn resets_a_body_that_stands_still_for_300_s() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, start) = join(client.try_send(get("/")), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend
            .say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
            .await;
        let start = Instant::now();
        backend.closed().await;
        start
    })
    .await;
    assert_elapsed(start, 300 * SECOND);
    assert!(reset_reason(&reply.unwrap_err()).is_some());
}

#[tokio::test(start_paused = true)]
async fn closes_an_idle_connection_after_60_s_whatever_it_pings() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut wire = Wire::client(proxy.pipe().await).await;
    let start = Instant::now();
    let goaway = loop {
        tokio::select! {
            biased;
            frame = wire.frame() => {
                let frame = frame.expect("a goodbye comes before the end");
                if frame.kind == wire::GOAWAY {
                    break frame;
                }
            }
            () = tokio::time::sleep(7 * SECOND) => wire.send(wire::PING, 0, 0, &[0; 8]).await,
        }
    };
    assert_elapsed(start, 60 * SECOND);
    assert_eq!(goaway.code(), 0);
    while let Some(frame) = wire.frame().await {
        assert_ne!(frame.kind, wire::HEADERS);
    }
}

#[tokio::test(start_paused = true)]
async fn counts_idleness_from_the_last_exchange() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    tokio::time::sleep(50 * SECOND).await;
    let (_reply, _backend) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.answer("ok").await;
        backend
    })
    .await;
    let start = Instant::now();
    assert!(client.closed().await.is_ok());
    assert_elapsed(start, 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn closes_when_the_preface_does_not_come_in_5_s() {
    let said: [&[u8]; 3] = [
        b"",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for said in said {
        let proxy = Proxy::to(&["http://a:80"]);
        let mut wire = Wire(proxy.pipe().await);
        wire.write(said).await;
        let start = Instant::now();
        let mut last = None;
        while let Some(frame) = wire.frame().await {
            last = Some(frame);
        }
        assert!(start.elapsed() <= 7 * SECOND, "{:?}", start.elapsed());
        if said.len() == 24 {
            assert_eq!(last.unwrap().code(), u32::from(Reason::SETTINGS_TIMEOUT));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn closes_when_a_header_block_is_not_complete_in_10_s() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut wire = Wire::client(proxy.pipe().await).await;
    wire.find(wire::SETTINGS).await;
    let start = Instant::now();
    wire.send(
        wire::HEADERS,
        wire::END_STREAM,
        1,
        &wire::block(&[(":method", "GET")]),
    )
    .await;
    let goaway = wire.find(wire::GOAWAY).await;
    assert_elapsed(start, 10 * SECOND);
    assert_eq!(goaway.code(), u32::from(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test(start_paused = true)]
async fn closes_backend_connections_that_nobody_uses() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut wire = {
        let (response, _) = client.start(get("/"), true).await;
        let mut wire = Wire::backend(backlog.accept().await, &[]).await;
        let stream = wire.find(wire::HEADERS).await.stream;
        let flags = wire::END_HEADERS | wire::END_STREAM;
        wire.send(
            wire::HEADERS,
            flags,
            stream,
            &wire::block(&[(":status", "200")]),
        )
        .await;
        read(response).await.unwrap();
        wire
    };
    let start = Instant::now();
    while wire.frame().await.is_some() {}
    let elapsed = start.elapsed();
    assert!(
        (90 * SECOND..=100 * SECOND).contains(&elapsed),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn keeps_one_exchange_waiting_without_the_other() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (silent, _) = client.start(get("/silent"), true).await;
    let mut backend = backlog.http2().await;
    let _silent = backend.request().await;
    let (reply, ()) = join(client.get("/"), async {
        backend::answer(&mut backend.request().await.1, "ok");
    })
    .await;
    assert_eq!(reply.text(), "ok");
    assert_eq!(read(silent).await.unwrap().reason(), "response_timeout");
}
