//! A request and its response arrive as they were meant, whatever the protocols.

use bytes::Bytes;
use futures_util::future::join;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use super::Proxy;
use super::backend::{self, Http1};
use super::client::{self, get, post, read};
use super::wire::{self, Wire};

fn laden() -> Request<()> {
    Request::get("http://App.example/a%20b?c=d&e")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "for=10.0.0.1")
        .header("x-request-id", "mine")
        .header("accept", "*/*")
        .body(())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn maps_a_request_to_http1() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, head) = join(client.send(laden()), async {
        let mut backend = backlog.http1().await;
        backend.answer("hello").await
    })
    .await;
    let lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines[0], "GET /a%20b?c=d&e HTTP/1.1");
    assert_eq!(lines[1], "host: App.example");
    let request_id = reply.field("x-request-id");
    assert_eq!(request_id.len(), 36, "{request_id}");
    for line in [
        "cookie: a=1; b=2",
        "te: trailers",
        "connection: te",
        "accept: */*",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: App.example",
        "via: 2 lb (0000000000005eed)",
        &format!("x-request-id: {request_id}"),
    ] {
        assert!(lines.contains(&line), "{line:?} is not in {lines:#?}");
    }
    assert_eq!(lines.len(), 11, "{lines:#?}");
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.text(), "hello");
    assert_eq!(reply.field("content-length"), "5");
}

#[tokio::test(start_paused = true)]
async fn maps_a_request_to_http2() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, request) = join(client.send(laden()), async {
        let mut backend = backlog.http2().await;
        let (request, mut respond) = backend.request().await;
        backend::answer(&mut respond, "hello");
        (request, backend)
    })
    .await;
    let (request, _backend) = request;
    assert_eq!(request.uri(), "http://App.example/a%20b?c=d&e");
    let headers = request.headers();
    assert_eq!(headers["cookie"], "a=1; b=2");
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
    assert_eq!(headers["x-forwarded-host"], "App.example");
    assert_eq!(headers["x-request-id"], reply.field("x-request-id"));
    for gone in ["host", "connection", "forwarded"] {
        assert!(!headers.contains_key(gone), "{gone} is left");
    }
    assert_eq!(reply.text(), "hello");
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn keeps_a_responses_hop_to_itself() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, ()) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend
            .say(
                "HTTP/1.1 200 OK\r\nconnection: x-secret, keep-alive\r\nkeep-alive: timeout=5\r\n\
                 x-secret: 1\r\nproxy-connection: x\r\nupgrade: h2c\r\nalt-svc: h3=\":1\"\r\n\
                 x-open: 1\r\ncontent-length: 0\r\n\r\n",
            )
            .await;
    })
    .await;
    let mut names: Vec<&str> = reply
        .head
        .headers()
        .keys()
        .map(|name| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-open", "x-request-id"]);
}

#[tokio::test(start_paused = true)]
async fn shows_its_limits_in_its_settings() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut wire = Wire::client(proxy.pipe().await).await;
    let settings = wire.find(wire::SETTINGS).await.payload;
    let settings: Vec<(u16, u32)> = settings
        .chunks_exact(6)
        .map(|entry| {
            (
                u16::from_be_bytes([entry[0], entry[1]]),
                u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]),
            )
        })
        .collect();
    for expected in [(3, 100), (4, 64 * 1024), (6, 16 * 1024)] {
        assert!(
            settings.contains(&expected),
            "{expected:?} is not in {settings:?}"
        );
    }
    let update = wire.find(wire::WINDOW_UPDATE).await;
    assert_eq!(update.stream, 0);
    let window = u32::from_be_bytes(update.payload.try_into().unwrap()) + 65_535;
    assert_eq!(window, 8 << 20);
}

fn trailers(name: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, HeaderValue::from_static("1"));
    trailers
}

#[tokio::test(start_paused = true)]
async fn carries_trailers_both_ways_over_http2() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    upload.send_data(Bytes::from_static(b"ask"), false).unwrap();
    let mut sent = trailers("x-up");
    sent.insert("content-length", HeaderValue::from_static("7"));
    upload.send_trailers(sent).unwrap();
    let (reply, received) = join(read(response), async {
        let mut backend = backlog.http2().await;
        let (request, mut respond) = backend.request().await;
        let received = client::read_body(request.into_body()).await.unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream
            .send_data(Bytes::from_static(b"tell"), false)
            .unwrap();
        stream.send_trailers(trailers("x-down")).unwrap();
        (received, backend)
    })
    .await;
    assert_eq!(received.0, (b"ask".to_vec(), Some(trailers("x-up"))));
    let reply = reply.unwrap();
    assert_eq!(reply.text(), "tell");
    assert_eq!(reply.trailers, Some(trailers("x-down")));
}

#[tokio::test(start_paused = true)]
async fn carries_trailers_both_ways_over_http1() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    upload.send_data(Bytes::from_static(b"ask"), false).unwrap();
    upload.send_trailers(trailers("x-up")).unwrap();
    let (reply, heard) = join(read(response), async {
        let mut backend = backlog.http1().await;
        let head = backend.head().await;
        assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
        let heard = backend.hear("\r\n\r\n").await;
        backend
            .say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntell\r\n0\r\nx-down: 1\r\n\r\n")
            .await;
        heard
    })
    .await;
    assert_eq!(heard, "3\r\nask\r\n0\r\nx-up: 1\r\n\r\n");
    let reply = reply.unwrap();
    assert_eq!(reply.text(), "tell");
    assert_eq!(reply.trailers, Some(trailers("x-down")));
}

