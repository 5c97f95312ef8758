//! `init` writes what `check` accepts, and `check` tells what is wrong, where, and the way out.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const VALID: &str =
    "listen = \"127.0.0.1:0\"\nbackends = [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\n";

fn lb_cli(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lb-cli"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_init_writes_is_a_valid_configuration() {
    for (flags, name) in [
        (&[][..], "lb.toml"),
        (&["--full"], "lb.toml"),
        (&["--json"], "lb.json"),
        (&["--json", "--full"], "lb.json"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let output = lb_cli(directory.path(), &[&["init"], flags].concat());
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {output:?}");
        assert_eq!(text(output.stdout), format!("wrote {name}\n"));
        let output = lb_cli(directory.path(), &["config", "show", "--expanded"]);
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {output:?}");
    }
}

#[test]
fn init_leaves_an_existing_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lb.toml");
    fs::write(&file, "mine").unwrap();
    let output = lb_cli(directory.path(), &["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output.stderr).contains("try: write elsewhere"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn check_accepts_a_valid_file_and_says_what_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lb.toml"), VALID).unwrap();
    for arguments in [&["check"][..], &["-t"], &["serve", "-t"]] {
        let output = lb_cli(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(
            text(output.stdout),
            "lb.toml: ok, listeners 1, pools 1, routes 1\n"
        );
    }
}

#[test]
fn check_shows_the_place_and_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = format!("algoritm = \"round-robin\"\n{VALID}");
    fs::write(directory.path().join("lb.toml"), wrong).unwrap();
    let output = lb_cli(directory.path(), &["check"]);
    assert_eq!(output.status.code(), Some(3));
    let text = text(output.stderr);
    assert!(text.contains("lb.toml:1:1"), "{text}");
    assert!(text.contains("`algorithm`"), "{text}");
    assert!(text.contains("try: "), "{text}");
}

#[test]
fn check_speaks_to_editors() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lb.toml"), "listen = 8443\n").unwrap();
    let output = lb_cli(directory.path(), &["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["valid"], false);
    assert_eq!(found["errors"][0]["line"], 1, "{found}");
    assert_eq!(found["errors"][0]["path"], "listen", "{found}");
}

#[test]
fn a_named_file_that_is_not_there_never_starts_the_demonstration() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--config", "missing.toml"];
    let output = lb_cli(directory.path(), &arguments);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn flags_win_over_the_file_and_are_checked_like_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lb.toml"), VALID).unwrap();
    let right = lb_cli(directory.path(), &["serve", "-t", "-a", "ip-hash"]);
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    let wrong = lb_cli(directory.path(), &["serve", "-t", "-a", "random"]);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    assert!(text(wrong.stderr).contains("random"));
}

