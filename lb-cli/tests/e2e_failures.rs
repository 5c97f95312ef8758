//! A backend that fails yields the right status and reason, and touches no other exchange.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::io::{Read, Write};

use serde_json::{Value, json};
use support::backends::{Backend, free_port};
use support::clients::{Answer, Curl, node_requests};
use support::proxy::{Proxy, pool, route};
use support::scripted::{Scripted, head, hold};

const PROTOCOLS: [&str; 2] = ["--http2", "--http1.1"];

/// Pools `good` and `bad` behind `/good/*` and `/bad/*`, with a short patience for heads.
fn good_and_bad(good: &Backend, bad: &str) -> Proxy {
    Proxy::start(
        &[
            pool("good", "round-robin", &[good.url()]),
            // What a request meets is the matter here, not what a probe has found before.
            pool("bad", "round-robin", &[bad.to_owned()]) + "health_check = \"off\"\n",
            "[pools.bad.timeouts]\nresponse_headers = \"300ms\"\n".to_owned(),
            route("/good/*", "good"),
            route("/bad/*", "bad"),
        ]
        .join("\n"),
    )
}

/// Asks the bad backend while exchanges with the good one are under way on the same connection.
fn beside_good(bad: &str) -> Value {
    let good = Backend::node("good", 0);
    let proxy = good_and_bad(&good, bad);
    let answers = node_requests(
        proxy.tls(),
        &json!([
            { "path": "/good/halves?n=500" },
            { "path": "/good/bytes?n=1000000" },
            { "path": "/bad/x", "method": "POST", "body_bytes": 3 },
            { "path": "/good/x" },
        ]),
    );
    for (at, size) in [(0, 131_072), (1, 1_000_000), (3, 5)] {
        let seen = (
            &answers[at]["status"],
            &answers[at]["size"],
            &answers[at]["error"],
        );
        assert_eq!(seen, (&json!(200), &json!(size), &json!(null)));
    }
    answers[2].clone()
}

/// Status and `Proxy-Status` of the answer, which must be ours and complete.
#[track_caller]
fn assert_refused(bad: &str, status: u16, error: &str) {
    let answer = beside_good(bad);
    let status_line = (
        &answer["status"],
        &answer["headers"]["proxy-status"],
        &answer["error"],
    );
    let expected = (
        json!(status),
        json!(format!("lb; error={error}")),
        json!(null),
    );
    assert_eq!(
        status_line,
        (&expected.0, &expected.1, &expected.2),
        "{answer}"
    );
    assert!(answer["headers"]["x-request-id"].is_string());
    let http1 = get(bad, "--http1.1").expect(status);
    assert_eq!(
        http1.header("proxy-status"),
        Some(format!("lb; error={error}").as_str())
    );
}

fn get(bad: &str, protocol: &str) -> Answer {
    let proxy = good_and_bad(&Backend::node("good", 0), bad);
    Curl::get(&format!("{}/bad/x", proxy.tls()))
        .arguments(&[protocol, "--data", "abc"])
        .send()
}

/// The answer broke off: the client must see that it did, whatever its protocol.
#[track_caller]
fn assert_truncated(bad: &str) {
    let answer = beside_good(bad);
    assert!(answer["error"].is_string(), "{answer}");
    for protocol in PROTOCOLS {
        let answer = get(bad, protocol);
        // 18: fewer bytes than promised; 52: nothing at all; 56: broken off in chunks; 92: the stream
        // was reset.
        assert!(
            matches!(answer.exit, Some(18 | 52 | 56 | 92)),
            "{protocol} {:?} {}",
            answer.exit,
            answer.head
        );
    }
}

#[test]
fn refuses_connections() {
    for scheme in ["http", "h2c"] {
        assert_refused(
            &format!("{scheme}://127.0.0.1:{}", free_port()),
            502,
            "connection_refused",
        );
    }
}

#[test]
fn closes_before_the_head() {
    let bad = Scripted::start(|stream| {
        head(stream);
    });
    assert_refused(&bad.url(), 502, "connection_terminated");
}

#[test]
fn closes_within_the_head() {
    let bad = Scripted::saying(b"HTTP/1.1 200 OK\r\ncontent-le");
    assert_refused(&bad.url(), 502, "connection_terminated");
}

#[test]
fn answers_garbage() {
    let garbage: [&'static [u8]; 4] = [
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 3\r\n\r\nabc",
    ];
    for said in garbage {
        assert_refused(&Scripted::saying(said).url(), 502, "http_protocol_error");
    }
}

#[test]
fn answers_garbage_where_http2_was_expected() {
    let bad = Scripted::saying(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    assert_refused(&bad.h2c_url(), 502, "http_protocol_error");
}

#[test]
fn never_answers() {
    let bad = Scripted::start(hold);
    assert_refused(&bad.url(), 504, "http_response_timeout");
}

#[test]
fn dies_within_a_body_of_known_length() {
    assert_truncated(
        &Scripted::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nten bytes!").url(),
    );
}

#[test]
fn dies_within_a_chunked_body() {
    assert_truncated(
        &Scripted::saying(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n5\r\nse",
        )
        .url(),
    );
}

#[test]
fn resets_the_stream_before_the_head() {
    let backend = Backend::node("bad", 0);
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let asked = json!([{ "path": "/reset", "method": "POST", "body_bytes": 3 }, { "path": "/bytes?n=500000" }]);
    let answers = node_requests(proxy.tls(), &asked);
    assert_eq!(answers[0]["status"], 502);
    assert_eq!(
        answers[0]["headers"]["proxy-status"],
        "lb; error=connection_terminated"
    );
    assert_eq!(
        (&answers[1]["size"], &answers[1]["error"]),
        (&json!(500_000), &json!(null))
    );
}

#[test]
fn resets_the_stream_within_the_body() {
    let backend = Backend::node("bad", 0);
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let answers = node_requests(
        proxy.tls(),
        &json!([{ "path": "/reset-mid" }, { "path": "/halves?n=300" }]),
    );
    assert!(answers[0]["error"].is_string(), "{}", answers[0]);
    assert_eq!(
        (&answers[1]["size"], &answers[1]["error"]),
        (&json!(131_072), &json!(null))
    );
}

#[test]
fn answers_before_the_end_of_the_request() {
    // It reads the head, answers and goes on to read, as a careful server does.
    let bad = Scripted::start(|stream| {
        head(stream);
        let _ = stream.write_all(
            b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig",
        );
        let mut sink = vec![0; 65_536];
        while matches!(stream.read(&mut sink), Ok(read) if read > 0) {}
    });
    let proxy = good_and_bad(&Backend::node("good", 0), &bad.url());
    let upload = json!([{ "path": "/bad/x", "method": "POST", "body_bytes": 10_000_000 }]);
    let answer = &node_requests(proxy.tls(), &upload)[0];
    assert_eq!(
        (&answer["status"], &answer["size"]),
        (&json!(413), &json!(3)),
        "{answer}"
    );
}