#[tokio::test(start_paused = true)]
async fn passes_early_hints_on() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut wire = Wire::client(proxy.pipe().await).await;
    let block = wire::block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "app.example"),
        (":path", "/"),
    ]);
    let flags = wire::END_STREAM | wire::END_HEADERS;
    wire.send(wire::HEADERS, flags, 1, &block).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend
        .say("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")
        .await;
    let hints = wire.find(wire::HEADERS).await;
    assert_eq!(hints.flags & wire::END_STREAM, 0);
    backend.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    let last = wire.find(wire::HEADERS).await;
    assert_ne!(last.flags & wire::END_STREAM, 0);
}

async fn conversation(method: &str, response: &str) -> (client::Reply, Http1) {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut request = get("/");
    *request.method_mut() = method.parse().unwrap();
    join(client.send(request), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend.say(response).await;
        backend
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn keeps_the_length_that_head_asks_for() {
    let (reply, _) = conversation("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
    assert_eq!(reply.field("content-length"), "9");
    assert!(reply.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn ends_replies_that_have_no_body() {
    for status in ["204 No Content", "304 Not Modified"] {
        let response = format!("HTTP/1.1 {status}\r\netag: \"1\"\r\n\r\n");
        let (reply, _) = conversation("GET", &response).await;
        assert!(status.starts_with(reply.status().as_str()));
        assert!(reply.body.is_empty());
        assert_eq!(reply.field("etag"), "\"1\"");
    }
}

#[tokio::test(start_paused = true)]
async fn passes_an_early_response_on_while_the_upload_goes_on() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    upload
        .send_data(Bytes::from_static(b"first"), false)
        .unwrap();
    let mut backend = backlog.http2().await;
    let (request, mut respond) = backend.request().await;
    let mut download = respond.send_response(Response::new(()), false).unwrap();
    let reply = super::soon("the early response", response).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    upload
        .send_data(Bytes::from_static(b" second"), true)
        .unwrap();
    let (body, _) = client::read_body(request.into_body()).await.unwrap();
    assert_eq!(body, b"first second");
    download
        .send_data(Bytes::from_static(b"done"), true)
        .unwrap();
    let (body, _) = client::read_body(reply.into_body()).await.unwrap();
    assert_eq!(body, b"done");
}

#[tokio::test(start_paused = true)]
async fn passes_a_refusal_on_while_the_client_uploads() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    upload
        .send_data(Bytes::from_static(b"first"), false)
        .unwrap();
    let (reply, ()) = join(read(response), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend
            .say("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
            .await;
    })
    .await;
    let reply = reply.unwrap();
    assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.text(), "big");
    super::settle().await;
    assert_eq!(proxy.in_flight(), 0);
}

/// RFC 9113 §8.1: a whole response, then a reset without error, stops an upload nobody needs.
#[tokio::test(start_paused = true)]
async fn keeps_a_whole_response_whose_upload_was_stopped() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    upload
        .send_data(Bytes::from(vec![7; 60_000]), false)
        .unwrap();
    let mut wire = Wire::backend(backlog.accept().await, &[]).await;
    let stream = wire.find(wire::HEADERS).await.stream;
    let head = wire::block(&[(":status", "413"), ("content-length", "3")]);
    wire.send(wire::HEADERS, wire::END_HEADERS, stream, &head)
        .await;
    wire.send(wire::DATA, wire::END_STREAM, stream, b"big")
        .await;
    wire.send(wire::RST_STREAM, 0, stream, &[0; 4]).await;
    let reply = read(response).await.unwrap();
    assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.text(), "big");
    let stopped = std::future::poll_fn(|cx| upload.poll_reset(cx));
    let reason = super::soon("the upload's end", stopped).await.unwrap();
    assert_eq!(reason, h2::Reason::NO_ERROR);
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn serves_http1_clients_from_http2_backends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut pipe = proxy.pipe().await;
    pipe.write_all(
        b"POST /a HTTP/1.1\r\nhost: app.example\r\nconnection: close, x-hop\r\nx-hop: 1\r\n\
          transfer-encoding: chunked\r\n\r\n3\r\nask\r\n0\r\n\r\n",
    )
    .await
    .unwrap();
    let mut backend = backlog.http2().await;
    let (request, mut respond) = backend.request().await;
    assert_eq!(request.headers()["via"], "1.1 lb (0000000000005eed)");
    for gone in ["connection", "x-hop", "transfer-encoding", "host"] {
        assert!(!request.headers().contains_key(gone), "{gone} is left");
    }
    assert_eq!(request.uri().authority().unwrap(), "app.example");
    let (body, _) = client::read_body(request.into_body()).await.unwrap();
    assert_eq!(body, b"ask");
    backend::answer(&mut respond, "tell");
    let mut reply = String::new();
    let whole = pipe.read_to_string(&mut reply);
    super::soon("the end", whole).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.ends_with("\r\n4\r\ntell\r\n0\r\n\r\n"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn opens_another_connection_after_a_backends_goodbye() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (running, _) = client.start(get("/"), true).await;
    let mut wire = Wire::backend(backlog.accept().await, &[]).await;
    let stream = wire.find(wire::HEADERS).await.stream;
    wire.send(wire::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])
        .await;
    super::settle().await;
    let (reply, _backend) = join(client.get("/"), async {
        let mut backend = backlog.http2().await;
        backend::answer(&mut backend.request().await.1, "elsewhere");
        backend
    })
    .await;
    assert_eq!(reply.text(), "elsewhere");
    let flags = wire::END_HEADERS | wire::END_STREAM;
    let head = wire::block(&[(":status", "204")]);
    wire.send(wire::HEADERS, flags, stream, &head).await;
    assert_eq!(
        read(running).await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
}
