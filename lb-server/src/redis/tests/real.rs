//! Connections to a real Redis: what it answers, and who it lets in.

use std::sync::Arc;
use std::time::Duration;

use super::server::{RedisServer, ask, connect, free_port};
use crate::config::RedisConfig;
use crate::redis::connect::Client;
use crate::redis::{Command, Opener, Script, StoreError, Value};

static ADD: Script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");

fn add(number: u64) -> Command {
    Command::script(&ADD).key("sum").number(number)
}

#[tokio::test]
async fn values_arrive_as_they_are() {
    let server = RedisServer::start();
    let store = server.connect().await;
    let store = &*store;
    assert_eq!(
        ask(store, &["SET", "a", "\u{0}b"]).await,
        Ok(Value::Status("OK".to_owned()))
    );
    assert_eq!(
        ask(store, &["GET", "a"]).await,
        Ok(Value::Bytes(b"\0b".to_vec()))
    );
    assert_eq!(ask(store, &["GET", "none"]).await, Ok(Value::Nil));
    assert_eq!(ask(store, &["DEL", "a"]).await, Ok(Value::Integer(1)));
    let list = ask(store, &["MGET", "a"]).await;
    assert_eq!(list, Ok(Value::List(vec![Value::Nil])));
    let wrong = ask(store, &["GET"]).await;
    assert!(matches!(wrong, Err(StoreError::Refused(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_script_is_sent_again_to_a_server_that_forgot_it() {
    let server = RedisServer::start();
    let store = server.connect().await;
    assert_eq!(store.run(add(1)).await, Ok(Value::Integer(1)));
    assert_eq!(store.run(add(2)).await, Ok(Value::Integer(3)));
    ask(&*store, &["SCRIPT", "FLUSH"]).await.unwrap();
    assert_eq!(store.run(add(3)).await, Ok(Value::Integer(6)));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_of_no_use() {
    let server = RedisServer::start();
    let store = server.connect().await;
    ask(&*store, &["REPLICAOF", "127.0.0.1", "1"])
        .await
        .unwrap();
    let error = store.run(add(1)).await;
    assert!(matches!(error, Err(StoreError::Unusable(_))), "{error:?}");
    let client = Client::new(&server.config()).unwrap();
    let error = client.open().await.map(|_| ());
    assert!(matches!(error, Err(StoreError::Unusable(_))), "{error:?}");
    ask(&*store, &["REPLICAOF", "NO", "ONE"]).await.unwrap();
    ask(&*store, &["CONFIG", "SET", "maxmemory", "1"])
        .await
        .unwrap();
    let error = client.open().await.map(|_| ());
    assert!(matches!(error, Err(StoreError::Unusable(_))), "{error:?}");
    ask(&*store, &["CONFIG", "SET", "maxmemory", "0"])
        .await
        .unwrap();
    client.open().await.unwrap();
}

#[tokio::test]
async fn logs_in_with_the_password_of_the_moment() {
    let server = RedisServer::start();
    let admin = server.connect().await;
    let file = server.file("password");
    let rule = ["ACL", "SETUSER", "lb", "on", ">first", "~lb:*", "+@all"];
    ask(&*admin, &rule).await.unwrap();
    let config = server.config().username("lb").password_file(&file);
    assert!(Client::new(&config).is_err());
    std::fs::write(&file, "wrong\n").unwrap();
    let client = Client::new(&config).unwrap();
    let error = client.open().await.map(|_| ());
    assert!(matches!(error, Err(StoreError::Unusable(_))), "{error:?}");
    std::fs::write(&file, "first\n").unwrap();
    let store = client.open().await.unwrap();
    assert_eq!(
        ask(&*store, &["GET", "lb:a"]).await,
        Ok(Value::Nil),
        "its own keys"
    );
    let refused = ask(&*store, &["GET", "a"]).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
    let rule = ["ACL", "SETUSER", "lb", "<first", ">second"];
    ask(&*admin, &rule).await.unwrap();
    assert!(client.open().await.is_err());
    std::fs::write(&file, "second").unwrap();
    client.open().await.unwrap();
}

#[tokio::test]
async fn speaks_tls_and_believes_only_its_authority() {
    let port = free_port();
    let server = RedisServer::with(|directory| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let text = format!(
            "--port 0 --tls-port {port} --tls-cert-file tls.crt --tls-key-file tls.key \
             --tls-auth-clients no --tls-ca-cert-file tls.crt"
        );
        text.split_whitespace().map(str::to_owned).collect()
    });
    let tls = RedisConfig::new(format!("rediss://localhost:{port}")).unwrap();
    let store = connect(&tls.clone().ca(server.file("tls.crt"))).await;
    assert_eq!(store.run(add(4)).await, Ok(Value::Integer(4)));
    let stranger = Client::new(&tls).unwrap().open().await.map(|_| ());
    assert!(
        matches!(stranger, Err(StoreError::Unusable(_))),
        "{stranger:?}"
    );
}

#[tokio::test]
async fn reaches_a_cluster() {
    let port = free_port().to_string();
    let server = RedisServer::with(|_| {
        let text = format!("--port {port} --cluster-enabled yes --cluster-config-file nodes.conf");
        text.split_whitespace().map(str::to_owned).collect()
    });
    // A node without slots takes no writes, so the probe of a single server would fail.
    let node = loop {
        let address = format!("unix://{}", server.file("redis.sock").display());
        let client = redis::Client::open(address).unwrap();
        match client.get_multiplexed_async_connection().await {
            Ok(node) => break node,
            Err(_starting) => std::thread::park_timeout(Duration::from_millis(5)),
        }
    };
    let mut node = node;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
    slots.exec_async(&mut node).await.unwrap();
    let config = RedisConfig::new(format!("redis://127.0.0.1:{port}")).unwrap();
    let store = connect(&config.cluster(true).timeout(Duration::from_secs(30))).await;
    assert_eq!(store.run(add(5)).await, Ok(Value::Integer(5)));
    let apart = Command::script(&ADD).key("one").key("other").number(1);
    let error = store.run(apart).await;
    assert!(matches!(error, Err(StoreError::Refused(_))), "{error:?}");
}

#[tokio::test]
async fn follows_the_master_that_sentinels_name() {
    let (master_port, port) = (free_port(), free_port());
    let master = RedisServer::with(|_| vec!["--port".to_owned(), master_port.to_string()]);
    master.connect().await;
    let sentinel = RedisServer::with(|directory| {
        let text = format!("port {port}\nsentinel monitor main 127.0.0.1 {master_port} 1\n");
        std::fs::write(directory.join("sentinel.conf"), text).unwrap();
        vec!["sentinel.conf".to_owned(), "--sentinel".to_owned()]
    });
    let config = RedisConfig::new(format!("redis://127.0.0.1:{port}")).unwrap();
    let config = config.timeout(Duration::from_secs(30));
    let store = connect(&config.clone().sentinel("main")).await;
    assert_eq!(store.run(add(6)).await, Ok(Value::Integer(6)));
    let unknown = Client::new(&config.sentinel("other")).unwrap();
    assert!(unknown.open().await.is_err());
    drop((master, sentinel));
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_opened() {
    let nobody = RedisConfig::new("unix:/nonexistent/redis.sock").unwrap();
    let client = Arc::new(Client::new(&nobody).unwrap()) as Arc<dyn Opener>;
    let error = client.open().await.map(|_| ());
    assert!(matches!(error, Err(StoreError::Unusable(_))), "{error:?}");
}
