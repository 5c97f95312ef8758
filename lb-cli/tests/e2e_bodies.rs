//! Large bodies arrive byte by byte as they were sent, in little memory, whoever else stands still.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use serde_json::json;
use support::backends::{Backend, Nginx};
use support::clients::{Curl, node_requests};
use support::files::{Directory, sha256};
use support::process::{Process, program, python};
use support::proxy::{Proxy, authority, route};

const MEBIBYTE: usize = 1024 * 1024;
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

#[track_caller]
fn assert_small(proxy: &Proxy) {
    let peak = proxy.process.peak_memory_bytes();
    assert!(peak < MEMORY_BYTES, "the proxy needed {peak} bytes");
}

#[test]
fn downloads_256_mib_from_an_http1_backend() {
    let nginx = Nginx::start(&["a"]);
    let sent = sha256(&nginx.files().noise("large", 256 * MEBIBYTE));
    let proxy = Proxy::with_pool("round-robin", &nginx.urls());
    let answer = Curl::get(&format!("{}/files/large", proxy.tls()))
        .send()
        .expect(200);
    assert_eq!(sha256(&answer.body_file()), sent);
    assert_small(&proxy);
}

#[test]
fn downloads_256_mib_from_an_http2_backend() {
    let directory = Directory::new();
    let file = directory.noise("large", 256 * MEBIBYTE);
    let backend = Backend::node("a", 0);
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let answer = Curl::get(&format!("{}/file?path={file}", proxy.tls()))
        .send()
        .expect(200);
    assert_eq!(sha256(&answer.body_file()), sha256(&file));
    assert_small(&proxy);
}

#[test]
fn uploads_64_mib_to_backends_of_both_protocols() {
    let directory = Directory::new();
    let file = directory.noise("large", 64 * MEBIBYTE);
    let sent = (json!(sha256(&file)), json!(64 * MEBIBYTE));
    for backend in [Backend::python("h1"), Backend::node("h2", 0)] {
        let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
        for protocol in ["--http2", "--http1.1"] {
            let post = [protocol, "--request", "POST", "--upload-file", &file];
            let told = Curl::get(&format!("{}/upload", proxy.tls()))
                .arguments(&post)
                .send()
                .expect(200)
                .json();
            assert_eq!(
                (told["sha256"].clone(), told["size"].clone()),
                sent,
                "{protocol}"
            );
        }
        assert_small(&proxy);
    }
}

#[test]
fn streams_that_do_not_read_leave_a_sibling_alone() {
    let backend = Backend::node("a", 0);
    // One thread, so that there is one connection to the backend for all of them to share; a probe
    // would be another.
    let proxy = Proxy::start(&format!(
        "[server]\nthreads = 1\n[pools.default]\nhealth_check = \"off\"\nbackends = [\"{}\"]\n{}",
        backend.url(),
        route("/*", "default"),
    ));
    let (host, port) = authority(proxy.plain()).split_once(':').unwrap();
    let mut stalled = python("stalled_client.py");
    stalled.args([host, port, "100", "/bytes?n=8388608"]);
    let stalled = Process::start("stalled client", &mut stalled);
    let told = stalled.line_after("stalled ");
    assert!(told.starts_with("100 "), "opened and received: {told}");

    let answers = node_requests(proxy.tls(), &json!([{ "path": "/bytes?n=8388608" }]));
    assert_eq!(
        (&answers[0]["size"], &answers[0]["error"]),
        (&json!(8 * MEBIBYTE), &json!(null))
    );
    assert_eq!(backend.connections(), 1);
    assert_small(&proxy);
}

#[test]
fn a_slow_reader_leaves_a_sibling_alone() {
    let backend = Backend::node("a", 0);
    let proxy = Proxy::with_pool("round-robin", &[backend.url()]);
    let url = format!("{}/bytes?n=8388608", proxy.tls());
    let mut slow = program("curl", "curl");
    slow.args([
        "--silent",
        "--insecure",
        "--noproxy",
        "*",
        "--limit-rate",
        "1K",
        "--dump-header",
        "-",
        "--output",
        "/dev/null",
        &url,
    ]);
    let slow = Process::start("slow curl", &mut slow);
    slow.line_after("HTTP/2 200");
    let answers = node_requests(proxy.tls(), &json!([{ "path": "/bytes?n=8388608" }]));
    assert_eq!(
        (&answers[0]["size"], &answers[0]["error"]),
        (&json!(8 * MEBIBYTE), &json!(null))
    );
    assert_small(&proxy);
}
