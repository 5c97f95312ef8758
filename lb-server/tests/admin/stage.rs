//! A server with its admin API, before backends that say their names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lb_server::{Config, ListenAddress, Running, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::client::{self, Reply};

/// A server that is being looked at.
pub(crate) struct Stage {
    pub(crate) running: Running,
    pub(crate) admin: SocketAddr,
    pub(crate) proxy: SocketAddr,
    pub(crate) backends: Vec<Backend>,
}

/// A backend that answers every request with its name.
pub(crate) struct Backend {
    pub(crate) url: String,
    pub(crate) asked: Arc<AtomicU64>,
}

impl Backend {
    pub(crate) async fn named(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        read.extend_from_slice(&buffer[..length]);
                        while let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
                            read.drain(..end + 4);
                            asked.fetch_add(1, Ordering::Relaxed);
                            let reply = format!(
                                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {}\r\n\r\n{name}",
                                name.len()
                            );
                            if stream.write_all(reply.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn count(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Stage {
    /// Three backends, and more TOML after their pool.
    pub(crate) async fn new(more: &str) -> Self {
        Self::with_admin("", more).await
    }

    /// As [`Stage::new`], with more keys of `[admin]`.
    pub(crate) async fn with_admin(admin: &str, more: &str) -> Self {
        let backends = vec![
            Backend::named("a").await,
            Backend::named("b").await,
            Backend::named("c").await,
        ];
        let toml = toml(&backends, admin, more);
        let server = Server::from_config(Config::from_toml(&toml, "test").unwrap()).unwrap();
        Self::of(server, backends).await
    }

    /// As [`Stage::new`], where the pool's keys name its algorithm.
    pub(crate) async fn with_pool(pool: &str) -> Self {
        let backends = vec![
            Backend::named("a").await,
            Backend::named("b").await,
            Backend::named("c").await,
        ];
        let toml = toml(&backends, "", pool).replacen("algorithm = \"round-robin\"\n", "", 1);
        let server = Server::from_config(Config::from_toml(&toml, "test").unwrap()).unwrap();
        Self::of(server, backends).await
    }

    pub(crate) async fn of(server: Server, backends: Vec<Backend>) -> Self {
        let running = server.start().await.unwrap();
        let ListenAddress::Tcp(admin) = running.admin_addr().unwrap().address else {
            panic!("not a TCP address");
        };
        Self {
            admin,
            proxy: running.local_addr(),
            running,
            backends,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        client::get(self.admin, path).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let text = body.to_string();
        client::send(self.admin, method, path, &[], Some(&text)).await
    }

    pub(crate) async fn bare(&self, method: &str, path: &str) -> Reply {
        client::send(self.admin, method, path, &[], None).await
    }

    /// Which backend answers a request.
    pub(crate) async fn ask(&self, path: &str) -> String {
        client::get(self.proxy, path).await.body
    }
}

/// The configuration of a stage.
pub(crate) fn toml(backends: &[Backend], admin: &str, more: &str) -> String {
    let named = |(index, backend): (usize, &Backend)| {
        let name = ["a", "b", "c"][index];
        format!("{{ url = \"{}\", name = \"{name}\" }}", backend.url)
    };
    let list: Vec<String> = backends.iter().enumerate().map(named).collect();
    format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n{admin}\n\
         [listeners.default]\naddress = \"127.0.0.1:0\"\n\
         [pools.default]\nalgorithm = \"round-robin\"\nbackends = [{}]\n{more}",
        list.join(", ")
    )
}
