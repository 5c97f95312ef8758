//! Caches of several instances on one store, which does as it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use http::{Request, StatusCode};
use parking_lot::Mutex;

use super::super::client::{get, read};
use super::super::{Proxy, settle};
use super::origin::{Origin, fresh, response};
use crate::cache::Purge;
use crate::clock;
use crate::redis::{Command, Store, StoreError, Value};

/// What a link waits before it says that it waited in vain.
const TIMEOUT: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// It answers, but after so long.
    Slow(Duration),
    Down,
    ReadOnly,
}

/// A value, and when it ends.
#[derive(Debug)]
struct Kept {
    value: Vec<u8>,
    end: Instant,
}

/// Values that end, and a log of purges.
#[derive(Debug, Default)]
struct Fake {
    values: Mutex<HashMap<Vec<u8>, Kept>>,
    log: Mutex<Vec<(Vec<u8>, u64)>>,
    mood: Mutex<Mood>,
    reads: AtomicUsize,
}

impl Fake {
    fn feel(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    fn values(&self) -> usize {
        self.values.lock().len()
    }

    fn answer(&self, command: &Command) -> Result<Value, StoreError> {
        let words = &command.words;
        let text = |number: u64| Value::Bytes(number.to_string().into());
        let number = |word: &Vec<u8>| str::from_utf8(word).unwrap().parse::<u64>().unwrap();
        let Some(script) = command.script else {
            return Ok(match words[0].as_slice() {
                b"SET" => {
                    let end = clock::now() + Duration::from_millis(number(&words[4]));
                    let value = words[2].clone();
                    let kept = Kept { value, end };
                    self.values.lock().insert(words[1].clone(), kept);
                    Value::Status("OK".to_owned())
                }
                b"UNLINK" => {
                    let removed = self.values.lock().remove(&words[1]).is_some();
                    Value::Integer(removed.into())
                }
                other => panic!("{other:?}"),
            });
        };
        let first = script.text.lines().next().unwrap();
        if first.contains("Reads a record") {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let now = clock::now();
            let values = self.values.lock();
            let value = values.get(&words[0]).filter(|kept| kept.end > now);
            return Ok(value.map_or(Value::Nil, |kept| {
                let left = i64::try_from((kept.end - now).as_millis()).unwrap();
                Value::List(vec![Value::Bytes(kept.value.clone()), Value::Integer(left)])
            }));
        }
        let mut log = self.log.lock();
        let last = log.last().map_or(1, |(_, number)| *number);
        if first.contains("Reads the purges") {
            let asked = number(&words[1]);
            let later = log.iter().filter(|(_, number)| *number > asked);
            let later =
                later.flat_map(|(entry, number)| [Value::Bytes(entry.clone()), text(*number)]);
            let later = Value::List(later.collect());
            return Ok(Value::List(vec![text(1), text(1), text(last), later]));
        }
        let mut answer = Vec::new();
        for (entry, number) in words[3..].iter().zip(last + 1..) {
            let before = log.iter().find(|(one, _)| one == entry);
            answer.extend([text(number), text(before.map_or(0, |(_, number)| *number))]);
            log.retain(|(one, _)| one != entry);
            log.push((entry.clone(), number));
        }
        Ok(Value::List(answer))
    }
}

impl Store for Fake {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
        Box::pin(async move {
            let mood = *self.mood.lock();
            let writes = command.words[0] == b"SET" || command.script.is_some();
            match mood {
                Mood::Down => return Err(StoreError::Down),
                Mood::ReadOnly if writes => {
                    return Err(StoreError::Unusable("READONLY".into()));
                }
                Mood::Slow(time) => {
                    tokio::time::sleep(time.min(TIMEOUT)).await;
                    if time > TIMEOUT {
                        return Err(StoreError::Timeout);
                    }
                }
                Mood::Well | Mood::ReadOnly => {}
            }
            self.answer(&command)
        })
    }
}

fn instance(store: &Arc<Fake>, settings: &str) -> Proxy {
    let store = Arc::clone(store) as Arc<dyn Store>;
    let more = format!(
        "[caches.main]\nstore = \"redis\"\n{settings}\n[[routes]]\npool = \"default\"\ncache = \"main\"\n"
    );
    Proxy::sharing(&store, &["http://a:80"], &more)
}

fn store() -> Arc<Fake> {
    Arc::default()
}

