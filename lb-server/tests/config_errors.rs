//! Wrong configurations: each error names the value, the place and the way out.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

#[path = "config_errors/access_log.rs"]
mod access_log;
#[path = "config_errors/admin.rs"]
mod admin;
#[path = "config_errors/cache.rs"]
mod cache;
#[path = "config_errors/discovery.rs"]
mod discovery;
#[path = "config_errors/limits.rs"]
mod limits;
#[path = "config_errors/metrics.rs"]
mod metrics;
#[path = "config_errors/resilience.rs"]
mod resilience;
#[path = "config_errors/sessions.rs"]
mod sessions;
#[path = "config_errors/tracing.rs"]
mod tracing;

use std::fmt::Write as _;

use lb_server::{Config, ConfigFormat};

/// A minimal configuration that is right, for what comes after it.
const GOOD: &str = "listen = \"127.0.0.1:8443\"\nbackends = [\"http://a:1\", \"http://b:1\"]\n";

fn error(format: ConfigFormat, text: &str) -> String {
    let name = match format {
        ConfigFormat::Json => "lb.json",
        _ => "lb.toml",
    };
    let variable = |name: &str| (name == "PORT").then(|| "3000".to_owned());
    let error = Config::from_text(format, text, name, &variable).expect_err(text);
    for problem in error.problems() {
        assert!(problem.help.is_some(), "no way out: {text}");
    }
    error.to_string()
}

fn table(cases: &[(&str, String)]) -> String {
    let mut shown = String::new();
    for (title, text) in cases {
        writeln!(shown, "# {title}\n{}\n", error(ConfigFormat::Toml, text)).unwrap();
    }
    shown
}

fn shows(name: &str, text: String) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Keys in front of the tables of a right configuration.
fn top(text: &str) -> String {
    format!("{text}\n{GOOD}")
}

/// Tables after a right configuration.
fn after(text: &str) -> String {
    format!("{GOOD}{text}\n")
}

fn listener(text: &str) -> String {
    format!("backends = [\"http://a:1\", \"http://b:1\"]\n[listeners.web]\n{text}\n")
}

fn pool(text: &str) -> String {
    format!("listen = \"127.0.0.1:8443\"\n[pools.api]\n{text}\n")
}

fn backend(text: &str) -> String {
    pool(&format!("backends = [\"http://a:1\", {text}]"))
}

fn route(text: &str) -> String {
    after(&format!("[[routes]]\nname = \"one\"\n{text}"))
}

#[test]
fn syntax_and_shape() {
    shows(
        "syntax_and_shape",
        table(&[
            ("not closed", "listen = \"127.0.0.1:8443".into()),
            (
                "key twice",
                "listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n".into(),
            ),
            ("no quotes", "listen = 127.0.0.1\n".into()),
            ("empty", String::new()),
            ("unknown key", top("acme = { email = \"a@b\" }")),
            (
                "misspelt key",
                "listn = \"127.0.0.1:8443\"\nbackends = [\"http://a:1\"]\n".into(),
            ),
            (
                "key of a later feature",
                pool("backends = [\"http://a:1\"]\n[pools.api.discover]\ninterval = \"30s\""),
            ),
            ("unknown version", top("version = 2")),
            ("version as text", top("version = \"1\"")),
            (
                "short and long listener",
                top("").replace("backends", "[listeners.web]\naddress = \"127.0.0.1:1\"\n#"),
            ),
            (
                "short and long pool",
                after("[pools.api]\nbackends = [\"http://c:1\"]"),
            ),
            (
                "tls without listen",
                "tls = \"off\"\nbackends = [\"http://a:1\"]\n".into(),
            ),
            (
                "algorithm without backends",
                "listen = \"127.0.0.1:1\"\nalgorithm = \"ip-hash\"\n".into(),
            ),
            ("no listener", "backends = [\"http://a:1\"]\n".into()),
            (
                "nothing to answer with",
                "listen = \"127.0.0.1:1\"\n".into(),
            ),
            ("not a table", top("server = 5")),
            (
                "not a list",
                "listen = \"127.0.0.1:1\"\nbackends = \"http://a:1\"\n".into(),
            ),
            (
                "number for a string",
                "listen = 8443\nbackends = [\"http://a:1\"]\n".into(),
            ),
            (
                "several at once",
                "listen = \"nowhere\"\nalgorithm = \"fastest\"\nbackends = [\"ftp://a\", 3]\n"
                    .into(),
            ),
        ]),
    );
}

