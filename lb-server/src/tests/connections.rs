//! How requests come by connections to backends that take one request at a time.

use std::time::Duration;

use futures_util::future::join;
use h2::Reason;
use h2::client::ResponseFuture;
use tokio::time::{Instant, advance};

use super::backend::{Backlog, Http1};
use super::client::{Client, get, read};
use super::{Proxy, settle};

/// How long connecting takes where backends are far away.
const FAR: Duration = Duration::from_millis(100);

/// A backend far away that has read a first request, and a second request that waits for a connection.
struct Stage {
    /// Serves as long as it is there.
    _proxy: Proxy,
    backlog: Backlog,
    client: Client,
    /// The connection that the first request came by.
    one: Http1,
    first: ResponseFuture,
    second: ResponseFuture,
}

impl Stage {
    async fn new() -> Self {
        let proxy = Proxy::to(&["http://a:80"]);
        let mut backlog = proxy.backend("a");
        proxy.put_far("a", FAR);
        let mut client = proxy.connect().await;
        let (first, _) = client.start(get("/first"), true).await;
        let mut one = backlog.http1().await;
        one.head().await;
        let (second, _) = client.start(get("/second"), true).await;
        settle().await;
        Self {
            _proxy: proxy,
            backlog,
            client,
            one,
            first,
            second,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_takes_the_connection_that_is_given_back_first() {
    let mut stage = Stage::new().await;
    let asked = Instant::now();
    stage.one.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    read(stage.first).await.unwrap();
    assert!(stage.one.answer("2").await.starts_with("GET /second "));
    assert_eq!(read(stage.second).await.unwrap().text(), "2");
    assert!(asked.elapsed() < FAR / 2, "{:?}", asked.elapsed());
    // What was dialled for the second is there for the next that finds none.
    let (third, _) = stage.client.start(get("/third"), true).await;
    assert!(stage.one.head().await.starts_with("GET /third "));
    let (fourth, two) = join(stage.client.get("/fourth"), async {
        let mut two = stage.backlog.http1().await;
        two.answer("4").await;
        two
    })
    .await;
    assert_eq!(fourth.text(), "4");
    stage.one.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    read(third).await.unwrap();
    drop(two);
    advance(2 * FAR).await;
    settle().await;
    assert!(stage.backlog.is_empty(), "more was opened than was needed");
}

#[tokio::test(start_paused = true)]
async fn a_dial_whose_request_was_given_up_serves_the_next() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    proxy.put_far("a", FAR);
    let mut client = proxy.connect().await;
    let (given_up, mut stream) = client.open(get("/first")).await;
    settle().await;
    stream.send_reset(Reason::CANCEL);
    drop(given_up);
    advance(FAR / 2).await;
    let asked = Instant::now();
    let (reply, _backend) = join(client.get("/second"), async {
        let mut backend = backlog.http1().await;
        assert!(backend.answer("2").await.starts_with("GET /second "));
        backend
    })
    .await;
    assert_eq!(reply.text(), "2");
    assert!(asked.elapsed() < FAR * 3 / 4, "{:?}", asked.elapsed());
    advance(2 * FAR).await;
    settle().await;
    assert!(backlog.is_empty(), "more was opened than was needed");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_with_its_response_is_handed_to_nobody() {
    let mut stage = Stage::new().await;
    stage
        .one
        .say("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
        .await;
    drop(stage.one);
    assert_eq!(read(stage.first).await.unwrap().text(), "1");
    let mut two = stage.backlog.http1().await;
    assert!(two.answer("2").await.starts_with("GET /second "));
    assert_eq!(read(stage.second).await.unwrap().text(), "2");
}
