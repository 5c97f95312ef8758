//! A status with something of everything, for tests of what is drawn.

use lb_server::admin::Status;
use serde_json::{Value, json};

const NOW: f64 = 1_800_000_000.0;

pub(crate) fn sample() -> Status {
    serde_json::from_value(json!({
        "version": "0.1.0",
        "now": NOW,
        "started": NOW - 90_000.0,
        "uptime_seconds": 90_000.0,
        "state": "serving",
        "config": {
            "path": "/etc/lb/lb.toml",
            "etag": "\"3-0\"",
            "revision": 3,
            "last_reload": { "at": NOW - 65.0, "ok": false, "details": "lb.toml:3: unknown key `lissten`" },
            "drift": 2,
        },
        "totals": {
            "requests": 1_234_567, "errors": 123, "in_flight": 17,
            "rate_1s": 1520.0, "rate_10s": 1480.4, "error_rate_10s": 0.3,
            "classes": { "1xx": 0, "2xx": 1_230_000, "3xx": 4000, "4xx": 444, "5xx": 123 },
            "latency": {
                "last_1s": percentiles(1520), "last_10s": percentiles(14_804),
                "since_start": percentiles(1_234_567),
            },
            "reasons": { "no_healthy_backend": 3 },
        },
        "connections": { "active": 212, "max": 943_718 },
        "memory": { "held_bytes": 0, "limit_bytes": 1_073_741_824 },
        "pools": [
            pool("api", 2, &[
                backend("http://10.0.0.1:3000", "ready", None, 740.2),
                backend("http://10.0.0.2:3000", "unhealthy", Some("connection refused (os error 111)"), 0.0),
                backend("app-eu-central-1-blue-deployment-7f9c", "slow_start", None, 12.0),
            ]),
            pool("static", 1, &[backend("unix:/run/static.sock", "ready", None, 0.0)]),
        ],
        "caches": [{
            "name": "pages", "hits": 90, "stale": 0, "validated": 1, "collapsed": 2, "misses": 7,
            "bypassed": 3, "hit_ratio": 0.93, "stored": 7, "purged": 0, "evicted": 0, "entries": 7,
            "bytes": 123_456, "max_bytes": 67_108_864,
        }],
        "rate_limits": [{
            "name": "login", "admitted": 40, "refused": 2, "observed": 0, "store_errors": 0,
            "keys": 12, "max_keys": 100_000,
        }],
        "sessions": {
            "store": "memory", "active": 5, "logged_in": 3, "stored": 9, "expired": 1, "ended": 2,
            "evicted": 0, "refused": 0,
        },
        "store": { "is_up": false, "answered": 10, "errors": { "timeout": 4 } },
        "certificates": [{
            "name": "public", "names": ["app.example.com"], "not_after": NOW + 500_000.0,
            "days_left": 5, "is_self_signed": false,
        }],
        "listeners": [],
    }))
    .unwrap()
}

fn percentiles(count: u64) -> Value {
    json!({
        "count": count, "mean_ms": 2.0, "p50_ms": 1.2, "p90_ms": 4.4, "p99_ms": 37.2,
        "p999_ms": 80.0, "max_ms": 1204.0,
    })
}

fn pool(name: &str, eligible: u64, backends: &[Value]) -> Value {
    json!({
        "name": name, "algorithm": "least-connections", "in_flight": 17, "max_connections": null,
        "queue": 0, "queue_max": 1024, "eligible": eligible, "panic_since": null,
        "breaker": { "is_on": false, "open": 0, "half_open": 0 },
        "retry_budget": { "is_on": true, "after_answer": 10, "after_failure": 10 },
        "retries": 4, "backends": backends,
    })
}

fn backend(id: &str, state: &str, why: Option<&str>, rate: f64) -> Value {
    json!({
        "id": id, "url": id, "state": state, "since": NOW - 4000.0, "why": why,
        "last_check": "200 OK in 2 ms", "last_check_at": NOW - 2.0, "weight": 100, "percent": 40,
        "backup": false, "in_flight": 8, "max_connections": 256, "requests": 1000, "errors": 1,
        "rate": rate, "error_rate": 0.0, "retries": 0, "p50_ms": 1.2, "p99_ms": 1234.0,
        "ejections": 0, "breaker": null,
    })
}
