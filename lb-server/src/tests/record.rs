//! Each exchange leaves one record, whatever becomes of it.

use bytes::Bytes;
use futures_util::future::join;
use h2::Reason;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::get;
use super::{Proxy, settle};
use crate::record::{Record, RecordSink};
use crate::reply;

/// Keeps a line of each record.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Vec<String>>);

impl Lines {
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl RecordSink for Lines {
    fn take(&self, record: &Record<'_>) {
        let attempts: Vec<String> = record
            .attempts()
            .map(|attempt| match attempt.result {
                None => "gone".to_owned(),
                Some(Ok(status)) => status.as_u16().to_string(),
                Some(Err(reason)) => reason.to_owned(),
            })
            .collect();
        let shown = |part: Option<&str>| part.unwrap_or("-").to_owned();
        self.0.lock().push(format!(
            "{:?} {} {}{}{} {} in={} out={} {} {} {} [{}] cache={} {}",
            record.protocol,
            record.head.method,
            record.head.host,
            record.head.path(),
            record
                .head
                .query()
                .map_or(String::new(), |query| format!("?{query}")),
            record.status.as_u16(),
            record.bytes_in,
            record.bytes_out,
            shown(record.route),
            shown(record.pool),
            shown(record.backend.map(lb_core::BackendId::as_str)),
            attempts.join(" "),
            shown(record.cache.map(crate::record::CacheResult::as_str)),
            shown(record.reason),
        ));
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_backend() {
    let proxy = Proxy::to(&["http://a:80"]);
    let lines = proxy.recorded("");
    proxy.backend("a").always(OK);
    let mut client = proxy.connect().await;
    client.post("/x?y=1", "ask").await.unwrap();
    assert_eq!(
        lines.take(),
        [
            "HTTP/2.0 POST app.example/x?y=1 200 in=3 out=5 default default default/http://a:80 [200] cache=- -"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_http1() {
    let proxy = Proxy::to(&["http://a:80"]);
    let lines = proxy.recorded("");
    proxy.backend("a").always(OK);
    let mut pipe = proxy.pipe().await;
    let request = "POST /x HTTP/1.1\r\nhost: App.example:80\r\ntransfer-encoding: chunked\r\n\r\n3\r\nask\r\n0\r\n\r\n\
                   GET /nothing HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n";
    pipe.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    pipe.read_to_string(&mut said).await.unwrap();
    assert_eq!(
        lines.take(),
        [
            "HTTP/1.1 POST app.example/x 200 in=3 out=5 default default default/http://a:80 [200] cache=- -",
            "HTTP/1.1 GET a b/nothing 400 in=0 out=166 - - - [] cache=- bad_request",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_retry() {
    let proxy = Proxy::to(&["http://a:80", "http://b:80"]);
    let lines = proxy.recorded("");
    let mut client = proxy.connect().await;
    client.get("/").await;
    proxy.backend("b").always(OK);
    client.get("/").await;
    client.get("/").await;
    let lines = lines.take().join("\n");
    assert!(
        lines.contains("[connect_refused connect_refused] cache=- no_healthy_backend"),
        "{lines}"
    );
    assert!(
        lines.contains(
            "200 in=0 out=5 default default default/http://b:80 [connect_refused 200] cache=- -"
        ),
        "{lines}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_and_within_the_reply() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let lines = proxy.recorded("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut stream) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, _respond) = backend.request().await;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    settle().await;
    assert_eq!(
        lines.take(),
        [
            "HTTP/2.0 GET app.example/ 499 in=0 out=0 default default default/h2c://a:80 [gone] cache=- client_closed"
        ]
    );
    let (response, _stream) = client.start(get("/"), true).await;
    let (_, mut respond) = backend.request().await;
    let mut body = respond
        .send_response(http::Response::new(()), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"part"), false).unwrap();
    let response = response.await.unwrap();
    settle().await;
    assert_eq!(lines.take(), [""; 0]);
    drop(response);
    drop(_stream);
    settle().await;
    assert_eq!(
        lines.take(),
        [
            "HTTP/2.0 GET app.example/ 200 in=0 out=4 default default default/h2c://a:80 [200] cache=- client_closed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http1_that_leaves() {
    let proxy = Proxy::to(&["http://a:80"]);
    let lines = proxy.recorded("");
    let mut backlog = proxy.backend("a");
    let mut pipe = proxy.pipe().await;
    pipe.write_all(b"GET / HTTP/1.1\r\nhost: app.example\r\n\r\n")
        .await
        .unwrap();
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe")
        .await;
    settle().await;
    drop(pipe);
    // It is noticed by the next bytes, because half of a connection may be closed.
    backend.say("llo").await;
    settle().await;
    assert_eq!(
        lines.take(),
        [
            "HTTP/1.1 GET app.example/ 200 in=0 out=5 default default default/http://a:80 [200] cache=- client_closed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off() {
    let proxy = Proxy::to(&["http://a:80"]);
    let lines = proxy.recorded("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (result, ()) = join(client.try_send(get("/")), async {
        let mut backend = backlog.http1().await;
        backend.head().await;
        backend
            .say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
            .await;
    })
    .await;
    result.unwrap_err();
    assert_eq!(
        lines.take(),
        [
            "HTTP/2.0 GET app.example/ 200 in=0 out=5 default default default/http://a:80 [200] cache=- backend_reset"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_and_a_handler_answer() {
    let proxy = Proxy::with(&["http://a:80"], CACHED);
    let lines = proxy.recorded(CACHED);
    proxy
        .backend("a")
        .always("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\nhello");
    let mut client = proxy.connect().await;
    client.get("/").await;
    client.get("/").await;
    assert_eq!(
        lines.take(),
        [
            "HTTP/2.0 GET app.example/ 200 in=0 out=5 cached default default/http://a:80 [200] cache=miss -",
            "HTTP/2.0 GET app.example/ 200 in=0 out=5 cached default - [] cache=hit -",
        ]
    );
    let proxy = Proxy::handled_by(&[], async |_, _| Ok(reply::text(200, "hi")));
    let lines = proxy.recorded("");
    proxy.connect().await.get("/").await;
    assert_eq!(
        lines.take(),
        ["HTTP/2.0 GET app.example/ 200 in=0 out=2 default - - [] cache=- -"]
    );
}

const CACHED: &str =
    "[caches.main]\n[[routes]]\nname = \"cached\"\npool = \"default\"\ncache = \"main\"\n";
