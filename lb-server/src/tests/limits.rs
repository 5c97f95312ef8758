//! Rate limits: who is refused, when he may come again, and what everybody is told.

mod store;

use std::time::Duration;

use http::{Request, StatusCode};

use super::Proxy;
use super::client::{Client, Reply, get};
use crate::config::{Config, LoadBalancerConfig, RateLimitConfig, ServerConfig};
use crate::metrics::RateLimitMetrics;
use crate::server::Server;
use crate::{Algorithm, CacheConfig, SessionConfig};

/// Routes `/a` and `/b` under these limits, and `/free` under none, answered without a backend.
fn routes(limits: &str, tables: &str) -> String {
    format!(
        "[[routes]]\nname = \"a\"\nmatch = {{ path = \"/a\" }}\nrespond = {{ status = 200 }}\nrate_limits = {limits}\n\
         [[routes]]\nname = \"b\"\nmatch = {{ path = \"/b\" }}\nrespond = {{ status = 200 }}\nrate_limits = {limits}\n\
         [[routes]]\nname = \"free\"\nmatch = {{ path = \"/free\" }}\nrespond = {{ status = 200 }}\n\
         {tables}"
    )
}

/// A proxy whose routes have one limit, `[rate_limits.one]`.
fn one(table: &str) -> Proxy {
    let table = format!("[rate_limits.one]\n{table}\n");
    Proxy::with(&["http://a:80"], &routes("[\"one\"]", &table))
}

/// How many of so many requests pass.
async fn passing(client: &mut Client, path: &str, requests: usize) -> usize {
    let mut passed = 0;
    for _ in 0..requests {
        let status = client.get(path).await.status();
        assert!(
            status == StatusCode::OK || status == StatusCode::TOO_MANY_REQUESTS,
            "{status}"
        );
        passed += usize::from(status == StatusCode::OK);
    }
    passed
}

/// A request of the client that a trusted proxy names, with one more field.
async fn from(client: &mut Client, address: &str, field: Option<(&str, &str)>) -> Reply {
    let mut request = Request::get("http://app.example/a").header("x-forwarded-for", address);
    if let Some((name, value)) = field {
        request = request.header(name, value);
    }
    client.send(request.body(()).unwrap()).await
}

fn metrics(proxy: &Proxy, name: &str) -> RateLimitMetrics {
    proxy.handle.metrics().rate_limits[name].clone()
}

#[tokio::test(start_paused = true)]
async fn refuses_what_is_beyond_the_limit_and_says_so() {
    let proxy = one("limit = 3\nwindow = \"1m\"");
    let mut client = proxy.connect().await;
    for left in [2, 1, 0] {
        let reply = client.get("/a").await;
        assert_eq!(reply.status(), StatusCode::OK);
        assert_eq!(reply.field("ratelimit-policy"), "\"one\";q=3;w=60");
        let told = format!("\"one\";r={left};t=20");
        assert_eq!(reply.field("ratelimit"), told);
        assert_eq!(reply.field("retry-after"), "");
    }
    let reply = client.get("/a").await;
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.reason(), "rate_limited");
    assert_eq!(reply.field("retry-after"), "20");
    assert_eq!(reply.field("ratelimit-policy"), "\"one\";q=3;w=60");
    assert_eq!(reply.field("ratelimit"), "\"one\";r=0;t=20");
    assert_eq!(reply.field("cache-control"), "no-store");
    assert_eq!(reply.field("content-type"), "application/problem+json");
    assert_eq!(reply.field("proxy-status"), "lb; error=http_request_denied");
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(problem["violated-policies"], serde_json::json!(["one"]));
    let counted = metrics(&proxy, "one");
    assert_eq!((counted.admitted, counted.refused), (3, 1));
    assert_eq!(proxy.handle.metrics().reasons["rate_limited"], 1);
}

