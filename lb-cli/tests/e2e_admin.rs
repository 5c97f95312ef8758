//! The admin API of the real binary, asked with curl, and held to its own description.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use support::clients::{Answer, Curl};
use support::files::Directory;
use support::process::{PATIENCE, Process, poll, python, succeed};
use support::proxy::{Demonstration, command, listening};
use support::scripted::Scripted;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A proxy with an admin API.
struct Steered {
    process: Process,
    proxy: String,
    admin: String,
    directory: Directory,
    _backends: Vec<Scripted>,
}

impl Steered {
    /// `admin` are the keys of `[admin]`, `{dir}` in them a directory; `more` comes after the pool.
    fn start(admin: &str, more: &str, flags: &[&str]) -> Self {
        let directory = Directory::new();
        let answer = |text: &'static [u8]| Scripted::saying(text);
        let backends = vec![
            answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"),
            answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb"),
        ];
        let admin = admin.replace("{dir}", &directory.path().display().to_string());
        directory.write("token", TOKEN);
        let file = directory.write(
            "lb.toml",
            &format!(
                "[admin]\n{admin}\n[listeners.plain]\naddress = \"127.0.0.1:0\"\n\
                 [pools.default]\nhealth_check = \"off\"\nbackends = [{{ url = \"{}\", name = \"a\" }}, \
                 {{ url = \"{}\", name = \"b\" }}]\n{more}",
                backends[0].url(),
                backends[1].url()
            ),
        );
        let mut serve = command();
        serve.args(["serve", "--config", &file]).args(flags);
        let process = Process::start("lb-cli", &mut serve);
        let (_, proxy) = listening(&process);
        let admin = process.line_after("admin url=");
        Self {
            process,
            proxy,
            admin,
            directory,
            _backends: backends,
        }
    }

    fn ask(&self, path: &str, arguments: &[&str]) -> Answer {
        Curl::get(&format!("{}{path}", self.admin))
            .arguments(arguments)
            .send()
    }

    fn send(&self, method: &str, path: &str, body: &serde_json::Value) -> Answer {
        let body = body.to_string();
        self.ask(
            path,
            &[
                "-X",
                method,
                "-H",
                "content-type: application/json",
                "-d",
                &body,
            ],
        )
    }
}

#[test]
fn curl_steers_and_the_log_tells_who_did() {
    let mut steered = Steered::start("address = \"127.0.0.1:0\"", "", &[]);
    let status = steered.ask("/api/v1/status", &[]).expect(200).json();
    assert_eq!(status["pools"][0]["backends"][0]["state"], "ready");
    assert!(
        status["config"]["path"]
            .as_str()
            .unwrap()
            .ends_with("lb.toml")
    );
    let path = "/api/v1/pools/default/backends/a";
    steered
        .send("PATCH", path, &json!({ "state": "drain" }))
        .expect(200);
    for _request in 0..4 {
        let answer = Curl::get(&steered.proxy).send().expect(200);
        assert_eq!(answer.text(), "b");
    }
    let foreign = [
        "-X",
        "PATCH",
        "-H",
        "content-type: application/json",
        "-H",
        "origin: https://evil.example",
        "-d",
        "{\"state\":\"ready\"}",
    ];
    steered.ask(path, &foreign).expect(403);
    steered
        .ask("/api/v1/status", &["-H", "host: evil.example"])
        .expect(403);
    steered
        .send("PUT", "/api/v1/log-level", &json!({ "level": "debug" }))
        .expect(200);
    steered
        .send("PUT", "/api/v1/log-level", &json!({ "level": "nonsense" }))
        .expect(422);
    let level = steered.ask("/api/v1/log-level", &[]).expect(200).json();
    assert_eq!(level["level"], "debug");
    let reloaded = steered
        .ask("/api/v1/reload", &["-X", "POST"])
        .expect(200)
        .json();
    assert_eq!(reloaded["undone"], json!(["default/a"]));
    steered.ask("/api/v1/drain", &["-X", "POST"]).expect(202);
    assert_eq!(steered.process.wait().code(), Some(0));
    let log = steered.process.messages();
    for told in [
        "admin request caller=\"127.0.0.1:",
        "method=PATCH path=\"/api/v1/pools/default/backends/a\" status=200",
        "admin request refused",
        "status=403",
        "path=\"/api/v1/drain\" status=202",
        " local\"",
    ] {
        assert!(log.contains(told), "no `{told}` in\n{log}");
    }
}

