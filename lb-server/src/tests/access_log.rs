//! What the access log says of exchanges, read as its reader would.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::client::get;
use super::{Proxy, settle};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nset-cookie: secret=1\r\n\r\nhello";

/// A file of the test's own, removed with it.
struct LogFile(PathBuf);

impl LogFile {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lb-access-log-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn config(&self, more: &str) -> String {
        format!("[access_log]\noutput = {:?}\n{more}\n", self.0)
    }

    /// What was written, once the proxy has written everything.
    fn text(&self, proxy: &Proxy) -> String {
        proxy.handle.snapshot().access_log.as_ref().unwrap().close();
        fs::read_to_string(&self.0).unwrap()
    }

    fn lines(&self, proxy: &Proxy) -> Vec<Value> {
        let text = self.text(proxy);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn tells_what_was_asked_and_who_answered() {
    let file = LogFile::new();
    let more = "redact_query = [\"token\"]\nheaders = [\"accept\", \"x-none\"]";
    let proxy = Proxy::with(&["http://a:80", "http://b:80"], &file.config(more));
    proxy.backend("b").always(OK);
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        let mut request = get("/x?a=1&token=geheim");
        let headers = request.headers_mut();
        headers.insert("accept", "text/*".parse().unwrap());
        headers.insert("authorization", "Bearer geheim".parse().unwrap());
        headers.insert("cookie", "s=geheim".parse().unwrap());
        headers.insert("user-agent", "curl/8 \"geh\"".parse().unwrap());
        headers.insert("referer", "https://r/?token=geheim".parse().unwrap());
        let id = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", id.parse().unwrap());
        client.send(request).await;
    }
    let text = file.text(&proxy);
    assert!(
        !text.contains("geheim") && !text.contains("secret"),
        "{text}"
    );
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    // One of the two met the backend that is not there first.
    let retried = lines.iter().find(|line| line["attempts"] == 2).unwrap();
    let expected = json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "client_ip": "192.0.2.1",
        "client_port": 50_000,
        "listener": "default",
        "proto": "HTTP/2.0",
        "tls": null,
        "method": "GET",
        "host": "app.example",
        "path": "/x",
        "query": "a=1&token=REDACTED",
        "status": 200,
        "bytes_in": 0,
        "bytes_out": 5,
        "route": "default",
        "pool": "default",
        "backend": "http://b:80",
        "cache": null,
        "affinity": null,
        "reason": null,
        "user_agent": "curl/8 \"geh\"",
        "referer": "https://r/?token=REDACTED",
        "headers": { "accept": "text/*", "x-none": null },
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&retried[key], value, "{key}");
    }
    assert_eq!(retried["request_id"].as_str().unwrap().len(), 36);
    assert_eq!(retried["timers"]["queue"], json!(0.0));
    assert_eq!(proxy.handle.metrics().access_log_dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn tells_of_refusals_and_of_clients_that_left() {
    let file = LogFile::new();
    let more = "[[routes]]\nmatch = { path = \"/a\" }\npool = \"default\"\n".to_owned();
    let proxy = Proxy::with(&["h2c://a:80"], &(more + &file.config("")));
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    client.get("/nowhere").await;
    let (response, mut stream) = client.start(get("/a"), true).await;
    let mut backend = backlog.http2().await;
    let (_, _respond) = backend.request().await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    settle().await;
    let lines = file.lines(&proxy);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let timers = &line["timers"];
            (
                line["status"].as_u64().unwrap(),
                line["reason"].as_str().unwrap(),
                line["route"].as_str(),
                timers["connect"] == -1,
                timers["ttfb"] == -1,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (404, "no_route", None, true, true),
            (499, "client_closed", Some("route-1"), true, true),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn leaves_out_silent_routes_and_what_the_sample_does_not_keep() {
    let file = LogFile::new();
    let routes = "[[routes]]\nname = \"silent\"\nmatch = { path = \"/silent\" }\n\
                  respond = { status = 500 }\naccess_log = false\n\
                  [[routes]]\nname = \"fine\"\nmatch = { path = \"/fine\" }\nrespond = { status = 200 }\n\
                  [[routes]]\nname = \"bad\"\nmatch = { path = \"/bad\" }\nrespond = { status = 500 }\n";
    let log = file.config("sample = { success = 0.0 }");
    let proxy = Proxy::with(&["http://a:80"], &format!("{routes}{log}"));
    let mut client = proxy.connect().await;
    for path in ["/silent", "/fine", "/bad"] {
        client.get(path).await;
    }
    let lines = file.lines(&proxy);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["route"], "bad");
}

#[tokio::test(start_paused = true)]
async fn goes_on_in_the_same_file_after_a_reload_and_ends_with_one() {
    let file = LogFile::new();
    let proxy = Proxy::with(&["http://a:80"], &file.config(""));
    proxy.backend("a").always(OK);
    let mut client = proxy.connect().await;
    client.get("/1").await;
    proxy.reload(&file.config("format = \"common\"")).await;
    client.get("/2").await;
    let text = file.text(&proxy);
    let (first, second) = text.trim_end().split_once('\n').unwrap();
    assert!(first.starts_with('{'), "{first}");
    assert!(second.ends_with("\"GET /2 HTTP/2.0\" 200 5"), "{second}");
    proxy.reload("[access_log]\noutput = \"off\"").await;
    assert!(proxy.handle.snapshot().sinks.is_empty());
}
