//! Events as they happen.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::Stage;

/// Somebody who listens.
struct Listener {
    stream: TcpStream,
    text: String,
}

impl Listener {
    async fn new(stage: &Stage) -> Self {
        let mut stream = TcpStream::connect(stage.admin).await.unwrap();
        // Of HTTP/1.0, so that no ends of chunks are within events.
        let request =
            "GET /api/v1/events HTTP/1.0\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        Self {
            stream,
            text: String::new(),
        }
    }

    /// The next event of this name; those before it are dropped.
    async fn next(&mut self, name: &str) -> Value {
        let wanted = format!("event: {name}\ndata: ");
        let reading = async {
            loop {
                if let Some((before, rest)) = self.text.split_once(&wanted)
                    && let Some((data, _)) = rest.split_once("\n\n")
                {
                    let value = serde_json::from_str(data).unwrap();
                    self.text.drain(..before.len() + wanted.len() + data.len());
                    return value;
                }
                let mut buffer = vec![0; 64 * 1024];
                let length = self.stream.read(&mut buffer).await.unwrap();
                assert!(length > 0, "it ended: {}", self.text);
                self.text
                    .push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
        };
        let event = tokio::time::timeout(Duration::from_secs(20), reading).await;
        event.unwrap_or_else(|_elapsed| panic!("no event `{name}`"))
    }
}

#[tokio::test]
async fn who_listens_hears_how_it_is_and_what_happens() {
    let stage = Stage::new("health_check = \"off\"").await;
    let mut listener = Listener::new(&stage).await;
    let first = listener.next("status").await;
    assert_eq!(first["pools"][0]["name"], "default");
    let second = listener.next("status").await;
    assert!(second["now"].as_f64() >= first["now"].as_f64());
    let path = "/api/v1/pools/default/backends/a";
    stage.send("PATCH", path, json!({ "state": "drain" })).await;
    let change = listener.next("change").await;
    assert_eq!(change["kind"], "operation");
    assert_eq!(
        (&change["pool"], &change["backend"]),
        (&json!("default"), &json!("a"))
    );
    assert_eq!(change["event"], "drain");
    assert!(
        change["caller"].as_str().unwrap().ends_with(" local"),
        "{change}"
    );
    let status = listener.next("status").await;
    assert_eq!(status["pools"][0]["backends"][0]["state"], "draining");
}

#[tokio::test]
async fn rates_are_those_of_the_last_seconds() {
    let stage = Stage::new("health_check = \"off\"").await;
    let mut listener = Listener::new(&stage).await;
    listener.next("status").await;
    listener.next("status").await;
    for _request in 0..50 {
        stage.ask("/").await;
    }
    let mut seen: f64 = 0.0;
    for _second in 0..3 {
        let status = listener.next("status").await;
        seen = seen.max(status["totals"]["rate_1s"].as_f64().unwrap());
    }
    assert!(seen > 5.0, "{seen}");
    let status = stage.json("/api/v1/status").await;
    let rates: f64 = status["pools"][0]["backends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backend| backend["rate"].as_f64().unwrap())
        .sum();
    assert!(rates > 1.0, "{rates}");
}

#[tokio::test]
async fn health_is_told_at_once() {
    let stage =
        Stage::new("health_check = { type = \"tcp\", interval = \"100ms\", timeout = \"50ms\" }")
            .await;
    let mut listener = Listener::new(&stage).await;
    listener.next("status").await;
    let body = json!({ "url": "http://127.0.0.1:9", "name": "nobody" });
    stage
        .send("POST", "/api/v1/pools/default/backends", body)
        .await;
    loop {
        let change = listener.next("change").await;
        if change["kind"] == "health" && change["event"] == "unhealthy" {
            assert_eq!(change["backend"], "nobody");
            assert_eq!(change["caller"], Value::Null);
            break;
        }
    }
}

#[tokio::test]
async fn as_many_listen_as_may() {
    let stage = Stage::new("health_check = \"off\"").await;
    let mut listeners = Vec::new();
    for _listener in 0..32 {
        let mut listener = Listener::new(&stage).await;
        listener.next("status").await;
        listeners.push(listener);
    }
    let refused = stage.get("/api/v1/events").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.field("retry-after"), Some("1"));
}

#[tokio::test]
async fn the_end_ends_streams_too() {
    let stage = Stage::new("health_check = \"off\"").await;
    let mut listener = Listener::new(&stage).await;
    listener.next("status").await;
    let ended = tokio::time::timeout(Duration::from_secs(20), stage.running.shutdown()).await;
    ended.unwrap().unwrap();
    let mut rest = Vec::new();
    let _ = listener.stream.read_to_end(&mut rest).await;
}