#[test]
fn a_unix_socket_is_for_its_owner_alone() {
    let mut steered = Steered::start("address = \"unix:{dir}/admin.sock\"", "", &[]);
    let socket = steered.directory.file("admin.sock");
    assert_eq!(steered.admin, format!("http+unix:{socket}"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |path: &str, more: &[&str]| {
        Curl::get(&format!("http://lb{path}"))
            .arguments(&["--unix-socket", &socket])
            .arguments(more)
            .send()
    };
    ask("/readyz", &[]).expect(200);
    ask("/api/v1/drain", &["-X", "POST"]).expect(202);
    assert_eq!(steered.process.wait().code(), Some(0));
    assert!(steered.process.messages().contains("caller=\"unix uid="));
    assert!(!std::path::Path::new(&socket).exists());
}

#[test]
fn a_token_is_asked_for_over_tls_as_well() {
    let steered = Steered::start(
        "address = \"127.0.0.1:0\"\ntoken_file = \"{dir}/token\"\ntls = { self_signed = [\"lb.example\"] }",
        "",
        &[],
    );
    assert!(steered.admin.starts_with("https://"), "{}", steered.admin);
    steered.ask("/api/v1/status", &[]).expect(401);
    let bearer = format!("authorization: Bearer {TOKEN}");
    steered.ask("/api/v1/status", &["-H", &bearer]).expect(200);
    // The name of its certificate is one of its names.
    steered
        .ask("/api/v1/status", &["-H", &bearer, "-H", "host: lb.example"])
        .expect(200);
    steered.ask("/livez", &[]).expect(200);
}

#[test]
fn the_flag_wins_over_the_file() {
    let steered = Steered::start(
        "address = \"unix:{dir}/none.sock\"",
        "",
        &["--admin", "127.0.0.1:0"],
    );
    assert!(
        steered.admin.starts_with("http://127.0.0.1:"),
        "{}",
        steered.admin
    );
    steered.ask("/livez", &[]).expect(200);
}

#[test]
fn the_demonstration_has_one_too() {
    let with = Demonstration::start("127.0.0.1:0", &[]);
    let admin = with.process.line_after("admin url=");
    let routes = Curl::get(&format!("{admin}/api/v1/routes"))
        .send()
        .expect(200);
    assert_eq!(routes.json()[0]["target"]["kind"], "handler");
    let without = Demonstration::start("off", &[]).process;
    assert!(poll(PATIENCE, || without.messages().contains("Try:")));
    assert!(!without.messages().contains("admin API:"));
}

#[test]
fn every_answer_is_as_the_description_says() {
    let steered = Steered::start(
        "address = \"127.0.0.1:0\"",
        "affinity = \"route\"\ncircuit_breaker = { }\n\
         [caches.pages]\nmax_size = \"16MiB\"\n[rate_limits.per-client]\nlimit = 5\n[sessions]\n\
         [[routes]]\nname = \"all\"\npool = \"default\"\ncache = \"pages\"\nrate_limits = [\"per-client\"]\n",
        &[],
    );
    Curl::get(&steered.proxy).send().expect(200);
    let backends = "/api/v1/pools/{pool}/backends";
    let parameters = json!({
        "path": { "pool": "default", "backend": "b", "policy": "per-client", "key": "127.0.0.1", "handle": "A".repeat(22) },
        "body": {
            format!("POST {backends}"): { "url": "http://127.0.0.1:9", "name": "new", "state": "maintain" },
            format!("PATCH {backends}/{{backend}}"): { "weight": 2, "max_connections": null, "state": "ready" },
            "POST /api/v1/routes/explain": { "url": "http://a/", "headers": { "x": ["1", "2"] } },
            "PUT /api/v1/config": {},
            "PATCH /api/v1/config": { "server": { "shutdown_timeout": "9s" } },
            "POST /api/v1/cache/purge": { "all": true },
            "PUT /api/v1/log-level": { "level": "info" },
        },
        "wrong": [
            ["GET", "/api/v1/pools/none", null],
            ["PATCH", "/api/v1/config", { "server": 1 }],
            ["POST", "/api/v1/cache/purge", {}],
            ["PUT", "/api/v1/log-level", { "level": "nonsense" }],
        ],
    });
    let mut checked = python("admin_api.py");
    let told = succeed(checked.args([&steered.admin, &parameters.to_string()]));
    let seen: serde_json::Value = serde_json::from_str(&told).unwrap();
    let seen = seen.as_object().unwrap();
    assert!(seen.len() >= 32, "{seen:?}");
    for (what, status) in [
        ("GET /api/v1/status", 200),
        ("POST /api/v1/pools/{pool}/backends", 201),
        ("DELETE /api/v1/pools/{pool}/backends/{backend}", 204),
        ("PATCH /api/v1/config", 200),
        ("POST /api/v1/drain", 202),
    ] {
        assert_eq!(seen[what], status, "{what}");
    }
}
