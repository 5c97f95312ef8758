//! Heads, bodies and trailers arrive as HTTP says they must, with the fields a proxy adds and removes.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use serde_json::{Value, json};
use support::backends::{Backend, Nginx};
use support::clients::{Curl, node_requests};
use support::proxy::Proxy;

const PROTOCOLS: [&str; 2] = ["--http2", "--http1.1"];

/// The values of a request field as the Python backend saw it.
fn seen(answer: &Value, name: &str) -> Vec<String> {
    let fields = answer["headers"].as_array().into_iter().flatten();
    let named = fields.filter(|field| field[0] == name);
    named
        .filter_map(|field| field[1].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    let backend = Backend::python("h1");
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    for protocol in PROTOCOLS {
        let answer = Curl::get(proxy.tls())
            .arguments(&[protocol])
            .send()
            .expect(200);
        assert_eq!(
            (answer.header("keep-alive"), answer.header("x-hop")),
            (None, None)
        );
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(answer.header("x-backend"), Some("h1"));
    }
    let hop = [
        "--http1.1",
        "-H",
        "connection: close, x-mine",
        "-H",
        "x-mine: 1",
        "-H",
        "te: gzip",
    ];
    let answer = Curl::get(proxy.tls())
        .arguments(&hop)
        .send()
        .expect(200)
        .json();
    assert_eq!(
        (seen(&answer, "x-mine"), seen(&answer, "te")),
        (vec![], vec![])
    );
}

#[test]
fn the_request_id_is_one_for_client_and_backend() {
    let backend = Backend::python("h1");
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let answer = Curl::get(proxy.tls())
        .arguments(&["-H", "x-request-id: forged"])
        .send()
        .expect(200);
    let echoed = answer.header("x-request-id").map(str::to_owned);
    assert_eq!(
        seen(&answer.json(), "x-request-id"),
        Vec::from_iter(echoed.clone())
    );
    let id = echoed.unwrap_or_default();
    // A UUID of version 7: the peer is not trusted, so its own id does not count.
    assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "{id}");
}

#[test]
fn forwarding_fields_are_ours_alone() {
    let backend = Backend::python("h1");
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let forged = [
        "-H",
        "x-forwarded-for: 1.2.3.4",
        "-H",
        "x-real-ip: 1.2.3.4",
        "-H",
        "forwarded: for=1.2.3.4",
        "-H",
        "host: app.example",
    ];
    for protocol in PROTOCOLS {
        let answer = Curl::get(proxy.tls())
            .arguments(&[protocol])
            .arguments(&forged)
            .send()
            .expect(200)
            .json();
        let value = |name: &str| seen(&answer, name).join(" | ");
        assert_eq!(
            (
                value("x-forwarded-for").as_str(),
                value("x-forwarded-proto").as_str()
            ),
            ("127.0.0.1", "https")
        );
        assert_eq!(
            (
                value("x-forwarded-host").as_str(),
                value("x-real-ip").as_str()
            ),
            ("app.example", "")
        );
        assert_eq!(
            (value("forwarded").as_str(), value("host").as_str()),
            ("", "app.example")
        );
        let version = if protocol == "--http2" {
            "2 lb ("
        } else {
            "1.1 lb ("
        };
        assert!(value("via").starts_with(version), "{}", value("via"));
    }
}

#[test]
fn heads_without_bodies_end_there() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().write("note.txt", "noted");
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    let url = |path: &str| format!("{}{path}", proxy.tls());
    for protocol in PROTOCOLS {
        let head = Curl::get(&url("/files/note.txt"))
            .arguments(&[protocol, "--head"])
            .send()
            .expect(200);
        // Where there is no body curl puts the head in its place.
        assert_eq!(
            (head.header("content-length"), head.text()),
            (Some("5"), head.head.clone())
        );
        let tag = head
            .header("etag")
            .map(|tag| format!("if-none-match: {tag}"))
            .unwrap();
        let unchanged = Curl::get(&url("/files/note.txt"))
            .arguments(&[protocol, "-H", &tag])
            .send()
            .expect(304);
        assert_eq!(
            (
                unchanged.header("content-length"),
                unchanged.text().as_str()
            ),
            (None, "")
        );
        let empty = Curl::get(&url("/empty"))
            .arguments(&[protocol])
            .send()
            .expect(204);
        assert_eq!(
            (empty.header("x-backend"), empty.text().as_str()),
            (Some("a"), "")
        );
        assert_eq!(
            Curl::get(&url("/gone"))
                .arguments(&[protocol])
                .send()
                .expect(301)
                .status,
            301
        );
    }
}

