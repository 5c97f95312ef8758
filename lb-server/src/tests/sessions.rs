//! Sessions through the whole data path: cookies, rotation, lifetimes, what clients forge.

mod redis;
mod wrong;

use std::time::Duration;

use http::{Request, StatusCode};
use tokio::time::advance;

use super::Proxy;
use super::client::{Client, Reply, get};
use crate::handler::{Exchange, Request as HandlerRequest, Response};
use crate::{Error, reply};

/// Two secrets, the newer one first.
const SECRETS: [&str; 2] = [
    "2222222222222222222222222222222222",
    "1111111111111111111111111111111111",
];

/// Does with its session what the path says, and answers what it knows of it.
async fn app(request: HandlerRequest, exchange: Exchange) -> Result<Response, Error> {
    let session = exchange.session();
    let path = request.uri().path().to_owned();
    match path.trim_start_matches('/').split_once('/') {
        Some(("set", key)) => session.insert(key, &true).await?,
        Some(("remove", key)) => drop(session.remove(key).await?),
        Some(("login", user)) => {
            session.insert("user", user).await?;
            session.rotate().await?;
        }
        Some(("logout", _)) => session.destroy().await?,
        Some(("renew", _)) => {
            session.destroy().await?;
            session.insert("new", &1).await?;
        }
        Some(("fail", _)) => {
            session.insert("lost", &1).await?;
            return Err(Error::handler(std::io::Error::other("trouble")));
        }
        Some(("large", _)) => {
            let refused = session.insert("large", &"x".repeat(5000)).await;
            assert_eq!(refused.unwrap_err().kind(), crate::ErrorKind::Session);
        }
        Some(("cached", _)) => {
            let mut response = reply::text(200, "");
            let value = http::HeaderValue::from_static("public, max-age=60");
            response.headers_mut().insert("cache-control", value);
            session.insert("a", &1).await?;
            return Ok(response);
        }
        Some(("forward", _)) => return exchange.forward(request).await,
        Some(("blind", _)) => return Ok(reply::text(200, "")),
        _ => {}
    }
    let user: Option<String> = session.get("user").await?;
    let flags = [
        session.get::<bool>("a").await?.is_some(),
        session.get::<bool>("b").await?.is_some(),
    ];
    let text = format!(
        "{} {flags:?} {}",
        user.as_deref().unwrap_or("nobody"),
        session.is_logged_in().await?
    );
    Ok(reply::text(200, text))
}

fn proxy(more: &str) -> Proxy {
    let sessions = format!("[sessions]\nsecret = {SECRETS:?}\n{more}\n");
    Proxy::handled_with(&["http://a:80"], &sessions, app)
}

/// A client with a jar for one cookie.
struct Browser {
    client: Client,
    jar: Option<String>,
}

impl Browser {
    async fn new(proxy: &Proxy) -> Self {
        Self {
            client: proxy.connect().await,
            jar: None,
        }
    }

    async fn get(&mut self, path: &str) -> Reply {
        let jar = self.jar.clone();
        let reply = self.get_with(path, jar.as_deref()).await;
        if let Some((pair, attributes)) = reply.field("set-cookie").split_once("; ") {
            let is_removed = attributes.starts_with("Max-Age=0;");
            self.jar = (!is_removed).then(|| pair.to_owned());
        }
        reply
    }

    async fn get_with(&mut self, path: &str, cookie: Option<&str>) -> Reply {
        let mut request: Request<()> = get(path);
        if let Some(cookie) = cookie {
            let cookie = cookie.parse().unwrap();
            request.headers_mut().insert("cookie", cookie);
        }
        self.client.send(request).await
    }

    /// What the application knows of the client.
    async fn known(&mut self) -> String {
        self.get("/").await.text().to_owned()
    }
}

const NOBODY: &str = "nobody [false, false] false";

#[tokio::test(start_paused = true)]
async fn there_is_no_cookie_before_something_is_stored() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let reply = browser.get("/blind/").await;
    assert_eq!((reply.field("set-cookie"), reply.field("vary")), ("", ""));
    for path in ["/", "/remove/a", "/logout/", "/large/"] {
        let reply = browser.get(path).await;
        assert_eq!(reply.field("set-cookie"), "", "{path}");
        assert_eq!(reply.field("vary"), "cookie", "it looked for one");
        assert_eq!(reply.field("cache-control"), "");
    }
    assert_eq!(proxy.handle.sessions().unwrap().stats().unwrap().active, 0);
    let reply = browser.get("/set/a").await;
    let (pair, attributes) = reply.field("set-cookie").split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-lb_session="), "{pair}");
    assert_eq!(
        attributes,
        "Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    assert_eq!(reply.field("cache-control"), "no-store");
    let reply = browser.get("/").await;
    assert_eq!(reply.text(), "nobody [true, false] false");
    assert_eq!(reply.field("set-cookie"), "", "it has one");
    assert_eq!(proxy.handle.sessions().unwrap().stats().unwrap().active, 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_ends_the_id_from_before() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/set/a").await;
    let planted = browser.jar.clone();
    let reply = browser.get("/login/ada").await;
    assert_eq!(reply.text(), "ada [true, false] true");
    assert_ne!(browser.jar, planted);
    assert_eq!(browser.known().await, "ada [true, false] true");
    let reply = browser.get_with("/", planted.as_deref()).await;
    assert_eq!(reply.text(), NOBODY);
    assert_eq!(reply.field("set-cookie"), "", "it may be a late request");
}

#[tokio::test(start_paused = true)]
async fn a_logout_takes_the_cookie_and_ends_the_session() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    let kept = browser.jar.clone();
    let reply = browser.get("/logout/").await;
    assert!(reply.field("set-cookie").contains("=; Max-Age=0;"));
    assert_eq!(browser.jar, None);
    assert_eq!(browser.get_with("/", kept.as_deref()).await.text(), NOBODY);
    browser.get("/login/ada").await;
    browser.get("/renew/").await;
    assert!(browser.jar.is_some(), "a new one has begun");
    assert_eq!(proxy.handle.sessions().unwrap().stats().unwrap().active, 1);
    assert_eq!(browser.known().await, NOBODY);
}

