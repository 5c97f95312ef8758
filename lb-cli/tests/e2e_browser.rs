//! What a browser makes of it: headless Chromium, with its own cookie jar and rules.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::backends::{Backend, free_port};
use support::clients::{chromium, steady_load};
use support::proxy::{Demonstration, Proxy, authority, route};

#[test]
fn the_example_application_keeps_its_promises_in_a_browser() {
    let demonstration = Demonstration::start("off", &[]);
    let port = demonstration.url.rsplit(':').next().unwrap_or_default();
    let seen = chromium("browser_demonstration.py", &[port]);
    let status = |step: &str| seen[step]["status"].as_u64();
    let text = |step: &str| seen[step]["text"].as_str().unwrap_or_default();

    assert_eq!(status("users"), Some(200));
    assert_eq!(seen["users"]["protocol"], "h2");
    assert!(text("users").contains("Ada"), "{seen:#}");
    let cached = |step: &str| seen[step]["cache_status"].as_str().unwrap_or_default();
    assert!(cached("users").contains("stored"), "{seen:#}");
    assert!(cached("users_again").starts_with("lb; hit"), "{seen:#}");

    assert_eq!(status("refused"), Some(401));
    assert_eq!(status("wrong"), Some(401));
    assert_eq!(seen["cookies_before"], json!([]), "nothing is stored yet");

    assert_eq!(status("login"), Some(200));
    let cookie = the_cookie(&seen["cookies"]);
    assert_eq!(cookie["name"], "__Host-lb_session");
    assert_eq!(cookie["httpOnly"], true);
    assert_eq!(cookie["secure"], true);
    assert_eq!(cookie["sameSite"], "Lax");
    assert_eq!(
        (&cookie["domain"], &cookie["path"]),
        (&json!("localhost"), &json!("/")),
        "no other host gets it"
    );
    assert_eq!(seen["login"]["cookies"], "", "no script reads it");

    assert_eq!(text("protected"), "\"hello demo\"");
    assert_eq!(status("other_site"), Some(401));
    assert_eq!(seen["other_site"]["cookie"], Value::Null);
    assert_eq!(
        status("link"),
        Some(200),
        "a link into the site still works"
    );
    assert_eq!(status("stranger"), Some(401));

    let renewed = the_cookie(&seen["cookies_again"]);
    assert_ne!(
        cookie["value"], renewed["value"],
        "every login has a new id"
    );
    assert_eq!(status("old_id"), Some(401));
    assert_eq!(status("new_id"), Some(200));

    assert_eq!(status("logout"), Some(200));
    assert_eq!(seen["cookies_after"], json!([]));
    assert_eq!(status("ended"), Some(401));
    assert_eq!(status("ended_id"), Some(401), "the id is of no use either");
}

/// The only one in the jar.
#[track_caller]
fn the_cookie(jar: &Value) -> &Value {
    let cookies = jar.as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(cookies.len(), 1, "{jar:#}");
    &cookies[0]
}

const TOKEN: &str = "correct-horse-battery";

#[test]
fn the_dashboard_shows_and_steers_what_happens() {
    let (a, b) = (Backend::node("a", 5), Backend::node("b", 5));
    let (url_a, url_b) = (a.url(), b.url());
    let proxy = Proxy::start(&format!(
        r#"
            [admin]
            address = "127.0.0.1:0"
            token = "{TOKEN}"
            [pools.api]
            backends = [
              {{ name = "a", url = "{url_a}" }},
              {{ name = "b", url = "{url_b}" }},
              {{ name = "c", url = "http://127.0.0.1:{dead}" }},
            ]
            [pools.api.health_check]
            interval = "1s"
            unhealthy_after = 1
            {route}
        "#,
        dead = free_port(),
        route = route("/*", "api"),
    ));
    let _load = steady_load(&format!("{}/echo", proxy.plain()));
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-screenshots");
    fs::create_dir_all(&pictures).expect("the target directory is writable");
    let port = |url: &str| {
        let (_, port) = authority(url).rsplit_once(':').unwrap_or_default();
        port.to_owned()
    };
    let seen = chromium(
        "browser_dashboard.py",
        &[
            proxy.admin(),
            TOKEN,
            &pictures.to_string_lossy(),
            &port(&url_a),
            &port(&url_b),
        ],
    );
    sees_and_steers(&seen["real"]);
    bears_what_is_strange(&seen["scripted"]);
}

