//! Two servers on one real Redis, over real sockets: what one keeps, the other has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::redis::tests::server::{RedisServer, eventually};
use crate::{
    Algorithm, BackendConfig, CacheConfig, CacheMetrics, Error, Exchange, LoadBalancerConfig,
    Purge, RateLimitConfig, Request, Response, Running, Server, ServerConfig, SessionConfig,
    StoreKind, reply,
};

/// A server with the example application's routes; it counts what it makes.
async fn start(redis: &RedisServer, made: &Arc<AtomicUsize>) -> Running {
    // A server that is still starting counts as one that is down.
    redis.connect().await;
    let mut server = Server::new(
        ServerConfig::new("127.0.0.1:0").redis(redis.config()),
        LoadBalancerConfig::new(Algorithm::RoundRobin),
        SessionConfig::secret("a secret that both servers know of, and no client")
            .cookie("session")
            .secure(false)
            .store(StoreKind::Redis),
        RateLimitConfig::off(),
        CacheConfig::default().store(StoreKind::Redis),
    )
    .unwrap();
    server
        .add_backend(BackendConfig::new("http://127.0.0.1:1").unwrap())
        .unwrap();
    let made = Arc::clone(made);
    server.set_request_handler(move |request: Request, exchange: Exchange| {
        let made = Arc::clone(&made);
        async move { answer(request, exchange, made).await }
    });
    server.start().await.unwrap()
}

async fn answer(
    request: Request,
    exchange: Exchange,
    made: Arc<AtomicUsize>,
) -> Result<Response, Error> {
    match request.uri().path() {
        "/users" => {
            let make = || async {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(reply::text(200, "Ada"))
            };
            let minute = Duration::from_secs(60);
            let cache = exchange.cache();
            cache.get_or_insert_with("users", minute, make).await
        }
        "/login" => {
            let session = exchange.session();
            session.insert("user", "ada").await?;
            session.rotate().await?;
            Ok(reply::text(200, "welcome"))
        }
        _ => Ok(match exchange.session().get::<String>("user").await? {
            Some(user) => reply::text(200, user),
            None => reply::text(401, "log in first"),
        }),
    }
}

/// What a client gets who has this cookie: the whole response as text.
async fn ask(server: &Running, method: &str, path: &str, cookie: &str) -> String {
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: app.example\r\ncookie: {cookie}\r\n\
         connection: close\r\ncontent-length: 0\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    response
}

fn field<'r>(response: &'r str, name: &str) -> &'r str {
    let line = response.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or_default()
}

#[tokio::test]
async fn a_login_at_one_is_known_at_the_other() {
    let (redis, made) = (RedisServer::start(), Arc::default());
    let (one, two) = (start(&redis, &made).await, start(&redis, &made).await);
    assert!(
        ask(&two, "GET", "/protected", "")
            .await
            .starts_with("HTTP/1.1 401")
    );
    let login = ask(&one, "POST", "/login", "").await;
    let cookie = field(&login, "set-cookie").split(';').next().unwrap();
    assert!(cookie.starts_with("session="), "{login}");
    for server in [&two, &one] {
        let answer = ask(server, "GET", "/protected", cookie).await;
        assert!(answer.ends_with("ada"), "{answer}");
    }
}

/// What the cache of a server counted.
fn cache(server: &Running) -> CacheMetrics {
    server.handle().metrics().caches["default"].clone()
}

#[tokio::test]
async fn what_a_handler_keeps_at_one_the_other_need_not_make() {
    let (redis, made) = (RedisServer::start(), Arc::<AtomicUsize>::default());
    let (one, two) = (start(&redis, &made).await, start(&redis, &made).await);
    ask(&one, "GET", "/users", "").await;
    eventually("it is written", async || {
        let writes = cache(&one).store_writes;
        (writes > 0)
            .then_some(())
            .ok_or_else(|| "nothing".to_owned())
    })
    .await;
    let answer = ask(&two, "GET", "/users", "").await;
    let said = field(&answer, "cache-status");
    assert!(
        said.starts_with("lb; hit") && said.ends_with("detail=store"),
        "{answer}"
    );
    assert_eq!(made.load(Ordering::Relaxed), 1);
    // Purged at one, it leaves the memory of the other, too.
    one.handle().purge("default", Purge::Key("users")).unwrap();
    eventually("nothing is kept", async || {
        let entries = cache(&two).entries;
        (entries == 0)
            .then_some(())
            .ok_or_else(|| format!("{entries} kept"))
    })
    .await;
    ask(&two, "GET", "/users", "").await;
    assert_eq!(made.load(Ordering::Relaxed), 2);
}