#[test]
fn variables() {
    shows(
        "variables",
        table(&[
            (
                "not set",
                "listen = \"127.0.0.1:1\"\nbackends = [\"http://${APP_HOST}:3000\"]\n".into(),
            ),
            (
                "not closed",
                "listen = \"127.0.0.1:${PORT\"\nbackends = [\"http://a:1\"]\n".into(),
            ),
            (
                "no name",
                "listen = \"127.0.0.1:${}\"\nbackends = [\"http://a:1\"]\n".into(),
            ),
            (
                "wrong after replacing",
                "listen = \"127.0.0.1:${PORT}0000\"\nbackends = [\"http://a:1\"]\n".into(),
            ),
        ]),
    );
}

#[test]
fn process() {
    shows(
        "process",
        table(&[
            ("no threads", after("[server]\nthreads = 0")),
            ("threads as a word", after("[server]\nthreads = \"many\"")),
            ("no connections", after("[server]\nmax_connections = 0")),
            (
                "network",
                after("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]"),
            ),
            (
                "network with host bits",
                after("[server]\ntrusted_proxies = [\"10.0.0.7/8\"]"),
            ),
            ("unknown choice", after("[server]\nforwarded = \"rfc7329\"")),
            (
                "quoted boolean",
                after("[server]\nexpose_details = \"true\""),
            ),
            ("pseudonym", after("[server]\npseudonym = \"my proxy\"")),
            ("bare duration", after("[server]\nshutdown_timeout = 30")),
            (
                "bare duration in quotes",
                after("[server]\nshutdown_delay = \"30\""),
            ),
            (
                "duration of zero",
                after("[server]\nshutdown_timeout = \"0s\""),
            ),
            (
                "unknown unit",
                after("[server]\nshutdown_timeout = \"2 days\""),
            ),
        ]),
    );
}

#[test]
fn listeners() {
    let address = "address = \"127.0.0.1:1\"\n";
    let with = |text: &str| listener(&format!("{address}{text}"));
    shows(
        "listeners",
        table(&[
            ("no port", listener("address = \"127.0.0.1\"")),
            ("no address", listener("address = \":8443\"")),
            (
                "name for an address",
                listener("address = \"localhost:8443\""),
            ),
            (
                "socket without path",
                listener("address = \"unix:lb.sock\""),
            ),
            ("address missing", listener("tls = \"off\"")),
            ("no addresses", listener("address = []")),
            (
                "name",
                "backends = [\"http://a:1\"]\n[listeners.\"my web\"]\naddress = \"127.0.0.1:1\"\n"
                    .into(),
            ),
            (
                "address twice",
                with("[listeners.other]\naddress = \"127.0.0.1:1\""),
            ),
            ("no certificate", listener("address = \"0.0.0.0:8443\"")),
            (
                "no certificate, short form",
                "listen = \"0.0.0.0:8443\"\nbackends = [\"http://a:1\"]\n".into(),
            ),
            ("unknown word for tls", with("tls = \"self_signd\"")),
            ("boolean for tls", with("tls = true")),
            ("no key", with("tls = { cert = \"server.crt\" }")),
            (
                "pair and list",
                with("tls = { cert = \"a\", key = \"b\", certificates = [] }"),
            ),
            (
                "tls version",
                with("tls = { cert = \"a\", key = \"b\", min_version = \"1.1\" }"),
            ),
            (
                "name of a certificate",
                with("tls = { self_signed = [\"not a name\"] }"),
            ),
            (
                "redirect under tls",
                with("tls = \"self-signed\"\nredirect_to = \"https\""),
            ),
            ("unknown protocol", with("protocols = [\"h3\"]")),
            ("no protocols", with("protocols = []")),
            ("protocol twice", with("protocols = [\"h2\", \"h2\"]")),
            ("no streams", with("http2 = { max_concurrent_streams = 0 }")),
            ("bare size", with("http2 = { stream_window = 65536 }")),
            (
                "window too large",
                with("http2 = { stream_window = \"2GiB\" }"),
            ),
            (
                "window beyond 32 bits",
                with("http2 = { stream_window = \"5GiB\" }"),
            ),
            (
                "connection window below stream window",
                with("http2 = { stream_window = \"1MiB\", connection_window = \"64KiB\" }"),
            ),
            (
                "no header list",
                with("http2 = { max_header_list = \"0B\" }"),
            ),
            (
                "no header fields",
                with("http2 = { max_header_fields = 0 }"),
            ),
            ("timeout of zero", with("timeouts = { idle = \"0s\" }")),
        ]),
    );
}

