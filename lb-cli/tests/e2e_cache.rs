//! Clients and a server written by others on both sides of the cache.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use support::backends::Nginx;
use support::clients::{Curl, load};
use support::proxy::{Proxy, pool, route};

/// nginx says nothing of freshness, so the cache assumes a minute.
fn cached(nginx: &Nginx) -> Proxy {
    Proxy::start(&format!(
        "{}[caches.main]\ndefault_ttl = \"1m\"\n{}cache = \"main\"\n",
        pool("default", "round-robin", &nginx.urls()),
        route("/*", "default")
    ))
}

#[test]
fn curl_gets_files_of_nginx_whole_in_part_or_by_word() {
    let nginx = Nginx::start(&["a"]);
    let file = nginx.files().noise("file", 100_000);
    let whole = std::fs::read(file).expect("it was written");
    let proxy = cached(&nginx);
    let url = format!("{}/files/file", proxy.tls());
    let first = Curl::get(&url).arguments(&["--http2"]).send().expect(200);
    let said = first.header("cache-status").expect("it is said");
    assert!(said.starts_with("lb; fwd=uri-miss; ttl="), "{said}");
    assert!(said.ends_with("; stored"), "{said}");
    assert_eq!(first.body(), whole);
    let tag = first.header("etag").expect("nginx gives one");
    for protocol in ["--http2", "--http1.1"] {
        let get = |more: &[&str]| {
            Curl::get(&url)
                .arguments(&[protocol])
                .arguments(more)
                .send()
        };
        let hit = get(&[]).expect(200);
        let said = hit.header("cache-status").expect("it is said");
        assert!(said.starts_with("lb; hit; ttl="), "{said}");
        assert_eq!(hit.body(), whole);
        let part = get(&["-r", "50000-50099"]).expect(206);
        assert_eq!(part.body(), whole[50_000..50_100]);
        let same = get(&["-H", &format!("if-none-match: {tag}")]).expect(304);
        assert!(same.body().is_empty());
        let head = get(&["-I"]).expect(200);
        assert_eq!(head.header("content-length"), Some("100000"));
    }
    assert_eq!(nginx.counts(1), [1]);
}

#[test]
fn many_clients_are_one_request_to_nginx() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 50_000);
    let proxy = cached(&nginx);
    let url = format!("{}/files/file", proxy.plain());
    let done = load(&url, 2_000, 20, 10);
    assert_eq!(
        (done.succeeded, done.failed, done.status_2xx),
        (2_000, 0, 2_000)
    );
    assert_eq!(nginx.counts(1), [1]);
}
