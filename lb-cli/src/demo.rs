//! `lb-cli serve` without any configuration: a demonstration on loopback.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::header::{COOKIE, SET_COOKIE};
use lb_server::{
    Algorithm, BackendConfig, CacheConfig, Error, Exchange, LoadBalancerConfig, RateLimitConfig,
    Request, Response, Running, Server, ServerConfig, SessionConfig, reply,
};
use serde::{Deserialize, Serialize};

use crate::demo_backend::{self, Toy};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::serve::{Signals, announce, start_failure, until_signalled};

const LISTEN: &str = "127.0.0.1:8443";
const DELAYS_MS: [(&str, u64); 3] = [("a", 0), ("b", 10), ("c", 40)];
const COOKIE_NAME: &str = "__Host-demo_session";
const MAX_SESSIONS: usize = 1000;
const MAX_LOGIN_BYTES: usize = 16 * 1024;

/// Serves the example application in front of three toy backends, until a signal.
pub(crate) async fn serve(listen: Option<&str>) -> Result<Exit, Failure> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "starting the demonstration"
    );
    let mut signals = Signals::listen()?;
    let mut backends = Vec::new();
    for (name, delay_ms) in DELAYS_MS {
        let toy = Toy::new(name, Duration::from_millis(delay_ms));
        backends.push(demo_backend::start(toy, 0, false).await?);
    }
    let running = start(listen.unwrap_or(LISTEN), &backends).await?;
    announce(&running);
    explain(&running, &backends);
    until_signalled(running, &mut signals).await
}

async fn start(listen: &str, backends: &[Running]) -> Result<Running, Failure> {
    let mut server = Server::new(
        ServerConfig::new(listen).tls_self_signed(&["localhost", "127.0.0.1", "::1"]),
        LoadBalancerConfig::new(Algorithm::RoundRobin),
        SessionConfig::off(),
        RateLimitConfig::off(),
        CacheConfig::off(),
    )
    .map_err(start_failure)?;
    for backend in backends {
        let url = format!("http://{}", backend.local_addr());
        let backend = BackendConfig::new(&url)
            .context("a backend of the demonstration has no usable address")
            .map_err(|error| Failure::failed(error, "report this as a bug"))?;
        server.add_backend(backend).map_err(start_failure)?;
    }
    let sessions = Arc::new(Sessions::default());
    server.set_request_handler(move |request, exchange| {
        application(Arc::clone(&sessions), request, exchange)
    });
    server.start().await.map_err(start_failure)
}

fn explain(running: &Running, backends: &[Running]) {
    let port = running.local_addr().port();
    for (backend, (name, delay_ms)) in backends.iter().zip(DELAYS_MS) {
        output::message(format_args!(
            "backend {name}, which waits {delay_ms} ms: http://{}",
            backend.local_addr()
        ));
    }
    output::message(format_args!(
        "\nTry:\n\
         \x20 curl -k --http2 https://localhost:{port}/api/users\n\
         \x20 curl -k --http2 https://localhost:{port}/          # repeat: another backend each time\n\
         \x20 curl -k --http2 -c jar -d '{{\"username\":\"demo\",\"password\":\"demo\"}}' https://localhost:{port}/api/login\n\
         \x20 curl -k --http2 -b jar https://localhost:{port}/api/protected\n\
         \n\
         This is a demonstration; `lb-cli init` writes a real configuration."
    ));
}

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

/// The example application: three answers of its own, everything else goes to a backend.
async fn application(
    sessions: Arc<Sessions>,
    request: Request,
    exchange: Exchange,
) -> Result<Response, Error> {
    match (request.method().as_str(), request.uri().path()) {
        ("GET" | "HEAD", "/api/users") => Ok(reply::json(
            200,
            &[
                User { id: 1, name: "Ada" },
                User {
                    id: 2,
                    name: "Linus",
                },
            ],
        )),
        ("POST", "/api/login") => {
            let Ok(login) = request.into_body().json::<Login>(MAX_LOGIN_BYTES).await else {
                return Ok(reply::json(400, "expected a user name and a password"));
            };
            if login.username != "demo" || login.password != "demo" {
                return Ok(reply::json(401, "wrong user name or password"));
            }
            let mut response = reply::json(200, "welcome");
            let cookie = sessions.begin()?;
            let cookie = cookie.parse().map_err(Error::handler)?;
            response.headers_mut().insert(SET_COOKIE, cookie);
            Ok(response)
        }
        ("GET" | "HEAD", "/api/protected") => Ok(if sessions.know(&request) {
            reply::json(200, "hello demo")
        } else {
            reply::json(401, "log in first")
        }),
        _ => exchange.forward(request).await,
    }
}

/// The tokens of those who logged in, oldest first; the oldest makes room.
#[derive(Debug, Default)]
struct Sessions(Mutex<VecDeque<String>>);

impl Sessions {
    /// Begins a session and returns the cookie that carries it.
    fn begin(&self) -> Result<String, Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(Error::handler)?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let cookie = format!("{COOKIE_NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
        // A panic between these lines would leave the queue whole.
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() == MAX_SESSIONS {
            tokens.pop_front();
        }
        tokens.push_back(token);
        Ok(cookie)
    }

    fn know(&self, request: &Request) -> bool {
        let fields = request.headers().get_all(COOKIE).iter();
        let mut pairs = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.any(|(name, value)| name == COOKIE_NAME && tokens.iter().any(|token| token == value))
    }
}

#[cfg(test)]
mod tests {
    use lb_server::Body;

    use super::*;

    fn request(cookie: &str) -> Request {
        let mut request = Request::new(Body::empty());
        request
            .headers_mut()
            .insert(COOKIE, cookie.parse().unwrap());
        request
    }

    #[test]
    fn a_login_is_remembered_by_its_cookie_alone() {
        let sessions = Sessions::default();
        let cookie = sessions.begin().unwrap();
        let pair = cookie.split(';').next().unwrap();
        assert!(sessions.know(&request(&format!("other=1; {pair}"))));
        assert!(!sessions.know(&request(&format!("{COOKIE_NAME}=guess"))));
        assert!(!sessions.know(&Request::new(Body::empty())));
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::default();
        let first = sessions.begin().unwrap();
        for _ in 0..MAX_SESSIONS {
            sessions.begin().unwrap();
        }
        let pair = first.split(';').next().unwrap();
        assert!(!sessions.know(&request(pair)));
    }
}
