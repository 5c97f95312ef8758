//! A stream that stands still holds its windows' worth and nothing of its siblings.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, poll_fn};
use h2::SendStream;
use http::Response;
use tokio::time::Instant;

use super::backend::{Backlog, Http2};
use super::client::{self, Client, get, post, read};
use super::{Proxy, settle, soon};

const STALLED: usize = 100;
const CHUNK: usize = 16 * 1024;
const MIB: usize = 1 << 20;

/// Sends zeros as fast as the far end takes them, and counts them.
async fn flood(mut stream: SendStream<Bytes>, length: usize, sent: Arc<AtomicUsize>) {
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(left.min(CHUNK));
        let Some(Ok(granted)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return;
        };
        let part = granted.min(left);
        left -= part;
        sent.fetch_add(part, Ordering::Relaxed);
        if stream
            .send_data(Bytes::from(vec![0; part]), left == 0)
            .is_err()
        {
            return;
        }
    }
}

async fn roomy_client(proxy: &Proxy) -> Client {
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 30);
    Client::built(proxy.pipe().await, &builder).await
}

async fn roomy_backend(backlog: &mut Backlog) -> Http2 {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(1000)
        .initial_connection_window_size(1 << 30);
    Http2::built(backlog.accept().await, &builder).await
}

#[tokio::test(start_paused = true)]
async fn downloads_nobody_reads_leave_their_sibling_alone() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = roomy_client(&proxy).await;
    let mut other = roomy_client(&proxy).await;
    let mut stalled = Vec::new();
    let mut pulled = Vec::new();
    let (first, _) = client.start(get("/"), true).await;
    stalled.push(first);
    let mut backend = roomy_backend(&mut backlog).await;
    for number in 0..STALLED {
        if number > 0 {
            stalled.push(client.start(get("/"), true).await.0);
        }
        let (_, mut respond) = backend.request().await;
        let stream = respond.send_response(Response::new(()), false).unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        tokio::spawn(flood(stream, 4 * MIB, Arc::clone(&sent)));
        pulled.push(sent);
    }
    settle().await;
    let start = Instant::now();
    let (reply, ()) = join(other.get("/"), async {
        let (_, mut respond) = backend.request().await;
        let stream = respond.send_response(Response::new(()), false).unwrap();
        flood(stream, 8 * MIB, Arc::default()).await;
    })
    .await;
    assert_eq!(reply.body.len(), 8 * MIB);
    assert!(
        start.elapsed() < Duration::from_millis(10),
        "{:?}",
        start.elapsed()
    );
    assert!(backlog.is_empty(), "all on one connection");
    // The client's window, what is on its way to it, and the window towards the backend.
    let most = (64 + 32 + 128) * 1024;
    for sent in pulled {
        let sent = sent.load(Ordering::Relaxed);
        assert!((128 * 1024..=most).contains(&sent), "{sent}");
    }
    drop(stalled);
    settle().await;
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn uploads_nobody_reads_leave_their_sibling_alone() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = roomy_client(&proxy).await;
    let mut unread = Vec::new();
    let mut pushed = Vec::new();
    let mut backend = None;
    for _stream in 0..STALLED - 1 {
        let (response, upload) = client.open(post("/")).await;
        let sent = Arc::new(AtomicUsize::new(0));
        tokio::spawn(flood(upload, 4 * MIB, Arc::clone(&sent)));
        pushed.push(sent);
        if backend.is_none() {
            backend = Some(roomy_backend(&mut backlog).await);
        }
        unread.push((response, backend.as_mut().unwrap().request().await));
    }
    settle().await;
    let mut backend = backend.unwrap();
    let start = Instant::now();
    let (response, upload) = client.open(post("/")).await;
    let ((), (body, reply)) = join(flood(upload, 8 * MIB, Arc::default()), async {
        let (request, mut respond) = backend.request().await;
        let (body, _) = client::read_body(request.into_body()).await.unwrap();
        super::backend::answer(&mut respond, "ok");
        (body, read(response).await.unwrap())
    })
    .await;
    assert_eq!((body.len(), reply.text()), (8 * MIB, "ok"));
    assert!(
        start.elapsed() < Duration::from_millis(10),
        "{:?}",
        start.elapsed()
    );
    assert!(backlog.is_empty(), "all on one connection");
    // The backend's window, what is on its way to it, what is kept to be sent again, and our window.
    let most = (64 + 32 + 64 + 64) * 1024;
    let mut above = 0;
    for sent in pushed {
        let sent = sent.load(Ordering::Relaxed);
        above += usize::from(sent > most);
        assert!(sent <= most + 192 * 1024, "{sent}");
    }
    assert!(above <= 8, "{above} of the first, while there were few");
}

#[tokio::test(start_paused = true)]
async fn carries_large_bodies_both_ways_at_once() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, upload) = client.open(post("/")).await;
    let echo = async {
        let mut backend = backlog.http2().await;
        let (request, mut respond) = backend.request().await;
        let mut down = respond.send_response(Response::new(()), false).unwrap();
        let mut body = request.into_body();
        while let Some(chunk) = soon("a chunk", body.data()).await {
            let chunk = chunk.unwrap();
            body.flow_control().release_capacity(chunk.len()).unwrap();
            client::write_body(&mut down, chunk, false).await;
        }
        down.send_data(Bytes::new(), true).unwrap();
        backend
    };
    let (reply, _) = join(
        read(response),
        join(echo, flood(upload, 8 * MIB, Arc::default())),
    )
    .await;
    assert_eq!(reply.unwrap().body.len(), 8 * MIB);
}

#[tokio::test(start_paused = true)]
async fn asks_an_http1_backend_for_no_more_than_is_read() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    backend
        .say("HTTP/1.1 200 OK\r\ncontent-length: 4194304\r\n\r\n")
        .await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let writer = tokio::spawn(async move {
        for _chunk in 0..(4 * MIB / 1024) {
            backend.say([0; 1024]).await;
            count.fetch_add(1024, Ordering::Relaxed);
        }
        backend
    });
    settle().await;
    let held = sent.load(Ordering::Relaxed) - super::PIPE_BYTES;
    assert!(held <= (64 + 32 + 32 + 32) * 1024, "{held}");
    assert_eq!(read(response).await.unwrap().body.len(), 4 * MIB);
    writer.await.unwrap();
}