#[test]
fn pools() {
    let two = "backends = [\"http://a:1\", \"http://b:1\"]\n";
    let with = |text: &str| pool(&format!("{two}{text}"));
    shows(
        "pools",
        table(&[
            (
                "unknown algorithm",
                with("algorithm = \"least-conections\""),
            ),
            (
                "algorithm of another program",
                with("algorithm = \"leastconn\""),
            ),
            ("no backends key", pool("algorithm = \"ip-hash\"")),
            ("no scheme", backend("\"10.0.0.1:3000\"")),
            ("unknown scheme", backend("\"grpc://10.0.0.1:3000\"")),
            ("path", backend("\"http://10.0.0.1:3000/app\"")),
            ("password", backend("\"http://u:secret@10.0.0.1:3000\"")),
            ("port", backend("\"http://10.0.0.1:99999\"")),
            ("port 0", backend("\"http://10.0.0.1:0\"")),
            ("IPv6 without brackets", backend("\"http://::1\"")),
            ("no host", backend("\"http://:3000\"")),
            ("socket", backend("\"unix:app.sock\"")),
            ("no URL", backend("{ weight = 2 }")),
            ("number", backend("3000")),
            ("weight 0", backend("{ url = \"http://b:1\", weight = 0 }")),
            (
                "weight too large",
                backend("{ url = \"http://b:1\", weight = 70000 }"),
            ),
            (
                "weight in quotes",
                backend("{ url = \"http://b:1\", weight = \"2\" }"),
            ),
            (
                "no connections",
                backend("{ url = \"http://b:1\", max_connections = 0 }"),
            ),
            (
                "misspelt key",
                backend("{ url = \"http://b:1\", wieght = 2 }"),
            ),
            (
                "original's key",
                backend("{ url = \"http://b:1\", maxConnections = 2 }"),
            ),
            ("twice", backend("\"http://a:1\"")),
            (
                "only backups",
                pool("backends = [{ url = \"http://a:1\", backup = true }]"),
            ),
            (
                "server name",
                backend("{ url = \"https://b\", server_name = \"https://b\" }"),
            ),
            (
                "balance factor too small",
                with("algorithm = \"consistent-hashing\"\nhash = { balance_factor = 0.5 }"),
            ),
            (
                "balance factor not a number",
                with("algorithm = \"consistent-hashing\"\nhash = { balance_factor = nan }"),
            ),
            (
                "balance factor unused",
                with("hash = { balance_factor = 1.25 }"),
            ),
            (
                "hash key unused",
                with("algorithm = \"ip-hash\"\nhash = { key = \"header:x-user\" }"),
            ),
            (
                "unknown hash key",
                with("algorithm = \"consistent-hashing\"\nhash = { key = \"pth\" }"),
            ),
            (
                "hash key without name",
                with("algorithm = \"consistent-hashing\"\nhash = { key = \"cookie\" }"),
            ),
            ("IPv4 prefix", with("hash = { ipv4_prefix = 33 }")),
            ("IPv6 prefix", with("hash = { ipv6_prefix = 129 }")),
            (
                "several pools, no routes",
                with("[pools.web]\nbackends = [\"http://c:1\"]"),
            ),
        ]),
    );
}

