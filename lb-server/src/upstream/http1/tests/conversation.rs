//! What is said on the wire, and when.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

async fn expect(backend: &mut DuplexStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    backend.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

async fn say(backend: &mut DuplexStream, text: &str) {
    backend.write_all(text.as_bytes()).await.unwrap();
}

#[test]
fn sends_a_small_request_in_one_write() {
    let headers = fields(&[("accept", "*/*")]);
    let body = Body::from("hello");
    let mut exchange = start(Script::saying(OK), Method::POST, &headers, body, Some(5));
    assert_eq!(receive_now(&mut exchange).unwrap().unwrap().text(), "hi");
    assert_eq!(exchange.connection_io().heard.len(), 1);
    assert_eq!(
        heard(&exchange),
        "POST /a?b HTTP/1.1\r\nhost: example.com\r\naccept: */*\r\ncontent-length: 5\r\n\r\nhello"
    );
    assert!(exchange.is_upload_done() && exchange.is_end_stream());
    assert_eq!(exchange.body_length(), Some(2));
}

#[test]
fn says_a_length_of_zero_only_where_a_body_is_expected() {
    for (method, says_it) in [
        (Method::POST, true),
        (Method::PUT, true),
        (Method::PATCH, true),
        (Method::GET, false),
        (Method::DELETE, false),
    ] {
        let mut exchange = start(
            Script::saying(OK),
            method,
            &HeaderMap::new(),
            Body::empty(),
            None,
        );
        receive_now(&mut exchange).unwrap().unwrap();
        let heard = heard(&exchange);
        assert_eq!(heard.contains("content-length: 0\r\n"), says_it, "{heard}");
        assert!(!heard.contains("transfer-encoding"), "{heard}");
    }
}

#[test]
fn sends_chunks_with_trailers() {
    let trailers = fields(&[("x-sum", "1"), ("content-length", "9"), ("host", "evil")]);
    let body = body_of([data("hello"), data("world!"), Frame::trailers(trailers)]);
    let headers = fields(&[("te", "trailers")]);
    let mut exchange = start(Script::saying(OK), Method::POST, &headers, body, None);
    receive_now(&mut exchange).unwrap().unwrap();
    assert_eq!(
        heard(&exchange),
        "POST /a?b HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n\
         te: trailers\r\nconnection: te\r\n\r\n\
         5\r\nhello\r\n6\r\nworld!\r\n0\r\nx-sum: 1\r\n\r\n"
    );
}

#[test]
fn drops_the_framing_of_the_client_and_joins_cookies() {
    let headers = fields(&[
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-real-ip"),
        ("host", "evil"),
        ("upgrade", "h2c"),
        ("http2-settings", "AA"),
        ("keep-alive", "1"),
        ("te", "gzip"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ]);
    let mut exchange = start(
        Script::saying(OK),
        Method::GET,
        &headers,
        Body::empty(),
        None,
    );
    receive_now(&mut exchange).unwrap().unwrap();
    assert_eq!(
        heard(&exchange),
        "GET /a?b HTTP/1.1\r\nhost: example.com\r\ncookie: a=1; b=2\r\n\r\n"
    );
}

#[test]
fn sends_nothing_of_a_malformed_request() {
    for (method, path_and_query, host) in [
        ("GET", "/a b", "h"),
        ("GET", "/a\r\nx: y", "h"),
        ("GET", "/a#b", "h"),
        ("GET", "?x=1", "h"),
        ("GET", "*", "h"),
        ("GET", "/\u{e9}", "h"),
        ("GET", "/", ""),
        ("GET", "/", "h\r\nx: y"),
        ("GET", "/", "a,b"),
        ("GET", "/", "user@h"),
        ("CONNECT", "/", "h"),
    ] {
        let head = RequestHead {
            method: &method.parse().unwrap(),
            path_and_query,
            host,
            headers: &HeaderMap::new(),
            forwarding: None,
            close: false,
        };
        let mut exchange = Exchange::start(
            Connection::new(Script::saying(OK)),
            head,
            Body::empty(),
            None,
            ResponseLimits::default(),
        );
        let error = receive_now(&mut exchange).unwrap().unwrap_err();
        assert!(
            matches!(error, Http1Error::MalformedRequest(_)),
            "{path_and_query}"
        );
        assert!(!exchange.sent_any() && heard(&exchange).is_empty());
    }
}

#[test]
fn never_completes_a_body_that_breaks_its_length() {
    let large: &'static str = "x".repeat(5_000).leak();
    for (frames, length) in [
        (vec![data("hel"), data("lo!")], 5),
        (vec![data("hello"), data("!")], 5),
        (vec![data("hell")], 5),
        (vec![data("x")], 0),
        (vec![data(large), data("x")], 5_000),
        (vec![data(large)], 5_001),
    ] {
        let body = body_of(frames);
        let mut exchange = start(
            Script::silent(),
            Method::POST,
            &HeaderMap::new(),
            body,
            Some(length),
        );
        let error = receive_now(&mut exchange).unwrap().unwrap_err();
        assert!(matches!(error, Http1Error::MalformedRequest(_)), "{error}");
        let heard = heard(&exchange);
        let sent = heard
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.len() as u64);
        assert!(sent.is_none_or(|sent| sent < length), "{heard}");
        assert!(exchange.into_connection().is_none());
    }
}

#[test]
fn fails_when_the_request_body_fails() {
    let body = Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(
        [
            Ok(data("hello")),
            Err(BodyError::Incomplete("reset".into())),
        ],
    )));
    let mut exchange = start(
        Script::silent(),
        Method::POST,
        &HeaderMap::new(),
        body,
        None,
    );
    let error = receive_now(&mut exchange).unwrap().unwrap_err();
    assert!(matches!(error, Http1Error::RequestBody(_)));
    assert!(!heard(&exchange).contains("0\r\n\r\n"));
}

