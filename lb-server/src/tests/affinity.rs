//! Affinity: clients stay with their backend as long as that can be, and nobody learns which it is.

use http::{Request, StatusCode};
use lb_core::BackendId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Client, Reply, get};
use super::{Proxy, config, soon};
use crate::handler::{Exchange, Request as HandlerRequest, Response};
use crate::snapshot::Snapshot;
use crate::{Error, reply};

const A: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
const B: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb";
const TWO: [&str; 2] = ["http://a:80", "http://b:80"];
const SECRET: &str = "1111111111111111111111111111111111";

fn affinity(more: &str) -> String {
    format!("affinity = {{ cookie = \"route\", secret = \"{SECRET}\"{more} }}\n")
}

/// A proxy before two backends that say their names.
fn proxy(more: &str) -> Proxy {
    let proxy = Proxy::with(&TWO, &affinity(more));
    proxy.backend("a").always(A);
    proxy.backend("b").always(B);
    proxy
}

/// A client with a jar for the one cookie.
struct Browser {
    client: Client,
    jar: Option<String>,
}

impl Browser {
    async fn new(proxy: &Proxy) -> Self {
        Self {
            client: proxy.connect().await,
            jar: None,
        }
    }

    async fn get(&mut self, path: &str) -> Reply {
        let mut request: Request<()> = get(path);
        if let Some(jar) = &self.jar {
            request.headers_mut().insert("cookie", jar.parse().unwrap());
        }
        let reply = self.client.send(request).await;
        if let Some((pair, _)) = reply.field("set-cookie").split_once("; ") {
            self.jar = Some(pair.to_owned());
        }
        reply
    }

    /// Who answers, and whether the cookie is set.
    async fn served(&mut self) -> (String, bool) {
        let reply = self.get("/").await;
        let is_set = !reply.field("set-cookie").is_empty();
        (reply.text().to_owned(), is_set)
    }
}

fn id(name: &str) -> BackendId {
    BackendId::new(format!("default/http://{name}:80"))
}

fn other(name: &str) -> &'static str {
    if name == "a" { "b" } else { "a" }
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_with_its_backend() {
    let proxy = proxy(", ttl = \"1h\"");
    let mut browser = Browser::new(&proxy).await;
    let reply = browser.get("/").await;
    let home = reply.text().to_owned();
    let (pair, attributes) = reply.field("set-cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Max-Age=3600; Path=/; HttpOnly; SameSite=Lax");
    let value = pair.strip_prefix("route=").unwrap();
    assert_eq!(value.len(), 24, "{value}");
    assert_eq!(reply.field("cache-control"), "private");
    let mut stranger = Browser::new(&proxy).await;
    for _ in 0..5 {
        assert_eq!(browser.served().await, (home.clone(), false));
        stranger.jar = None;
        assert!(stranger.served().await.1);
    }
}