#[test]
fn routes() {
    let to = |text: &str| route(&format!("pool = \"default\"\n{text}"));
    let second = |first: &str, second: &str| {
        to(&format!(
            "match = {first}\n[[routes]]\nname = \"two\"\npool = \"default\"\nmatch = {second}"
        ))
    };
    shows(
        "routes",
        table(&[
            ("unknown pool", route("pool = \"defualt\"")),
            ("no target", route("match = { path = \"/\" }")),
            ("two targets", to("respond = { status = 200 }")),
            (
                "name twice",
                route(
                    "pool = \"default\"\nmatch = { path = \"/a\" }\n[[routes]]\nname = \"one\"\npool = \"default\"",
                ),
            ),
            (
                "shadowed by a catch-all",
                second("{}", "{ path = \"/api/*\" }"),
            ),
            (
                "shadowed by a prefix",
                second(
                    "{ path = \"/api/*\" }",
                    "{ path = \"/api/v1\", methods = [\"GET\"] }",
                ),
            ),
            (
                "shadowed by a wildcard",
                second(
                    "{ host = \"*.a.com\" }",
                    "{ host = [\"x.a.com\", \"y.a.com\"] }",
                ),
            ),
            ("path without slash", to("match = { path = \"api/*\" }")),
            (
                "star in the middle",
                to("match = { path = \"/api/*/users\" }"),
            ),
            ("star without slash", to("match = { path = \"/api*\" }")),
            ("query in a path", to("match = { path = \"/a?b=c\" }")),
            ("star in a host", to("match = { host = \"app.*.com\" }")),
            ("port in a host", to("match = { host = \"a.com:8443\" }")),
            (
                "scheme in a host",
                to("match = { host = \"https://a.com/\" }"),
            ),
            ("method", to("match = { methods = [\"GE T\"] }")),
            (
                "method in lower case",
                to("match = { methods = [\"get\"] }"),
            ),
            (
                "header name",
                to("match = { headers = { \"x y\" = \"1\" } }"),
            ),
            ("header match", to("match = { headers = { x = false } }")),
            (
                "header value",
                to("response_headers = { set = { x = \"a\\nb\" } }"),
            ),
            (
                "protocol's header",
                to("request_headers = { set = { connection = \"close\" } }"),
            ),
            (
                "not a redirect",
                route("redirect = { to = \"/new\", status = 200 }"),
            ),
            (
                "placeholder",
                route("redirect = { to = \"https://{hots}/\" }"),
            ),
            ("location", route("redirect = { to = \"example.com\" }")),
            (
                "loop",
                route("redirect = { to = \"http://{host}{path_and_query}\" }"),
            ),
            ("no location", route("redirect = { status = 308 }")),
            ("reply without status", route("respond = { body = \"ok\" }")),
            ("interim status", route("respond = { status = 100 }")),
            (
                "body of 204",
                route("respond = { status = 204, body = \"ok\" }"),
            ),
            (
                "media type",
                route("respond = { status = 200, content_type = \"text\" }"),
            ),
            ("stream idle of zero", to("stream_idle = \"0s\"")),
        ]),
    );
}

#[test]
fn json() {
    let mut shown = String::new();
    for text in [
        "{ \"listen\": \"127.0.0.1:1\", }",
        "{\n  // one\n  \"listen\": \"127.0.0.1:1\"\n}",
        "{\n  \"listen\": \"127.0.0.1:1\",\n  \"listen\": \"127.0.0.1:2\"\n}",
        "{\n  \"listen\": \"127.0.0.1:1\",\n  \"backends\": [\n    { \"url\": \"http://a:1\", \"weight\": 0 }\n  ]\n}",
        "{\n  \"listen\": null,\n  \"algoritm\": \"ip-hash\",\n  \"backends\": []\n}",
        "[]",
    ] {
        writeln!(shown, "{}\n", error(ConfigFormat::Json, text)).unwrap();
    }
    shows("json", shown);
}

#[test]
fn a_long_line_is_shown_around_the_caret() {
    let text = format!(
        "{{\"listen\":\"127.0.0.1:1\",{}\"algorithm\":\"x\",\"backends\":[\"http://a\"]}}",
        " ".repeat(500)
    );
    let shown = error(ConfigFormat::Json, &text);
    assert!(
        shown.lines().take(4).all(|line| line.len() < 120),
        "{shown}"
    );
    assert!(shown.contains("lb.json:1:537"), "{shown}");
}

#[test]
fn files_need_a_known_extension_and_must_exist() {
    let error = Config::from_file("lb.yaml").unwrap_err().to_string();
    assert!(
        error.contains(".toml") && error.contains(".json"),
        "{error}"
    );
    let error = Config::from_file("does/not/exist.toml")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("does/not/exist.toml") && error.contains("lb-cli init"),
        "{error}"
    );
}

#[test]
fn programs_get_the_same_errors_without_a_place() {
    use lb_server::{Algorithm, LoadBalancerConfig, ServerConfig};
    let pool = || LoadBalancerConfig::new(Algorithm::RoundRobin);
    let error = |server| Config::single(server, pool()).unwrap_err().to_string();
    insta::assert_snapshot!(error(ServerConfig::new("localhost:8443")), @r"
    listeners.default.address: `localhost:8443` is no address to listen on
      = help: write `127.0.0.1:8443`
    ");
    assert!(error(ServerConfig::new("0.0.0.0:8443")).contains("no certificate"));
    assert!(
        error(ServerConfig::new("127.0.0.1:1").trusted_proxies(&["x"]))
            .contains("`x` is no network")
    );
    assert!(Config::single(ServerConfig::new("0.0.0.0:8443").tls_off(), pool()).is_ok());
}

#[test]
fn problems_are_machine_readable() {
    let text = after("[server]\nthreads = 0");
    let error = Config::from_toml(&text, "lb.toml").unwrap_err();
    shows("machine_readable", serde_json::to_string(&error).unwrap());
}
