//! Spans, as a collector on the official definitions of OTLP receives them.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use serde_json::{Value, json};

use support::backends::{Backend, free_port};
use support::clients::Curl;
use support::process::{PATIENCE, Process, poll, python};
use support::proxy::{Proxy, command, listening, pool, route};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";

/// A collector that answers the first requests with these statuses.
struct Collector {
    process: Process,
    port: String,
}

impl Collector {
    fn start(refusals: &[&str]) -> Self {
        let process = Process::start("collector", python("otlp_receiver.py").args(refusals));
        let port = process.line_after("listening ");
        Self { process, port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn span(&self) -> Value {
        let text = self.process.line_after("span ");
        serde_json::from_str(&text).expect("the collector prints JSON")
    }

    /// The spans of one exchange by their names: its own is the only one of a server.
    fn exchange(&self, count: usize) -> Vec<Value> {
        let spans: Vec<Value> = (0..count).map(|_| self.span()).collect();
        let traces = spans.iter().map(|span| &span["trace"]);
        assert!(traces.clone().all(|trace| *trace == spans[0]["trace"]));
        assert_eq!(spans[0]["kind"], "SPAN_KIND_SERVER", "{spans:#?}");
        for span in &spans {
            let time = |key: &str| span[key].as_u64().expect("it is a time");
            assert!(time("start") <= time("end") && time("end") <= 2_500_000_000_000_000_000);
            assert!(spans[0]["start"].as_u64() <= Some(time("start")));
            assert_eq!(span["flags"], 1);
        }
        spans
    }
}

fn traced(collector: &Collector, backends: &[String], more: &str) -> Proxy {
    Proxy::start(&format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [tracing]\nendpoint = \"{}\"\nheaders = {{ x-key = \"secret\" }}\n\
         attributes = {{ \"deployment.environment.name\" = \"test\" }}\n\
         [access_log]\noutput = \"off\"\nredact_query = \"token\"\n\
         {}health_check = \"off\"\noutlier_detection = \"off\"\n{more}",
        collector.url(),
        pool("default", "round-robin", backends),
    ))
}

fn get(url: &str, flags: &str) -> Value {
    let parent = format!("traceparent: 00-{TRACE}-{SENDER}-{flags}");
    let arguments = ["--http2", "-H", &parent, "--user-agent", "an agent"];
    Curl::get(url)
        .arguments(&arguments)
        .send()
        .expect(200)
        .json()
}

/// What a backend says of its request's `traceparent`.
fn heard(seen: &Value) -> &str {
    let headers = seen["headers"].as_array().expect("it is a list");
    let parent = headers.iter().find(|pair| pair[0] == "traceparent");
    parent.and_then(|pair| pair[1].as_str()).unwrap_or_default()
}

#[test]
fn an_exchange_is_a_span_and_so_is_its_attempt_below_which_the_backend_goes_on() {
    let collector = Collector::start(&[]);
    let backend = Backend::python("a");
    let proxy = traced(&collector, &[backend.url()], &route("/*", "default"));
    let url = format!("{}/x/y?a=1&token=geheim", proxy.tls());
    let seen = get(&url, "01");
    let spans = collector.exchange(3);
    let [exchange, attempt, connect] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(exchange["trace"], TRACE);
    assert_eq!(exchange["parent"], SENDER);
    assert_eq!(exchange["name"], "GET default-__");
    assert_eq!(exchange["status"], "STATUS_CODE_UNSET");
    assert_eq!(exchange["key"], "secret");
    assert_eq!(exchange["service"]["service.name"], "lb");
    assert_eq!(exchange["service"]["deployment.environment.name"], "test");
    let expected = json!({
        "http.request.method": "GET",
        "url.scheme": "https",
        "url.path": "/x/y",
        "url.query": "a=1&token=REDACTED",
        "server.address": "127.0.0.1",
        "network.protocol.name": "http",
        "network.protocol.version": "2",
        "user_agent.original": "an agent",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "lb.route": "default-__",
        "lb.pool": "default",
        "lb.listener": "tls",
    });
    for (key, value) in expected.as_object().expect("it is a table") {
        assert_eq!(&exchange["attributes"][key], value, "{key}");
    }
    assert_eq!(attempt["kind"], "SPAN_KIND_CLIENT");
    assert_eq!(attempt["name"], "GET");
    assert_eq!(attempt["parent"], exchange["id"]);
    let attributes = &attempt["attributes"];
    assert_eq!(attributes["server.address"], "127.0.0.1");
    assert_eq!(attributes["http.response.status_code"], 200);
    assert_eq!(attributes["http.request.resend_count"], Value::Null);
    assert_eq!(connect["name"], "connect");
    assert_eq!(connect["parent"], attempt["id"]);
    let id = attempt["id"].as_str().expect("it is text");
    assert_eq!(heard(&seen), format!("00-{TRACE}-{id}-01"));
}

#[test]
fn a_retry_is_an_attempt_of_its_own() {
    let collector = Collector::start(&[]);
    let backend = Backend::python("b");
    let dead = format!("http://127.0.0.1:{}", free_port());
    let proxy = traced(&collector, &[dead, backend.url()], &route("/*", "default"));
    let seen = get(&format!("{}/", proxy.tls()), "01");
    let spans = collector.exchange(4);
    let attempts: Vec<&Value> = spans
        .iter()
        .filter(|span| span["kind"] == "SPAN_KIND_CLIENT")
        .collect();
    let [failed, answered] = attempts[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(failed["status"], "STATUS_CODE_ERROR");
    assert_eq!(failed["attributes"]["error.type"], "connect_refused");
    assert_eq!(answered["status"], "STATUS_CODE_UNSET");
    assert_eq!(answered["attributes"]["http.request.resend_count"], 1);
    assert_eq!(answered["parent"], failed["parent"]);
    let id = answered["id"].as_str().expect("it is text");
    assert_ne!(answered["id"], failed["id"]);
    assert!(heard(&seen).contains(id), "{seen}");
    assert_eq!(spans[0]["status"], "STATUS_CODE_UNSET");
}

#[test]
fn refusals_and_what_comes_of_the_cache_are_told() {
    let collector = Collector::start(&[]);
    let backend = Backend::python("a");
    let dead = format!("http://127.0.0.1:{}", free_port());
    let more = format!(
        "[pools.dead]\nbackends = [\"{dead}\"]\nhealth_check = \"off\"\n\
         [caches.main]\ndefault_ttl = \"1m\"\n{}cache = \"main\"\n{}",
        route("/cached", "default"),
        route("/dead", "dead")
    );
    let proxy = traced(&collector, &[backend.url()], &more);
    let ask = |path: &str, status: u16| {
        let url = format!("{}{path}", proxy.plain());
        Curl::get(&url).send().expect(status);
    };
    ask("/nowhere", 404);
    let [refused] = &collector.exchange(1)[..] else {
        panic!("there is one");
    };
    assert_eq!(refused["name"], "GET");
    assert_eq!(refused["parent"], "");
    assert_eq!(refused["attributes"]["lb.reason"], "no_route");
    assert_eq!(refused["status"], "STATUS_CODE_UNSET");
    ask("/dead", 502);
    let spans = collector.exchange(2);
    assert_eq!(spans[0]["status"], "STATUS_CODE_ERROR");
    assert_eq!(spans[0]["attributes"]["error.type"], "connect_refused");
    // Without cookies and credentials, so that it may be stored.
    ask("/cached", 200);
    let missed = collector.exchange(4);
    assert_eq!(missed[1]["name"], "cache");
    assert_eq!(missed[1]["attributes"]["lb.cache"], "miss");
    ask("/cached", 200);
    let hit = collector.exchange(2);
    assert_eq!(hit[1]["name"], "cache");
    assert_eq!(hit[1]["parent"], hit[0]["id"]);
    assert_eq!(hit[0]["attributes"]["lb.cache"], "hit");
}

#[test]
fn what_trusted_peers_do_not_sample_is_not_sent_and_passed_on_as_that() {
    let collector = Collector::start(&[]);
    let backend = Backend::python("a");
    let proxy = traced(&collector, &[backend.url()], &route("/*", "default"));
    let seen = get(&format!("{}/not", proxy.tls()), "00");
    let parent = heard(&seen);
    assert!(
        parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-00"),
        "{parent}"
    );
    get(&format!("{}/sampled", proxy.tls()), "01");
    assert_eq!(collector.span()["attributes"]["url.path"], "/sampled");
}

#[test]
fn what_a_collector_cannot_take_for_now_is_sent_again_before_the_end() {
    let collector = Collector::start(&["503", "429"]);
    let backend = Backend::python("a");
    let mut proxy = traced(&collector, &[backend.url()], &route("/*", "default"));
    get(&format!("{}/1", proxy.tls()), "01");
    let is_told = || proxy.process.messages().contains("does not take spans");
    assert!(poll(PATIENCE, is_told), "the collector's 503 is not told");
    get(&format!("{}/2", proxy.tls()), "01");
    proxy.process.signal("TERM");
    assert!(proxy.process.wait().success());
    let first = collector.exchange(3);
    assert_eq!(first[0]["attributes"]["url.path"], "/1");
    let second = collector.exchange(2);
    assert_eq!(second[0]["attributes"]["url.path"], "/2");
    let messages = proxy.process.messages();
    let told = messages.matches("does not take spans").count();
    assert_eq!(told, 1, "{messages}");
}

#[test]
fn the_variables_of_opentelemetry_stand_for_the_table() {
    let collector = Collector::start(&[]);
    let backend = Backend::python("a");
    let mut serve = command();
    serve.args([
        "serve",
        "--no-tls",
        "-l",
        "127.0.0.1:0",
        "--access-log",
        "off",
    ]);
    serve.args(["-b", &backend.url()]);
    serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    serve.env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20key,x-other=1");
    serve.env("OTEL_SERVICE_NAME", "edge");
    serve.env(
        "OTEL_RESOURCE_ATTRIBUTES",
        "host.name=h1,service.name=other",
    );
    let process = Process::start("lb-cli", &mut serve);
    let (_, url) = listening(&process);
    Curl::get(&format!("{url}/")).send().expect(200);
    let span = collector.span();
    assert_eq!(span["service"]["service.name"], "edge");
    assert_eq!(span["service"]["host.name"], "h1");
    assert_eq!(span["key"], "a key");
}
