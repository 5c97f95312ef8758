//! Wrong settings of probes, ejection, breaking, retries and waiting.

use super::{after, listener, pool, shows, table};

#[test]
fn what_a_pool_does_about_failures() {
    let with = |text: &str| pool(&format!("backends = [\"http://a:1\"]\n{text}"));
    let probe = |text: &str| with(&format!("health_check = {{ {text} }}"));
    let retry = |text: &str| with(&format!("retry = {{ {text} }}"));
    let breaker = |text: &str| with(&format!("circuit_breaker = {{ {text} }}"));
    let outlier = |text: &str| with(&format!("outlier_detection = {{ {text} }}"));
    shows(
        "resilience",
        table(&[
            ("probe of a misspelt kind", with("health_check = \"tpc\"")),
            ("probe of no kind", with("health_check = 5")),
            ("probe of an unknown type", probe("type = \"htpp\"")),
            (
                "path of a TCP probe",
                probe("type = \"tcp\", path = \"/healthz\""),
            ),
            (
                "service of an HTTP probe",
                probe("path = \"/\", service = \"a\""),
            ),
            ("path without slash", probe("path = \"healthz\"")),
            ("method of a probe", probe("method = \"GE T\"")),
            ("probe by CONNECT", probe("method = \"CONNECT\"")),
            (
                "body of HEAD",
                probe("method = \"HEAD\", expect_body = \"ok\""),
            ),
            ("host of a probe", probe("host = \"http://a/\"")),
            ("host among the fields", probe("headers = { host = \"a\" }")),
            (
                "framing among the fields",
                probe("headers = { connection = \"close\" }"),
            ),
            ("field name", probe("headers = { \"x y\" = \"a\" }")),
            ("field value", probe("headers = { x = \"a\\nb\" }")),
            ("status", probe("expect_status = 99")),
            ("status as a word", probe("expect_status = \"2xx\"")),
            ("range backwards", probe("expect_status = [\"399-200\"]")),
            ("no status", probe("expect_status = []")),
            ("interval of zero", probe("interval = \"0s\"")),
            ("bare interval", probe("interval = 10")),
            ("never unhealthy", probe("unhealthy_after = 0")),
            ("jitter", probe("jitter = 200")),
            ("misspelt key", probe("intervall = \"10s\"")),
            (
                "outlier detection switched on",
                with("outlier_detection = \"on\""),
            ),
            ("ejection beyond its bound", outlier("eject_for = \"10m\"")),
            ("share of a pool", outlier("max_ejected_percent = 101")),
            ("deviations", outlier("success_rate = { deviations = -1 }")),
            ("ratio in percent", breaker("failure_ratio = 50")),
            ("ratio of zero", breaker("failure_ratio = 0")),
            ("no trial", breaker("half_open_requests = 0")),
            ("pause of zero", breaker("open_for = \"0s\"")),
            ("no attempt", retry("attempts = 0")),
            ("too many attempts", retry("attempts = 100")),
            ("misspelt condition", retry("on = [\"conect-error\"]")),
            ("status of success", retry("on = [\"200\"]")),
            ("condition as a number", retry("on = [503, 204]")),
            ("attempt without time", retry("per_try_timeout = \"0s\"")),
            ("hedge as a flag", retry("hedge = true")),
            (
                "backoff beyond its bound",
                retry("backoff = { base = \"1s\" }"),
            ),
            ("retries as a flag", with("retry = false")),
            ("slow start of zero", with("slow_start = \"0s\"")),
            (
                "slow start without a window",
                with("slow_start = { min_percent = 20 }"),
            ),
            (
                "slow start that never grows",
                with("slow_start = { window = \"30s\", aggression = 0 }"),
            ),
            ("queue as a word", with("queue = \"long\"")),
            ("threshold", outlier("panic_below_percent = 150")),
            ("gRPC over HTTP/1.1", with("health_check = \"grpc\"")),
            ("no in-flight requests", with("max_connections = 0")),
            (
                "request without time",
                with("timeouts = { request = \"0s\" }"),
            ),
            ("little memory", after("[server]\nmemory_limit = \"1KiB\"")),
            ("bare memory", after("[server]\nmemory_limit = 1073741824")),
            (
                "short age",
                listener("address = \"127.0.0.1:1\"\nmax_connection_age = \"1ms\""),
            ),
            (
                "no request on a connection",
                listener("address = \"127.0.0.1:1\"\nmax_requests_per_connection = 0"),
            ),
        ]),
    );
}
