//! Limits that several instances share, with a store that does as it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use http::StatusCode;
use parking_lot::Mutex;

use super::{Proxy, metrics, passing, routes};
use crate::clock;
use crate::redis::{Command, Store, StoreError, Value};

/// What a link waits before it says that it waited in vain.
const TIMEOUT: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Default)]
enum Mood {
    #[default]
    Well,
    Slow,
    Bad(StoreError),
    Odd(Value),
}

/// A store that keeps arrival times, as the script does for buckets.
#[derive(Debug)]
struct Fake {
    start: Instant,
    arrivals: Mutex<HashMap<Vec<u8>, u64>>,
    mood: Mutex<Mood>,
    asked: AtomicUsize,
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: clock::now(),
            arrivals: Mutex::default(),
            mood: Mutex::default(),
            asked: AtomicUsize::new(0),
        })
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The script, for buckets that are all enforced.
    fn decide(&self, command: &Command) -> Value {
        let elapsed = (clock::now() - self.start).as_micros();
        let now = 1_780_000_000_000_000 + u64::try_from(elapsed).unwrap();
        let (keys, numbers) = command.words.split_at(command.keys);
        let mut arrivals = self.arrivals.lock();
        let number = |word: &Vec<u8>| std::str::from_utf8(word).unwrap().parse::<u64>().unwrap();
        let decided: Vec<_> = keys
            .iter()
            .zip(numbers.chunks(5))
            .map(|(key, numbers)| {
                assert_eq!((&*numbers[0], number(&numbers[1])), (&b"bucket"[..], 1));
                let (cost, interval) = (number(&numbers[2]), number(&numbers[3]));
                let full = now.max(arrivals.get(key).copied().unwrap_or(0));
                let after = full + cost * interval;
                (key, after - now <= number(&numbers[4]), full, after)
            })
            .collect();
        let is_admitted = decided.iter().all(|(_, fits, ..)| *fits);
        let mut answer = Vec::new();
        for (key, fits, full, after) in decided {
            if is_admitted {
                arrivals.insert(key.clone(), after);
            }
            answer.extend([u64::from(fits), 0, full, after, now]);
        }
        let integer = |number| Value::Integer(i64::try_from(number).unwrap());
        Value::List(answer.into_iter().map(integer).collect())
    }
}

impl Store for Fake {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mood = self.mood.lock().clone();
            match mood {
                Mood::Well => Ok(self.decide(&command)),
                Mood::Slow => {
                    tokio::time::sleep(TIMEOUT).await;
                    Err(StoreError::Timeout)
                }
                Mood::Bad(error) => Err(error),
                Mood::Odd(value) => Ok(value),
            }
        })
    }
}

fn shared(store: &Arc<Fake>, table: &str) -> Proxy {
    let table = format!("[rate_limits.one]\nstore = \"redis\"\n{table}\n");
    let store = Arc::clone(store) as Arc<dyn Store>;
    Proxy::sharing(&store, &["http://a:80"], &routes("[\"one\"]", &table))
}

#[tokio::test(start_paused = true)]
async fn one_limit_holds_across_two_instances() {
    let store = Fake::new();
    let (one, two) = (shared(&store, "limit = 5"), shared(&store, "limit = 5"));
    let (mut first, mut second) = (one.connect().await, two.connect().await);
    assert_eq!(passing(&mut first, "/a", 3).await, 3);
    let reply = second.get("/a").await;
    assert_eq!(reply.field("ratelimit-policy"), "\"one\";q=5;w=60");
    assert_eq!(reply.field("ratelimit"), "\"one\";r=1;t=12");
    assert_eq!(passing(&mut second, "/a", 5).await, 1);
    let reply = first.get("/a").await;
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.field("ratelimit"), "\"one\";r=0;t=12");
    assert_eq!(reply.field("retry-after"), "12");
}

