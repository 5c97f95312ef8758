//! What is counted under load of real clients, read by Prometheus's own tool.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use lb_server::{
    Algorithm, BackendConfig, CacheConfig, LoadBalancerConfig, MetricsFormat, RateLimitConfig,
    Server, ServerConfig, SessionConfig,
};
use support::backends::Nginx;
use support::clients::load;

const REQUESTS: usize = 500;

#[test]
fn promtool_finds_nothing_wrong_with_what_is_counted_under_load() {
    let nginx = Nginx::start(&["a", "b"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut server = Server::new(
        ServerConfig::new("127.0.0.1:0").tls_self_signed(&["localhost"]),
        LoadBalancerConfig::new(Algorithm::RoundRobin),
        SessionConfig::ephemeral(),
        RateLimitConfig::new(1_000_000, std::time::Duration::from_secs(1)),
        CacheConfig::default(),
    )
    .unwrap();
    for url in nginx.urls() {
        server
            .add_backend(BackendConfig::new(url).unwrap())
            .unwrap();
    }
    let running = runtime.block_on(server.start()).unwrap();
    let url = format!("https://127.0.0.1:{}/", running.local_addr().port());
    assert_eq!(load(&url, REQUESTS, 2, 10).succeeded, REQUESTS);
    let text = running.handle().exposition(MetricsFormat::Prometheus);
    let counted = format!(
        "lb_requests_total{{listener=\"default\",route=\"default\",method=\"GET\",code=\"200\"}} {REQUESTS}\n"
    );
    assert!(text.contains(&counted), "{text}");
    let handshakes =
        "lb_tls_handshakes_total{listener=\"default\",version=\"TLSv1.3\",result=\"ok\"} 2\n";
    assert!(text.contains(handshakes), "{text}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    let said = (
        said.status.success(),
        String::from_utf8_lossy(&said.stdout).into_owned(),
        String::from_utf8_lossy(&said.stderr).into_owned(),
    );
    assert_eq!(said, (true, String::new(), String::new()), "{text}");
}
