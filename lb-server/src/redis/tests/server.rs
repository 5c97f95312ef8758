//! A real `redis-server` of a test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command as Program, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::config::RedisConfig;
use crate::redis::connect::Client;
use crate::redis::{Command, Opener, Store, StoreError, Value};

/// Longer than anything takes on a busy machine; only a hang gets this far.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running `redis-server` with a unix socket, and whatever else it is told; killed on drop.
pub(crate) struct RedisServer {
    child: Child,
    directory: PathBuf,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(|_| vec!["--port".to_owned(), "0".to_owned()])
    }

    /// Starts with arguments, some of which may be files of its directory.
    pub(crate) fn with(arguments: impl FnOnce(&PathBuf) -> Vec<String>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lb-redis-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let child = Program::new("redis-server")
            .args(arguments(&directory))
            .args(["--unixsocket", "redis.sock", "--save", ""])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is missing: `apt-get install redis-server`");
        Self { child, directory }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `[redis]` over the unix socket, with patience for a busy machine.
    pub(crate) fn config(&self) -> RedisConfig {
        let socket = self.file("redis.sock");
        let config = RedisConfig::new(format!("unix:{}", socket.display())).unwrap();
        config.timeout(Duration::from_secs(30))
    }

    /// A connection, as soon as there is one.
    pub(crate) async fn connect(&self) -> std::sync::Arc<dyn Store> {
        connect(&self.config()).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Looks again until there is what is waited for; the look tells what there is instead.
///
/// A server is a program apart: its time cannot be paused, and nothing tells when it is ready.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "{what}: {instead}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Opens a connection; again while the server is starting.
pub(crate) async fn connect(config: &RedisConfig) -> std::sync::Arc<dyn Store> {
    let client = Client::new(config).unwrap();
    eventually("a connection", async || {
        client.open().await.map_err(|error| error.to_string())
    })
    .await
}

/// Runs a command of words.
pub(crate) async fn ask(store: &dyn Store, words: &[&str]) -> Result<Value, StoreError> {
    let (name, rest) = words.split_first().unwrap();
    let command = rest
        .iter()
        .fold(Command::new(name), |command, word| command.word(*word));
    store.run(command).await
}

/// A port that was free a moment ago; with room for the second port of a cluster's node.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}