#[tokio::test(start_paused = true)]
async fn a_client_known_to_be_refused_costs_no_round_trip() {
    let store = Fake::new();
    let proxy = shared(&store, "limit = 2");
    let mut client = proxy.connect().await;
    assert_eq!(passing(&mut client, "/a", 100).await, 2);
    assert_eq!(store.asked(), 3);
    let reply = client.get("/a").await;
    // What is remembered is rounded to the millisecond above, and never too early.
    assert_eq!(reply.field("retry-after"), "31");
    assert_eq!(reply.field("ratelimit"), "\"one\";r=0;t=31");
    let counted = metrics(&proxy, "one");
    assert_eq!((counted.refused, counted.remembered), (99, 98));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(passing(&mut client, "/a", 2).await, 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_what_is_configured_decides() {
    let moods = [
        Mood::Slow,
        Mood::Bad(StoreError::Down),
        Mood::Bad(StoreError::Unusable("READONLY".into())),
        Mood::Bad(StoreError::Refused("WRONGTYPE".into())),
        Mood::Odd(Value::Nil),
        Mood::Odd(Value::Status("OK".to_owned())),
        Mood::Odd(Value::List(vec![Value::Integer(1); 4])),
        Mood::Odd(Value::List(vec![Value::Nil; 5])),
    ];
    for mood in moods {
        for (choice, passes) in [("allow", 6), ("local", 2), ("deny", 0)] {
            let store = Fake::new();
            store.feel(mood.clone());
            let table = format!("limit = 2\nwindow = \"1h\"\non_store_error = \"{choice}\"");
            let proxy = shared(&store, &table);
            let mut client = proxy.connect().await;
            let mut passed = 0;
            for _ in 0..6 {
                let start = clock::now();
                let reply = client.get("/a").await;
                assert!(clock::now() - start <= TIMEOUT + Duration::from_millis(1));
                match reply.status() {
                    StatusCode::OK => passed += 1,
                    StatusCode::TOO_MANY_REQUESTS => assert_eq!(choice, "local"),
                    StatusCode::SERVICE_UNAVAILABLE => {
                        assert_eq!((choice, &*reply.reason()), ("deny", "store_unavailable"));
                        assert_eq!(reply.field("retry-after"), "1");
                    }
                    other => panic!("{other}"),
                }
                assert_eq!(reply.field("ratelimit-policy"), "\"one\";q=2;w=3600");
            }
            assert_eq!(passed, passes, "{choice} {mood:?}");
            assert_eq!(metrics(&proxy, "one").store_errors, 6);
            // And as soon as it is well again, it decides.
            store.feel(Mood::Well);
            assert_eq!(passing(&mut client, "/a", 6).await, 2, "{choice} {mood:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_that_make_no_sense_are_survived() {
    for numbers in [
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, i64::MAX, i64::MAX, i64::MAX, i64::MIN],
        [7, -1, -1, -1, -1],
        [1, i64::MIN, i64::MAX, i64::MIN, i64::MAX],
    ] {
        for algorithm in ["token-bucket", "sliding-window"] {
            let store = Fake::new();
            let list = numbers.map(Value::Integer).to_vec();
            store.feel(Mood::Odd(Value::List(list)));
            let proxy = shared(&store, &format!("limit = 2\nalgorithm = \"{algorithm}\""));
            let mut client = proxy.connect().await;
            assert_eq!(passing(&mut client, "/a", 1).await == 1, numbers[0] == 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_is_not_counted_in_memory() {
    let store = Fake::new();
    let tables = "[rate_limits.far]\nlimit = 1\nwindow = \"10s\"\nstore = \"redis\"\n\
                  [rate_limits.near]\nlimit = 2\nwindow = \"1h\"\n";
    let store = store as Arc<dyn Store>;
    let proxy = Proxy::sharing(
        &store,
        &["http://a:80"],
        &routes("[\"near\", \"far\"]", tables),
    );
    let mut client = proxy.connect().await;
    assert_eq!(passing(&mut client, "/a", 5).await, 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(passing(&mut client, "/a", 5).await, 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(passing(&mut client, "/a", 5).await, 0);
    assert_eq!(client.get("/a").await.field("retry-after"), "1780");
}

#[tokio::test(start_paused = true)]
async fn limits_of_one_route_are_one_round_trip() {
    let store = Fake::new();
    let tables = "[rate_limits.x]\nlimit = 9\nstore = \"redis\"\n[rate_limits.y]\nlimit = 8\nstore = \"redis\"\n";
    let dynamic = Arc::clone(&store) as Arc<dyn Store>;
    let proxy = Proxy::sharing(
        &dynamic,
        &["http://a:80"],
        &routes("[\"x\", \"y\"]", tables),
    );
    let mut client = proxy.connect().await;
    let reply = client.get("/a").await;
    assert_eq!(reply.field("ratelimit"), "\"x\";r=8;t=7, \"y\";r=7;t=8");
    assert_eq!(store.asked(), 1);
    assert_eq!(passing(&mut client, "/free", 3).await, 3);
    assert_eq!(store.asked(), 1);
}
