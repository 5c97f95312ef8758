//! Nothing malformed reaches a backend.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{self, post, read};
use super::wire::{self, Wire, block};
use super::{Proxy, settle};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "app.example");
const PATH: (&str, &str) = (":path", "/");

/// Sends a head that ends its stream; whether the answer was an error, and the backend saw nothing.
async fn is_refused(fields: &[(&str, &str)]) -> bool {
    let proxy = Proxy::to(&["http://a:80"]);
    let backlog = proxy.backend("a");
    let mut wire = Wire::client(proxy.pipe().await).await;
    let flags = wire::END_STREAM | wire::END_HEADERS;
    for (number, chunk) in block(fields).chunks(16 * 1024).enumerate() {
        let kind = if number == 0 { wire::HEADERS } else { 9 };
        let is_last = (number + 1) * 16 * 1024 >= block(fields).len();
        let flags = if is_last { flags } else { wire::END_STREAM };
        let flags = if number == 0 {
            flags
        } else {
            flags & wire::END_HEADERS
        };
        wire.send(kind, flags, 1, chunk).await;
    }
    let answer = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            match wire.frame().await {
                Some(frame) if [wire::SETTINGS, wire::WINDOW_UPDATE].contains(&frame.kind) => {}
                other => return other,
            }
        }
    })
    .await;
    let is_error = match answer {
        Err(_nothing) => false,
        Ok(None) => true,
        // The first octet of a block is `:status`; 0x88 is 200, and none that we send is below.
        Ok(Some(frame)) if frame.kind == wire::HEADERS => {
            frame.payload[0] > 0x8b || frame.payload[0] < 0x80
        }
        Ok(Some(frame)) => [wire::RST_STREAM, wire::GOAWAY].contains(&frame.kind),
    };
    is_error && backlog.is_empty()
}

/// The ordinary fields with one more.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![METHOD, SCHEME, AUTHORITY, PATH, (name, value)]
}

/// The ordinary fields with one of them changed.
fn but<'a>(name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    [METHOD, SCHEME, AUTHORITY, PATH]
        .into_iter()
        .map(|field| {
            if field.0 == name {
                (field.0, value)
            } else {
                field
            }
        })
        .collect()
}

async fn assert_refused(heads: &[Vec<(&str, &str)>]) {
    let mut taken = Vec::new();
    for head in heads {
        if !is_refused(head).await {
            taken.push(head);
        }
    }
    assert!(taken.is_empty(), "taken: {taken:#?}");
}

#[tokio::test(start_paused = true)]
async fn takes_what_is_well_formed() {
    assert!(!is_refused(&with("a", "b")).await);
    assert!(!is_refused(&with("host", "APP.example")).await);
    assert!(!is_refused(&with("content-length", "0")).await);
    assert!(!is_refused(&but(":path", "/%0d%0a;{}?a=[b]")).await);
    assert!(!is_refused(&[with("a", "b"), vec![("cookie", "a=b"); 99]].concat()).await);
}

