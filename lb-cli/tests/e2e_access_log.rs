//! The access log of the real binary, read by the tools that its formats are for.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::fs;

use serde_json::Value;
use support::backends::Nginx;
use support::clients::{Curl, load};
use support::files::Directory;
use support::process::{PATIENCE, poll, program, run};
use support::proxy::{Proxy, pool, route};

/// A pool that answers below `/files/`, one that nobody answers for, and nothing for the rest.
fn proxy(nginx: &Nginx, log: &str) -> Proxy {
    let dead = ["http://127.0.0.1:1".to_owned()];
    Proxy::start(&format!(
        "[access_log]\n{log}\n{}{}health_check = \"off\"\n{}{}",
        pool("default", "round-robin", &nginx.urls()),
        pool("dead", "round-robin", &dead),
        route("/files/*", "default"),
        route("/dead", "dead"),
    ))
}

/// Asks for a file twice, for a backend that is not there, and for what leads nowhere.
fn ask(proxy: &Proxy) {
    for (path, status) in [
        ("/files/file?token=geheim", 200),
        ("/files/file", 200),
        ("/dead", 502),
        ("/nowhere", 404),
    ] {
        let url = format!("{}{path}", proxy.tls());
        let agent = ["--user-agent", "an \"agent\" of \\ curl"];
        Curl::get(&url).arguments(&agent).send().expect(status);
    }
}

/// The lines of a file, once there are so many.
fn lines(file: &str, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let came = poll(PATIENCE, || {
        let text = fs::read_to_string(file).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        lines.len() >= count && text.ends_with('\n')
    });
    assert!(came, "{lines:#?}");
    lines
}

#[test]
fn json_is_on_standard_output_unless_told_otherwise() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 1000);
    let proxy = proxy(&nginx, "redact_query = [\"token\"]");
    ask(&proxy);
    let told: Vec<Value> = (0..4)
        .map(|_| format!("{{{}", proxy.process.line_after("{")))
        .map(|line| serde_json::from_str(&line).expect("it is JSON"))
        .collect();
    let word = |at: usize, key: &str| told[at][key].as_str().unwrap_or("-").to_owned();
    assert_eq!(word(0, "query"), "token=REDACTED");
    assert_eq!(word(0, "user_agent"), "an \"agent\" of \\ curl");
    assert_eq!(told[0]["bytes_out"], 1000);
    assert_eq!(word(0, "backend"), nginx.urls()[0]);
    assert_eq!(word(0, "tls"), "TLSv1.3");
    let handshake = told[0]["timers"]["handshake"].as_f64();
    assert!(handshake.is_some_and(|took| took > 0.0), "{}", told[0]);
    assert_eq!(word(2, "reason"), "connect_refused");
    assert_eq!(told[2]["timers"]["ttfb"], -1);
    assert_eq!(word(3, "reason"), "no_route");
}

#[test]
fn python_reads_the_json() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 1000);
    let directory = Directory::new();
    let file = directory.file("access.log");
    let proxy = proxy(&nginx, &format!("output = {file:?}"));
    ask(&proxy);
    lines(&file, 4);
    let script = "import json, sys\nfor line in open(sys.argv[1]):\n \
                  it = json.loads(line)\n print(it['status'], it['timers']['total'] > 0)";
    let ended = run(program("python3", "python3").args(["-c", script, &file]));
    assert_eq!(ended.text(), "200 True\n200 True\n502 True\n404 True\n");
}

#[test]
fn halog_reads_the_haproxy_format() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 1000);
    let directory = Directory::new();
    let file = directory.file("access.log");
    let proxy = proxy(&nginx, &format!("output = {file:?}\nformat = \"haproxy\""));
    ask(&proxy);
    lines(&file, 4);
    let halog = |what: &str| {
        // Without the head that syslog puts before a line, which has four fields.
        let script = format!("exec \"$0\" -s -4 {what} < {file}");
        let path = program("halog", "haproxy").get_program().to_owned();
        let ended = run(program("sh", "dash").args(["-c", &script]).arg(path));
        assert!(
            ended.messages.contains("4 lines in") && ended.messages.contains(" 0 parsing errors"),
            "{}",
            ended.messages
        );
        ended.text()
    };
    assert_eq!(halog("-tc"), "-- 2\nSC 2\n");
    let statuses = halog("-st");
    for expected in ["200 2", "404 1", "502 1"] {
        assert!(statuses.contains(expected), "{statuses}");
    }
    let servers = halog("-srv");
    let server = format!("default/{} 0 2 0 0 0 0 2 2 100.0", nginx.urls()[0]);
    assert!(servers.contains(&server), "{servers}");
    assert!(halog("-u").contains("2000 /files/file"), "{}", halog("-u"));
}

#[test]
fn goaccess_reads_the_combined_and_the_common_format() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 1000);
    for format in ["combined", "common"] {
        let directory = Directory::new();
        let file = directory.file("access.log");
        let proxy = proxy(&nginx, &format!("output = {file:?}\nformat = {format:?}"));
        ask(&proxy);
        lines(&file, 4);
        let report = directory.file("report.json");
        let kind = format!("--log-format={}", format.to_uppercase());
        run(program("goaccess", "goaccess").args([
            &file,
            &kind,
            "--no-global-config",
            "-o",
            &report,
        ]));
        let report = fs::read_to_string(report).expect("goaccess wrote it");
        let report: Value = serde_json::from_str(&report).expect("it is JSON");
        let general = &report["general"];
        assert_eq!(general["valid_requests"], 4, "{general}");
        assert_eq!(general["failed_requests"], 0, "{general}");
    }
}

#[test]
fn a_rotation_under_load_loses_no_line() {
    const REQUESTS: usize = 6000;
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 100);
    let directory = Directory::new();
    let file = directory.file("access.log");
    let proxy = proxy(&nginx, &format!("output = {file:?}"));
    let url = format!("{}/files/file", proxy.plain());
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(&url, REQUESTS, 10, 10));
        let mut round = 0;
        while !loading.is_finished() {
            fs::rename(&file, directory.file(&format!("access.log.{round}"))).expect("it is there");
            round += 1;
            proxy.process.signal("USR1");
            let is_made = poll(PATIENCE, || fs::exists(&file).expect("it can be asked"));
            assert!(is_made, "the file is not opened anew");
        }
        assert!(round > 1, "the load was over before anything was rotated");
        assert_eq!(loading.join().expect("h2load ran").status_2xx, REQUESTS);
    });
    let count = || -> usize {
        let files = fs::read_dir(directory.path()).expect("it is there");
        let texts = files.map(|entry| {
            let path = entry.expect("it can be read").path();
            fs::read_to_string(path).expect("it is text")
        });
        let whole = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
        texts.map(|text| text.lines().filter(whole).count()).sum()
    };
    poll(PATIENCE, || count() >= REQUESTS);
    assert_eq!(count(), REQUESTS);
}

#[test]
fn the_last_lines_are_written_before_the_end() {
    let nginx = Nginx::start(&["a"]);
    nginx.files().noise("file", 100);
    let directory = Directory::new();
    let file = directory.file("access.log");
    let mut proxy = proxy(&nginx, &format!("output = {file:?}\nformat = \"logfmt\""));
    ask(&proxy);
    proxy.process.signal("TERM");
    assert!(proxy.process.wait().success());
    let text = fs::read_to_string(&file).expect("it is there");
    assert_eq!(text.lines().count(), 4, "{text}");
}