/// A real server, two backends that count for themselves, and one that is dead.
fn sees_and_steers(seen: &Value) {
    let policy = seen["policy"].as_str().unwrap_or_default();
    for part in [
        "default-src 'none'",
        "script-src 'sha256-",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        seen["refusals"], 2,
        "without a token, and with a wrong one: {seen:#}"
    );
    assert_eq!(
        seen["states"],
        json!({ "a": "ready", "b": "ready", "c": "unhealthy" })
    );
    let why = seen["why_c"].as_str().unwrap_or_default();
    assert!(why.contains("refused"), "{why}");

    assert_ne!(seen["by_keyboard"]["outline"], "none", "the focus is seen");
    let drained = &seen["drained"];
    assert_eq!(drained[0], 0, "nothing new reaches it: {drained}");
    assert!(drained[1].as_u64() >= Some(100), "{drained}");
    assert_eq!(seen["kept_focus"], true);
    let warning = seen["warning"].as_str().unwrap_or_default();
    assert!(warning.contains("clients will get 503"), "{warning}");
    assert_eq!(seen["not_maintained"], "ready");

    assert!(seen["changes"].as_u64() >= Some(3), "{seen:#}");
    let routes = seen["routes"].to_string();
    assert!(
        routes.contains("pool") && routes.contains("api"),
        "{routes}"
    );
    let explained = seen["explained"].as_str().unwrap_or_default();
    assert!(explained.contains("It would go to"), "{seen:#}");
    assert!(seen["reasons"].to_string().contains("picked"), "{seen:#}");
    let tip = seen["tip"].as_str().unwrap_or_default();
    assert!(tip.contains(':') && tip.contains("answered"), "{tip}");
    assert_eq!(seen["too_wide"], false);
    untroubled(&seen["window"]);
}

/// The same page over an API that says what no configuration permits and what only bad times bring.
fn bears_what_is_strange(seen: &Value) {
    for window in ["window_dark", "window_light", "window"] {
        untroubled(&seen[window]);
    }
    assert_eq!(
        seen["words"],
        json!([
            "ready",
            "slow start",
            "unhealthy",
            "full",
            "circuit open",
            "ready",
            "draining",
            "maintenance",
            "ejected",
            "quarantined",
            "unhealthy"
        ])
    );
    assert_eq!(
        seen["markup"],
        json!({ "elements": 0, "title_run": false, "shown": true }),
        "names are text"
    );
    assert_eq!(seen["too_wide"], false);
    assert_eq!(seen["found"], json!(["http://10.0.1.1:3000"]));

    let refused = seen["refused"].as_str().unwrap_or_default();
    assert!(refused.contains("is being removed"), "{refused}");
    assert!(refused.contains("Wait until it is gone"), "{refused}");
    let asked = seen["asked"].as_array().map(Vec::as_slice);
    let asked = asked.unwrap_or_default();
    let drain = json!({ "state": "drain" });
    assert_eq!(asked.len(), 3, "{seen:#}");
    assert!(asked.iter().all(|ask| ask[2] == drain), "{asked:#?}");
    assert_eq!(asked[0], asked[1], "`Try again` asks for the same");
    let strange = asked[2][1].as_str().unwrap_or_default();
    assert!(strange.starts_with("<img"), "{strange}");

    assert_eq!(seen["old"], true, "old figures look old");
    assert_eq!(
        seen["token_kept"],
        json!([1, 0, ""]),
        "for this tab and nobody else"
    );
}

/// No error on the console, no breach of the policy, no request to anybody else.
#[track_caller]
fn untroubled(window: &Value) {
    assert_eq!(*window, json!({ "complaints": [], "elsewhere": [] }));
}
