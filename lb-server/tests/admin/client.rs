//! A client that sends exactly what it is told to.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
        let status = head.split(' ').nth(1).expect("a status");
        Self {
            status: status.parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1);
        fields
            .filter_map(|line| line.split_once(": "))
            .find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.body);
        parsed.unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The way out that a refusal names.
    pub(crate) fn help(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["help"].as_str().unwrap().to_owned()
    }
}

/// Sends these bytes and reads until the end of the connection.
pub(crate) async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The answer may come, and the connection end, before all of it was taken.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

/// A request with fields of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: Option<&str>,
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !fields.iter().any(|(name, _)| *name == "host") {
        write!(request, "host: {address}\r\n").unwrap();
    }
    for (name, value) in fields {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    if let Some(body) = body {
        if !fields.iter().any(|(name, _)| *name == "content-type") {
            request.push_str("content-type: application/json\r\n");
        }
        write!(request, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    } else {
        request.push_str("\r\n");
    }
    Reply::parse(&raw(address, &request).await)
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, "GET", path, &[], None).await
}
