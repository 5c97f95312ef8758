//! What is counted is exact, its labels are bounded, and all of it is documented.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use h2::Reason;
use http::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::get;
use super::{Proxy, settle};
use crate::metrics::MetricsFormat;
use crate::reply;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const CACHED: &str = "[caches.main]\n[[routes]]\nname = \"cached\"\nmatch = { path = \"/*\" }\n\
                      pool = \"default\"\ncache = \"main\"\n";

/// The samples of one metric that are not zero, by their labels.
fn samples(proxy: &Proxy, metric: &str) -> BTreeMap<String, f64> {
    let text = proxy.handle.exposition(MetricsFormat::Prometheus);
    let of_metric = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then(|| {
            (
                labels.trim_matches(['{', '}']).to_owned(),
                value.parse().unwrap(),
            )
        })
    };
    let found = text.lines().filter_map(of_metric);
    found.filter(|(_, value)| *value != 0.0).collect()
}

fn is(found: BTreeMap<String, f64>, wanted: &[(&str, f64)]) {
    let wanted: BTreeMap<String, f64> = wanted
        .iter()
        .map(|(labels, value)| ((*labels).to_owned(), *value))
        .collect();
    assert_eq!(found, wanted);
}

const A: &str = "pool=\"default\",backend=\"http://a:80\"";

#[tokio::test(start_paused = true)]
async fn counts_what_a_backend_answers() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.backend("a").always(OK);
    let mut client = proxy.connect().await;
    for _request in 0..3 {
        client.get("/").await;
    }
    client.post("/", "ask").await.unwrap();
    is(
        samples(&proxy, "lb_requests_total"),
        &[
            (
                "listener=\"default\",route=\"default\",method=\"GET\",code=\"200\"",
                3.0,
            ),
            (
                "listener=\"default\",route=\"default\",method=\"POST\",code=\"200\"",
                1.0,
            ),
        ],
    );
    is(
        samples(&proxy, "lb_response_bytes_total"),
        &[("route=\"default\"", 20.0)],
    );
    is(
        samples(&proxy, "lb_request_bytes_total"),
        &[("route=\"default\"", 3.0)],
    );
    is(
        samples(&proxy, "lb_request_duration_seconds_count"),
        &[("route=\"default\"", 4.0)],
    );
    is(samples(&proxy, "lb_errors_total"), &[]);
    let codes = format!("{A},code=\"200\"");
    is(
        samples(&proxy, "lb_backend_requests_total"),
        &[(&codes, 4.0)],
    );
    is(
        samples(&proxy, "lb_backend_response_duration_seconds_count"),
        &[(A, 4.0)],
    );
    is(
        samples(&proxy, "lb_backend_connect_duration_seconds_count"),
        &[("pool=\"default\"", 1.0)],
    );
    let idle = format!("{A},state=\"idle\"");
    is(samples(&proxy, "lb_backend_connections"), &[(&idle, 1.0)]);
    is(samples(&proxy, "lb_backend_up"), &[(A, 1.0)]);
    is(samples(&proxy, "lb_requests_active"), &[]);
    is(
        samples(&proxy, "lb_connections_active"),
        &[("listener=\"default\",protocol=\"h2\"", 1.0)],
    );
    let metrics = proxy.handle.metrics();
    assert_eq!((metrics.request_count, metrics.error_count), (4, 0));
    assert_eq!(metrics.routes["default"].request_count, 4);
    assert_eq!(metrics.backends["default/http://a:80"].request_count, 4);
}

#[tokio::test(start_paused = true)]
async fn counts_over_http1_too() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.backend("a").always(OK);
    let mut pipe = proxy.pipe().await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n\
                   GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n";
    pipe.write_all(request.as_bytes()).await.unwrap();
    pipe.read_to_end(&mut Vec::new()).await.unwrap();
    is(
        samples(&proxy, "lb_requests_total"),
        &[
            (
                "listener=\"default\",route=\"default\",method=\"GET\",code=\"200\"",
                1.0,
            ),
            (
                "listener=\"default\",route=\"\",method=\"GET\",code=\"400\"",
                1.0,
            ),
        ],
    );
    is(
        samples(&proxy, "lb_errors_total"),
        &[("route=\"\",reason=\"bad_request\"", 1.0)],
    );
    settle().await;
    is(
        samples(&proxy, "lb_connections_total"),
        &[("listener=\"default\",protocol=\"http/1.1\"", 1.0)],
    );
    is(samples(&proxy, "lb_connections_active"), &[]);
}