#[tokio::test(start_paused = true)]
async fn what_one_has_fetched_the_other_serves_with_the_age_it_has() {
    let store = store();
    let (one, two) = (instance(&store, ""), instance(&store, ""));
    let origin = Origin::of(&one, &[&fresh("first")]);
    let never = Origin::of(&two, &[&fresh("second")]);
    settle().await;
    assert_eq!(one.connect().await.get("/").await.text(), "first");
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut client = two.connect().await;
    let reply = client.get("/").await;
    assert_eq!(reply.text(), "first");
    assert_eq!(reply.field("age"), "20");
    assert_eq!(reply.field("cache-status"), "lb; hit; ttl=40; detail=store");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let reply = client.get("/").await;
    assert_eq!(reply.field("age"), "50");
    assert_eq!(reply.field("cache-status"), "lb; hit; ttl=10");
    assert_eq!((origin.count(), never.count()), (1, 0));
    let metrics = two.handle.metrics().caches["main"].clone();
    assert_eq!((metrics.store_hits, metrics.hits), (1, 2));
    let metrics = one.handle.metrics().caches["main"].clone();
    assert_eq!((metrics.store_misses, metrics.store_writes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_ask_once() {
    let store = store();
    let (one, two) = (instance(&store, ""), instance(&store, ""));
    let _origin = Origin::of(&one, &[&fresh("x")]);
    let never = Origin::of(&two, &[&fresh("y")]);
    settle().await;
    one.connect().await.get("/").await;
    settle().await;
    store.feel(Mood::Slow(Duration::from_millis(40)));
    let before = store.reads();
    let mut client = two.connect().await;
    let mut replies = Vec::new();
    for _request in 0..50 {
        replies.push(client.start(get("/"), true).await.0);
    }
    for reply in join_all(replies.into_iter().map(read)).await {
        let reply = reply.unwrap();
        assert_eq!(reply.text(), "x");
        assert_eq!(reply.field("cache-status"), "lb; hit; ttl=59; detail=store");
    }
    assert_eq!((store.reads() - before, never.count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_timeout_nor_for_the_writing() {
    let store = store();
    let proxy = instance(&store, "");
    let _origin = Origin::of(&proxy, &[&fresh("x")]);
    settle().await;
    let mut client = proxy.connect().await;
    for (number, (mood, most)) in [
        (Mood::Slow(Duration::from_secs(10)), 51),
        (Mood::Slow(Duration::from_millis(20)), 21),
        (Mood::Down, 0),
        (Mood::ReadOnly, 0),
    ]
    .into_iter()
    .enumerate()
    {
        store.feel(mood);
        let start = clock::now();
        let reply = client.get(&format!("/{number}")).await;
        assert_eq!(reply.text(), "x");
        let waited = (clock::now() - start).as_millis();
        assert!(waited <= most, "{mood:?} {waited}");
        let again = client.get(&format!("/{number}")).await;
        assert!(
            again.field("cache-status").starts_with("lb; hit"),
            "{mood:?}"
        );
    }
    let metrics = proxy.handle.metrics().caches["main"].clone();
    assert!(metrics.store_errors >= 3, "{metrics:?}");
    store.feel(Mood::Well);
    client.get("/well").await;
    settle().await;
    assert!(store.values() >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_purge_reaches_both_within_a_moment() {
    let store = store();
    let (one, two) = (instance(&store, ""), instance(&store, ""));
    let origins = [&one, &two].map(|proxy| {
        let tagged = ["cache-control: max-age=600", "cache-tag: news"];
        Origin::of(proxy, &[&response(200, &tagged, "x")])
    });
    settle().await;
    let (mut first, mut second) = (one.connect().await, two.connect().await);
    for (round, purge) in [
        Purge::Url("http://app.example/a"),
        Purge::Prefix("http://app.example/"),
        Purge::Tag("news"),
        Purge::All,
    ]
    .into_iter()
    .enumerate()
    {
        first.get("/a").await;
        settle().await;
        second.get("/a").await;
        one.handle.purge("main", purge).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(two.handle.metrics().caches["main"].entries, 0, "{purge:?}");
        assert_eq!([origins[0].count(), origins[1].count()], [round + 1, 0]);
    }
    // While the store is away it is kept, and told as soon as it is back.
    first.get("/a").await;
    settle().await;
    second.get("/a").await;
    store.feel(Mood::Down);
    one.handle.purge("main", Purge::All).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(two.handle.metrics().caches["main"].entries, 1);
    store.feel(Mood::Well);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(two.handle.metrics().caches["main"].entries, 0);
    let reply = second.get("/a").await;
    assert!(reply.field("cache-status").starts_with("lb; fwd=uri-miss"));
}

#[tokio::test(start_paused = true)]
async fn what_another_has_validated_is_not_validated_again() {
    let store = store();
    let (one, two) = (instance(&store, ""), instance(&store, ""));
    let fields = ["cache-control: max-age=10", "etag: \"1\""];
    let (full, same) = (response(200, &fields, "x"), response(304, &fields, ""));
    let origins = [
        Origin::of(&one, &[&full, &same]),
        Origin::of(&two, &[&same]),
    ];
    settle().await;
    let (mut first, mut second) = (one.connect().await, two.connect().await);
    first.get("/").await;
    settle().await;
    assert_eq!(second.get("/").await.text(), "x");
    tokio::time::sleep(Duration::from_secs(15)).await;
    let reply = first.get("/").await;
    assert!(
        reply
            .field("cache-status")
            .starts_with("lb; fwd=stale; fwd-status=304")
    );
    settle().await;
    let reply = second.get("/").await;
    assert_eq!(reply.text(), "x");
    assert_eq!(reply.field("cache-status"), "lb; hit; ttl=9; detail=store");
    assert_eq!([origins[0].count(), origins[1].count()], [2, 0]);
    // Stale in both: its validator goes to the backend, whoever had fetched it.
    let (three, fields) = (instance(&store, ""), "if-none-match");
    let origin = Origin::of(&three, &[&same]);
    settle().await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let reply = three.connect().await.get("/").await;
    assert_eq!(reply.text(), "x");
    assert_eq!(origin.last_field(fields).as_deref(), Some("\"1\""));
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_sent_while_one_validates_it() {
    let store = store();
    let settings = "stale_while_revalidate = \"60s\"";
    let (one, two) = (instance(&store, settings), instance(&store, settings));
    let short = |body| response(200, &["cache-control: max-age=10"], body);
    let _origin = Origin::of(&one, &[&short("old")]);
    let behind = Origin::of(&two, &[&short("new")]);
    settle().await;
    one.connect().await.get("/").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut client = two.connect().await;
    let reply = client.get("/").await;
    assert_eq!(reply.text(), "old");
    assert!(
        reply
            .field("cache-status")
            .contains("detail=stale-while-revalidate")
    );
    settle().await;
    assert_eq!(client.get("/").await.text(), "new");
    assert_eq!(behind.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_demands_holds_for_the_store_too() {
    let store = store();
    let (one, two) = (instance(&store, ""), instance(&store, ""));
    let _origin = Origin::of(&one, &[&fresh("old")]);
    let origin = Origin::of(&two, &[&fresh("new")]);
    settle().await;
    one.connect().await.get("/").await;
    settle().await;
    let mut client = two.connect().await;
    let asking = |control: &'static str| {
        let request = Request::get("http://app.example/").header("cache-control", control);
        request.body(()).unwrap()
    };
    let reply = client.send(asking("only-if-cached")).await;
    assert_eq!((reply.status(), reply.text()), (StatusCode::OK, "old"));
    let reply = client.send(asking("no-cache")).await;
    assert_eq!((reply.text(), origin.count()), ("new", 1));
    // Without anything to answer with, nobody is asked.
    let none = Request::get("http://app.example/none").header("cache-control", "only-if-cached");
    let reply = client.send(none.body(()).unwrap()).await;
    assert_eq!(reply.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_shared_is_not_written() {
    let store = store();
    let proxy = instance(&store, "max_object = \"1KiB\"");
    let large = "x".repeat(2_000);
    let origin = Origin::of(
        &proxy,
        &[
            &response(200, &["cache-control: private, max-age=60"], "x"),
            &response(200, &["cache-control: no-store"], "x"),
            &response(200, &["cache-control: max-age=60", "set-cookie: a=b"], "x"),
            &response(200, &["cache-control: max-age=60", "vary: *"], "x"),
            &response(200, &["cache-control: max-age=60"], &large),
            "HTTP/1.1 200 X\r\ncache-control: max-age=60\r\nconnection: close\r\ncontent-length: 9\r\n\r\ncut",
        ],
    );
    settle().await;
    let mut client = proxy.connect().await;
    for number in 0..6 {
        let (reply, _) = client.start(get(&format!("/{number}")), true).await;
        let _is_whole_or_cut = read(reply).await;
        settle().await;
    }
    assert_eq!((origin.count(), store.values()), (6, 0));
}
