//! The state of a link, under virtual time, with a store that does as it is told.

#[cfg(feature = "redis")]
mod failover;
#[cfg(feature = "redis")]
mod real;
#[cfg(feature = "redis")]
pub(crate) mod server;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Command, Link, Opener, Report, Store, StoreError, Value};
use crate::clock;
use crate::metrics::Bounds;

const TIMEOUT: Duration = Duration::from_millis(50);

/// What the store does about whatever comes.
#[derive(Debug, Clone)]
enum Mood {
    Well,
    /// It answers nothing and takes no connection.
    Frozen,
    /// It answers so, and takes no connection.
    Bad(StoreError),
    /// Connections and PING are fine, other commands are refused.
    Refusing,
}

#[derive(Debug, Default)]
struct Scripted {
    moods: Mutex<VecDeque<Mood>>,
    opened: Mutex<u32>,
}

impl Scripted {
    fn feel(&self, mood: Mood) {
        *self.moods.lock() = VecDeque::from([mood]);
    }

    fn mood(&self) -> Mood {
        self.moods.lock().front().cloned().unwrap_or(Mood::Well)
    }
}

#[derive(Debug, Clone)]
struct Fake(Arc<Scripted>);

impl Store for Fake {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
        Box::pin(async move {
            match self.0.mood() {
                Mood::Frozen => pending().await,
                Mood::Bad(error) => Err(error),
                Mood::Refusing if command != Command::new("PING") => {
                    Err(StoreError::Refused("NOPERM".into()))
                }
                Mood::Well | Mood::Refusing => Ok(Value::Status("OK".to_owned())),
            }
        })
    }
}

impl Opener for Fake {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, StoreError>> {
        Box::pin(async move {
            match self.0.mood() {
                Mood::Frozen => pending().await,
                Mood::Bad(error) => Err(error),
                Mood::Well | Mood::Refusing => {
                    *self.0.opened.lock() += 1;
                    Ok(Arc::new(self.clone()) as Arc<dyn Store>)
                }
            }
        })
    }
}

struct Bench {
    store: Arc<Scripted>,
    link: Link,
    report: Arc<Report>,
}

impl Bench {
    fn new(mood: Mood) -> Self {
        let store = Arc::new(Scripted::default());
        store.feel(mood);
        let report = Arc::new(Report::new(&Bounds::of_seconds(&[1.0])));
        let opener = Arc::new(Fake(Arc::clone(&store)));
        let link = Link::new(opener, TIMEOUT, Arc::clone(&report));
        tokio::spawn(link.clone().keep());
        Self {
            store,
            link,
            report,
        }
    }

    /// Runs a command, and how long that took.
    async fn ask(&self) -> (Result<Value, StoreError>, Duration) {
        let start = clock::now();
        let answer = self.link.run(Command::new("GET").word("key")).await;
        (answer, clock::now() - start)
    }

    /// How long it takes until commands are answered again.
    async fn recovery(&self) -> Duration {
        let start = clock::now();
        while self.ask().await.0.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        clock::now() - start
    }

    fn errors(&self, reason: &str) -> u64 {
        self.report.read().errors.get(reason).copied().unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_the_first_connection() {
    let bench = Bench::new(Mood::Well);
    let (answer, _) = bench.ask().await;
    assert_eq!(answer, Ok(Value::Status("OK".to_owned())));
    assert!(bench.report.is_up());
}

#[tokio::test(start_paused = true)]
async fn no_command_waits_longer_than_the_timeout() {
    for mood in [Mood::Frozen, Mood::Bad(StoreError::Unusable("gone".into()))] {
        let bench = Bench::new(mood);
        for _ in 0..100 {
            let (answer, waited) = bench.ask().await;
            assert!(answer.is_err());
            assert!(waited <= TIMEOUT, "{waited:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_store_is_given_up_after_two_timeouts() {
    let bench = Bench::new(Mood::Well);
    bench.ask().await.0.unwrap();
    bench.store.feel(Mood::Frozen);
    let start = clock::now();
    while bench.ask().await.0 != Err(StoreError::Down) {}
    let waited = clock::now() - start;
    // Timers are rounded up to milliseconds, each.
    assert!(
        waited <= 2 * TIMEOUT + Duration::from_millis(5),
        "{waited:?}"
    );
    for _ in 0..1_000 {
        let (answer, waited) = bench.ask().await;
        assert_eq!((answer, waited), (Err(StoreError::Down), Duration::ZERO));
    }
    assert!(!bench.report.is_up());
    assert!(bench.errors("timeout") <= 2);
    assert!(bench.errors("down") >= 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_alone_does_not_bring_it_down() {
    let bench = Bench::new(Mood::Well);
    bench.ask().await.0.unwrap();
    bench.store.feel(Mood::Frozen);
    let slow = bench.ask();
    let well = async {
        tokio::time::sleep(TIMEOUT - Duration::from_millis(1)).await;
        bench.store.feel(Mood::Well);
    };
    let ((answer, _), ()) = futures_util::join!(slow, well);
    assert_eq!(answer, Err(StoreError::Timeout));
    tokio::time::sleep(TIMEOUT).await;
    bench.ask().await.0.unwrap();
    assert_eq!(*bench.store.opened.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_within_five_seconds_whatever_it_was() {
    for mood in [
        Mood::Frozen,
        Mood::Bad(StoreError::Unusable("READONLY".into())),
    ] {
        for seconds in [1, 10, 1_000] {
            let bench = Bench::new(Mood::Well);
            bench.ask().await.0.unwrap();
            bench.store.feel(mood.clone());
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            assert!(bench.ask().await.0.is_err());
            bench.store.feel(Mood::Well);
            let recovery = bench.recovery().await;
            assert!(recovery < Duration::from_secs(5), "{recovery:?}");
            assert!(bench.report.is_up());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_nobody_asks_is_found_down_too() {
    let bench = Bench::new(Mood::Well);
    bench.ask().await.0.unwrap();
    bench.store.feel(Mood::Frozen);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.ask().await, (Err(StoreError::Down), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_could_use_gives_the_connection_up_at_once() {
    let bench = Bench::new(Mood::Well);
    bench.ask().await.0.unwrap();
    bench
        .store
        .feel(Mood::Bad(StoreError::Unusable("READONLY".into())));
    assert!(matches!(bench.ask().await.0, Err(StoreError::Unusable(_))));
    assert_eq!(bench.ask().await.0, Err(StoreError::Down));
    bench.store.feel(Mood::Well);
    bench.recovery().await;
    assert_eq!(*bench.store.opened.lock(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_leaves_the_store_up() {
    let bench = Bench::new(Mood::Refusing);
    for _ in 0..10 {
        let (answer, _) = bench.ask().await;
        assert_eq!(answer, Err(StoreError::Refused("NOPERM".into())));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(bench.report.is_up());
    assert_eq!(*bench.store.opened.lock(), 1);
    assert_eq!(bench.errors("refused"), 10);
}

#[test]
fn a_reply_of_another_form_is_no_list_of_integers() {
    let list = Value::List(vec![Value::Integer(1), Value::Integer(2)]);
    assert_eq!(list.integers(), Some(vec![1, 2]));
    for other in [
        Value::Nil,
        Value::Integer(1),
        Value::Bytes(b"1".to_vec()),
        Value::Status("OK".to_owned()),
        Value::List(vec![Value::Nil]),
    ] {
        assert_eq!(other.integers(), None);
        assert!(
            StoreError::unexpected(&other)
                .to_string()
                .contains("not expected")
        );
    }
}
