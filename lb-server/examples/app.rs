//! A program that answers some requests itself and forwards the rest.
//!
//! ```text
//! cargo run -p lb-server --example app -- http://127.0.0.1:3000 http://127.0.0.1:3001
//! curl -k https://127.0.0.1:8443/api/users
//! curl -k -c jar https://127.0.0.1:8443/api/login -d '{"username":"demo","password":"demo"}'
//! curl -k -b jar https://127.0.0.1:8443/api/protected
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use http::header::{COOKIE, SET_COOKIE};
use lb_server::{
    Algorithm, BackendConfig, CacheConfig, Error, Exchange, LoadBalancerConfig, RateLimitConfig,
    Request, Response, Server, ServerConfig, SessionConfig, reply,
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

/// Who is logged in, by the token in their cookie; the oldest goes first.
#[derive(Default)]
struct Logins(Mutex<VecDeque<(String, String)>>);

impl Logins {
    const MAX: usize = 1000;

    fn open(&self, user: String) -> Result<String, Error> {
        let token = format!("{:016x}{:016x}", random()?, random()?);
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logins.len() == Self::MAX {
            logins.pop_front();
        }
        logins.push_back((token.clone(), user));
        Ok(token)
    }

    fn find(&self, token: &str) -> Option<String> {
        let logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logins
            .iter()
            .find(|(known, _)| known == token)
            .map(|(_, user)| user.clone())
    }
}

fn random() -> Result<u64, Error> {
    getrandom::u64().map_err(Error::handler)
}

async fn app(logins: Arc<Logins>, request: Request, exchange: Exchange) -> Result<Response, Error> {
    match (request.method().as_str(), request.uri().path()) {
        ("GET", "/api/users") => {
            let users = [
                User { id: 1, name: "Ada" },
                User {
                    id: 2,
                    name: "Linus",
                },
            ];
            Ok(reply::json(200, &users))
        }
        ("POST", "/api/login") => {
            let login: Login = request.into_body().json(16 * 1024).await?;
            if (login.username.as_str(), login.password.as_str()) != ("demo", "demo") {
                return Ok(reply::json(401, "wrong user name or password"));
            }
            let token = logins.open(login.username)?;
            let cookie = format!("__Host-app={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
            let mut response = reply::json(200, "welcome");
            let cookie = HeaderValue::try_from(cookie).map_err(Error::handler)?;
            response.headers_mut().insert(SET_COOKIE, cookie);
            Ok(response)
        }
        ("GET", "/api/protected") => match token(&request).and_then(|token| logins.find(token)) {
            Some(user) => Ok(reply::json(200, &format!("hello {user}"))),
            None => Ok(reply::json(401, "log in first")),
        },
        // Everything else goes to a backend; the response streams through.
        _ => exchange.forward(request).await,
    }
}

fn token(request: &Request) -> Option<&str> {
    let cookie = request.headers().get(COOKIE)?.to_str().ok()?;
    cookie
        .split("; ")
        .find_map(|pair| pair.strip_prefix("__Host-app="))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut server = Server::new(
        ServerConfig::new("127.0.0.1:8443").tls_self_signed(&["localhost", "127.0.0.1"]),
        LoadBalancerConfig::new(Algorithm::LeastConnections),
        SessionConfig::off(),
        RateLimitConfig::off(),
        CacheConfig::off(),
    )?;
    for url in std::env::args().skip(1) {
        let backend = BackendConfig::new(url).map_err(Error::handler)?;
        server.add_backend(backend.max_connections(200))?;
    }
    let logins = Arc::new(Logins::default());
    server.set_request_handler(move |request: Request, exchange: Exchange| {
        app(Arc::clone(&logins), request, exchange)
    });

    let running = server.start().await?;
    #[expect(clippy::print_stdout, reason = "it is what the example shows")]
    {
        println!("listening on https://{}", running.local_addr());
        println!("{:#?}", running.handle().metrics());
    }
    tokio::signal::ctrl_c().await.map_err(Error::handler)?;
    running.shutdown().await
}
