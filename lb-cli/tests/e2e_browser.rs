//! What a browser makes of it: headless Chromium, with its own cookie jar and rules.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use serde_json::{Value, json};
use support::clients::chromium;
use support::files::Directory;
use support::process::Process;
use support::proxy::{command, listening};

#[test]
fn the_example_application_keeps_its_promises_in_a_browser() {
    let empty = Directory::new();
    let mut serve = command();
    serve
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(empty.path())
        .env("HOME", empty.path())
        .env("XDG_CONFIG_HOME", empty.path());
    let process = Process::start("lb-cli", &mut serve);
    let (_, url) = listening(&process);
    let port = url.rsplit(':').next().unwrap_or_default();
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