#[tokio::test(start_paused = true)]
async fn unbound_clients_are_balanced() {
    let proxy = proxy("");
    let mut homes = Vec::new();
    for _ in 0..6 {
        homes.push(Browser::new(&proxy).await.served().await.0);
    }
    assert_eq!(homes.iter().filter(|home| *home == "a").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_backend_sees_the_cookie() {
    let proxy = Proxy::with(&["http://a:80"], &affinity(""));
    let mut backlog = proxy.backend("a");
    let mut browser = Browser::new(&proxy).await;
    for (cookie, seen) in [
        ("route=x", ""),
        (
            "a=1; route=x;b=2; route=y; routes=z",
            "cookie: a=1; b=2; routes=z\r\n",
        ),
        ("a=1;b=2", "cookie: a=1;b=2\r\n"),
    ] {
        let mut request = get("/");
        request
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        let (answer, _) = browser.client.start(request, true).await;
        let mut backend = backlog.http1().await;
        let head = backend.head().await;
        let lines: String = head
            .split_inclusive("\r\n")
            .filter(|line| line.starts_with("cookie"))
            .collect();
        assert_eq!(lines, seen);
        backend
            .say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            .await;
        super::client::read(answer).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_backend_keeps_its_clients_and_gets_no_new_ones() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let (home, _) = browser.served().await;
    let id = format!("default/http://{home}:80");
    assert!(proxy.handle.drain_backend(&id, true));
    for _ in 0..4 {
        assert_eq!(browser.served().await, (home.clone(), false));
        let mut stranger = Browser::new(&proxy).await;
        assert_eq!(stranger.served().await, (other(&home).to_owned(), true));
    }
    // Its clients lose it only with the backend.
    assert!(proxy.handle.remove_backend(&id));
    assert_eq!(browser.served().await, (other(&home).to_owned(), true));
    assert_eq!(browser.served().await, (other(&home).to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_comes_back_gets_values_again() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let (home, _) = browser.served().await;
    let jar = browser.jar.clone();
    let config = crate::BackendConfig::new(format!("http://{home}:80")).unwrap();
    assert!(proxy.handle.remove_backend(id(&home).as_str()));
    browser.served().await;
    proxy.handle.add_backend(config).unwrap();
    browser.jar = jar;
    assert_eq!(browser.served().await, (home, false));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_connect_loses_its_clients_unless_they_are_bound_strictly() {
    for strict in [false, true] {
        let more = if strict { ", mode = \"strict\"" } else { "" };
        let proxy = proxy(more);
        let mut browser = Browser::new(&proxy).await;
        let (home, _) = browser.served().await;
        // The same proxy after a restart, without this backend's process.
        drop(proxy);
        let proxy = Proxy::with(&TWO, &affinity(more));
        let left = other(&home);
        let answer = if left == "a" { A } else { B };
        proxy.backend(left).always(answer);
        browser.client = proxy.connect().await;
        let reply = browser.get("/").await;
        if strict {
            assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
            assert_eq!(reply.reason(), "connect_refused");
            assert_eq!(reply.field("set-cookie"), "");
        } else {
            assert_eq!(reply.text(), left);
            assert_ne!(reply.field("set-cookie"), "");
            assert_eq!(browser.served().await, (left.to_owned(), false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_its_backend_is_disabled_a_client_goes_elsewhere_or_nowhere() {
    for strict in [false, true] {
        let proxy = proxy(if strict { ", mode = \"strict\"" } else { "" });
        let mut browser = Browser::new(&proxy).await;
        let (home, _) = browser.served().await;
        let pool = std::sync::Arc::clone(&proxy.handle.snapshot().pools["default"]);
        pool.balancer.set_enabled(&id(&home), false);
        if strict {
            let reply = browser.get("/").await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(reply.reason(), "no_healthy_backend");
            pool.balancer.set_enabled(&id(&home), true);
            assert_eq!(browser.served().await, (home.clone(), false));
        } else {
            assert_eq!(browser.served().await, (other(&home).to_owned(), true));
        }
        assert_eq!(proxy.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn while_its_backend_is_full_a_client_makes_a_detour_or_is_refused() {
    for strict in [false, true] {
        let mode = if strict { "strict" } else { "loose" };
        let proxy = Proxy::new(&format!(
            "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\n\
             health_check = \"off\"\n\
             backends = [{{ url = \"http://a:80\", max_connections = 1 }}, \"http://b:80\"]\n\
             affinity = {{ cookie = \"route\", mode = \"{mode}\" }}\n"
        ));
        let mut a = proxy.backend("a");
        proxy.backend("b").always(B);
        let mut browser = Browser::new(&proxy).await;
        let (first, _) = browser.client.start(get("/"), true).await;
        let mut backend = a.http1().await;
        backend.head().await;
        backend.say(A).await;
        let reply = super::client::read(first).await.unwrap();
        let field = reply.field("set-cookie");
        browser.jar = field.split_once(';').map(|(pair, _)| pair.to_owned());
        // Takes the only place.
        let mut request = get("/");
        let jar = browser.jar.clone().unwrap();
        request.headers_mut().insert("cookie", jar.parse().unwrap());
        let (slow, _) = browser.client.start(request, true).await;
        backend.head().await;
        let reply = browser.get("/").await;
        if strict {
            assert_eq!(reply.reason(), "queue_full");
        } else {
            assert_eq!(reply.text(), "b");
        }
        assert_eq!(reply.field("set-cookie"), "", "there will be room again");
        backend.say(A).await;
        assert_eq!(super::client::read(slow).await.unwrap().text(), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strict_client_gets_its_backends_own_answer() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
    let proxy = Proxy::with(&TWO, &affinity(", mode = \"strict\""));
    let mut a = proxy.backend("a");
    proxy.backend("b").always(B);
    let mut browser = Browser::new(&proxy).await;
    let (first, _) = browser.client.start(get("/"), true).await;
    let mut backend = a.http1().await;
    backend.head().await;
    backend.say(A).await;
    let reply = super::client::read(first).await.unwrap();
    let field = reply.field("set-cookie");
    browser.jar = field.split_once(';').map(|(pair, _)| pair.to_owned());
    let answering = tokio::spawn(async move {
        backend.head().await;
        backend.say(BUSY).await;
        backend
    });
    let reply = browser.get("/").await;
    assert_eq!((reply.status().as_u16(), reply.text()), (503, "busy"));
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_binding_survives_reloads_and_restarts() {
    let before = proxy("");
    let mut browser = Browser::new(&before).await;
    let (home, _) = browser.served().await;
    // Another order of the list, in another process.
    let after = Proxy::with(
        &["http://c:80", "http://b:80", "http://a:80"],
        &affinity(""),
    );
    after.backend("a").always(A);
    after.backend("b").always(B);
    browser.client = after.connect().await;
    for _ in 0..3 {
        assert_eq!(browser.served().await, (home.clone(), false));
    }
    // Without a secret of its own it lasts as long as the process.
    let toml = |list: &str| {
        let toml = format!(
            "listen = \"127.0.0.1:0\"\n[pools.p]\nbackends = [{list}]\naffinity = \"route\"\n"
        );
        config(&toml, false)
    };
    let value = |snapshot: &Snapshot| {
        let affinity = snapshot.pools["p"].affinity.as_ref().unwrap();
        affinity.bind(&BackendId::new("p/http://a:1"), true)
    };
    let first = Snapshot::build(&toml("\"http://a:1\""), false, None).unwrap();
    let reloaded = toml("\"http://b:1\", \"http://a:1\"");
    let second = Snapshot::build(&reloaded, false, Some(&first)).unwrap();
    let stranger = Snapshot::build(&reloaded, false, None).unwrap();
    assert!(value(&first).is_some());
    assert_eq!(value(&first), value(&second));
    assert_ne!(value(&first), value(&stranger));
}

#[tokio::test(start_paused = true)]
async fn a_value_under_an_older_secret_is_renewed() {
    let before = proxy("");
    let mut browser = Browser::new(&before).await;
    let (home, _) = browser.served().await;
    let newer = "2222222222222222222222222222222222";
    let both =
        format!("affinity = {{ cookie = \"route\", secret = [\"{newer}\", \"{SECRET}\"] }}\n");
    let after = Proxy::with(&TWO, &both);
    after.backend("a").always(A);
    after.backend("b").always(B);
    browser.client = after.connect().await;
    assert_eq!(browser.served().await, (home.clone(), true));
    assert_eq!(browser.served().await, (home, false));
}

#[tokio::test(start_paused = true)]
async fn forged_values_bind_to_nobody() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let (home, _) = browser.served().await;
    let jar = browser.jar.clone().unwrap();
    for at in "route=".len()..jar.len() {
        let mut forged = jar.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        browser.jar = Some(String::from_utf8(forged).unwrap());
        assert!(browser.served().await.1, "bound anew");
    }
    for forged in [
        "route",
        "route=",
        "route=;",
        "route=http://a:80",
        "route==",
        "route=\"x\"",
        "route=1; route=2",
    ] {
        browser.jar = Some(forged.to_owned());
        assert!(browser.served().await.1, "{forged}");
    }
    // One that was planted before the real one does not hide it.
    browser.jar = Some(format!("route=x; {jar}"));
    assert_eq!(browser.served().await, (home.clone(), false));
    let mut pipe = proxy.pipe().await;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\ncookie: \u{fc}; {jar}\r\n\r\n"
    );
    pipe.write_all(head.as_bytes()).await.unwrap();
    let mut reply = String::new();
    soon("the reply's end", pipe.read_to_string(&mut reply))
        .await
        .unwrap();
    assert!(reply.ends_with(&home), "{reply}");
    assert!(!reply.contains("set-cookie"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_cacheable_response_that_binds_is_for_its_client_alone() {
    const CACHED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\
        cache-control: public, max-age=60\r\ncdn-cache-control: max-age=600\r\n\r\n";
    let proxy = Proxy::with(&["http://a:80"], &affinity(""));
    proxy.backend("a").always(CACHED);
    let mut browser = Browser::new(&proxy).await;
    let reply = browser.get("/").await;
    let fields: Vec<_> = reply
        .head
        .headers()
        .get_all("cache-control")
        .iter()
        .collect();
    assert_eq!(fields, ["public, max-age=60", "private"]);
    assert_eq!(reply.field("cdn-cache-control"), "");
    let reply = browser.get("/").await;
    assert_eq!(reply.field("cache-control"), "public, max-age=60");
    assert_eq!(reply.field("cdn-cache-control"), "max-age=600");
}

async fn forward_twice(request: HandlerRequest, exchange: Exchange) -> Result<Response, Error> {
    let mut again = HandlerRequest::new(crate::Body::empty());
    *again.uri_mut() = request.uri().clone();
    exchange.forward(request).await?;
    exchange.forward(again).await?;
    Ok(reply::text(200, "both"))
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_forwards_binds_its_reply_once() {
    let proxy = Proxy::handled_with(&TWO, &affinity(""), forward_twice);
    proxy.backend("a").always(A);
    proxy.backend("b").always(B);
    let mut browser = Browser::new(&proxy).await;
    let reply = browser.get("/").await;
    assert_eq!(reply.text(), "both");
    assert_eq!(reply.head.headers().get_all("set-cookie").iter().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn over_tls_the_cookie_is_secure() {
    let config = config(
        &format!(
            "listen = \"127.0.0.1:0\"\n[pools.p]\nbackends = [\"http://a:1\"]\n{}",
            affinity("")
        ),
        false,
    );
    let snapshot = Snapshot::build(&config, false, None).unwrap();
    let affinity = snapshot.pools["p"].affinity.as_ref().unwrap();
    let id = BackendId::new("p/http://a:1");
    let secure = affinity.bind(&id, true).unwrap();
    assert!(secure.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
    assert!(!affinity.bind(&id, false).unwrap().contains("Secure"));
}