#[tokio::test]
async fn waits_for_100_continue() {
    let (near, mut backend) = duplex(1024);
    let (feed, body) = fed_body();
    let headers = fields(&[("expect", "100-continue")]);
    let mut exchange = start(near, Method::POST, &headers, body, Some(5));
    let backend = async {
        expect(
            &mut backend,
            "POST /a?b HTTP/1.1\r\nhost: example.com\r\nexpect: 100-continue\r\n\
             content-length: 5\r\n\r\n",
        )
        .await;
        say(&mut backend, "HTTP/1.1 100 Continue\r\n\r\n").await;
        expect(&mut backend, "hello").await;
        say(&mut backend, OK).await;
    };
    let client = async {
        let Event::Informational(head) = poll_fn(|cx| exchange.poll_head(cx)).await.unwrap() else {
            panic!("the interim response comes first");
        };
        assert_eq!(head.status(), 100);
        feed.send(data("hello")).unwrap();
        drop(feed);
        receive(&mut exchange).await.unwrap()
    };
    let (received, ()) = tokio::join!(client, backend);
    assert_eq!(received.text(), "hi");
    assert!(exchange.into_connection().is_some());
}

#[tokio::test]
async fn passes_an_early_413_although_the_upload_breaks() {
    let (near, mut backend) = duplex(64);
    let body = body_of([Frame::data(Bytes::from(vec![b'x'; 100_000]))]);
    let mut exchange = start(near, Method::POST, &HeaderMap::new(), body, Some(100_000));
    let backend = async move {
        expect(&mut backend, "POST /a?b HTTP/1.1\r\n").await;
        say(
            &mut backend,
            "HTTP/1.1 413 No\r\ncontent-length: 3\r\n\r\nbig",
        )
        .await;
    };
    let (received, ()) = tokio::join!(receive(&mut exchange), backend);
    let received = received.unwrap();
    assert_eq!(
        (received.head.status().as_u16(), received.text()),
        (413, "big")
    );
    assert!(!exchange.is_upload_done() && exchange.into_connection().is_none());
}

#[tokio::test]
async fn uploads_while_the_response_streams() {
    let (near, mut backend) = duplex(1024);
    let (feed, body) = fed_body();
    let mut exchange = start(near, Method::POST, &HeaderMap::new(), body, None);
    let backend = async {
        let head = "POST /a?b HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n\r\n";
        expect(&mut backend, head).await;
        say(
            &mut backend,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
        expect(&mut backend, "4\r\nping\r\n").await;
        say(&mut backend, "4\r\npong\r\n").await;
        expect(&mut backend, "0\r\n\r\n").await;
        say(&mut backend, "0\r\nx-sum: 1\r\n\r\n").await;
    };
    let client = async {
        poll_fn(|cx| exchange.poll_head(cx)).await.unwrap();
        feed.send(data("ping")).unwrap();
        let pong = poll_fn(|cx| exchange.poll_frame(cx))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(pong.into_data().unwrap(), "pong");
        drop(feed);
        let last = poll_fn(|cx| exchange.poll_frame(cx))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(last.into_trailers().unwrap()["x-sum"], "1");
        assert!(exchange.is_end_stream());
    };
    tokio::join!(client, backend);
    assert!(exchange.into_connection().is_some());
}

#[tokio::test]
async fn reuses_a_connection_until_the_backend_closes() {
    let (near, mut backend) = duplex(1024);
    let mut connection = Connection::new(near);
    for _ in 0..2 {
        assert!(poll_fn(|cx| Poll::Ready(connection.poll_is_idle(cx))).await);
        let none = HeaderMap::new();
        let mut exchange = start_on(connection, Method::GET, &none, Body::empty(), None);
        say(&mut backend, OK).await;
        receive(&mut exchange).await.unwrap();
        connection = exchange.into_connection().unwrap();
    }
    drop(backend);
    assert!(!poll_fn(|cx| Poll::Ready(connection.poll_is_idle(cx))).await);
    // Had it closed a moment later, the exchange would tell that the request may be repeated.
    let none = HeaderMap::new();
    let mut exchange = start_on(connection, Method::GET, &none, Body::empty(), None);
    let error = receive(&mut exchange).await.unwrap_err();
    assert!(
        matches!(
            error,
            Http1Error::Closed {
                received_any: false
            }
        ),
        "{error}"
    );
    assert!(exchange.into_connection().is_none());
}

#[tokio::test]
async fn is_not_idle_with_a_response_nobody_asked_for() {
    let (near, mut backend) = duplex(1024);
    let mut connection = Connection::new(near);
    say(&mut backend, OK).await;
    assert!(!poll_fn(|cx| Poll::Ready(connection.poll_is_idle(cx))).await);
}

#[test]
fn gives_up_connections_that_are_not_clean() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\r\n",
    ] {
        let mut exchange = get(Script::saying(response));
        let received = receive_now(&mut exchange).unwrap().unwrap();
        assert_eq!(received.text(), "hi", "{response}");
        assert!(exchange.into_connection().is_none(), "{response}");
    }
}

