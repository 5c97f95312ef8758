//! A program that answers some requests itself, with a cache and sessions, and forwards the rest.
//!
//! `lb-cli serve` shows this application too, when it has no configuration.
//!
//! ```text
//! cargo run -p lb-server --example app -- http://127.0.0.1:3000 http://127.0.0.1:3001
//! curl -k https://127.0.0.1:8443/api/users
//! curl -k -c jar -d '{"username":"demo","password":"demo"}' https://127.0.0.1:8443/api/login
//! curl -k -b jar https://127.0.0.1:8443/api/protected
//! curl -k -b jar -c jar -X POST https://127.0.0.1:8443/api/logout
//! ```
//!
//! Several of them share sessions and cache (`--features redis`) where the environment names a Redis, and a file with
//! the secret that signs their cookies:
//!
//! ```text
//! REDIS_URL=redis://127.0.0.1:6379 SECRET_FILE=secret cargo run -p lb-server --features redis --example app
//! ```

use std::time::Duration;

use lb_server::{
    Algorithm, BackendConfig, CacheConfig, Error, Exchange, LoadBalancerConfig, RateLimitConfig,
    RedisConfig, Request, Response, Server, ServerConfig, SessionConfig, StoreKind, reply,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct User {
    id: u32,
    name: &'static str,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

/// The application: what it does not know itself goes to a backend.
pub(crate) async fn app(request: Request, exchange: Exchange) -> Result<Response, Error> {
    match (request.method().as_str(), request.uri().path()) {
        // Made once a minute, however many ask.
        ("GET" | "HEAD", "/api/users") => {
            let minute = Duration::from_secs(60);
            let users = || async { Ok(reply::json(200, &users())) };
            exchange
                .cache()
                .get_or_insert_with("users", minute, users)
                .await
        }
        // Checks the payload, at most 16 KiB of it, then opens a session.
        ("POST", "/api/login") => {
            let login: Login = request.into_body().json(16 * 1024).await?;
            if !verify(&login.username, &login.password) {
                return Ok(reply::json(401, "wrong user name or password"));
            }
            let session = exchange.session();
            session.insert("user", &login.username).await?;
            // A new id: whoever knew the one from before the login has nothing.
            session.rotate().await?;
            Ok(reply::json(200, "welcome"))
        }
        // Needs that session.
        ("GET" | "HEAD", "/api/protected") => {
            match exchange.session().get::<String>("user").await? {
                Some(user) => Ok(reply::json(200, &format!("hello {user}"))),
                None => Ok(reply::json(401, "log in first")),
            }
        }
        ("POST", "/api/logout") => {
            exchange.session().destroy().await?;
            Ok(reply::json(200, "goodbye"))
        }
        // The response streams through.
        _ => exchange.forward(request).await,
    }
}

/// Stands for a query that takes its time.
fn users() -> [User; 2] {
    [
        User { id: 1, name: "Ada" },
        User {
            id: 2,
            name: "Linus",
        },
    ]
}

fn verify(user: &str, password: &str) -> bool {
    (user, password) == ("demo", "demo")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut listen =
        ServerConfig::new("127.0.0.1:8443").tls_self_signed(&["localhost", "127.0.0.1"]);
    let mut sessions = SessionConfig::ephemeral();
    let mut cache = CacheConfig::default();
    if let (Ok(url), Ok(secret)) = (std::env::var("REDIS_URL"), std::env::var("SECRET_FILE")) {
        listen = listen.redis(RedisConfig::new(url).map_err(Error::handler)?);
        sessions = SessionConfig::secret_file(secret).store(StoreKind::Redis);
        cache = cache.store(StoreKind::Redis);
    }
    let mut server = Server::new(
        listen,
        LoadBalancerConfig::new(Algorithm::LeastConnections),
        sessions.max_age(Duration::from_secs(3600)),
        RateLimitConfig::off(),
        cache,
    )?;
    for url in std::env::args().skip(1) {
        let backend = BackendConfig::new(url).map_err(Error::handler)?;
        server.add_backend(backend.max_connections(200))?;
    }
    server.set_request_handler(app);

    let running = server.start().await?;
    #[expect(clippy::print_stdout, reason = "it is what the example shows")]
    {
        println!("listening on https://{}", running.local_addr());
        println!("{:#?}", running.handle().metrics());
    }
    tokio::signal::ctrl_c().await.map_err(Error::handler)?;
    running.shutdown().await
}
