//! `[sessions]` and affinity.

use lb_server::Config;

use super::{after, pool, shows, table};

fn sessions(text: &str) -> String {
    after(&format!("[sessions]\n{text}"))
}

fn affinity(text: &str) -> String {
    pool(&format!(
        "backends = [\"http://a:1\", \"http://b:1\"]\naffinity = {text}"
    ))
}

#[test]
fn sessions_and_affinity() {
    shows(
        "sessions",
        table(&[
            (
                "not a table",
                after("[server]\n").replace("listen", "sessions = true\nlisten"),
            ),
            ("misspelt key", sessions("max_ages = \"1h\"")),
            ("cookie", sessions("cookie = \"a b\"")),
            ("cookie that must be secure", sessions("secure = false")),
            (
                "cookie of all sites",
                sessions("cookie = \"a\"\nsecure = false\nsame_site = \"none\""),
            ),
            ("same site", sessions("same_site = \"Lax\"")),
            ("short secret", sessions("secret = \"too short\"")),
            (
                "secret twice",
                sessions("secret = \"${PORT}\"\nsecret_file = \"/run/secret\""),
            ),
            ("no secret", sessions("secret_files = []")),
            (
                "many secrets",
                sessions(
                    "secret_files = [\"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\"]",
                ),
            ),
            ("lifetime without unit", sessions("max_age = 3600")),
            ("lifetime of zero", sessions("idle_timeout = \"0s\"")),
            ("lifetime for ever", sessions("max_age = \"1000000h\"")),
            ("large sessions", sessions("max_bytes = \"64KiB\"")),
            ("no sessions", sessions("max_sessions = 0")),
            ("store error", sessions("on_store_error = \"ignore\"")),
            ("affinity as truth", affinity("true")),
            ("affinity without a name", affinity("\"\"")),
            (
                "affinity's table without a name",
                affinity("{ ttl = \"1h\" }"),
            ),
            ("affinity's cookie", affinity("\"lb route\"")),
            (
                "affinity's mode",
                affinity("{ cookie = \"a\", mode = \"strickt\" }"),
            ),
            (
                "affinity's lifetime",
                affinity("{ cookie = \"a\", ttl = \"0s\" }"),
            ),
            (
                "affinity's secret",
                affinity("{ cookie = \"a\", secret = [\"x\"] }"),
            ),
            (
                "the same cookie for two things",
                affinity("\"a\"\n[sessions]\ncookie = \"a\""),
            ),
        ]),
    );
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let text = "listen = \"127.0.0.1:8443\"\n\
        [sessions]\nidle_timeout = \"2h\"\nmax_age = \"1h\"\n\
        [pools.a]\nbackends = [\"http://a:1\", \"http://b:1\"]\naffinity = \"one\"\n\
        [pools.b]\nbackends = [\"http://a:1\", \"http://b:1\"]\naffinity = \"one\"\n\
        [[routes]]\nname = \"a\"\nmatch = { path = \"/a/*\" }\npool = \"a\"\n\
        [[routes]]\nname = \"b\"\npool = \"b\"\n";
    let warnings = Config::from_toml(text, "lb.toml").expect(text).warnings();
    let text: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    shows("sessions_warnings", text.join("\n\n"));
}

#[test]
fn a_secret_is_neither_shown_nor_written() {
    let secret = "0123456789abcdef0123456789abcdef";
    let text = sessions(&format!("secret = \"{secret}\""));
    let config = Config::from_toml(&text, "lb.toml").expect(&text);
    assert!(!format!("{config:?}").contains(secret));
    assert!(!config.to_json().contains(secret));
    assert!(config.to_toml().contains("(hidden)"));
}