#[test]
fn a_flag_means_the_only_pool_and_is_refused_where_there_are_two() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lb.toml");
    let one = "listen = \"127.0.0.1:0\"\n[pools.api]\nbackends = [\"http://127.0.0.1:1\"]\n";
    fs::write(&file, one).unwrap();
    let flags = ["-t", "-b", "http://127.0.0.1:3", "-b", "h2c://127.0.0.1:4"];
    let output = lb_cli(directory.path(), &[&["serve"][..], &flags].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let wrong = lb_cli(directory.path(), &["serve", "-t", "-b", "ftp://a"]);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    let said = text(wrong.stderr);
    assert!(said.contains("--backend ftp://a: "), "{said}");
    let two = format!("{one}[pools.web]\nbackends = [\"http://127.0.0.1:2\"]\n");
    fs::write(&file, two).unwrap();
    let output = lb_cli(directory.path(), &["serve", "-t", "-a", "ip-hash"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(output.stderr);
    assert!(said.contains("could mean any of pools: api, web"), "{said}");
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lb.toml"), VALID).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lb-cli"))
        .args(["config", "show", "--origin"])
        .current_dir(directory.path())
        .env_clear()
        .env("LB_SERVER__THREADS", "2")
        .env("LB_POOL__A", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = text(output.stdout);
    for line in [
        "server.threads = 2  # LB_SERVER__THREADS",
        "listeners.default.address[0] = \"127.0.0.1:0\"  # lb.toml:1",
        "pools.default.backends[1] = \"http://127.0.0.1:2\"  # lb.toml:2",
        "pools.default.algorithm = \"round-robin\"  # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains(" = null"), "{shown}");
    let said = text(output.stderr);
    assert!(said.contains("warning: LB_POOL__A"), "{said}");
}

#[test]
fn a_missing_certificate_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--cert", "missing.crt", "--key", "missing.key"];
    let start = [
        "serve",
        "-q",
        "-l",
        "127.0.0.1:0",
        "-b",
        "http://127.0.0.1:1",
    ];
    let output = lb_cli(directory.path(), &[&start[..], &flags].concat());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = text(output.stderr);
    assert_eq!(said.matches("cannot speak TLS").count(), 1, "{said}");
    assert_eq!(
        said.matches("cannot read `missing.crt`").count(),
        1,
        "{said}"
    );
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
}

#[test]
fn names_are_looked_up_only_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    // RFC 6761 §6.4: this name never has an address.
    let config = VALID.replace("http://127.0.0.1:1", "http://backend.invalid:1");
    fs::write(directory.path().join("lb.toml"), config).unwrap();
    let output = lb_cli(directory.path(), &["check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = lb_cli(directory.path(), &["check", "--resolve"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(output.stderr).contains("pools.default.backends[0]"));
}

#[test]
fn converting_there_and_back_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| text(lb_cli(directory.path(), arguments).stdout);
    fs::write(directory.path().join("lb.toml"), VALID).unwrap();
    let toml = run(&["config", "show", "--expanded", "-c", "lb.toml"]);
    let json = run(&["config", "convert", "lb.toml"]);
    fs::write(directory.path().join("other.json"), json).unwrap();
    assert_eq!(run(&["config", "convert", "other.json"]), toml);
    assert_eq!(run(&["config", "show", "-c", "lb.toml"]), VALID);
    let schema: serde_json::Value = serde_json::from_str(&run(&["config", "schema"])).unwrap();
    assert_eq!(schema["type"], "object");
}

#[test]
fn check_matches_keys_to_certificates() {
    let directory = tempfile::tempdir().unwrap();
    for (out, key_type) in [("one", "ecdsa"), ("two", "rsa")] {
        lb_cli(
            directory.path(),
            &["gen-cert", "--out", out, "--key-type", key_type],
        );
    }
    let check = |cert: &str, key: &str| {
        let tls = format!("tls = {{ cert = \"{cert}\", key = \"{key}\" }}\n");
        fs::write(directory.path().join("lb.toml"), tls + VALID).unwrap();
        let output = lb_cli(directory.path(), &["check"]);
        (output.status.code(), text(output.stderr))
    };
    assert_eq!(check("one/server.crt", "one/server.key").0, Some(0));
    assert_eq!(check("two/server.crt", "two/server.key").0, Some(0));
    let (code, said) = check("one/server.crt", "two/server.key");
    assert_eq!(code, Some(3));
    assert!(said.contains("belongs to another certificate"), "{said}");
    let (code, said) = check("one/server.crt", "missing.key");
    assert_eq!(code, Some(3));
    assert!(said.contains("cannot read `missing.key`"), "{said}");
}

#[test]
fn check_reads_the_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let check = |file: &str| {
        let sessions = format!("{VALID}\n[sessions]\nsecret_file = \"{file}\"\n");
        fs::write(directory.path().join("lb.toml"), sessions).unwrap();
        let output = lb_cli(directory.path(), &["check"]);
        (output.status.code(), text(output.stderr))
    };
    fs::write(directory.path().join("good"), "x".repeat(32)).unwrap();
    // The line end does not count.
    fs::write(directory.path().join("short"), "x".repeat(31) + "\n").unwrap();
    assert_eq!(check("good").0, Some(0));
    let (code, said) = check("short");
    assert_eq!(code, Some(3));
    assert!(said.contains("at least 32 bytes, got 31"), "{said}");
    let (code, said) = check("missing");
    assert_eq!(code, Some(3));
    assert!(
        said.contains("cannot read the secret in `missing`"),
        "{said}"
    );
    assert!(said.contains("sessions: "), "{said}");
}

#[test]
fn check_reads_what_redis_needs() {
    let directory = tempfile::tempdir().unwrap();
    let check = |keys: &str| {
        let redis = format!("{VALID}\n[redis]\nurl = \"rediss://127.0.0.1:1\"\n{keys}\n");
        fs::write(directory.path().join("lb.toml"), redis).unwrap();
        let output = lb_cli(directory.path(), &["check"]);
        (output.status.code(), text(output.stderr))
    };
    fs::write(directory.path().join("secret"), "secret\n").unwrap();
    assert_eq!(check("password_file = \"secret\"").0, Some(0));
    let (code, said) = check("password_file = \"missing\"");
    assert_eq!(code, Some(3));
    assert!(said.contains("cannot read `password_file`"), "{said}");
    let (code, said) = check("ca = \"secret\"");
    assert_eq!(code, Some(3));
    assert!(said.contains("`ca` of [redis] cannot be used"), "{said}");
}
