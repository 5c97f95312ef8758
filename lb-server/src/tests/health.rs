//! Probes, ejection and breakers: who is sick gets no requests, and who is well again gets them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::backend::{self, Backlog};
use super::client::get;
use super::{Proxy, settle};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno";
const TWO: [&str; 2] = ["http://a:80", "http://b:80"];

/// Until the first probes have ended.
async fn probed() {
    tokio::time::sleep(Duration::from_millis(600)).await;
}

/// Takes every connection and says nothing.
fn accept_all(mut backlog: Backlog) {
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Some(pipe) = backlog.0.recv().await {
            open.push(pipe);
        }
    });
}

impl Proxy {
    fn status(&self, host: &str) -> lb_core::BackendStatus {
        let pool = &self.handle.snapshot().pools["default"];
        let now = crate::clock::now();
        let mut all = pool.balancer.backends(now).into_iter();
        all.find(|status| status.backend.id.as_str().contains(&format!("//{host}:")))
            .unwrap()
    }

    fn said(&self, host: &str) -> String {
        let (result, _) = self.status(host).last_probe.expect("it was probed");
        result.text.into()
    }
}

#[tokio::test(start_paused = true)]
async fn a_tcp_probe_finds_who_refuses_connections() {
    let proxy = Proxy::with(&TWO, "health_check = \"tcp\"\nretry = \"off\"");
    proxy.backend("b").always(OK);
    probed().await;
    assert_eq!(proxy.said("b"), "connected");
    assert_eq!(proxy.said("a"), "no connection: connection refused");
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_down_is_said_at_once_and_over_within_one_interval() {
    let proxy = Proxy::with(&TWO, "health_check = \"tcp\"");
    probed().await;
    let mut client = proxy.connect().await;
    let started = Instant::now();
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.reason(), "no_healthy_backend");
    // A fifth of the interval, rounded up.
    let after: u64 = reply.field("retry-after").parse().unwrap();
    assert!((1..=3).contains(&after), "{after}");
    assert!(started.elapsed() < Duration::from_millis(10));
    proxy.backend("a").always(OK);
    let back = Instant::now();
    while client.get("/").await.status() != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Two passes at a fifth of the interval.
    assert!(
        back.elapsed() < Duration::from_secs(5),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn takes_three_failures_to_lose_a_healthy_backend() {
    let proxy = Proxy::with(
        &["http://a:80"],
        "health_check = { interval = \"10s\", jitter = 0 }",
    );
    proxy.backend("a").always(OK);
    probed().await;
    assert_eq!(proxy.status("a").health, lb_core::Health::Healthy);
    proxy.network.hosts.lock().remove("a");
    // The next one, and two more at a fifth of the interval.
    tokio::time::sleep(Duration::from_millis(13_500)).await;
    assert_eq!(proxy.status("a").health, lb_core::Health::Healthy);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(proxy.status("a").health, lb_core::Health::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_fails_at_the_timeout() {
    let proxy = Proxy::with(&["http://a:80"], "health_check = { timeout = \"300ms\" }");
    proxy.black_hole("a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(proxy.said("a"), "no answer within 300ms");
    assert_eq!(proxy.status("a").health, lb_core::Health::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn an_http_probe_asks_what_it_was_told_to() {
    let check = "health_check = { path = \"/up?x=1\", method = \"OPTIONS\", host = \"probe.example\", \
                 headers = { x-probe = \"1\" }, expect_status = [204, \"300-302\"] }";
    let proxy = Proxy::with(&["http://a:80"], check);
    let mut backlog = proxy.backend("a");
    let mut probe = backlog.http1().await;
    let head = probe.head().await;
    assert!(head.starts_with("OPTIONS /up?x=1 HTTP/1.1\r\n"), "{head}");
    for field in [
        "host: probe.example",
        "x-probe: 1",
        "connection: close",
        "user-agent: lb-health-check",
    ] {
        assert!(
            head.to_lowercase().contains(&format!("\r\n{field}\r\n")),
            "{head}"
        );
    }
    probe.say("HTTP/1.1 301 Moved\r\nlocation: /\r\n\r\n").await;
    probe.closed().await;
    settle().await;
    assert_eq!(proxy.said("a"), "status 301");
    assert_eq!(proxy.status("a").health, lb_core::Health::Healthy);
}

#[tokio::test(start_paused = true)]
async fn an_http_probe_tells_what_it_did_not_expect() {
    let check = "health_check = { path = \"/up\", expect_body = \"all well\" }";
    for (response, said) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{ state: all well }  ",
            "status 200",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nbroken",
            "status 200, but the body does not contain `all well`",
        ),
        (
            "HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n",
            "status 503, expected 200-399",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf",
            "the response was cut off",
        ),
        (
            "nonsense\r\n\r\n",
            "the response is not acceptable: the status line is not HTTP/1",
        ),
        ("", "the backend closed the connection before it answered"),
    ] {
        let proxy = Proxy::with(&["http://a:80"], check);
        let mut backlog = proxy.backend("a");
        let mut probe = backlog.http1().await;
        let head = probe.head().await;
        assert!(head.contains("\r\nhost: a\r\n"), "{head}");
        probe.say(response).await;
        drop(probe);
        settle().await;
        assert_eq!(proxy.said("a"), said, "{response:?}");
        let is_healthy = proxy.status("a").health == lb_core::Health::Healthy;
        assert_eq!(is_healthy, said == "status 200");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_reads_no_more_than_it_needs() {
    let check = "health_check = { path = \"/up\", expect_body = \"never\" }";
    let proxy = Proxy::with(&["http://a:80"], check);
    let mut backlog = proxy.backend("a");
    let mut probe = backlog.http1().await;
    probe.head().await;
    probe
        .say(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(80_000)))
        .await;
    settle().await;
    // It is over though the body is not.
    assert!(proxy.said("a").contains("does not contain"));
    assert_eq!(probe.pipe.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test(start_paused = true)]
async fn an_http_probe_speaks_the_backends_http2() {
    let proxy = Proxy::with(
        &["h2c://a:8080"],
        "health_check = { path = \"/up\", expect_body = \"well\" }",
    );
    let mut backlog = proxy.backend("a");
    let mut probe = backlog.http2().await;
    let (request, mut respond) = probe.request().await;
    assert_eq!(request.uri(), "http://a:8080/up");
    backend::answer(&mut respond, "well");
    settle().await;
    assert_eq!(proxy.said("a"), "status 200");
}

/// Answers a health check of gRPC.
fn serve(respond: &mut SendResponse<Bytes>, message: &'static [u8], status: &'static str) {
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream
        .send_data(Bytes::from_static(message), false)
        .unwrap();
    let status = (
        "grpc-status".parse().unwrap(),
        HeaderValue::from_static(status),
    );
    stream
        .send_trailers(HeaderMap::from_iter([status]))
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grpc_probe_asks_for_its_service() {
    for (message, status, said) in [
        (&b"\0\0\0\0\x02\x08\x01"[..], "0", "SERVING"),
        (b"\0\0\0\0\x02\x08\x02", "0", "NOT_SERVING"),
        (b"", "5", "gRPC status 5"),
    ] {
        let proxy = Proxy::with(
            &["h2c://a:80"],
            "health_check = { service = \"app.Users\" }",
        );
        let mut backlog = proxy.backend("a");
        let mut probe = backlog.http2().await;
        let (request, mut respond) = probe.request().await;
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        let (body, _) = super::client::read_body(request.into_body()).await.unwrap();
        assert_eq!(body, b"\0\0\0\0\x0b\x0a\x09app.Users");
        serve(&mut respond, message, status);
        settle().await;
        assert_eq!(proxy.said("a"), said);
        let is_healthy = proxy.status("a").health == lb_core::Health::Healthy;
        assert_eq!(is_healthy, said == "SERVING");
    }
}

#[tokio::test(start_paused = true)]
async fn five_errors_in_a_row_eject_for_thirty_seconds() {
    let proxy = Proxy::to(&TWO);
    let sick = proxy.backend("a").always(ERROR);
    proxy.backend("b").always(OK);
    let mut client = proxy.connect().await;
    for _request in 0..40 {
        client.get("/").await;
    }
    assert_eq!(sick.load(Ordering::Relaxed), 5);
    assert_eq!(
        proxy.status("a").exclusion,
        Some(lb_core::Exclusion::Ejected)
    );
    tokio::time::sleep(Duration::from_secs(34)).await;
    client.get("/").await;
    client.get("/").await;
    assert_eq!(sick.load(Ordering::Relaxed), 6);
}

#[tokio::test(start_paused = true)]
async fn never_ejects_more_than_half() {
    let proxy = Proxy::to(&TWO);
    let counts = [
        proxy.backend("a").always(ERROR),
        proxy.backend("b").always(ERROR),
    ];
    let mut client = proxy.connect().await;
    for _request in 0..40 {
        assert_eq!(client.get("/").await.text(), "no");
    }
    let counts = counts.map(|count| count.load(Ordering::Relaxed));
    assert!(counts.contains(&5) && counts.contains(&35), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_backend_is_ejected_after_one_timeout_window() {
    let proxy = Proxy::with(&TWO, "retry = { per_try_timeout = \"1s\" }");
    accept_all(proxy.backend("a"));
    proxy.backend("b").always(OK);
    let mut clients = Vec::new();
    for _client in 0..10 {
        clients.push(proxy.connect().await);
    }
    let started = Instant::now();
    let asking = clients.iter_mut().map(|client| client.get("/"));
    for reply in futures_util::future::join_all(asking).await {
        assert_eq!(reply.text(), "ok");
    }
    assert!(started.elapsed() < Duration::from_millis(1100));
    assert_eq!(
        proxy.status("a").exclusion,
        Some(lb_core::Exclusion::Ejected)
    );
    let started = Instant::now();
    for client in &mut clients {
        assert_eq!(client.get("/").await.text(), "ok");
    }
    assert!(started.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_says_so_and_closes_after_its_trials() {
    let more = "circuit_breaker = { min_requests = 4, open_for = \"10s\", half_open_requests = 2 }\n\
                outlier_detection = \"off\"";
    let proxy = Proxy::with(&["http://a:80"], more);
    let sick = proxy.backend("a").always(ERROR);
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        assert_eq!(
            client.get("/").await.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
    let reply = client.get("/").await;
    assert_eq!(reply.reason(), "circuit_open");
    let after: u64 = reply.field("retry-after").parse().unwrap();
    assert!((8..=12).contains(&after), "{after}");
    assert_eq!(sick.load(Ordering::Relaxed), 4);
    proxy.backend("a").always(OK);
    tokio::time::sleep(Duration::from_secs(12)).await;
    // The kept connection still leads to the sick one; a failed trial opens the breaker again.
    assert_eq!(client.get("/").await.text(), "no");
    assert_eq!(client.get("/").await.reason(), "circuit_open");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let mut client = proxy.connect().await;
    for _request in 0..5 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
    assert_eq!(proxy.status("a").breaker, lb_core::BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_pools_limit_is_waited_for() {
    let proxy = Proxy::with(&TWO, "max_connections = 1");
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/first"), true).await;
    settle().await;
    let (second, _) = client.start(get("/second"), true).await;
    settle().await;
    assert_eq!(proxy.in_flight(), 1);
    let mut busy = a.http1().await;
    busy.answer("one").await;
    let (reply, _) = join(super::client::read(second), async {
        b.http1().await.answer("two").await
    })
    .await;
    assert_eq!(reply.unwrap().text(), "two");
    assert_eq!(super::client::read(first).await.unwrap().text(), "one");
}

#[tokio::test(start_paused = true)]
async fn several_backends_out_of_reach_are_none() {
    let proxy = Proxy::to(&TWO);
    let mut client = proxy.connect().await;
    for _request in 0..100 {
        let started = Instant::now();
        let reply = client.get("/").await;
        assert_eq!(reply.reason(), "no_healthy_backend");
        assert!(!reply.field("retry-after").is_empty());
        assert!(started.elapsed() < Duration::from_millis(60));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rolling_restart_loses_nothing() {
    let proxy = Proxy::to(&TWO);
    let mut client = proxy.connect().await;
    let refuse = |host: &str| proxy.network.hosts.lock().remove(host);
    const CLOSING: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    proxy.backend("b").always(CLOSING);
    for (down, up) in [("a", "b"), ("b", "a"), ("a", "b")] {
        proxy.backend(up).always(CLOSING);
        refuse(down);
        // Long enough to be ejected, too short for a readmission.
        for _request in 0..1000 {
            assert_eq!(client.get("/").await.text(), "ok", "{down} is down");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ejected_backend_is_better_than_none() {
    let proxy = Proxy::with(&TWO, "outlier_detection = { eject_for = \"3m\" }");
    let mut client = proxy.connect().await;
    let sick = proxy.backend("a").always(ERROR);
    proxy.backend("b").always(OK);
    while proxy.status("a").exclusion.is_none() {
        client.get("/").await;
    }
    let before = sick.load(Ordering::Relaxed);
    // The connection to the other is closed, and no new one is to be had.
    proxy.network.hosts.lock().remove("b");
    tokio::time::sleep(Duration::from_secs(95)).await;
    let mut client = proxy.connect().await;
    assert_eq!(client.get("/").await.text(), "no");
    assert!(sick.load(Ordering::Relaxed) > before);
}
