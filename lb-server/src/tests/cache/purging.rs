//! Purge by URL, prefix and tag.

use super::super::client::{get, read};
use super::cached;
use super::origin::{Origin, fresh, response};
use crate::cache::Purge;
use crate::error::ErrorKind;

#[tokio::test(start_paused = true)]
async fn removes_what_it_names() {
    let proxy = cached("");
    let tagged = response(
        200,
        &["cache-control: max-age=60", "cache-tag: news, front"],
        "x",
    );
    let origin = Origin::of(&proxy, &[&tagged]);
    let mut client = proxy.connect().await;
    for (purge, stays, purged) in [
        (Purge::Url("http://APP.example:80/a/1"), 2, 1),
        (Purge::Prefix("http://app.example/a/"), 1, 2),
        (Purge::Tag("front"), 0, 3),
        (Purge::Tag("none"), 3, 0),
        (Purge::All, 0, 3),
        (Purge::Url("http://other.example/a/1"), 3, 0),
    ] {
        for path in ["/a/1", "/a/2", "/b"] {
            client.get(path).await;
        }
        assert_eq!(
            proxy.handle.purge("main", purge).unwrap(),
            purged,
            "{purge:?}"
        );
        assert_eq!(proxy.handle.metrics().caches["main"].entries, stays);
    }
    assert_eq!(origin.count(), 3 + 1 + 2 + 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_is_not_stored() {
    let proxy = cached("");
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (reply, _) = client.start(get("/"), true).await;
    let mut backend = backlog.http1().await;
    backend.head().await;
    proxy.handle.purge("main", Purge::Tag("any")).unwrap();
    backend.say(fresh("old")).await;
    assert_eq!(read(reply).await.unwrap().text(), "old");
    assert_eq!(proxy.handle.metrics().caches["main"].entries, 0);
    let (reply, _) = client.start(get("/"), true).await;
    backend.head().await;
    backend.say(fresh("new")).await;
    assert_eq!(read(reply).await.unwrap().text(), "new");
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test(start_paused = true)]
async fn says_what_it_cannot_purge() {
    let proxy = cached("");
    let error = proxy.handle.purge("mein", Purge::All).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().ends_with("there are: main"), "{error}");
    let error = proxy.handle.purge("main", Purge::Url("/a")).unwrap_err();
    assert!(error.to_string().contains("`/a`"), "{error}");
}
