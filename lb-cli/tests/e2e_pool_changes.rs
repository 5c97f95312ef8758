//! Backends come and go while requests run, and no request fails.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::thread;

use lb_server::{
    Algorithm, BackendConfig, CacheConfig, LoadBalancerConfig, RateLimitConfig, Server,
    ServerConfig, SessionConfig,
};
use support::backends::Nginx;
use support::clients::{Load, load};
use support::process::{PATIENCE, poll};

const REQUESTS: usize = 5000;

#[test]
fn no_request_fails_while_backends_come_and_go() {
    let nginx = Nginx::start(&["a", "b", "c"]);
    let urls = nginx.urls();
    let backend = |at: usize| BackendConfig::new(&urls[at]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = Server::new(
        ServerConfig::new("127.0.0.1:0").tls_self_signed(&["localhost"]),
        LoadBalancerConfig::new(Algorithm::LeastConnections),
        SessionConfig::off(),
        RateLimitConfig::off(),
        CacheConfig::off(),
    )
    .unwrap();
    let running = runtime.block_on(server.start()).unwrap();
    let handle = running.handle();
    let mut id = handle.add_backend(backend(0)).unwrap();
    let url = format!("https://127.0.0.1:{}/", running.local_addr().port());
    let under_load = thread::spawn(move || load(&url, REQUESTS, 4, 20));
    let mut at = 0;
    let ended = poll(PATIENCE, || {
        at = (at + 1) % urls.len();
        let next = handle.add_backend(backend(at)).unwrap();
        assert!(handle.remove_backend(&id), "{id}");
        id = next;
        under_load.is_finished()
    });
    assert!(ended, "the load goes on and on");
    let all = Load {
        succeeded: REQUESTS,
        failed: 0,
        status_2xx: REQUESTS,
    };
    assert_eq!(under_load.join().unwrap(), all);
    let counts = nginx.counts(REQUESTS);
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}
