//! Backends by their names: they come and go with answers, and stay without one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use parking_lot::Mutex;

use super::{Proxy, config, settle};
use crate::Error;
use crate::config::{BackendConfig, DiscoverConfig, DiscoverRecords};
use crate::discovery::{self, Answer, Lookup, Names, Place, Service};

/// A name server that says what a test wants, and counts.
#[derive(Debug, Clone)]
struct Script(Arc<Mutex<Said>>);

#[derive(Debug)]
struct Said {
    answer: Result<Answer, Box<str>>,
    asked: u32,
}

impl Script {
    fn new(addresses: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(Said {
            answer: Ok(answer(addresses, 5)),
            asked: 0,
        })))
    }

    fn says(&self, addresses: &[&str]) {
        self.0.lock().answer = Ok(answer(addresses, 5));
    }

    fn fails(&self) {
        self.0.lock().answer = Err("SERVFAIL".into());
    }

    fn asked(&self) -> u32 {
        self.0.lock().asked
    }
}

impl Lookup for Script {
    fn look<'a>(
        &'a self,
        _name: &'a str,
        _records: DiscoverRecords,
    ) -> BoxFuture<'a, Result<Answer, Box<str>>> {
        let mut script = self.0.lock();
        script.asked += 1;
        let answer = script.answer.clone();
        Box::pin(async move { answer })
    }
}

