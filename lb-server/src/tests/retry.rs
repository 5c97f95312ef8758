//! What was not processed is tried elsewhere; what may have been is repeated only where it is safe.

use bytes::Bytes;
use futures_util::future::join;
use h2::Reason;
use http::{Request, StatusCode};

use super::client::{self, get, post, read};
use super::wire::{self, Wire};
use super::{Proxy, backend, settle};

#[tokio::test(start_paused = true)]
async fn goes_to_another_backend_when_one_refuses_connections() {
    let proxy = Proxy::to(&["http://a:80", "http://b:80"]);
    let mut backlog = proxy.backend("b");
    let mut client = proxy.connect().await;
    for _request in 0..2 {
        let (reply, _) = join(client.post("/", "ask"), async {
            let mut backend = backlog.http1().await;
            backend.head().await;
            backend.hear("0\r\n\r\n").await;
            backend
                .say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                .await;
        })
        .await;
        assert_eq!(reply.unwrap().text(), "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn replays_the_body_when_a_stream_is_refused() {
    let proxy = Proxy::to(&["h2c://a:80", "h2c://b:80"]);
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let (reply, (first, second)) = join(client.post("/", "ask"), async {
        let either = |a: Option<_>, b: Option<_>| a.or(b).unwrap();
        let pipe = tokio::select! {
            pipe = a.0.recv() => either(pipe, None),
            pipe = b.0.recv() => either(pipe, None),
        };
        let mut refusing = backend::Http2::built(pipe, &h2::server::Builder::new()).await;
        let (request, mut respond) = refusing.request().await;
        let (first, _) = client::read_body(request.into_body()).await.unwrap();
        respond.send_reset(Reason::REFUSED_STREAM);
        let pipe = tokio::select! {
            pipe = a.0.recv() => either(pipe, None),
            pipe = b.0.recv() => either(pipe, None),
        };
        let mut taking = backend::Http2::built(pipe, &h2::server::Builder::new()).await;
        let (request, mut respond) = taking.request().await;
        let (second, _) = client::read_body(request.into_body()).await.unwrap();
        backend::answer(&mut respond, "ok");
        settle().await;
        (first, second)
    })
    .await;
    assert_eq!(reply.unwrap().text(), "ok");
    assert_eq!((&*first, &*second), (&b"ask"[..], &b"ask"[..]));
    assert_eq!(proxy.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn goes_elsewhere_when_a_goaway_leaves_the_request_behind() {
    let proxy = Proxy::to(&["h2c://a:80", "http://b:80"]);
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let mut first_went = Vec::new();
    for _request in 0..2 {
        let (reply, went) = join(client.post("/", "ask"), async {
            tokio::select! {
                pipe = a.0.recv() => {
                    let mut wire = Wire::backend(pipe.unwrap(), &[]).await;
                    wire.find(wire::HEADERS).await;
                    wire.send(wire::GOAWAY, 0, 0, &[0; 8]).await;
                    let mut backend = b.http1().await;
                    backend.hear("0\r\n\r\n").await;
                    backend.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
                    'a'
                }
                pipe = b.0.recv() => {
                    let mut backend = backend::Http1::new(pipe.unwrap());
                    backend.hear("0\r\n\r\n").await;
                    backend.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
                    'b'
                }
            }
        })
        .await;
        first_went.push(went);
        assert_eq!(reply.unwrap().text(), "ok");
    }
    assert!(first_went.contains(&'a'), "{first_went:?}");
}

/// The status after every backend has hung up on a request that was sent, and how often it was sent.
async fn hung_up_on(request: Request<()>) -> (StatusCode, u32) {
    let proxy = Proxy::to(&["http://a:80", "http://b:80"]);
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let (response, _) = client.start(request, true).await;
    let counted = tokio::spawn(async move {
        let mut times = 0;
        loop {
            let pipe = tokio::select! {
                Some(pipe) = a.0.recv() => pipe,
                Some(pipe) = b.0.recv() => pipe,
                () = tokio::time::sleep(super::HANG / 2) => return times,
            };
            backend::Http1::new(pipe).head().await;
            times += 1;
        }
    });
    let reply = read(response).await.unwrap();
    (reply.status(), counted.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn repeats_what_changes_nothing_once_per_backend() {
    assert_eq!(hung_up_on(get("/")).await, (StatusCode::BAD_GATEWAY, 2));
}

#[tokio::test(start_paused = true)]
async fn never_repeats_a_post_that_was_sent() {
    assert_eq!(hung_up_on(post("/")).await, (StatusCode::BAD_GATEWAY, 1));
}

#[tokio::test(start_paused = true)]
async fn never_repeats_a_body_that_was_let_go() {
    let proxy = Proxy::to(&["h2c://a:80", "h2c://b:80"]);
    let (mut a, mut b) = (proxy.backend("a"), proxy.backend("b"));
    let mut client = proxy.connect().await;
    let mut put = post("/");
    *put.method_mut() = http::Method::PUT;
    let (response, mut upload) = client.open(put).await;
    let upload = async {
        client::write_body(&mut upload, Bytes::from(vec![7; 100_000]), true).await;
    };
    let refuse = async {
        let pipe = tokio::select! {
            Some(pipe) = a.0.recv() => pipe,
            Some(pipe) = b.0.recv() => pipe,
        };
        let mut backend = backend::Http2::built(pipe, &h2::server::Builder::new()).await;
        let (request, mut respond) = backend.request().await;
        let (body, _) = client::read_body(request.into_body()).await.unwrap();
        respond.send_reset(Reason::REFUSED_STREAM);
        settle().await;
        body.len()
    };
    let (reply, (length, ())) = join(read(response), join(refuse, upload)).await;
    assert_eq!(length, 100_000);
    assert_eq!(reply.unwrap().status(), StatusCode::BAD_GATEWAY);
    assert!(a.is_empty() && b.is_empty());
}

#[tokio::test(start_paused = true)]
async fn sends_a_request_again_when_a_kept_connection_was_stale() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, kept) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.answer("one").await;
        backend
    })
    .await;
    assert_eq!(reply.text(), "one");
    settle().await;
    drop(kept);
    let (reply, _) = join(client.get("/"), async {
        backlog.http1().await.answer("two").await
    })
    .await;
    assert_eq!(reply.text(), "two");
}

#[tokio::test(start_paused = true)]
async fn keeps_a_connection_for_the_next_request() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, mut kept) = join(client.get("/"), async {
        let mut backend = backlog.http1().await;
        backend.answer("one").await;
        backend
    })
    .await;
    assert_eq!(reply.text(), "one");
    let (reply, _) = join(client.get("/"), kept.answer("two")).await;
    assert_eq!(reply.text(), "two");
    assert!(backlog.is_empty());
}

#[tokio::test(start_paused = true)]
async fn opens_another_connection_when_the_backends_streams_are_taken() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let mut replies = Vec::new();
    for _request in 0..5 {
        let (response, _) = client.start(get("/"), true).await;
        replies.push(response);
    }
    let mut answers = Vec::new();
    for taken in [2, 2, 1] {
        let mut backend = backend::Http2::built(backlog.accept().await, &builder).await;
        for _request in 0..taken {
            answers.push(backend.request().await.1);
        }
        settle().await;
        assert!(backend.is_quiet());
    }
    assert!(backlog.is_empty());
    for mut respond in answers {
        backend::answer(&mut respond, "ok");
    }
    for reply in replies {
        assert_eq!(read(reply).await.unwrap().text(), "ok");
    }
}