#[tokio::test(start_paused = true)]
async fn counts_attempts_that_fail_and_those_that_follow() {
    let proxy = Proxy::to(&["http://a:80", "http://b:80"]);
    proxy.backend("b").always(OK);
    let mut client = proxy.connect().await;
    for _request in 0..2 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    let failed = format!("{A},code=\"none\"");
    is(
        samples(&proxy, "lb_backend_requests_total"),
        &[
            (&failed, 2.0),
            ("pool=\"default\",backend=\"http://b:80\",code=\"200\"", 2.0),
        ],
    );
    is(
        samples(&proxy, "lb_retries_total"),
        &[("pool=\"default\",reason=\"connect_refused\"", 2.0)],
    );
    is(samples(&proxy, "lb_errors_total"), &[]);
    assert_eq!(
        proxy.handle.metrics().backends["default/http://a:80"].error_count,
        2
    );
}

#[tokio::test(start_paused = true)]
async fn counts_a_client_that_resets_within_the_body() {
    let proxy = Proxy::to(&["h2c://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let (response, mut upload) = client.start(get("/"), true).await;
    let mut backend = backlog.http2().await;
    let (_, mut respond) = backend.request().await;
    let mut body = respond
        .send_response(http::Response::new(()), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"part"), false).unwrap();
    let response = response.await.unwrap();
    settle().await;
    is(samples(&proxy, "lb_requests_active"), &[("", 1.0)]);
    is(samples(&proxy, "lb_requests_total"), &[]);
    upload.send_reset(Reason::CANCEL);
    drop(response);
    settle().await;
    is(samples(&proxy, "lb_requests_active"), &[]);
    is(
        samples(&proxy, "lb_requests_total"),
        &[(
            "listener=\"default\",route=\"default\",method=\"GET\",code=\"200\"",
            1.0,
        )],
    );
    is(
        samples(&proxy, "lb_errors_total"),
        &[("route=\"default\",reason=\"client_closed\"", 1.0)],
    );
    is(
        samples(&proxy, "lb_response_bytes_total"),
        &[("route=\"default\"", 4.0)],
    );
}

#[tokio::test(start_paused = true)]
async fn counts_what_a_cache_and_a_handler_answer() {
    let proxy = Proxy::with(&["http://a:80"], CACHED);
    proxy
        .backend("a")
        .always("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\nhello");
    let mut client = proxy.connect().await;
    for _request in 0..3 {
        client.get("/").await;
    }
    is(
        samples(&proxy, "lb_cache_requests_total"),
        &[
            ("cache=\"main\",result=\"hit\"", 2.0),
            ("cache=\"main\",result=\"miss\"", 1.0),
        ],
    );
    is(
        samples(&proxy, "lb_request_duration_seconds_count"),
        &[("route=\"cached\"", 3.0)],
    );
    is(
        samples(&proxy, "lb_backend_response_duration_seconds_count"),
        &[(A, 1.0)],
    );
    let proxy = Proxy::handled_by(&[], async |_, _| Ok(reply::text(201, "hi")));
    proxy.connect().await.get("/").await;
    is(
        samples(&proxy, "lb_requests_total"),
        &[(
            "listener=\"default\",route=\"default\",method=\"GET\",code=\"201\"",
            1.0,
        )],
    );
}

#[tokio::test(start_paused = true)]
async fn counts_how_long_requests_wait_and_take() {
    let proxy = Proxy::with(
        &["http://a:80"],
        "[pools.default.timeouts]\nqueue = \"10s\"\n",
    );
    let limited = "max_connections = 1\n";
    let toml = format!(
        "[listeners.default]\naddress = \"127.0.0.1:0\"\n[pools.default]\n{limited}\
         backends = [\"http://a:80\"]\nhealth_check = \"off\"\ntimeouts = {{ queue = \"10s\" }}\n"
    );
    drop(proxy);
    let proxy = Proxy::new(&toml);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let mut other = proxy.connect().await;
    let answering = async {
        let mut backend = backlog.http1().await;
        for _request in 0..2 {
            backend.head().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            backend.say(OK).await;
        }
    };
    join(answering, join(client.get("/"), other.get("/"))).await;
    let pool = "pool=\"default\"";
    is(
        samples(&proxy, "lb_queue_duration_seconds_count"),
        &[(pool, 1.0)],
    );
    is(
        samples(&proxy, "lb_queue_duration_seconds_sum"),
        &[(pool, 3.0)],
    );
    is(
        samples(&proxy, "lb_request_duration_seconds_sum"),
        &[("route=\"default\"", 9.0)],
    );
    let metrics = proxy.handle.metrics();
    let durations = metrics.routes["default"].durations;
    let near = |found: Duration, seconds: f64| (found.as_secs_f64() / seconds - 1.0).abs() < 0.01;
    assert!(
        near(durations.p50, 3.0) && near(durations.p999, 6.0),
        "{durations:?}"
    );
    assert_eq!(
        metrics.backends["default/http://a:80"].average_response_time,
        Duration::from_secs(3)
    );
}

#[tokio::test(start_paused = true)]
async fn labels_are_bounded_whatever_is_asked_and_answered() {
    let proxy = Proxy::to(&["http://a:80"]);
    let mut backlog = proxy.backend("a");
    let mut client = proxy.connect().await;
    let answering = async {
        let mut backend = backlog.http1().await;
        for status in 452..492 {
            backend.head().await;
            let head = format!("HTTP/1.1 {status} Odd\r\ncontent-length: 0\r\n\r\n");
            backend.say(&head).await;
        }
    };
    let asking = async {
        for number in 0..40 {
            let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
            let path = format!("http://h{number}.example/{number}?{number}");
            let request = Request::builder().method(method).uri(path);
            client.send(request.body(()).unwrap()).await;
        }
    };
    join(answering, asking).await;
    is(
        samples(&proxy, "lb_requests_total"),
        &[(
            "listener=\"default\",route=\"default\",method=\"OTHER\",code=\"4xx\"",
            40.0,
        )],
    );
    let codes = format!("{A},code=\"4xx\"");
    is(
        samples(&proxy, "lb_backend_requests_total"),
        &[(&codes, 40.0)],
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_outlives_a_reload_and_goes_with_its_name() {
    let proxy = Proxy::to(&["http://a:80"]);
    proxy.backend("a").always(OK);
    let mut client = proxy.connect().await;
    client.get("/").await;
    proxy.reload("").await;
    client.get("/").await;
    is(
        samples(&proxy, "lb_request_duration_seconds_count"),
        &[("route=\"default\"", 2.0)],
    );
    is(
        samples(&proxy, "lb_backend_response_duration_seconds_count"),
        &[(A, 2.0)],
    );
    proxy
        .reload("[[routes]]\nname = \"other\"\npool = \"default\"\n")
        .await;
    assert!(proxy.handle.remove_backend("default/http://a:80"));
    client.get("/").await;
    is(
        samples(&proxy, "lb_requests_total"),
        &[(
            "listener=\"default\",route=\"other\",method=\"GET\",code=\"503\"",
            1.0,
        )],
    );
    is(
        samples(&proxy, "lb_backend_response_duration_seconds_count"),
        &[],
    );
    assert_eq!(proxy.handle.metrics().request_count, 3);
    is(
        samples(&proxy, "lb_config_reloads_total"),
        &[("result=\"ok\"", 2.0)],
    );
    is(
        samples(&proxy, "lb_config_last_reload_success"),
        &[("", 1.0)],
    );
}

/// Each metric with its type and the names of its labels.
fn described(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut metrics = BTreeMap::new();
    for line in text.lines() {
        let Some(typed) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = typed.split_once(' ').unwrap();
        let series = text.lines().filter(|line| {
            let end = line.find(['{', ' ']).unwrap_or(0);
            let bare = &line[..end];
            let bare = match kind {
                "histogram" => bare.strip_suffix("_bucket").unwrap_or_default(),
                _ => bare,
            };
            bare == name
        });
        let labels = series.flat_map(|line| {
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels = labels.rsplit_once('}').map_or("", |(labels, _)| labels);
            labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned())
                .filter(|name| name != "le")
                .collect::<Vec<_>>()
        });
        metrics.insert(name.to_owned(), (kind.to_owned(), labels.collect()));
    }
    metrics
}

#[tokio::test(start_paused = true)]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    let proxy = Proxy::with(&["http://a:80"], CACHED);
    proxy.backend("a").always(OK);
    let mut client = proxy.connect().await;
    client.get("/").await;
    let found = described(&proxy.handle.exposition(MetricsFormat::Prometheus));
    let table = include_str!("../../METRICS.md").lines();
    let rows = table.filter_map(|line| line.strip_prefix("| `"));
    let mut documented = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[0].trim_end_matches('`');
        let kind = match cells[1] {
            "info" => "gauge",
            kind => kind,
        };
        let labels: BTreeSet<&str> = cells[2].split(", ").filter(|it| !it.is_empty()).collect();
        documented.insert(name, (kind, labels));
    }
    let found_names: Vec<&str> = found.keys().map(String::as_str).collect();
    let documented_names: Vec<&str> = documented.keys().copied().collect();
    assert_eq!(found_names, documented_names);
    for (name, (kind, labels)) in &found {
        let (documented_kind, documented_labels) = &documented[name.as_str()];
        assert_eq!(kind, documented_kind, "{name}");
        let labels: BTreeSet<&str> = labels.iter().map(String::as_str).collect();
        // Of what has not happened nothing is known.
        if !labels.is_empty() {
            assert_eq!(&labels, documented_labels, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn openmetrics_ends_with_its_mark_and_has_the_same_samples() {
    let proxy = Proxy::to(&["http://a:80"]);
    let (openmetrics, prometheus) = (
        proxy.handle.exposition(MetricsFormat::OpenMetrics),
        proxy.handle.exposition(MetricsFormat::Prometheus),
    );
    assert!(openmetrics.ends_with("# EOF\n"));
    assert!(openmetrics.contains("# TYPE lb_requests counter\n"));
    assert!(prometheus.contains("# TYPE lb_requests_total counter\n"));
    let series = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        names.collect()
    };
    assert_eq!(series(&openmetrics), series(&prometheus));
}