#[tokio::test(start_paused = true)]
async fn passes_again_when_it_said_and_not_before() {
    for algorithm in ["token-bucket", "sliding-window"] {
        let proxy = one(&format!(
            "limit = 3\nwindow = \"30s\"\nalgorithm = \"{algorithm}\""
        ));
        let mut client = proxy.connect().await;
        assert_eq!(passing(&mut client, "/a", 4).await, 3);
        let reply = client.get("/a").await;
        let wait: u64 = reply.field("retry-after").parse().unwrap();
        let almost = Duration::from_secs(wait) - Duration::from_millis(1100);
        tokio::time::sleep(almost).await;
        assert_eq!(passing(&mut client, "/a", 1).await, 0, "{algorithm}");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(passing(&mut client, "/a", 1).await, 1, "{algorithm}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_is_told() {
    let proxy = one("limit = 1");
    let mut client = proxy.connect().await;
    for _ in 0..3 {
        let reply = client.get("/free").await;
        assert_eq!(reply.status(), StatusCode::OK);
        assert_eq!(reply.field("ratelimit-policy"), "");
        assert_eq!(reply.field("ratelimit"), "");
    }
    let reply = client.get("/none").await;
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert_eq!(reply.field("ratelimit-policy"), "");
}

#[tokio::test(start_paused = true)]
async fn says_nothing_of_a_limit_that_is_to_be_silent() {
    let proxy = one("limit = 1\nheaders = false");
    let mut client = proxy.connect().await;
    let reply = client.get("/a").await;
    assert_eq!(reply.field("ratelimit-policy"), "");
    let reply = client.get("/a").await;
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.field("ratelimit"), "");
    assert_eq!(reply.field("retry-after"), "60");
    assert!(!String::from_utf8(reply.body).unwrap().contains("one"));
}

#[tokio::test(start_paused = true)]
async fn tells_of_the_limit_whatever_the_answer_is() {
    let more =
        "[[routes]]\npool = \"default\"\nrate_limits = [\"one\"]\n[rate_limits.one]\nlimit = 9\n";
    let proxy = Proxy::with(&["http://a:80"], more);
    let mut client = proxy.connect().await;
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(reply.field("ratelimit-policy"), "\"one\";q=9;w=60");
    assert_eq!(reply.field("ratelimit"), "\"one\";r=8;t=7");
    let mut backlog = proxy.backend("a");
    let backend = tokio::spawn(async move {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend
            .say("HTTP/1.1 200 OK\r\nratelimit: \"theirs\";r=1\r\ncontent-length: 0\r\n\r\n")
            .await;
    });
    let reply = client.get("/").await;
    assert_eq!(reply.status(), StatusCode::OK);
    let told = reply.head.headers().get_all("ratelimit");
    let told: Vec<_> = told.iter().map(|value| value.to_str().unwrap()).collect();
    // A backend may have limits of its own: the field is a list.
    assert_eq!(told, ["\"theirs\";r=1", "\"one\";r=7;t=7"]);
    backend.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn counts_each_client_by_itself() {
    let trusted = "[server]\ntrusted_proxies = [\"192.0.2.1\"]\n";
    let table = format!("[rate_limits.one]\nlimit = 1\nipv4_prefix = 24\n{trusted}");
    let proxy = Proxy::with(&["http://a:80"], &routes("[\"one\"]", &table));
    let mut client = proxy.connect().await;
    for (address, status) in [
        ("198.51.100.1", 200),
        ("198.51.100.1", 429),
        ("198.51.100.9", 429),
        ("198.51.101.1", 200),
        ("2001:db8::1", 200),
        ("2001:db8::ffff:1", 429),
        ("2001:db8:0:1::1", 200),
        ("::ffff:198.51.101.7", 429),
    ] {
        let reply = from(&mut client, address, None).await;
        assert_eq!(reply.status().as_u16(), status, "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_by_a_field_and_by_the_address_without_it() {
    let trusted = "[server]\ntrusted_proxies = [\"192.0.2.1\"]\n";
    for (key, name, one, two) in [
        ("header:x-key", "x-key", "1", "2"),
        ("cookie:id", "cookie", "a=b; id=1", "id=2; a=b"),
    ] {
        let table = format!("[rate_limits.one]\nlimit = 1\nkey = \"{key}\"\n{trusted}");
        let proxy = Proxy::with(&["http://a:80"], &routes("[\"one\"]", &table));
        let mut client = proxy.connect().await;
        for (address, value, status) in [
            ("198.51.100.1", Some(one), 200),
            ("198.51.100.2", Some(one), 429),
            ("198.51.100.2", Some(two), 200),
            ("198.51.100.2", None, 200),
            ("198.51.100.2", None, 429),
            ("198.51.100.3", None, 200),
        ] {
            let field = value.map(|value| (name, value));
            let reply = from(&mut client, address, field).await;
            assert_eq!(reply.status().as_u16(), status, "{key} {address} {value:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_given_twice_is_as_good_as_none() {
    for (key, name, values) in [
        ("header:x-key", "x-key", ["real", "junk"]),
        ("cookie:id", "cookie", ["id=real", "id=junk"]),
    ] {
        let proxy = one(&format!("limit = 1\nkey = \"{key}\""));
        let mut client = proxy.connect().await;
        let mut passed = 0;
        for number in 0..4 {
            let request = Request::get("http://app.example/a").header(name, values[0]);
            let request = request.header(name, format!("{}{number}", values[1]));
            let reply = client.send(request.body(()).unwrap()).await;
            passed += usize::from(reply.status() == StatusCode::OK);
        }
        assert_eq!(passed, 1, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_routes_apart_where_the_route_is_a_key() {
    let apart = one("limit = 2\nkey = [\"client-ip\", \"route\"]");
    let mut client = apart.connect().await;
    assert_eq!(passing(&mut client, "/a", 3).await, 2);
    assert_eq!(passing(&mut client, "/b", 3).await, 2);
    let together = one("limit = 2");
    let mut client = together.connect().await;
    assert_eq!(passing(&mut client, "/a", 3).await, 2);
    assert_eq!(passing(&mut client, "/b", 3).await, 0);
}

#[tokio::test(start_paused = true)]
async fn counts_under_all_limits_or_under_none() {
    let tables = "[rate_limits.few]\nlimit = 1\nwindow = \"10s\"\n[rate_limits.many]\nlimit = 3\nwindow = \"1h\"\n";
    let proxy = Proxy::with(&["http://a:80"], &routes("[\"many\", \"few\"]", tables));
    let mut client = proxy.connect().await;
    let reply = client.get("/a").await;
    assert_eq!(
        reply.field("ratelimit-policy"),
        "\"many\";q=3;w=3600, \"few\";q=1;w=10"
    );
    assert_eq!(
        reply.field("ratelimit"),
        "\"many\";r=2;t=1200, \"few\";r=0;t=10"
    );
    assert_eq!(passing(&mut client, "/a", 5).await, 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(passing(&mut client, "/a", 1).await, 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    // What `few` refused was not taken from `many`.
    assert_eq!(passing(&mut client, "/a", 1).await, 1);
    assert_eq!(
        (
            metrics(&proxy, "many").admitted,
            metrics(&proxy, "many").refused
        ),
        (3, 0)
    );
    assert_eq!(
        (
            metrics(&proxy, "few").admitted,
            metrics(&proxy, "few").refused
        ),
        (3, 5)
    );
}

#[tokio::test(start_paused = true)]
async fn observes_without_refusing() {
    let proxy = one("limit = 2\nmode = \"observe\"");
    let mut client = proxy.connect().await;
    assert_eq!(passing(&mut client, "/a", 5).await, 5);
    assert_eq!(client.get("/a").await.field("ratelimit-policy"), "");
    let counted = metrics(&proxy, "one");
    assert_eq!(
        (counted.admitted, counted.observed, counted.refused),
        (2, 4, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn takes_the_cost_and_the_burst_into_account() {
    let proxy = one("limit = 10\nwindow = \"10s\"\nburst = 4\ncost = 2");
    let mut client = proxy.connect().await;
    assert_eq!(passing(&mut client, "/a", 4).await, 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(passing(&mut client, "/a", 2).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_survives_a_reload() {
    let text = |limit: u32| {
        let table = format!(
            "[rate_limits.one]\nalgorithm = \"sliding-window\"\nlimit = {limit}\nwindow = \"1h\"\n"
        );
        format!(
            "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\nbackends = [\"http://a:80\"]\n\
             health_check = \"off\"\n{}",
            routes("[\"one\"]", &table)
        )
    };
    let proxy = Proxy::new(&text(3));
    let mut client = proxy.connect().await;
    assert_eq!(passing(&mut client, "/a", 4).await, 3);
    for (limit, passes) in [(3, 0), (5, 2), (4, 0)] {
        let config = Config::from_toml(&text(limit), "test").unwrap();
        proxy.handle.reload(config).await.unwrap();
        let reply = client.get("/a").await;
        let policy = format!("\"one\";q={limit};w=3600");
        assert_eq!(reply.field("ratelimit-policy"), policy);
        let first = usize::from(reply.status() == StatusCode::OK);
        assert_eq!(
            first + passing(&mut client, "/a", 4).await,
            passes,
            "{limit}"
        );
    }
    assert_eq!(metrics(&proxy, "one").admitted, 5);
}

#[test]
fn a_program_gives_its_limit_the_name_default() {
    let server = |limit| {
        let listener = ServerConfig::new("127.0.0.1:0");
        let pool = LoadBalancerConfig::new(Algorithm::RoundRobin);
        Server::new(
            listener,
            pool,
            SessionConfig::off(),
            limit,
            CacheConfig::off(),
        )
    };
    let limited = server(RateLimitConfig::new(100, Duration::from_secs(60))).unwrap();
    assert_eq!(limited.config.routes[0].rate_limits, ["default"]);
    assert_eq!(limited.config.rate_limits["default"].limit, 100);
    let free = server(RateLimitConfig::off()).unwrap();
    assert!(free.config.rate_limits.is_empty());
    assert!(server(RateLimitConfig::new(5, Duration::ZERO)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_clients_frees_nobody() {
    let trusted = "[server]\ntrusted_proxies = [\"192.0.2.1\"]\n";
    let table = format!("[rate_limits.one]\nlimit = 1\nwindow = \"1h\"\nmax_keys = 50\n{trusted}");
    let proxy = Proxy::with(&["http://a:80"], &routes("[\"one\"]", &table));
    let mut client = proxy.connect().await;
    assert_eq!(from(&mut client, "198.51.100.1", None).await.status(), 200);
    for number in 0..500_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
        from(&mut client, &address, None).await;
    }
    assert_eq!(from(&mut client, "198.51.100.1", None).await.status(), 429);
    // Others on the same connection are as free as they were.
    assert_eq!(client.send(get("/free")).await.status(), 200);
}
