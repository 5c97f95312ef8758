//! Another configuration under requests: what has a name keeps its state, and what runs goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;

use super::client::{get, read};
use super::{Proxy, config, settle};
use crate::config::Config;
use crate::{Error, ErrorKind, Exchange, LoadedConfig, ReloadReport, Request, Response, reply};

const HEAD: &str = "[listeners.default]\naddress = \"127.0.0.1:0\"\n";

/// One pool `default` of these backends, nothing probed, and what else there is.
fn pool_of(backends: &[&str], more: &str) -> String {
    format!("{HEAD}[pools.default]\nhealth_check = \"off\"\nbackends = {backends:?}\n{more}")
}

fn answer(text: &str) -> &'static str {
    let length = text.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}").leak()
}

async fn reload(proxy: &Proxy, toml: &str) -> Result<ReloadReport, Error> {
    proxy.handle.reload(config(toml, false)).await
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_finish_where_they_are() {
    let proxy = Proxy::new(&pool_of(&["http://a:80", "http://b:80"], ""));
    let mut a = proxy.backend("a");
    let b = proxy.backend("b").always(answer("b"));
    let mut client = proxy.connect().await;
    let (running, _) = client.start(get("/slow"), true).await;
    let mut slow = a.http1().await;
    slow.head().await;
    let report = reload(&proxy, &pool_of(&["http://b:80", "http://c:80"], "")).await;
    let report = report.unwrap();
    assert_eq!(report.removed, ["pools.default.backends.http://a:80"]);
    assert_eq!(report.added, ["pools.default.backends.http://c:80"]);
    assert!(report.changed.is_empty(), "{report:?}");
    let c = proxy.backend("c").always(answer("c"));
    for _request in 0..6 {
        assert_ne!(client.get("/").await.text(), "a");
    }
    assert_eq!(
        (b.load(Ordering::Relaxed), c.load(Ordering::Relaxed)),
        (3, 3)
    );
    slow.say(answer("done at last")).await;
    assert_eq!(read(running).await.unwrap().text(), "done at last");
    // Its connection is of no use to anybody.
    slow.closed().await;
}

#[tokio::test(start_paused = true)]
async fn backends_that_stay_keep_connections_counts_and_turns() {
    let two = ["http://a:80", "http://b:80"];
    let proxy = Proxy::new(&pool_of(&two, "retry = \"off\"\n"));
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/1"), true).await;
    let mut at_a = a.http1().await;
    at_a.answer("one").await;
    read(first).await.unwrap();
    let report = reload(&proxy, &pool_of(&two, "retry = \"off\"\n"))
        .await
        .unwrap();
    assert!(report.is_unchanged(), "{report:?}");
    // A timeout changes nothing about what is open.
    let patient = pool_of(
        &["http://a:80", "http://b:80", "http://c:80"],
        "retry = \"off\"\n",
    );
    let patient = format!("{patient}[pools.default.timeouts]\nresponse_headers = \"1s\"\n");
    let report = reload(&proxy, &patient).await.unwrap();
    assert_eq!(report.changed, ["pools.default"]);
    let (second, _) = client.start(get("/2"), true).await;
    let mut at_b = b.http1().await;
    at_b.answer("two").await;
    read(second).await.unwrap();
    proxy.backend("c").always(answer("c"));
    assert_eq!(client.get("/3").await.text(), "c");
    let (fourth, _) = client.start(get("/4"), true).await;
    at_a.head().await;
    assert!(a.is_empty(), "the connection was kept");
    assert_eq!(proxy.in_flight(), 1);
    // The new timeout counts.
    let reply = read(fourth).await.unwrap();
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
    let metrics = proxy.handle.metrics();
    assert_eq!(metrics.backends["default/http://a:80"].request_count, 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_name_elsewhere_is_another_place() {
    let at = |url: &str| {
        format!(
            "{HEAD}[pools.default]\nhealth_check = \"off\"\nbackends = [{{ name = \"one\", url = \"{url}\" }}]\n"
        )
    };
    let proxy = Proxy::new(&at("http://a:80"));
    let mut a = proxy.backend("a");
    let b = proxy.backend("b").always(answer("b"));
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/"), true).await;
    let mut at_a = a.http1().await;
    at_a.head().await;
    let report = reload(&proxy, &at("http://b:80")).await.unwrap();
    assert_eq!(report.changed, ["pools.default.backends.one"]);
    assert_eq!(client.get("/").await.text(), "b");
    at_a.say(answer("a")).await;
    assert_eq!(read(first).await.unwrap().text(), "a");
    at_a.closed().await;
    assert_eq!(client.get("/").await.text(), "b");
    assert_eq!(b.load(Ordering::Relaxed), 2);
    let counted = &proxy.handle.metrics().backends["default/one"];
    assert_eq!(counted.request_count, 3);
}

#[tokio::test(start_paused = true)]
async fn an_ejection_outlives_a_reload_and_ends_in_time() {
    let two = ["http://a:80", "http://b:80"];
    let strict =
        "outlier_detection = { consecutive_errors = 2, eject_for = \"60s\" }\nretry = \"off\"\n";
    let proxy = Proxy::new(&pool_of(&two, strict));
    proxy
        .backend("a")
        .always("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    proxy.backend("b").always(answer("b"));
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        client.get("/").await;
    }
    // With another algorithm, and a route before.
    let more = format!(
        "algorithm = \"least-connections\"\n{strict}[[routes]]\nname = \"r\"\npool = \"default\"\n"
    );
    let report = reload(&proxy, &pool_of(&two, &more)).await.unwrap();
    assert_eq!(report.changed, ["pools.default"]);
    for _request in 0..10 {
        assert_eq!(client.get("/").await.text(), "b");
    }
    tokio::time::sleep(Duration::from_secs(75)).await;
    let mut client = proxy.connect().await;
    let mut statuses = Vec::new();
    for _request in 0..16 {
        statuses.push(client.get("/").await.status());
    }
    assert!(
        statuses.contains(&StatusCode::INTERNAL_SERVER_ERROR),
        "{statuses:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_gets_one_that_a_reload_makes() {
    let limited = |limit: u32| {
        format!(
            "{HEAD}[pools.default]\nhealth_check = \"off\"\nbackends = [{{ url = \"http://a:80\", max_connections = {limit} }}]\n\
                 [pools.default.timeouts]\nqueue = \"1m\"\n"
        )
    };
    let proxy = Proxy::new(&limited(1));
    let mut a = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (first, _) = client.start(get("/1"), true).await;
    let mut one = a.http1().await;
    one.head().await;
    let (second, _) = client.start(get("/2"), true).await;
    settle().await;
    assert!(a.is_empty());
    reload(&proxy, &limited(2)).await.unwrap();
    a.http1().await.answer("two").await;
    assert_eq!(read(second).await.unwrap().text(), "two");
    // A smaller limit counts what is in flight.
    reload(&proxy, &limited(1)).await.unwrap();
    let (third, _) = client.start(get("/3"), true).await;
    settle().await;
    assert_eq!(proxy.in_flight(), 1);
    one.say(answer("one")).await;
    assert_eq!(read(first).await.unwrap().text(), "one");
    one.answer("three").await;
    assert_eq!(read(third).await.unwrap().text(), "three");
}

#[tokio::test(start_paused = true)]
async fn what_operators_changed_is_as_configured_again() {
    let two = ["http://a:80", "http://b:80"];
    let proxy = Proxy::new(&pool_of(&two, ""));
    let a = proxy.backend("a").always(answer("a"));
    let b = proxy.backend("b").always(answer("b"));
    let handle = &proxy.handle;
    assert!(handle.drain_backend("default/http://a:80", true));
    handle
        .add_backend(crate::BackendConfig::new("http://c:80").unwrap())
        .unwrap();
    assert!(handle.remove_backend("default/http://b:80"));
    let report = reload(&proxy, &pool_of(&two, "")).await.unwrap();
    assert_eq!(report.undone, ["default/http://a:80"]);
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        assert_eq!(client.get("/").await.status(), StatusCode::OK);
    }
    assert_eq!(
        (a.load(Ordering::Relaxed), b.load(Ordering::Relaxed)),
        (2, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn routes_and_pools_come_and_go() {
    let proxy = Proxy::new(&pool_of(&["http://a:80"], ""));
    proxy.backend("a").always(answer("a"));
    proxy.backend("b").always(answer("b"));
    let mut client = proxy.connect().await;
    assert_eq!(client.get("/b").await.text(), "a");
    let more = "[pools.other]\nhealth_check = \"off\"\nbackends = [\"http://b:80\"]\n\
                [[routes]]\nname = \"b\"\nmatch = { path = \"/b\" }\npool = \"other\"\n\
                [[routes]]\nname = \"rest\"\npool = \"default\"\n";
    let report = reload(&proxy, &pool_of(&["http://a:80"], more))
        .await
        .unwrap();
    assert!(
        report.added.contains(&"pools.other".to_owned()),
        "{report:?}"
    );
    assert!(report.added.contains(&"routes.b".to_owned()), "{report:?}");
    assert_eq!(client.get("/b").await.text(), "b");
    assert_eq!(client.get("/").await.text(), "a");
    let other = proxy.handle.snapshot().pools["other"].clone();
    let target = other.target(&lb_core::BackendId::new("other/http://b:80"));
    let report = reload(&proxy, &pool_of(&["http://a:80"], ""))
        .await
        .unwrap();
    assert!(
        report.removed.contains(&"pools.other".to_owned()),
        "{report:?}"
    );
    assert_eq!(client.get("/b").await.text(), "a");
    settle().await;
    assert_eq!(std::sync::Arc::strong_count(&other), 1, "nobody keeps it");
    drop(other);
    // Nor do the connections.
    assert_eq!(std::sync::Arc::strong_count(&target.unwrap()), 1);
}

#[tokio::test(start_paused = true)]
async fn probes_ask_those_that_there_are() {
    let probed = |backends: &[&str]| {
        format!(
            "{HEAD}[pools.default]\nhealth_check = {{ path = \"/up\", interval = \"10s\" }}\nbackends = {backends:?}\n"
        )
    };
    let proxy = Proxy::new(&probed(&["http://a:80"]));
    let a = proxy.backend("a").always(answer("a"));
    let b = proxy.backend("b").always(answer("b"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        (a.load(Ordering::Relaxed), b.load(Ordering::Relaxed)),
        (1, 0)
    );
    reload(&proxy, &probed(&["http://b:80"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(a.load(Ordering::Relaxed), 1);
    assert!(b.load(Ordering::Relaxed) >= 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_changes_nothing() {
    let proxy = Proxy::new(&pool_of(&["http://a:80"], ""));
    proxy.backend("a").always(answer("a"));
    let before = proxy.handle.config();
    let mut client = proxy.connect().await;
    // The first pool could be changed before the second is found to be wrong.
    let broken = "[pools.x]\nhealth_check = \"off\"\nbackends = [\"https://b:1\"]\ntls = { ca = \"/nowhere.pem\" }\n\
                  [[routes]]\nname = \"b\"\nmatch = { path = \"/b\" }\npool = \"x\"\n\
                  [[routes]]\nname = \"rest\"\npool = \"default\"\n";
    let error = reload(&proxy, &pool_of(&["http://z:80"], broken))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_eq!(client.get("/").await.text(), "a");
    let mut contradictory = Config::clone(&before);
    contradictory.routes[0].target = crate::TargetConfig::Pool("none".to_owned());
    let error = proxy.handle.reload(contradictory).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(proxy.handle.config(), before);
    let status = proxy.handle.reloads();
    assert_eq!((status.succeeded, status.failed), (0, 2));
    assert!(!status.is_last_successful());
    let (_, why) = status.last_failure.unwrap();
    assert!(why.contains("`none`"), "{why}");
    reload(&proxy, &pool_of(&["http://a:80"], ""))
        .await
        .unwrap();
    assert!(proxy.handle.reloads().is_last_successful());
    assert_eq!(client.get("/").await.text(), "a");
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_restart_is_said_and_stays() {
    let proxy = Proxy::new(&pool_of(&["http://a:80"], ""));
    let more = "[server]\nthreads = 3\npseudonym = \"other\"\nmax_connections = 7\n";
    for _again in 0..2 {
        let report = reload(&proxy, &pool_of(&["http://a:80"], more))
            .await
            .unwrap();
        assert_eq!(report.needs_restart, ["server.threads", "server.pseudonym"]);
    }
    let server = &proxy.handle.config().server;
    assert_eq!((server.threads, server.pseudonym.as_str()), (None, "lb"));
    assert_eq!(server.max_connections.map(u32::from), Some(7));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reloaded_while_draining() {
    let proxy = Proxy::new(&pool_of(&["http://a:80"], ""));
    proxy.handle.shutdown();
    let error = reload(&proxy, &pool_of(&["http://b:80"], ""))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Draining);
    assert!(error.to_string().contains("draining"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_source_is_read_each_time() {
    let proxy = Proxy::new(&pool_of(&["http://a:80"], ""));
    let error = proxy.handle.reload_from_source().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let reads = std::sync::atomic::AtomicU32::new(0);
    let source = move || match reads.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(LoadedConfig::from(config(
            &pool_of(&["http://b:80"], ""),
            false,
        ))),
        _ => Err("the disk is gone".into()),
    };
    proxy.handle.set_source(std::sync::Arc::new(source));
    proxy.handle.reload_from_source().await.unwrap();
    proxy.backend("b").always(answer("b"));
    let mut client = proxy.connect().await;
    assert_eq!(client.get("/").await.text(), "b");
    let error = proxy.handle.reload_from_source().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the disk is gone");
    assert_eq!(client.get("/").await.text(), "b");
}

#[tokio::test(start_paused = true)]
async fn reloads_that_come_together_go_one_by_one() {
    let proxy = Proxy::new(&pool_of(&["http://a:80"], ""));
    let names: Vec<String> = (0..8).map(|n| format!("http://b{n}:80")).collect();
    let all = names.iter().map(|name| pool_of(&[name], ""));
    let reloads: Vec<_> = all
        .map(|toml| {
            let handle = proxy.handle.clone();
            tokio::spawn(async move { handle.reload(config(&toml, false)).await })
        })
        .collect();
    for reload in reloads {
        let report = reload.await.unwrap().unwrap();
        assert_eq!((report.added.len(), report.removed.len()), (1, 1));
    }
    let backends = proxy.handle.metrics().backends;
    assert_eq!(backends.len(), 1, "{:?}", backends.keys());
}

#[tokio::test(start_paused = true)]
async fn affinity_binds_to_those_that_are_left() {
    let more =
        "affinity = { cookie = \"route\", secret = \"1111111111111111111111111111111111\" }\n";
    let proxy = Proxy::new(&pool_of(&["http://a:80", "http://b:80"], more));
    for host in ["a", "b", "c"] {
        proxy.backend(host).always(answer(host));
    }
    let mut client = proxy.connect().await;
    let first = client.get("/").await;
    let home = first.text().to_owned();
    let (cookie, _) = first.field("set-cookie").split_once(';').unwrap();
    let bound = || {
        let mut request = get("/");
        request
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        request
    };
    let kept = format!("http://{home}:80");
    reload(&proxy, &pool_of(&["http://c:80", &kept], more))
        .await
        .unwrap();
    for _request in 0..4 {
        assert_eq!(client.send(bound()).await.text(), home);
    }
    reload(&proxy, &pool_of(&["http://c:80"], more))
        .await
        .unwrap();
    let moved = client.send(bound()).await;
    assert_eq!(moved.text(), "c");
    assert!(!moved.field("set-cookie").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cache_keeps_what_a_route_still_asks_for() {
    let cached = |size: &str, routes: &[&str]| {
        let routes: String = routes
            .iter()
            .map(|path| format!("[[routes]]\nmatch = {{ path = \"{path}\" }}\npool = \"default\"\ncache = \"main\"\n"))
            .collect();
        pool_of(
            &["http://a:80"],
            &format!(
                "[caches.main]\nmax_size = \"{size}\"\n{routes}\
            [[routes]]\nname = \"rest\"\npool = \"default\"\n"
            ),
        )
    };
    let proxy = Proxy::new(&cached("64MiB", &["/a/*", "/b/*"]));
    let asked = proxy
        .backend("a")
        .always("HTTP/1.1 200 OK\r\ncache-control: max-age=600\r\ncontent-length: 2\r\n\r\nok");
    let mut client = proxy.connect().await;
    client.get("/a/1").await;
    client.get("/b/1").await;
    for (size, routes, entries) in [
        ("64MiB", &["/a/*", "/b/*"][..], 2),
        // Fewer locks, another size, fewer routes.
        ("8MiB", &["/a/*", "/b/*"], 2),
        ("65MiB", &["/a/*"], 1),
    ] {
        reload(&proxy, &cached(size, routes)).await.unwrap();
        assert_eq!(
            proxy.handle.metrics().caches["main"].entries,
            entries,
            "{size}"
        );
        assert!(
            client
                .get("/a/1")
                .await
                .field("cache-status")
                .contains("hit")
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let metrics = &proxy.handle.metrics().caches["main"];
    assert_eq!((metrics.hits, metrics.stored, metrics.purged), (3, 2, 1));
    // Under another key what is stored would answer what it was not for.
    let keyed = cached("65MiB", &["/a/*"]).replace("max_size", "query = \"none\"\nmax_size");
    reload(&proxy, &keyed).await.unwrap();
    assert_eq!(proxy.handle.metrics().caches["main"].entries, 0);
}

async fn count_visits(_request: Request, exchange: Exchange) -> Result<Response, Error> {
    let session = exchange.session();
    let visits = session.get::<u32>("visits").await?.unwrap_or_default() + 1;
    session.insert("visits", &visits).await?;
    Ok(reply::text(200, visits.to_string()))
}

#[tokio::test(start_paused = true)]
async fn sessions_outlive_reloads_with_and_without_a_secret() {
    let proxy = Proxy::handled_with(&["http://a:80"], "[sessions]\n", count_visits);
    let mut client = proxy.connect().await;
    let first = client.get("/").await;
    let (cookie, _) = first.field("set-cookie").split_once(';').unwrap();
    for visits in 2..5 {
        proxy.reload("[sessions]\nidle_timeout = \"10m\"\n").await;
        let mut request = get("/");
        request
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        assert_eq!(client.send(request).await.text(), visits.to_string());
    }
}
