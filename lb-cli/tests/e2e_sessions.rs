//! Logins and affinity as curl with its cookie jar sees them, over TLS.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use support::backends::Nginx;
use support::clients::{Answer, Curl};
use support::files::Directory;
use support::proxy::{Demonstration, Proxy, route};

/// A client with a cookie jar.
struct Client {
    directory: Directory,
    protocol: &'static str,
}

impl Client {
    fn new(protocol: &'static str) -> Self {
        Self {
            directory: Directory::new(),
            protocol,
        }
    }

    fn send(&self, url: &str, arguments: &[&str]) -> Answer {
        let jar = self.directory.file("jar");
        Curl::get(url)
            .arguments(&["-4", self.protocol, "-b", &jar, "-c", &jar])
            .arguments(arguments)
            .send()
    }

    /// The jar as curl writes it.
    fn jar(&self) -> String {
        std::fs::read_to_string(self.directory.file("jar")).unwrap_or_default()
    }
}

const RIGHT: &str = r#"{"username":"demo","password":"demo"}"#;

#[test]
fn a_login_opens_what_is_protected_and_a_logout_closes_it() {
    let demonstration = Demonstration::start("off", &[]);
    let url = &demonstration.url;
    let (login, protected, logout) = (
        format!("{url}/api/login"),
        format!("{url}/api/protected"),
        format!("{url}/api/logout"),
    );
    for protocol in ["--http2", "--http1.1"] {
        let client = Client::new(protocol);
        let refused = client.send(&protected, &[]).expect(401);
        assert_eq!(refused.header("set-cookie"), None);
        client
            .send(&login, &["-d", r#"{"username":"demo","password":"x"}"#])
            .expect(401);
        client.send(&login, &["-d", "{"]).expect(400);
        assert!(!client.jar().contains("__Host-lb_session"));

        let welcome = client.send(&login, &["-d", RIGHT]).expect(200);
        let expected = if protocol == "--http2" { "2" } else { "1.1" };
        assert_eq!(welcome.version, expected);
        let cookie = welcome.header("set-cookie").unwrap_or_default();
        assert!(cookie.starts_with("__Host-lb_session="), "{cookie}");
        assert!(
            cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        assert_eq!(welcome.header("cache-control"), Some("no-store"));
        let hello = client.send(&protected, &[]).expect(200);
        assert_eq!(hello.json(), "hello demo");
        assert_eq!(hello.header("vary"), Some("cookie"));

        let before = client.jar();
        client.send(&login, &["-d", RIGHT]).expect(200);
        assert_ne!(client.jar(), before, "every login has a new id");
        let old = client.directory.write("old", &before);
        Curl::get(&protected)
            .arguments(&["-4", protocol, "-b", &old])
            .send()
            .expect(401);

        let kept = client.directory.write("kept", &client.jar());
        client.send(&logout, &["-X", "POST"]).expect(200);
        assert!(!client.jar().contains("__Host-lb_session"));
        client.send(&protected, &[]).expect(401);
        Curl::get(&protected)
            .arguments(&["-4", protocol, "-b", &kept])
            .send()
            .expect(401);
    }
}

#[test]
fn another_client_does_not_share_the_session() {
    let demonstration = Demonstration::start("off", &[]);
    let url = &demonstration.url;
    let (one, other) = (Client::new("--http2"), Client::new("--http2"));
    one.send(&format!("{url}/api/login"), &["-d", RIGHT])
        .expect(200);
    let protected = format!("{url}/api/protected");
    one.send(&protected, &[]).expect(200);
    other.send(&protected, &[]).expect(401);
    let forged = format!("__Host-lb_session={}", "A".repeat(43));
    Curl::get(&protected)
        .arguments(&["-4", "-H", &format!("cookie: {forged}")])
        .send()
        .expect(401);
}

fn bound(urls: &[String], secret: &str) -> Proxy {
    Proxy::start(&format!(
        "[pools.default]\nbackends = {urls:?}\n\
         affinity = {{ cookie = \"lb_route\", ttl = \"1h\", secret_file = {secret:?} }}\n{}",
        route("/*", "default")
    ))
}

#[test]
fn a_client_stays_with_its_backend_in_every_instance_and_until_it_is_gone() {
    let nginx = Nginx::start(&["a", "b", "c"]);
    let urls = nginx.urls();
    let directory = Directory::new();
    let secret = directory.write("secret", "32 random bytes, or so they say.\n");
    let proxy = bound(&urls, &secret);
    let client = Client::new("--http2");
    let first = client.send(proxy.tls(), &[]).expect(200);
    let home = first.text();
    let cookie = first.header("set-cookie").unwrap_or_default();
    assert!(cookie.starts_with("lb_route="), "{cookie}");
    assert!(cookie.contains("; Secure; HttpOnly"), "{cookie}");
    assert_eq!(first.header("cache-control"), Some("private"));
    for _ in 0..4 {
        let again = client.send(proxy.tls(), &[]).expect(200);
        assert_eq!(again.text(), home);
        assert_eq!(again.header("set-cookie"), None);
    }
    drop(proxy);
    // Another process, another order of the list, the same secret.
    let turned: Vec<String> = urls.iter().rev().cloned().collect();
    let other = bound(&turned, &secret);
    assert_eq!(client.send(other.tls(), &[]).expect(200).text(), home);
    drop(other);
    let name = home.trim();
    let left: Vec<String> = ["a", "b", "c"]
        .iter()
        .zip(&urls)
        .filter(|(known, _)| **known != name)
        .map(|(_, url)| url.clone())
        .collect();
    let smaller = bound(&left, &secret);
    let moved = client.send(smaller.tls(), &[]).expect(200);
    assert_ne!(moved.text(), home);
    assert!(moved.header("set-cookie").is_some());
    let stays = client.send(smaller.tls(), &[]).expect(200);
    assert_eq!(stays.text(), moved.text());
}
