//! Sessions that instances share: a real Redis in between, and one that gives no answer.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::StatusCode;

use super::{Browser, Proxy, SECRETS, app};
use crate::redis::{Command, Store, StoreError, Value};

/// An instance whose sessions are in this store.
fn instance(store: &Arc<dyn Store>, more: &str) -> Proxy {
    let sessions = format!("[sessions]\nsecret = {SECRETS:?}\nstore = \"redis\"\n{more}\n");
    Proxy::handled_sharing(store, &sessions, app)
}

/// It gives no answer.
#[derive(Debug)]
struct Gone;

impl Store for Gone {
    fn run(&self, _command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
        Box::pin(async { Err(StoreError::Timeout) })
    }
}

/// It answers everything with this.
#[derive(Debug)]
struct Wrong(Value);

impl Store for Wrong {
    fn run(&self, _command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_requests_go_on_without_a_session_or_are_refused() {
    let wrong = [
        Value::Integer(7),
        Value::List(Vec::new()),
        Value::Bytes(b"no record".to_vec()),
    ];
    let wrong = wrong.map(|value| Arc::new(Wrong(value)) as Arc<dyn Store>);
    let gone: Arc<dyn Store> = Arc::new(Gone);
    let mut browser = Browser::new(&super::proxy("")).await;
    browser.get("/login/ada").await;
    let jar = browser.jar.clone();
    for store in wrong.iter().chain([&gone]) {
        for (choice, status) in [
            ("", StatusCode::OK),
            ("on_store_error = \"allow\"", StatusCode::OK),
            ("on_store_error = \"deny\"", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let proxy = instance(store, choice);
            let mut browser = Browser::new(&proxy).await;
            // Who asks for nothing does not notice.
            let reply = browser.get_with("/blind/", jar.as_deref()).await;
            assert_eq!(reply.status(), StatusCode::OK);
            let reply = browser.get("/login/eve").await;
            assert_eq!(reply.status(), status, "{store:?} {choice}");
            assert_eq!(reply.field("set-cookie"), "", "nothing is stored");
            if status != StatusCode::OK {
                assert_eq!(reply.reason(), "store_unavailable");
            }
            let reply = browser.get_with("/set/a", jar.as_deref()).await;
            assert_eq!(reply.field("set-cookie"), "");
            assert_eq!(reply.status(), status, "{store:?} {choice}");
        }
        let sessions = instance(store, "").handle.sessions().unwrap();
        assert!(sessions.list(None, 10).await.is_err());
        assert_eq!(sessions.stats(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_logs_out_while_there_is_no_answer_keeps_no_cookie() {
    let mut browser = Browser::new(&super::proxy("")).await;
    browser.get("/login/ada").await;
    let store = Arc::new(Gone) as Arc<dyn Store>;
    browser.client = instance(&store, "").connect().await;
    let reply = browser.get("/logout/").await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.field("cache-control"), "no-store");
    assert_eq!(browser.jar, None);
}

#[cfg(feature = "redis")]
mod real {
    use std::time::Duration;

    use lb_session::{Record, Session, SessionParameters};

    use super::super::NOBODY;
    use super::*;
    use crate::redis::tests::server::{RedisServer, ask};

    /// The only session in the store: its key and how long it lives without being used.
    async fn only(store: &dyn Store) -> (String, i64) {
        let Ok(Value::List(keys)) = ask(store, &["KEYS", "*sess:*"]).await else {
            panic!("no list of keys");
        };
        let [Value::Bytes(key)] = keys.as_slice() else {
            panic!("{keys:?}");
        };
        let key = String::from_utf8(key.clone()).unwrap();
        let Ok(Value::Integer(left)) = ask(store, &["PTTL", &key]).await else {
            panic!("no lifetime");
        };
        (key, left)
    }

    #[tokio::test]
    async fn a_login_at_one_instance_is_known_at_the_other_and_so_is_a_logout() {
        let server = RedisServer::start();
        let store = server.connect().await;
        let (one, two) = (instance(&store, ""), instance(&store, ""));
        let mut browser = Browser::new(&one).await;
        assert_eq!(browser.known().await, NOBODY);
        browser.get("/set/a").await;
        let planted = browser.jar.clone();
        browser.get("/login/ada").await;
        let (key, left) = only(&*store).await;
        assert!((29 * 60_000..=30 * 60_000).contains(&left), "{left}");
        let jar = browser.jar.clone().unwrap();
        assert!(!jar.contains(key.trim_start_matches("lb:sess:")), "{key}");
        browser.client = two.connect().await;
        assert_eq!(browser.known().await, "ada [true, false] true");
        let reply = browser.get_with("/", planted.as_deref()).await;
        assert_eq!(reply.text(), NOBODY, "its id is dead everywhere");
        browser.get("/remove/a").await;
        browser.client = one.connect().await;
        assert_eq!(browser.known().await, "ada [false, false] true");
        let kept = browser.jar.clone();
        browser.get("/logout/").await;
        assert_eq!(browser.jar, None);
        browser.client = two.connect().await;
        let reply = browser.get_with("/set/b", kept.as_deref()).await;
        assert_ne!(reply.field("set-cookie"), "", "a new session, not that one");
        assert_eq!(browser.get_with("/", kept.as_deref()).await.text(), NOBODY);
    }

    #[tokio::test]
    async fn requests_at_once_at_both_instances_each_keep_what_they_wrote() {
        let server = RedisServer::start();
        let store = server.connect().await;
        let (one, two) = (instance(&store, ""), instance(&store, ""));
        for _ in 0..20 {
            let mut browser = Browser::new(&one).await;
            browser.get("/login/ada").await;
            let mut other = Browser::new(&two).await;
            other.jar.clone_from(&browser.jar);
            let (a, b) =
                futures_util::future::join(browser.get("/set/a"), other.get("/set/b")).await;
            assert_eq!((a.status(), b.status()), (StatusCode::OK, StatusCode::OK));
            assert_eq!(browser.known().await, "ada [true, true] true");
        }
    }

    #[tokio::test]
    async fn lifetimes_are_kept_by_the_store() {
        let server = RedisServer::start();
        let store = server.connect().await;
        let proxy = instance(&store, "idle_timeout = \"30m\"\nmax_age = \"10m\"");
        let mut browser = Browser::new(&proxy).await;
        browser.get("/login/ada").await;
        let (key, left) = only(&*store).await;
        assert!(left <= 10 * 60_000, "never beyond the age: {left}");
        ask(&*store, &["PEXPIRE", &key, "1000"]).await.unwrap();
        browser.known().await;
        assert!(only(&*store).await.1 > 9 * 60_000, "used again");
        // A session that is older than it may be, which no clock that was set back makes younger.
        let parameters = SessionParameters::default();
        let mut session = Session::new(&parameters);
        session.set("user", "ada").unwrap();
        let begun = crate::clock::wall() - Duration::from_secs(700);
        let record = Record::create(&session.changes(), &parameters, begun).unwrap();
        let write = |record: &Record| Command::new("SET").word(key.clone()).word(record.encode());
        store.run(write(&record)).await.unwrap();
        assert_eq!(browser.known().await, NOBODY);
        assert_eq!(ask(&*store, &["EXISTS", &key]).await, Ok(Value::Integer(0)));
        // One that began in the future, by the clock of this instance.
        let begun = crate::clock::wall() + Duration::from_secs(7000);
        let record = Record::create(&session.changes(), &parameters, begun).unwrap();
        store.run(write(&record)).await.unwrap();
        assert_eq!(browser.known().await, "ada [false, false] false");
        assert!(only(&*store).await.1 <= 10 * 60_000, "and lives no longer");
        browser.get("/set/a").await;
        assert_eq!(browser.known().await, "ada [true, false] false");
    }

    #[tokio::test]
    async fn what_is_no_record_is_no_session() {
        let server = RedisServer::start();
        let store = server.connect().await;
        let proxy = instance(&store, "");
        let mut browser = Browser::new(&proxy).await;
        browser.get("/login/ada").await;
        let (key, _) = only(&*store).await;
        for broken in ["", "x", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"] {
            ask(&*store, &["SET", &key, broken]).await.unwrap();
            let jar = browser.jar.clone();
            let reply = browser.get_with("/", jar.as_deref()).await;
            assert_eq!(reply.text(), NOBODY, "{broken}");
        }
        // What is not even a text is refused by the store.
        ask(&*store, &["DEL", &key]).await.unwrap();
        ask(&*store, &["LPUSH", &key, "x"]).await.unwrap();
        assert_eq!(browser.known().await, NOBODY);
    }

    #[tokio::test]
    async fn a_restart_of_the_store_ends_sessions_and_nothing_else() {
        let server = RedisServer::start();
        let store = server.connect().await;
        let proxy = instance(&store, "on_store_error = \"deny\"");
        let mut browser = Browser::new(&proxy).await;
        browser.get("/login/ada").await;
        // As empty as after a restart, scripts and all.
        ask(&*store, &["FLUSHALL"]).await.unwrap();
        ask(&*store, &["SCRIPT", "FLUSH"]).await.unwrap();
        assert_eq!(browser.known().await, NOBODY);
        browser.get("/login/ada").await;
        assert_eq!(browser.known().await, "ada [false, false] true");
    }

    #[tokio::test]
    async fn the_operator_of_any_instance_lists_and_ends_sessions() {
        let server = RedisServer::start();
        let store = server.connect().await;
        let (one, two) = (instance(&store, ""), instance(&store, ""));
        let mut browser = Browser::new(&one).await;
        browser.get("/login/ada").await;
        ask(&*store, &["SET", "lb:sess:no-handle", "x"])
            .await
            .unwrap();
        for _ in 0..30 {
            Browser::new(&one).await.get("/set/a").await;
        }
        let sessions = two.handle.sessions().unwrap();
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = sessions.list(cursor.as_deref(), 5).await.unwrap();
            found.extend(page.sessions);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        found.sort_by(|one, other| one.handle.cmp(&other.handle));
        found.dedup_by(|one, other| one.handle == other.handle);
        assert_eq!(found.len(), 31);
        let ada = found.iter().find(|info| info.is_logged_in).unwrap();
        assert!(
            ada.age < Duration::from_secs(60) && ada.bytes > 0,
            "{ada:?}"
        );
        assert!(sessions.end(&ada.handle).await.unwrap());
        assert!(!sessions.end(&ada.handle).await.unwrap());
        assert_eq!(browser.known().await, NOBODY);
        assert!(sessions.list(Some("x"), 5).await.is_err());
    }
}
