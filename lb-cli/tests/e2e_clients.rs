//! Clients written by others get right answers from backends written by others.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use serde_json::json;
use support::backends::{Backend, Nginx};
use support::clients::{Curl, node_requests};
use support::files::Directory;
use support::process::{program, python, succeed};
use support::proxy::{Proxy, authority, pool, route};

const CURL_PROTOCOLS: [(&str, &str); 2] = [("--http2", "2"), ("--http1.1", "1.1")];

#[test]
fn curl_is_served_over_tls_by_both_protocols() {
    let nginx = Nginx::start(&["a"]);
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    for (protocol, version) in CURL_PROTOCOLS {
        let answer = Curl::get(&format!("{}/x?y=1", proxy.tls()))
            .arguments(&[protocol])
            .send()
            .expect(200);
        assert_eq!(
            (answer.version.as_str(), answer.text().as_str()),
            (version, "a\n")
        );
    }
}

#[test]
fn curl_is_served_in_cleartext_by_both_protocols() {
    let nginx = Nginx::start(&["a"]);
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    for (protocol, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")] {
        let answer = Curl::get(proxy.plain())
            .arguments(&[protocol])
            .send()
            .expect(200);
        assert_eq!(
            (answer.version.as_str(), answer.text().as_str()),
            (version, "a\n")
        );
    }
}

#[test]
fn curl_trusts_the_configured_certificate() {
    let nginx = Nginx::start(&["a"]);
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    let url = proxy.tls().replace("127.0.0.1", "localhost");
    let verified = succeed(program("curl", "curl").args([
        "-sS",
        "--noproxy",
        "*",
        "-4",
        "--cacert",
        &proxy.certificates.ca,
        &url,
    ]));
    assert_eq!(verified, "a\n");
}

#[test]
fn every_kind_of_backend_is_reached() {
    let directory = Directory::new();
    let certificates = directory.certificates();
    let nginx = Nginx::start(&["nginx"]);
    let (node, secure) = (
        Backend::node("node", 0),
        Backend::node_tls("secure", &certificates),
    );
    let python = Backend::python("python");
    let tls = format!("tls = {{ ca = \"{}\" }}\n", certificates.ca);
    let proxy = Proxy::start(
        &[
            pool("tcp", "round-robin", &nginx.urls()),
            pool("unix", "round-robin", &nginx.unix_urls()),
            pool("node", "round-robin", &[node.url()]),
            pool("secure", "round-robin", &[secure.url()]) + &tls,
            pool("python", "round-robin", &[python.url()]),
            ["tcp", "unix", "node", "secure", "python"]
                .map(|name| route(&format!("/{name}"), name))
                .concat(),
        ]
        .join("\n"),
    );
    for (path, name) in [
        ("tcp", "nginx"),
        ("unix", "nginx"),
        ("node", "node"),
        ("secure", "secure"),
        ("python", "python"),
    ] {
        for (protocol, _) in CURL_PROTOCOLS {
            let answer = Curl::get(&format!("{}/{path}", proxy.tls()))
                .arguments(&[protocol])
                .send()
                .expect(200);
            assert_eq!(answer.header("x-backend"), Some(name), "{path} {protocol}");
        }
    }
}

#[test]
fn nghttp_multiplexes() {
    let nginx = Nginx::start(&["a"]);
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    for url in [proxy.tls(), proxy.plain()] {
        let urls: Vec<String> = (0..50).map(|number| format!("{url}/{number}")).collect();
        let printed = succeed(
            program("nghttp", "nghttp2-client")
                .args(["--no-verify-peer", "--timeout=30"])
                .args(&urls),
        );
        assert_eq!(printed, "a\n".repeat(50));
    }
}

#[test]
fn httpx_is_served_over_http2() {
    let backend = Backend::python("h1");
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let tls = proxy.tls().replace("127.0.0.1", "localhost");
    for (url, ca) in [
        (tls.as_str(), proxy.certificates.ca.as_str()),
        (proxy.plain(), "-"),
    ] {
        let printed = succeed(python("httpx_client.py").args([url, ca]));
        let seen: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            (&seen["versions"], &seen["statuses"]),
            (&json!(["HTTP/2"]), &json!([200]))
        );
        let paths: Vec<String> = (0..50).map(|number| format!("/h1/{number}")).collect();
        assert_eq!(seen["paths"], json!(paths));
        assert_eq!(
            (&seen["posted"], &seen["head"]),
            (&json!(100_000), &json!([200, 0]))
        );
    }
}

#[test]
fn grpc_calls_of_all_four_kinds_work() {
    let server = Backend::grpc();
    let proxy = Proxy::with_pool("round-robin", &[server.url()]);
    let tls = proxy.tls().replace("127.0.0.1", "localhost");
    for (url, ca) in [
        (tls.as_str(), proxy.certificates.ca.as_str()),
        (proxy.plain(), "-"),
    ] {
        let printed = succeed(python("grpc_client.py").args([authority(url), ca]));
        let seen: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            (&seen["unary"], &seen["trailing"]),
            (&json!("cba"), &json!("unary"))
        );
        let parts: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(
            (&seen["collect"], &seen["repeat"]),
            (&json!(parts.join(",")), &json!(100))
        );
        let replies: Vec<String> = (0..20).map(|number| format!("re: {number}")).collect();
        assert_eq!(
            (&seen["chat"], &seen["chat_ended"]),
            (&json!(replies), &json!(true))
        );
        assert_eq!(
            seen["fail"],
            json!(["FAILED_PRECONDITION", "not today: 100 % sure"])
        );
    }
}

#[test]
fn node_is_served_by_backends_of_both_protocols() {
    let (h1, h2) = (Backend::python("h1"), Backend::node("h2", 0));
    let proxy = Proxy::with_pool("round-robin", &[h1.url(), h2.url()]);
    let requests: Vec<_> = (0..60)
        .map(|number| json!({ "method": "POST", "path": "/upload", "body_bytes": number * 1000 + 1 }))
        .collect();
    let results = node_requests(proxy.tls(), &json!(requests));
    for (number, result) in results.iter().enumerate() {
        assert_eq!(
            (&result["status"], &result["error"]),
            (&json!(200), &json!(null)),
            "{number}: {result}"
        );
    }
    let by = |name: &str| {
        results
            .iter()
            .filter(|result| result["headers"]["x-backend"] == name)
            .count()
    };
    assert_eq!((by("h1"), by("h2")), (30, 30));
}