#[tokio::test(start_paused = true)]
async fn refuses_wrong_pseudo_fields() {
    assert_refused(&[
        vec![SCHEME, AUTHORITY, PATH],
        vec![METHOD, AUTHORITY, PATH],
        vec![METHOD, SCHEME, PATH],
        vec![METHOD, SCHEME, AUTHORITY],
        vec![METHOD, SCHEME, AUTHORITY, PATH, PATH],
        vec![METHOD, METHOD, SCHEME, AUTHORITY, PATH],
        vec![METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH],
        vec![METHOD, SCHEME, AUTHORITY, ("a", "b"), PATH],
        with(":status", "200"),
        with(":unknown", "x"),
        with(":protocol", "websocket"),
        but(":method", "CONNECT"),
        but(":method", "TRACE"),
        but(":method", "get"),
        but(":method", "PRI"),
        but(":method", "G T"),
        but(":method", ""),
        but(":scheme", "https"),
        but(":scheme", "ftp"),
        but(":scheme", ""),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn refuses_wrong_hosts() {
    let mut heads: Vec<_> = [
        "", "a,b", "a b", "user@a", "a:0", "a:99999", "a:x", "[::1", "a/b", "a?b", "a#b", "a\\b",
        "a%2e", "a\r\nb", "a\0", "\u{e9}",
    ]
    .into_iter()
    .map(|host| but(":authority", host))
    .collect();
    heads.push(with("host", "other.example"));
    heads.push(vec![METHOD, SCHEME, PATH, ("host", "a"), ("host", "a")]);
    heads.push(vec![METHOD, SCHEME, PATH, ("host", "")]);
    assert_refused(&heads).await;
}

#[tokio::test(start_paused = true)]
async fn refuses_wrong_paths() {
    let heads: Vec<_> = [
        "",
        "a",
        "*",
        "?a",
        "/a b",
        "/a\tb",
        "/a\r\nb",
        "/a\0b",
        "/\u{7f}",
        "/\u{e9}",
        "http://evil/",
        "/ HTTP/1.1\r\nx: y",
    ]
    .into_iter()
    .map(|path| but(":path", path))
    .collect();
    assert_refused(&heads).await;
}

#[tokio::test(start_paused = true)]
async fn refuses_wrong_fields() {
    assert_refused(&[
        with("Upper", "case"),
        with("", "no name"),
        with("a b", "c"),
        with("a:b", "c"),
        with("a\r\nb", "c"),
        with("\u{e9}", "c"),
        with("a_b", "c"),
        with("a", "b\r\nc: d"),
        with("a", "b\nc"),
        with("a", "b\rc"),
        with("a", "b\0c"),
        with("a", "b\u{7f}"),
        with("a", " b"),
        with("a", "b "),
        with("a", "\tb"),
        with("expect", "the unexpected"),
        with("connection", "close"),
        with("keep-alive", "timeout=5"),
        with("proxy-connection", "close"),
        with("transfer-encoding", "chunked"),
        with("upgrade", "h2c"),
        with("te", "gzip"),
        with("content-length", "1"),
        with("content-length", "+0"),
        with("content-length", "0x0"),
        with("content-length", "0, 0"),
        with("content-length", "99999999999999999999"),
        [with("content-length", "0"), vec![("content-length", "1")]].concat(),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn refuses_heads_that_are_too_large() {
    let long = "a".repeat(17 * 1024);
    assert_refused(&[
        with("a", &long),
        [with("a", "b"), vec![("cookie", "a=b"); 100]].concat(),
        [with("a", "b"), vec![("a", "b"); 1000]].concat(),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn never_ends_a_body_that_misses_its_length() {
    for (length, body) in [("10", "short"), ("3", "too long")] {
        for url in ["http://a:80", "h2c://a:80"] {
            let proxy = Proxy::to(&[url]);
            let mut backlog = proxy.backend("a");
            let mut wire = Wire::client(proxy.pipe().await).await;
            let head = block(&[
                (":method", "POST"),
                SCHEME,
                AUTHORITY,
                PATH,
                ("content-length", length),
            ]);
            wire.send(wire::HEADERS, wire::END_HEADERS, 1, &head).await;
            settle().await;
            let data = wire::frame(wire::DATA, wire::END_STREAM, 1, body.as_bytes());
            if url.starts_with("h2c") {
                let mut backend = backlog.http2().await;
                let (request, _respond) = backend.request().await;
                wire.write(&data).await;
                assert!(client::read_body(request.into_body()).await.is_err());
            } else {
                let mut backend = backlog.http1().await;
                let head = backend.head().await;
                wire.write(&data).await;
                assert!(head.contains(&format!("content-length: {length}\r\n")));
                let mut rest = Vec::new();
                // What went before the mistake was seen is a part, and the connection's end says so.
                let _end = super::soon("the end", backend.pipe.read_to_end(&mut rest)).await;
                assert!(rest.len() < length.parse().unwrap(), "{rest:?}");
            }
            settle().await;
            assert_eq!(proxy.in_flight(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_trailers_that_could_change_their_message() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.open(post("/")).await;
    upload.send_data(Bytes::from_static(b"ask"), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    for name in [
        "content-length",
        "host",
        "authorization",
        "cookie",
        "cache-control",
        "x-forwarded-for",
        "x-fine",
    ] {
        trailers.insert(name, http::HeaderValue::from_static("7"));
    }
    upload.send_trailers(trailers).unwrap();
    let (reply, heard) = join(read(response), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        let heard = backend.hear("\r\n\r\n").await;
        backend.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        heard
    })
    .await;
    assert!(reply.is_ok());
    assert_eq!(heard, "3\r\nask\r\n0\r\nx-fine: 7\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn refuses_http1_requests_that_could_be_read_in_two_ways() {
    let mut taken = Vec::new();
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a,b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n b: c\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\na",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let proxy = Proxy::to(&["http://a:80"]);
        let mut backlog = proxy.backend("a");
        let mut pipe = proxy.pipe().await;
        pipe.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(1), pipe.read_exact(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let is_error = matches!(read, Ok(Err(_))) || answer.starts_with("HTTP/1.1 4");
        let heard = match backlog.0.try_recv() {
            Ok(mut pipe) => {
                let mut heard = vec![0; 1024];
                let length =
                    tokio::time::timeout(Duration::from_secs(1), pipe.read(&mut heard)).await;
                heard.truncate(length.map_or(0, Result::unwrap));
                String::from_utf8_lossy(&heard).into_owned()
            }
            Err(_nobody) => String::new(),
        };
        if !is_error || !heard.is_empty() {
            taken.push((request, answer, heard));
        }
    }
    assert!(taken.is_empty(), "taken: {taken:#?}");
}