impl Names for Script {
    fn open(&self) -> Result<Arc<dyn Lookup>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

fn answer(addresses: &[&str], ttl: u64) -> Answer {
    let place = |address: &&str| Place {
        address: address.parse().unwrap(),
        service: None,
    };
    Answer {
        places: addresses.iter().map(place).collect(),
        ttl: Duration::from_secs(ttl),
    }
}

/// A pool whose only backend keeps its name, whatever host it has.
fn named(host: &str) -> String {
    format!(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\nhealth_check = \"off\"\n\
         backends = [{{ url = \"http://{host}:3000\", name = \"app\", discover = \"dns\" }}]\n"
    )
}

fn toml(more: &str) -> String {
    format!(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\nhealth_check = \"off\"\n\
         backends = [{{ url = \"http://app:3000\", discover = \"dns\", refresh = \"10s\", weight = 3 }}]\n{more}"
    )
}

/// A proxy whose names are looked up in the script.
async fn proxy(script: &Script) -> Proxy {
    proxy_of(&toml(""), script).await
}

async fn proxy_of(toml: &str, script: &Script) -> Proxy {
    let proxy = Proxy::new(toml);
    let names: Arc<dyn Names> = Arc::new(script.clone());
    proxy.handle.set_names(Arc::clone(&names));
    let watch = discovery::watch(proxy.handle.clone(), names, proxy.drain.clone());
    tokio::spawn(watch);
    settle().await;
    proxy
}

fn names(proxy: &Proxy) -> Vec<String> {
    proxy.handle.metrics().backends.into_keys().collect()
}

#[tokio::test(start_paused = true)]
async fn backends_follow_the_answers() {
    let script = Script::new(&["10.0.0.1", "2001:db8::2"]);
    let proxy = proxy(&script).await;
    assert_eq!(
        names(&proxy),
        [
            "default/http://app:3000@10.0.0.1:3000",
            "default/http://app:3000@[2001:db8::2]:3000"
        ]
    );
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let one = proxy.backend("10.0.0.1").always(ok);
    let two = proxy.backend("2001:db8::2").always(ok);
    let three = proxy.backend("10.0.0.3").always(ok);
    let mut client = proxy.connect().await;
    for _request in 0..4 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
    assert_eq!(
        (one.load(Ordering::Relaxed), two.load(Ordering::Relaxed)),
        (2, 2)
    );
    script.says(&["10.0.0.1", "10.0.0.3"]);
    // Their time to live is shorter than the refresh.
    tokio::time::sleep(Duration::from_secs(6)).await;
    for _request in 0..4 {
        assert_eq!(client.get("/").await.text(), "ok");
    }
    assert_eq!(
        (one.load(Ordering::Relaxed), two.load(Ordering::Relaxed)),
        (4, 2)
    );
    assert_eq!(three.load(Ordering::Relaxed), 2);
    let asked = script.asked();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(script.asked() - asked, 10);
}

#[tokio::test(start_paused = true)]
async fn no_answer_keeps_the_last_and_nobody_counts_after_a_while() {
    let script = Script::new(&["10.0.0.1"]);
    let proxy = proxy(&script).await;
    script.fails();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(names(&proxy).len(), 1);
    script.says(&[]);
    // It is asked for every 10 s from the fifth second on, and three refreshes after the first time that there
    // is nobody it counts: 35 s from here.
    tokio::time::sleep(Duration::from_secs(34)).await;
    assert_eq!(names(&proxy).len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&proxy).len(), 0);
    let mut client = proxy.connect().await;
    assert_eq!(
        client.get("/").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    script.says(&["10.0.0.2"]);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(names(&proxy), ["default/http://app:3000@10.0.0.2:3000"]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_answers_and_asks_for_new_names_first() {
    let script = Script::new(&["10.0.0.1"]);
    let proxy = proxy(&script).await;
    let mut kept = proxy.backend("10.0.0.1");
    let mut client = proxy.connect().await;
    let (reply, _) = client.start(super::client::get("/"), true).await;
    let mut backend = kept.http1().await;
    backend.answer("one").await;
    super::client::read(reply).await.unwrap();
    let asked = script.asked();
    let more = "[pools.more]\nhealth_check = \"off\"\nbackends = [{ url = \"http://more:1\", discover = \"dns\" }]\n\
                [[routes]]\npool = \"default\"\n";
    let report = proxy
        .handle
        .reload(config(&toml(more), false))
        .await
        .unwrap();
    assert!(report.undone.is_empty(), "{report:?}");
    assert_eq!(script.asked(), asked + 1, "one name is new");
    assert_eq!(
        names(&proxy),
        [
            "default/http://app:3000@10.0.0.1:3000",
            "more/http://more:1@10.0.0.1:1"
        ]
    );
    let (reply, _) = client.start(super::client::get("/"), true).await;
    backend.answer("again").await;
    assert_eq!(super::client::read(reply).await.unwrap().text(), "again");
    assert!(kept.is_empty(), "the connection was kept");
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_changes_the_host_leaves_the_old_addresses() {
    let script = Script::new(&["10.0.0.1"]);
    let proxy = proxy_of(&named("one"), &script).await;
    assert_eq!(names(&proxy), ["default/app@10.0.0.1:3000"]);
    script.says(&["10.0.0.2"]);
    let report = proxy.handle.reload(config(&named("two"), false)).await;
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(names(&proxy), ["default/app@10.0.0.2:3000"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_by_hand_stays_until_the_answer_is_another() {
    let script = Script::new(&["10.0.0.1", "10.0.0.2"]);
    let proxy = proxy_of(&named("one"), &script).await;
    assert!(proxy.handle.remove_backend("default/app@10.0.0.1:3000"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(names(&proxy), ["default/app@10.0.0.2:3000"]);
    let drift = proxy.handle.drift().into_iter();
    let drift: Vec<_> = drift.map(|it| (it.backend, it.what)).collect();
    assert_eq!(drift, [("app@10.0.0.1:3000".into(), "removed".into())]);
    script.says(&["10.0.0.1"]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(names(&proxy), ["default/app@10.0.0.1:3000"]);
    let discover = DiscoverConfig::new(DiscoverRecords::Addresses);
    assert_eq!(proxy.handle.drift(), []);
    let other = BackendConfig::new("http://other:3000").unwrap();
    assert!(proxy.handle.add_backend(other.discover(discover)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_service_tells_port_weight_and_who_waits() {
    let script = Script::new(&[]);
    let service = |address: &str, port, weight, is_later| Place {
        address: address.parse().unwrap(),
        service: Some(Service {
            host: "host.example".into(),
            port,
            weight,
            is_later,
        }),
    };
    script.0.lock().answer = Ok(Answer {
        places: vec![
            service("10.0.0.1", 81, 5, false),
            service("10.0.0.2", 82, 0, true),
        ],
        ttl: Duration::from_secs(5),
    });
    let proxy = proxy(&script).await;
    let status = || {
        let pool = &proxy.handle.snapshot().pools["default"];
        let all = pool.balancer.backends(crate::clock::now()).into_iter();
        all.map(|status| (status.backend.weight.get(), status.backend.backup))
            .collect::<Vec<_>>()
    };
    assert_eq!(status(), [(5, false), (1, true)]);
    script.0.lock().answer = Ok(Answer {
        places: vec![
            service("10.0.0.1", 81, 7, true),
            service("10.0.0.2", 82, 2, false),
        ],
        ttl: Duration::from_secs(5),
    });
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(status(), [(7, true), (2, false)]);
}