#[test]
fn reads_no_body_where_there_is_none() {
    for (method, status, keeps_length) in [
        (Method::HEAD, 200, true),
        (Method::GET, 304, true),
        (Method::GET, 204, false),
    ] {
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 7\r\n\r\n");
        let mut exchange = start(
            Script::saying(text),
            method,
            &HeaderMap::new(),
            Body::empty(),
            None,
        );
        let received = receive_now(&mut exchange).unwrap().unwrap();
        assert!(received.body.is_empty());
        assert_eq!(
            received.head.headers().contains_key("content-length"),
            keeps_length
        );
        assert!(exchange.into_connection().is_some());
    }
}

#[test]
fn collapses_equal_lengths_and_hides_the_coding() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\nhi";
    let received = receive_now(&mut get(Script::saying(text)))
        .unwrap()
        .unwrap();
    let lengths: Vec<_> = received
        .head
        .headers()
        .get_all("content-length")
        .iter()
        .collect();
    assert_eq!(lengths, ["2"]);
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n";
    let received = receive_now(&mut get(Script::saying(text)))
        .unwrap()
        .unwrap();
    assert_eq!(received.text(), "hi");
    assert!(!received.head.headers().contains_key("transfer-encoding"));
}

#[test]
fn keeps_of_connection_only_what_names_fields() {
    for (said, is_kept) in [
        ("Keep-Alive", false),
        ("close", false),
        ("keep-alive, Close", false),
        ("close, x-hop", true),
    ] {
        let text = format!("HTTP/1.1 204 X\r\nconnection: {said}\r\nx-hop: 1\r\n\r\n");
        let mut exchange = get(Script::saying(text));
        let received = receive_now(&mut exchange).unwrap().unwrap();
        let headers = received.head.headers();
        assert_eq!(headers.contains_key("connection"), is_kept, "{said}");
        assert!(headers.contains_key("x-hop"), "{said}");
    }
}

#[test]
fn tells_the_end_with_the_last_chunk() {
    let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let mut exchange = get(Script::saying(text));
    poll_fn(|cx| exchange.poll_head(cx))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(!exchange.is_end_stream());
    poll_fn(|cx| exchange.poll_frame(cx))
        .now_or_never()
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(exchange.is_end_stream());
}

#[test]
fn reports_a_failed_write_only_when_no_response_comes() {
    let mut script = Script::saying(OK);
    script.write_error = Some(io::ErrorKind::BrokenPipe);
    let mut exchange = get(script);
    assert_eq!(receive_now(&mut exchange).unwrap().unwrap().text(), "hi");
    assert!(exchange.into_connection().is_none());
    for (kind, is_io) in [
        (io::ErrorKind::BrokenPipe, false),
        (io::ErrorKind::TimedOut, true),
    ] {
        let script = Script {
            write_error: Some(kind),
            ..Script::default()
        };
        let error = receive_now(&mut get(script)).unwrap().unwrap_err();
        assert_eq!(matches!(error, Http1Error::Io(_)), is_io, "{error}");
    }
}

#[tokio::test]
async fn agrees_with_another_implementation() {
    use http_body_util::BodyExt as _;
    let (near, far) = duplex(4096);
    let echo = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async {
        let collected = request.into_body().collect().await?;
        let sum = collected.trailers().unwrap()["x-sum"].clone();
        let mut response = Response::new(http_body_util::Full::new(collected.to_bytes()));
        response.headers_mut().insert("x-sum", sum);
        Ok::<_, hyper::Error>(response)
    });
    let server = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(far), echo);
    let trailers = Frame::trailers(fields(&[("x-sum", "7")]));
    let large = Bytes::from(vec![b'x'; 200_000]);
    let body = body_of([data("a"), Frame::data(large), data("b"), trailers]);
    let headers = fields(&[("trailer", "x-sum")]);
    let mut exchange = start(near, Method::POST, &headers, body, None);
    let received = tokio::select! {
        received = receive(&mut exchange) => received.unwrap(),
        _ = server => panic!("the server ended first"),
    };
    assert_eq!(
        (received.body.len(), &received.head.headers()["x-sum"]),
        (200_002, &"7".parse().unwrap())
    );
    assert!(exchange.into_connection().is_some());
}
