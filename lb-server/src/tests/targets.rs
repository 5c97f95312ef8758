//! Routes lead to redirects, fixed replies and handlers as well as to pools.

use bytes::Bytes;
use futures_util::future::join;
use http::{Request, StatusCode};

use crate::body::Body;
use crate::error::Error;
use crate::handler::{Exchange, Request as HandlerRequest, Response};

use super::Proxy;
use super::client::get;
use super::wire::{self, Wire};

const ROUTES: &str = r#"
[[routes]]
match = { path = "/old/*" }
redirect = { to = "https://{host}{path_and_query}", status = 301 }
[[routes]]
match = { host = "app.example", path = "/teapot" }
respond = { status = 418, body = "short and stout", content_type = "text/x-tea" }
[[routes]]
match = { host = "app.example", path = "/api" }
pool = "default"
"#;

#[tokio::test(start_paused = true)]
async fn answers_more_at_once_than_one_poll_takes() {
    const REQUESTS: u32 = 900;
    let proxy = Proxy::new(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n\
         http2 = { max_concurrent_streams = 1000, connection_window = \"64MiB\" }\n\
         [[routes]]\nmatch = { path = \"/*\" }\nrespond = { status = 204 }\n",
    );
    let mut wire = Wire::client(proxy.pipe().await).await;
    let head = wire::block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "app.example"),
        (":path", "/"),
    ]);
    let flags = wire::END_HEADERS | wire::END_STREAM;
    let burst: Vec<u8> = (0..REQUESTS)
        .flat_map(|number| wire::frame(wire::HEADERS, flags, 2 * number + 1, &head))
        .collect();
    // At once, and nothing after it that would wake the connection.
    wire.write(&burst).await;
    let mut answered = std::collections::BTreeSet::new();
    for _reply in 0..REQUESTS {
        answered.insert(wire.find(wire::HEADERS).await.stream);
    }
    assert_eq!(answered.len(), REQUESTS as usize);
}

#[tokio::test(start_paused = true)]
async fn answers_by_itself_where_a_route_says_so() {
    let proxy = Proxy::with(&["http://a:80"], ROUTES);
    let mut client = proxy.connect().await;
    let reply = client.get("/old/a%20b?c=d").await;
    assert_eq!(reply.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(reply.field("location"), "https://app.example/old/a%20b?c=d");
    let reply = client.get("/teapot").await;
    assert_eq!(reply.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(reply.text(), "short and stout");
    assert_eq!(reply.field("content-type"), "text/x-tea");
    assert_eq!(reply.field("content-length"), "15");
    let reply = client.get("/elsewhere").await;
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert_eq!(reply.reason(), "no_route");
    assert_eq!(
        reply.field("proxy-status"),
        "lb; error=destination_not_found"
    );
}

#[tokio::test(start_paused = true)]
async fn says_the_length_of_a_fixed_reply_to_head() {
    let proxy = Proxy::with(&["http://a:80"], ROUTES);
    let mut client = proxy.connect().await;
    let mut request = get("/teapot");
    *request.method_mut() = http::Method::HEAD;
    let reply = client.send(request).await;
    assert_eq!(reply.field("content-length"), "15");
    assert!(reply.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn sees_a_loop() {
    let proxy = Proxy::to(&["http://a:80"]);
    let backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let request = Request::get("http://app.example/")
        .header("via", "1.1 other, 2 lb (0000000000005eed)")
        .body(())
        .unwrap();
    let reply = client.send(request).await;
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(reply.reason(), "loop_detected");
    assert!(backlog.is_empty());
}

#[tokio::test(start_paused = true)]
async fn spreads_requests_evenly() {
    let proxy = Proxy::to(&["http://a:80", "http://b:80"]);
    let mut client = proxy.connect().await;
    let serve = |host| {
        let mut backlog = proxy.backend(host);
        async move {
            let mut backend = backlog.http1().await;
            for _request in 0..5 {
                backend.answer(host).await;
            }
        }
    };
    let (a, b) = (tokio::spawn(serve("a")), tokio::spawn(serve("b")));
    let mut hosts = Vec::new();
    for _request in 0..10 {
        hosts.push(client.get("/").await.text().to_owned());
    }
    assert_eq!(
        hosts.iter().filter(|host| *host == "a").count(),
        5,
        "{hosts:?}"
    );
    a.await.unwrap();
    b.await.unwrap();
}

async fn handle(request: HandlerRequest, exchange: Exchange) -> Result<Response, Error> {
    match request.uri().path() {
        "/panic" => panic!("the handler's bug"),
        "/fail" => Err(Error::handler(std::io::Error::other(
            "the handler's trouble",
        ))),
        "/forward" => exchange.forward(request).await,
        _ => Ok(Response::new(Body::from(Bytes::from_static(b"handled")))),
    }
}

#[tokio::test(start_paused = true)]
async fn survives_a_handler_that_panics() {
    let proxy = Proxy::handled_by(&["http://a:80"], handle);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (forwarded, _) = client.start(get("/forward"), true).await;
    let mut backend = backlog.http1().await;
    for path in ["/panic", "/fail"] {
        let reply = client.get(path).await;
        assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(reply.reason(), "handler_failed");
        assert!(!String::from_utf8_lossy(&reply.body).contains("the handler's"));
    }
    assert_eq!(client.get("/").await.text(), "handled");
    let (reply, _) = join(super::client::read(forwarded), backend.answer("forwarded")).await;
    assert_eq!(reply.unwrap().text(), "forwarded");
}