#[tokio::test(start_paused = true)]
async fn sessions_end_by_idleness_and_by_age() {
    let proxy = proxy("idle_timeout = \"10m\"\nmax_age = \"1h\"");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    for _ in 0..6 {
        advance(Duration::from_secs(9 * 60)).await;
        browser.client = proxy.connect().await;
        assert_eq!(browser.known().await, "ada [false, false] true");
    }
    advance(Duration::from_secs(6 * 60)).await;
    browser.client = proxy.connect().await;
    assert_eq!(browser.known().await, NOBODY, "an hour is over");
    browser.get("/login/ada").await;
    advance(Duration::from_secs(10 * 60)).await;
    browser.client = proxy.connect().await;
    assert_eq!(browser.known().await, NOBODY, "ten minutes without use");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_changes_nothing() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let reply = browser.get("/fail/").await;
    assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.field("set-cookie"), "");
    assert_eq!(proxy.handle.sessions().unwrap().stats().unwrap().active, 0);
}

#[tokio::test(start_paused = true)]
async fn no_cache_stores_a_reply_with_the_cookie() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let reply = browser.get("/cached/").await;
    assert_eq!(reply.field("cache-control"), "no-store");
    let reply = browser.get("/cached/").await;
    assert_eq!(reply.field("cache-control"), "public, max-age=60");
    assert_eq!(reply.field("vary"), "cookie");
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_each_keep_what_they_wrote() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    let cookie = browser.jar.clone().unwrap();
    let mut answers = Vec::new();
    for path in ["/set/a", "/set/b"] {
        let mut request = get(path);
        request
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        answers.push(browser.client.start(request, true).await.0);
    }
    for answer in answers {
        super::client::read(answer).await.unwrap();
    }
    assert_eq!(browser.known().await, "ada [true, true] true");
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_changed_after_the_reply() {
    let (sender, mut late) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_request: HandlerRequest, exchange: Exchange| {
        sender.send(exchange.session()).unwrap();
        async { Ok(reply::status(204)) }
    };
    let proxy = Proxy::handled_with(&["http://a:80"], "[sessions]\n", handler);
    proxy.connect().await.get("/").await;
    let session = late.recv().await.unwrap();
    // Nobody has looked into it, so there is nothing to be closed before this.
    let error = session.insert("a", &1).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Session);
}

#[tokio::test(start_paused = true)]
async fn without_sessions_using_one_is_the_programs_error() {
    let proxy = Proxy::handled_by(&["http://a:80"], app);
    assert!(proxy.handle.sessions().is_none());
    let reply = proxy.connect().await.get("/").await;
    assert_eq!(reply.reason(), "handler_failed");
}

#[tokio::test(start_paused = true)]
async fn no_backend_sees_the_session_cookie() {
    let proxy = proxy("");
    let mut backlog = proxy.backend("a");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    let cookie = format!("theme=dark; {}; lang=de", browser.jar.clone().unwrap());
    let mut request = get("/forward/");
    request
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    let (answer, _) = browser.client.start(request, true).await;
    let head = backlog.http1().await.answer("").await;
    assert!(
        head.contains("\r\ncookie: theme=dark; lang=de\r\n"),
        "{head}"
    );
    super::client::read(answer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_operator_lists_and_ends_sessions() {
    let proxy = proxy("");
    let sessions = proxy.handle.sessions().unwrap();
    let mut browser = Browser::new(&proxy).await;
    browser.get("/set/a").await;
    let mut other = Browser::new(&proxy).await;
    other.get("/login/ada").await;
    advance(Duration::from_secs(5)).await;
    let page = sessions.list(None, 100).await.unwrap();
    assert_eq!((page.sessions.len(), page.next), (2, None));
    let found = page.sessions.iter().find(|info| info.is_logged_in).unwrap();
    assert_eq!((found.age.as_secs(), found.idle.as_secs()), (5, 5));
    let jar = other.jar.clone().unwrap();
    assert!(!jar.contains(&found.handle), "a handle opens nothing");
    assert!(sessions.end(&found.handle).await.unwrap());
    assert!(!sessions.end(&found.handle).await.unwrap());
    assert_eq!(other.known().await, NOBODY);
    assert_eq!(browser.known().await, "nobody [true, false] false");
    assert!(sessions.end("nobody").await.is_err());
    assert!(sessions.list(Some("x"), 1).await.is_err());
    assert_eq!(sessions.stats().unwrap().ended, 1);
}