#[test]
fn routes_answer_by_themselves() {
    let proxy = Proxy::start(
        r#"
        [[routes]]
        name = "moved"
        match = { path = "/old/*", host = ["old.example"] }
        redirect = { to = "https://new.example{path_and_query}", status = 301 }
        [[routes]]
        name = "fixed"
        match = { path = "/fixed", methods = ["GET"] }
        respond = { status = 418, body = "teapot", content_type = "text/x-tea" }
        "#,
    );
    for protocol in PROTOCOLS {
        let get = |path: &str| Curl::get(&format!("{}{path}", proxy.tls())).arguments(&[protocol]);
        let moved = get("/old/page?q=1")
            .arguments(&["-H", "host: old.example"])
            .send()
            .expect(301);
        assert_eq!(
            moved.header("location"),
            Some("https://new.example/old/page?q=1")
        );
        let fixed = get("/fixed").send().expect(418);
        assert_eq!(
            (fixed.header("content-type"), fixed.text().as_str()),
            (Some("text/x-tea"), "teapot")
        );
        let none = get("/elsewhere").send().expect(404);
        assert_eq!(
            none.header("proxy-status"),
            Some("lb; error=destination_not_found")
        );
        assert!(none.header("x-request-id").is_some());
        let posted = get("/fixed").arguments(&["--data", "x"]).send().expect(404);
        assert_eq!(
            posted.header("proxy-status"),
            Some("lb; error=destination_not_found")
        );
    }
}

#[test]
fn trailers_pass_in_both_directions() {
    let (h1, h2) = (Backend::python("h1"), Backend::node("h2", 0));
    let proxy = Proxy::with_pool("round-robin", &[h2.url()]);
    let upload = json!({ "method": "POST", "path": "/upload", "body_bytes": 10, "trailers": { "x-sum": "7" } });
    let node = node_requests(proxy.tls(), &json!([{ "path": "/trailers" }, upload]));
    assert_eq!(
        (&node[0]["trailers"]["x-checksum"], &node[0]["error"]),
        (&json!("5d41"), &json!(null))
    );
    assert_eq!(
        (&node[1]["status"], &node[1]["error"]),
        (&json!(200), &json!(null))
    );
    // The backend answers with what it received.
    let answer = Curl::get(&format!("{}/trailers", proxy.tls()))
        .arguments(&["--http1.1", "-H", "te: trailers"])
        .send();
    assert_eq!(answer.expect(200).text(), "hello");

    let proxy = Proxy::with_pool("round-robin", &[h1.url()]);
    let chunked = node_requests(proxy.tls(), &json!([{ "path": "/chunked" }]));
    assert_eq!(
        (&chunked[0]["size"], &chunked[0]["error"]),
        (&json!(13), &json!(null))
    );
    assert_eq!(chunked[0]["trailers"]["x-checksum"], "5d41");
}

#[test]
fn early_hints_come_before_the_answer() {
    let backend = Backend::node("h2", 0);
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let answers = node_requests(proxy.tls(), &json!([{ "path": "/early-hints" }]));
    let hint = &answers[0]["informational"][0];
    assert_eq!(
        (&hint[":status"], &hint["link"]),
        (&json!(103), &json!("</style.css>; rel=preload; as=style"))
    );
    assert_eq!(
        (&answers[0]["status"], &answers[0]["size"]),
        (&json!(200), &json!(6))
    );
}

#[test]
fn a_head_over_the_limit_is_refused() {
    let nginx = Nginx::start(&["a"]);
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    let big = format!("x-big: {}", "x".repeat(20_000));
    for protocol in PROTOCOLS {
        let answer = Curl::get(proxy.tls())
            .arguments(&[protocol, "-H", &big])
            .send();
        assert_eq!(
            answer.status, 431,
            "{protocol} {} {}",
            answer.head, answer.messages
        );
    }
    assert_eq!(Curl::get(proxy.tls()).send().expect(200).text(), "a\n");
    assert_eq!(nginx.counts(1), [1]);
}
