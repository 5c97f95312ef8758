//! How many attempts a request gets, when, and until when.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join;
use http::{Request, StatusCode};
use tokio::time::Instant;

use super::backend::Http1;
use super::client::{get, post, read};
use super::{Proxy, settle};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const UNAVAILABLE: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno";
const TWO: [&str; 2] = ["http://a:80", "http://b:80"];

fn with_key(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn gives_up_a_try_that_takes_too_long() {
    let proxy = Proxy::with(&TWO, "retry = { per_try_timeout = \"1s\" }");
    let _silent = proxy.backend("a");
    proxy.backend("b").always(OK);
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        let started = Instant::now();
        assert_eq!(client.get("/").await.text(), "ok");
        assert!(
            started.elapsed() < Duration::from_millis(1030),
            "{:?}",
            started.elapsed()
        );
    }
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn waits_on_where_nobody_else_could_answer() {
    let proxy = Proxy::with(&["http://a:80"], "retry = { per_try_timeout = \"1s\" }");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, ()) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        backend.say(OK).await;
    })
    .await;
    assert_eq!(reply.text(), "ok");
}

#[tokio::test(start_paused = true)]
async fn never_sends_a_post_twice_because_it_is_slow() {
    let proxy = Proxy::with(&TWO, "retry = { per_try_timeout = \"1s\" }");
    let (_a, _b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let started = Instant::now();
    let reply = client.send(post("/")).await;
    assert_eq!(reply.reason(), "response_timeout");
    assert_eq!(started.elapsed().as_secs(), 15);
    assert_eq!(
        proxy
            .handle
            .metrics()
            .backends
            .values()
            .map(|b| b.request_count)
            .sum::<u64>(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn asks_another_backend_where_one_is_unavailable() {
    let proxy = Proxy::to(&TWO);
    let refusing = proxy.backend("a").always(UNAVAILABLE);
    proxy.backend("b").always(OK);
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
    // A retry is a pick too, so each of the four began at the same backend.
    assert_eq!(refusing.load(Ordering::Relaxed), 4);
    let mut statuses = Vec::new();
    for _request in 0..2 {
        statuses.push(client.send(post("/")).await.status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    let keyed = with_key(post("/"), "idempotency-key", "\"7\"");
    for _request in 0..2 {
        assert_eq!(client.send(keyed.clone()).await.status(), StatusCode::OK);
    }
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn passes_on_what_every_backend_answers_and_asks_none_twice() {
    let proxy = Proxy::to(&TWO);
    let counts = [
        proxy.backend("a").always(UNAVAILABLE),
        proxy.backend("b").always(UNAVAILABLE),
    ];
    let mut client = proxy.connect().await;
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((reply.field("retry-after"), reply.text()), ("7", "no"));
    assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_errors_stays_within_the_budget() {
    let proxy = Proxy::with(&TWO, "outlier_detection = \"off\"");
    let counts = [
        proxy.backend("a").always(UNAVAILABLE),
        proxy.backend("b").always(UNAVAILABLE),
    ];
    let mut client = proxy.connect().await;
    let started = Instant::now();
    for _request in 0..500 {
        let reply = client.get("/").await;
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let seconds = started.elapsed().as_secs_f64();
    let sent: u32 = counts
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum();
    assert!(
        f64::from(sent) <= 500.0 * 1.2 + 10.0 * (seconds + 1.0),
        "{sent} in {seconds} s"
    );
    assert!(sent > 600, "{sent}");
}

#[tokio::test(start_paused = true)]
async fn fails_at_once_where_the_budget_is_empty() {
    let proxy = Proxy::with(
        &TWO,
        "retry = { budget_percent = 0, budget_min_per_second = 0 }",
    );
    proxy.backend("b").always(OK);
    let mut client = proxy.connect().await;
    let mut reasons = Vec::new();
    for _request in 0..2 {
        let reply = client.get("/").await;
        reasons.push(reply.status().as_u16());
    }
    reasons.sort_unstable();
    assert_eq!(reasons, [200, 502]);
}

/// Ends a kept connection instead of answering the second request on it, which comes after a pause;
/// returns the errors that the backend was given.
async fn errors_of_a_hang_up(pause: Duration) -> u64 {
    let proxy = Proxy::with(&["http://a:80"], "retry = \"off\"");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (_, mut kept) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.answer("one").await;
        backend
    })
    .await;
    tokio::time::advance(pause).await;
    let (reply, ()) = join(client.get("/"), async {
        kept.head().await;
        drop(kept);
        backlog.http1().await.answer("two").await;
    })
    .await;
    assert_eq!(reply.text(), "two");
    proxy.handle.metrics().backends["default/http://a:80"].error_count
}

#[tokio::test(start_paused = true)]
async fn replaces_a_stale_connection_though_retries_are_off() {
    assert_eq!(errors_of_a_hang_up(Duration::from_secs(2)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_just_in_use_is_no_excuse_for_its_backend() {
    assert_eq!(errors_of_a_hang_up(Duration::from_millis(100)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_bounds_all_attempts_together() {
    let more = "timeouts = { request = \"2500ms\", connect = \"1s\" }\nretry = { per_try_timeout = \"1s\" }";
    let proxy = Proxy::with(&["http://a:80", "http://b:80", "http://c:80"], more);
    for host in ["a", "b", "c"] {
        proxy.black_hole(host);
    }
    let mut client = proxy.connect().await;
    let started = Instant::now();
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(started.elapsed().as_millis(), 2500);
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_request_whose_upload_goes_on() {
    let proxy = Proxy::with(&["http://a:80"], "timeouts = { request = \"3s\" }");
    let _silent = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _upload) = client.open(post("/")).await;
    let started = Instant::now();
    assert_eq!(read(response).await.unwrap().reason(), "response_timeout");
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_timeout_is_kept_to_and_told_reduced() {
    let proxy = Proxy::with(&TWO, "retry = { per_try_timeout = \"300ms\" }");
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let started = Instant::now();
    let request = with_key(get("/"), "grpc-timeout", "1S");
    let told = |head: &str| {
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("grpc-timeout: "));
        line.and_then(|line| line.strip_suffix('u')?.parse::<u32>().ok())
            .unwrap_or_else(|| panic!("{head}"))
    };
    let (reply, (first, second)) = join(client.send(request), async {
        let mut next = async || {
            tokio::select! {
                pipe = a.0.recv() => Http1::new(pipe.unwrap()),
                pipe = b.0.recv() => Http1::new(pipe.unwrap()),
            }
        };
        let (mut first, mut second) = (next().await, next().await);
        let heads = (told(&first.head().await), told(&second.head().await));
        second.closed().await;
        heads
    })
    .await;
    assert_eq!(first, 1_000_000);
    assert!((670_000..=700_000).contains(&second), "{second}");
    assert_eq!(reply.reason(), "response_timeout");
    assert_eq!(started.elapsed().as_millis(), 1000);
    // How long a client waits says nothing about a backend.
    let errors = proxy
        .handle
        .metrics()
        .backends
        .values()
        .map(|b| b.error_count)
        .sum::<u64>();
    assert_eq!(errors, 1);
}

#[tokio::test(start_paused = true)]
async fn hedges_a_slow_request_and_drops_the_slower() {
    let proxy = Proxy::with(&TWO, "retry = { hedge = \"200ms\" }");
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let started = Instant::now();
    let (reply, ()) = join(client.get("/"), async {
        let mut slow = tokio::select! {
            pipe = a.0.recv() => Http1::new(pipe.unwrap()),
            pipe = b.0.recv() => Http1::new(pipe.unwrap()),
        };
        slow.head().await;
        let mut fast = tokio::select! {
            pipe = a.0.recv() => Http1::new(pipe.unwrap()),
            pipe = b.0.recv() => Http1::new(pipe.unwrap()),
        };
        fast.answer("fast").await;
        slow.closed().await;
    })
    .await;
    assert_eq!(reply.text(), "fast");
    assert_eq!(started.elapsed().as_millis(), 200);
    settle().await;
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn hedges_nothing_that_has_an_effect() {
    let proxy = Proxy::with(&TWO, "retry = { hedge = \"200ms\" }");
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let (reply, ()) = join(client.send(post("/")), async {
        let mut backend = tokio::select! {
            pipe = a.0.recv() => Http1::new(pipe.unwrap()),
            pipe = b.0.recv() => Http1::new(pipe.unwrap()),
        };
        backend.head().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        backend.say(OK).await;
    })
    .await;
    assert_eq!(reply.text(), "ok");
    assert!(a.is_empty() && b.is_empty());
}

#[tokio::test(start_paused = true)]
async fn waits_on_where_the_body_was_let_go() {
    let proxy = Proxy::with(
        &["h2c://a:80", "h2c://b:80"],
        "retry = { per_try_timeout = \"1s\" }",
    );
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let mut put = post("/");
    *put.method_mut() = http::Method::PUT;
    let (response, mut upload) = client.open(put).await;
    let upload = async {
        let body = bytes::Bytes::from(vec![7; 100_000]);
        super::client::write_body(&mut upload, body, true).await;
    };
    let answer = async {
        let pipe = tokio::select! {
            Some(pipe) = a.0.recv() => pipe,
            Some(pipe) = b.0.recv() => pipe,
        };
        let mut slow = super::backend::Http2::built(pipe, &h2::server::Builder::new()).await;
        let (request, mut respond) = slow.request().await;
        super::client::read_body(request.into_body()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        super::backend::answer(&mut respond, "late");
        settle().await;
    };
    let (reply, ((), ())) = join(read(response), join(answer, upload)).await;
    assert_eq!(reply.unwrap().text(), "late");
    assert!(a.is_empty() && b.is_empty());
}
