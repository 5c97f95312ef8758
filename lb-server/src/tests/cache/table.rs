//! RFC 9111 case by case through the whole server: two requests, and what the second one gets.

mod requests;
mod responses;
mod validation;

use std::time::{Duration, SystemTime};

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Proxy, settle, soon};
use super::cached;
use super::origin::Origin;

/// Section and what it says; request, response, seconds; request, response; how many requests reached the backend, the
/// status, and how `Cache-Status` begins.
///
/// Heads are fields between ` | `, with `:method` and `:status` among them. `{60}` is the date in a minute. An empty
/// second response is the first again.
struct Case(
    &'static str,
    &'static str,
    &'static str,
    u64,
    &'static str,
    &'static str,
    &'static str,
);

#[derive(Debug, Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// Plays rows over both protocols, and tells all that went otherwise.
async fn play(settings: &str, cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        for protocol in [Protocol::Http2, Protocol::Http1] {
            let proxy = cached(settings);
            let first = response(case.2);
            let second = if case.5.is_empty() {
                first.clone()
            } else {
                response(case.5)
            };
            let origin = Origin::of(&proxy, &[&first, &second]);
            ask(&proxy, protocol, case.1).await;
            settle().await;
            // The millisecond above belongs to the wait.
            let wait = Duration::from_secs(case.3).saturating_sub(Duration::from_millis(1));
            tokio::time::sleep(wait).await;
            let (status, said) = ask(&proxy, protocol, case.4).await;
            settle().await;
            let told = format!("{} {status} {said}", origin.count());
            if !told.starts_with(case.6) {
                wrong.push(format!("{protocol:?} {}: {told}, not {}", case.0, case.6));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn fields(text: &str) -> impl Iterator<Item = (&str, String)> {
    text.split(" | ")
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line[1..].find(':').unwrap() + 1;
            (&line[..colon], dated(line[colon + 1..].trim()))
        })
}

/// Replaces `{-60}` by the date it means.
fn dated(value: &str) -> String {
    let Some((before, rest)) = value.split_once('{') else {
        return value.to_owned();
    };
    let (seconds, after) = rest.split_once('}').unwrap();
    let seconds: i64 = seconds.parse().unwrap();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    let then = if seconds < 0 {
        now - distance
    } else {
        now + distance
    };
    format!("{before}{}{after}", httpdate::fmt_http_date(then))
}

fn response(text: &str) -> String {
    let mut status = 200;
    let mut lines = Vec::new();
    for (name, value) in fields(text) {
        match name {
            ":status" => status = value.parse().unwrap(),
            _ => lines.push(format!("{name}: {value}")),
        }
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    super::origin::response(status, &lines, "0123456789")
}

/// Sends a request and returns status and `Cache-Status`.
async fn ask(proxy: &Proxy, protocol: Protocol, text: &str) -> (u16, String) {
    let mut request = http::Request::get("http://app.example/").body(()).unwrap();
    for (name, value) in fields(text) {
        match name {
            ":method" => *request.method_mut() = value.parse().unwrap(),
            _ => {
                let name: http::HeaderName = name.parse().unwrap();
                request.headers_mut().append(name, value.parse().unwrap());
            }
        }
    }
    match protocol {
        Protocol::Http2 => {
            let reply = proxy.connect().await.send(request).await;
            let status = reply.status().as_u16();
            (status, reply.field("cache-status").to_owned())
        }
        Protocol::Http1 => http1(proxy, &request).await,
    }
}

async fn http1(proxy: &Proxy, request: &http::Request<()>) -> (u16, String) {
    let mut pipe = proxy.pipe().await;
    let mut head = format!(
        "{} / HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\n",
        request.method()
    );
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    if *request.method() == Method::POST {
        head.push_str("content-length: 0\r\n");
    }
    head.push_str("\r\n");
    pipe.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    soon("a reply", pipe.read_to_end(&mut reply)).await.unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let status: u16 = head[9..12].parse().unwrap();
    let field = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
    };
    if *request.method() != Method::HEAD && status != 304 {
        let length: usize = field("content-length: ").parse().unwrap_or(0);
        assert_eq!(body.len(), length, "{reply}");
    }
    (status, field("cache-status: ").to_owned())
}
