//! A store of several servers: a master that dies, and a cluster that is spread.

use std::sync::Arc;
use std::time::Duration;

use super::server::{RedisServer, ask, connect, eventually, free_port};
use crate::config::RedisConfig;
use crate::metrics::Bounds;
use crate::redis::connect::Client;
use crate::redis::{Command, Link, Opener, Report, Script, Store, Value};

static ADD: Script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn config(urls: &[u16]) -> RedisConfig {
    let mut config = RedisConfig::new(format!("redis://127.0.0.1:{}", urls[0])).unwrap();
    for port in &urls[1..] {
        let url = format!("redis://127.0.0.1:{port}").parse().unwrap();
        config.url.push(url);
    }
    config.timeout(Duration::from_secs(5))
}

/// Asks again until it is answered so.
async fn until(store: &dyn Store, asked: &[&str], done: impl Fn(&Value) -> bool) {
    eventually(&format!("{asked:?}"), async || {
        let answer = ask(store, asked).await;
        let is_done = answer.as_ref().is_ok_and(&done);
        is_done.then_some(()).ok_or_else(|| format!("{answer:?}"))
    })
    .await;
}

fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).contains(text),
        Value::Status(status) => status.contains(text),
        Value::List(values) => values.iter().any(|value| contains(value, text)),
        Value::Nil | Value::Integer(_) => false,
    }
}

#[tokio::test]
async fn a_link_goes_on_with_the_master_that_sentinels_elect() {
    let [first, second] = [free_port(), free_port()];
    let master = RedisServer::with(|_| words(&format!("--port {first}")));
    let on_master = master.connect().await;
    let replica = RedisServer::with(|_| {
        words(&format!(
            "--port {second} --replicaof 127.0.0.1 {first} --repl-diskless-sync-delay 0"
        ))
    });
    let replica_config = format!("unix:{}", replica.file("redis.sock").display());
    let ports = [free_port(), free_port(), free_port()];
    let sentinels = ports.map(|port| {
        RedisServer::with(|directory| {
            let text = format!(
                "port {port}\nsentinel monitor main 127.0.0.1 {first} 2\n\
                 sentinel down-after-milliseconds main 500\n\
                 sentinel failover-timeout main 5000\n"
            );
            std::fs::write(directory.join("sentinel.conf"), text).unwrap();
            words("sentinel.conf --sentinel")
        })
    });
    until(&*on_master, &["INFO", "replication"], |info| {
        contains(info, "state=online")
    })
    .await;
    let client = Arc::new(Client::new(&config(&ports).sentinel("main")).unwrap());
    let link = Link::new(
        client,
        Duration::from_secs(5),
        Arc::new(Report::new(&Bounds::of_seconds(&[1.0]))),
    );
    let keeping = tokio::spawn(link.clone().keep());
    until(&link, &["SET", "before", "1"], |_| true).await;
    // All sentinels have to know the replica and each other.
    for port in ports {
        let sentinel = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let sentinel = sentinel.get_multiplexed_async_connection().await.unwrap();
        eventually("a replica and three sentinels", async || {
            let mut info = redis::cmd("INFO");
            let info = info.arg("sentinel");
            let info: String = info.query_async(&mut sentinel.clone()).await.unwrap();
            let knows_all = info.contains("slaves=1,sentinels=3");
            knows_all.then_some(()).ok_or(info)
        })
        .await;
    }
    until(&link, &["WAIT", "1", "1000"], |acknowledged| {
        *acknowledged == Value::Integer(1)
    })
    .await;
    drop((on_master, master));
    until(&link, &["SET", "after", "2"], |_| true).await;
    until(&link, &["GET", "before"], |value| {
        *value == Value::Bytes(b"1".to_vec())
    })
    .await;
    let role = RedisConfig::new(replica_config).unwrap();
    let new_master = connect(&role.timeout(Duration::from_secs(5))).await;
    let after = ask(&*new_master, &["GET", "after"]).await;
    assert_eq!(after, Ok(Value::Bytes(b"2".to_vec())));
    keeping.abort();
    drop((sentinels, replica));
}

#[tokio::test]
async fn a_cluster_of_three_answers_for_every_key() {
    let ports = [free_port(), free_port(), free_port()];
    let nodes = ports.map(|port| {
        RedisServer::with(|_| {
            words(&format!(
                "--port {port} --cluster-enabled yes --cluster-config-file nodes.conf"
            ))
        })
    });
    for node in &nodes {
        let socket = node.file("redis.sock");
        eventually("a node that has started", async || {
            let exists = socket.exists();
            exists.then_some(()).ok_or_else(|| "no socket".to_owned())
        })
        .await;
    }
    let mut create = std::process::Command::new("redis-cli");
    create.args(["--cluster", "create"]);
    create.args(ports.map(|port| format!("127.0.0.1:{port}")));
    let created = create.arg("--cluster-yes").output().unwrap();
    let said = String::from_utf8_lossy(&created.stdout);
    assert!(created.status.success(), "{said}");
    let config = config(&ports[..1]).cluster(true);
    let store = connect(&config).await;
    for number in 0..64 {
        let key = format!("lb:cache:main:{number}");
        until(&*store, &["SET", &key, "x"], |_| true).await;
        let add = Command::script(&ADD).key(format!("sum:{number}")).number(1);
        assert_eq!(store.run(add).await, Ok(Value::Integer(1)));
    }
    // Each node has its share, so the keys went to where they belong.
    let mut sum = 0;
    for node in &nodes {
        let client = redis::Client::open(format!("unix://{}", node.file("redis.sock").display()));
        let mut node = client
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let size: usize = redis::cmd("DBSIZE").query_async(&mut node).await.unwrap();
        assert!(size > 10, "{size}");
        sum += size;
    }
    assert!(sum >= 128, "{sum}");
    let client = Client::new(&config).unwrap();
    client.open().await.unwrap();
}
