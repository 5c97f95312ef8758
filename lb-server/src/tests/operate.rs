//! What operators change in pools while they run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Proxy, settle};
use crate::admin::{BackendChange, BackendOrder, BackendState, BackendStatus, NewBackend};
use crate::error::ErrorKind;

const A: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
const B: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb";
const TWO: [&str; 2] = ["http://a:80", "http://b:80"];

impl Proxy {
    fn order(&self, host: &str, order: BackendOrder) -> BackendStatus {
        self.change(host, &BackendChange::default().state(order))
    }

    fn change(&self, host: &str, change: &BackendChange) -> BackendStatus {
        let label = format!("http://{host}:80");
        let changed = self.handle.change_backend("default", &label, change);
        changed.unwrap()
    }

    /// What differs from the configuration: backend, what, configured, in force.
    fn drift(&self) -> Vec<(String, String, Option<String>, Option<String>)> {
        let drift = self.handle.drift().into_iter();
        drift
            .map(|it| (it.backend, it.what, it.configured, it.in_force))
            .collect()
    }
}

fn new(url: &str) -> NewBackend {
    serde_json::from_value(serde_json::json!({ "url": url })).unwrap()
}

#[tokio::test(start_paused = true)]
async fn maintenance_keeps_requests_and_probes_away_until_it_ends() {
    let proxy = Proxy::with(
        &TWO,
        "health_check = { type = \"http\", path = \"/up\", interval = \"1s\" }",
    );
    let at_a = proxy.backend("a").always(A);
    proxy.backend("b").always(B);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = proxy.order("a", BackendOrder::Maintain);
    assert_eq!(status.state, BackendState::Maintenance);
    settle().await;
    let before = at_a.load(Ordering::Relaxed);
    let mut client = proxy.connect().await;
    for _request in 0..10 {
        assert_eq!(client.get("/").await.text(), "b");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(at_a.load(Ordering::Relaxed), before, "it was probed");
    let (state, since) = {
        let pool = &proxy.handle.pools()[0];
        (pool.backends[0].state, pool.backends[0].since)
    };
    assert_eq!(state, BackendState::Maintenance);
    assert!(crate::clock::unix_seconds(crate::clock::now()) - since < 3600.0);
    let back = proxy.order("a", BackendOrder::Ready);
    assert_eq!(back.state, BackendState::Ready);
    let mut client = proxy.connect().await;
    let mut answered =
        [client.get("/").await, client.get("/").await].map(|it| it.text().to_owned());
    answered.sort();
    assert_eq!(answered, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn weights_and_limits_count_from_the_next_request_on() {
    let proxy = Proxy::with(&TWO, "algorithm = \"weighted-round-robin\"");
    let at_a = proxy.backend("a").always(A);
    let at_b = proxy.backend("b").always(B);
    assert_eq!(
        proxy
            .change("b", &BackendChange::default().weight(3))
            .weight,
        3
    );
    let limited = proxy.change("a", &BackendChange::default().max_connections(Some(7)));
    assert_eq!(limited.max_connections, Some(7));
    let mut client = proxy.connect().await;
    for _request in 0..8 {
        client.get("/").await;
    }
    let counts = (at_a.load(Ordering::Relaxed), at_b.load(Ordering::Relaxed));
    assert_eq!(counts, (2, 6));
    let expected = |backend: &str, what: &str, said: Option<&str>, is: &str| {
        let text = |it: &str| it.to_owned();
        (text(backend), text(what), said.map(text), Some(text(is)))
    };
    assert_eq!(
        proxy.drift(),
        [
            expected("http://a:80", "max_connections", None, "7"),
            expected("http://b:80", "weight", Some("1"), "3"),
        ]
    );
    let lifted = proxy.change("a", &BackendChange::default().max_connections(None));
    assert_eq!(lifted.max_connections, None);
    proxy.change("b", &BackendChange::default().weight(1));
    assert_eq!(proxy.drift(), []);
}

#[tokio::test(start_paused = true)]
async fn a_backend_comes_and_goes() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.backend("a").always(A);
    proxy.backend("b").always(B);
    let added = proxy.handle.add_backend_to("default", &new("http://b:80"));
    assert_eq!(added.unwrap().id, "http://b:80");
    let again = proxy.handle.add_backend_to("default", &new("http://b:80"));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    let mut client = proxy.connect().await;
    assert_eq!(client.get("/").await.text(), "a");
    assert_eq!(client.get("/").await.text(), "b");
    assert_eq!(proxy.drift()[0].1, "added");
    for label in ["http://a:80", "http://b:80"] {
        proxy.handle.remove_backend_of("default", label).unwrap();
    }
    assert_eq!(proxy.drift()[0].1, "removed");
    assert_eq!(client.get("/").await.reason(), "no_healthy_backend");
}

#[tokio::test(start_paused = true)]
async fn one_can_be_added_that_gets_nothing_yet() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.backend("a").always(A);
    let mut backend = new("http://b:80");
    backend.state = Some(BackendOrder::Maintain);
    let added = proxy.handle.add_backend_to("default", &backend).unwrap();
    assert_eq!(added.state, BackendState::Maintenance);
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        assert_eq!(client.get("/").await.text(), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_changes_nothing() {
    let proxy = Proxy::to(&TWO);
    let before = proxy.handle.pools();
    let change = |pool, backend, change| proxy.handle.change_backend(pool, backend, &change);
    let heavy = BackendChange::default()
        .weight(70_000)
        .state(BackendOrder::Drain);
    let none = BackendChange::default().max_connections(Some(0)).weight(5);
    for (pool, backend, wanted, kind, text) in [
        ("default", "http://a:80", heavy, ErrorKind::Config, "70000"),
        (
            "default",
            "http://a:80",
            none,
            ErrorKind::Config,
            "at least 1",
        ),
        (
            "default",
            "c",
            BackendChange::default().weight(2),
            ErrorKind::NotFound,
            "http://b:80",
        ),
        (
            "api",
            "http://a:80",
            BackendChange::default(),
            ErrorKind::NotFound,
            "there are: default",
        ),
    ] {
        let error = change(pool, backend, wanted).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    }
    let wrong = proxy.handle.add_backend_to("default", &new("ftp://a"));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(proxy.handle.drift(), []);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].eligible, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lifted_limit_lets_those_in_that_wait() {
    let proxy = Proxy::with(
        &["http://a:80"],
        "algorithm = \"round-robin\"\ntimeouts = { queue = \"10m\" }",
    );
    let mut backlog = proxy.backend("a");
    proxy.change("a", &BackendChange::default().max_connections(Some(1)));
    let (mut one, mut other) = (proxy.connect().await, proxy.connect().await);
    let first = tokio::spawn(async move { one.get("/").await.text().to_owned() });
    let mut first_at_a = backlog.http1().await;
    first_at_a.head().await;
    let second = tokio::spawn(async move { other.get("/").await.text().to_owned() });
    settle().await;
    let pool = &proxy.handle.pools()[0];
    assert_eq!(
        (pool.queue, pool.backends[0].state),
        (1, BackendState::Full)
    );
    proxy.change("a", &BackendChange::default().max_connections(Some(2)));
    let mut second_at_a = backlog.http1().await;
    second_at_a.answer("2").await;
    assert_eq!(second.await.unwrap(), "2");
    first_at_a
        .say("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
        .await;
    assert_eq!(first.await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_after_another_is_a_retry_of_the_second() {
    let proxy = Proxy::to(&TWO);
    proxy.backend("b").always(B);
    let mut client = proxy.connect().await;
    assert_eq!(client.get("/").await.text(), "b");
    let pool = &proxy.handle.pools()[0];
    let retries: Vec<u64> = pool.backends.iter().map(|it| it.retries).collect();
    assert_eq!((retries, pool.retries), (vec![0, 1], 1));
}
