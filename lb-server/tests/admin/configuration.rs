//! The configuration is read, rehearsed and replaced.

use std::sync::{Arc, Mutex};

use lb_server::{Config, ConfigLayers, Server};
use serde_json::{Value, json};

use crate::client::{Reply, send};
use crate::stage::{Backend, Stage, toml};

const PATH: &str = "/api/v1/config";

impl Stage {
    async fn configuration(&self) -> (String, Value) {
        let reply = self.get(PATH).await;
        (reply.field("etag").unwrap().to_owned(), reply.json())
    }

    async fn change(&self, method: &str, path: &str, etag: &str, body: &Value) -> Reply {
        let fields = [("if-match", etag)];
        send(self.admin, method, path, &fields, Some(&body.to_string())).await
    }
}

#[tokio::test]
async fn what_was_read_can_be_changed_and_written() {
    let stage = Stage::new(
        "health_check = \"off\"\naffinity = { cookie = \"r\", secret = \"11111111111111111111111111111111\" }",
    )
    .await;
    let (etag, mut config) = stage.configuration().await;
    config["pools"]["default"]["backends"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    let rehearsed = stage
        .change("PUT", "/api/v1/config?dry_run=true", &etag, &config)
        .await;
    assert_eq!(rehearsed.status, 200, "{}", rehearsed.body);
    assert_eq!(
        rehearsed.json()["removed"],
        json!(["pools.default.backends.a"])
    );
    assert_eq!(rehearsed.json()["dry_run"], true);
    assert_eq!(stage.configuration().await.0, etag);
    let put = stage.change("PUT", PATH, &etag, &config).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let (new_etag, new) = stage.configuration().await;
    assert_ne!(new_etag, etag);
    assert_eq!(put.field("etag"), Some(new_etag.as_str()));
    assert_eq!(new, config);
    for _request in 0..4 {
        stage.ask("/").await;
    }
    assert_eq!(
        (stage.backends[0].count(), stage.backends[1].count()),
        (0, 2)
    );
    // The secret that was printed as hidden is the one from before.
    let handle = stage.running.handle();
    let toml = handle.config().to_toml();
    assert!(toml.contains("(hidden)"), "{toml}");
    let late = stage.change("PUT", PATH, &etag, &config).await;
    assert_eq!(late.status, 412);
    let status = stage.json("/api/v1/status").await;
    assert_eq!(status["config"]["revision"], 2);
    assert_eq!(status["config"]["etag"], new_etag);
    assert_eq!(status["config"]["last_reload"]["ok"], true);
}

#[tokio::test]
async fn a_part_is_patched() {
    let stage = Stage::new("health_check = \"off\"").await;
    let (etag, _) = stage.configuration().await;
    let patch = json!({
        "pools": { "default": { "algorithm": "least-connections", "max_connections": 9 } },
        "rate_limits": { "new": { "limit": 3 } },
    });
    let patched = stage.change("PATCH", PATH, &etag, &patch).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(patched.json()["changed"], json!(["pools.default"]));
    assert_eq!(patched.json()["added"], json!(["rate_limits.new"]));
    let pool = stage.json("/api/v1/pools/default").await;
    assert_eq!(
        (&pool["algorithm"], &pool["max_connections"]),
        (&json!("least-connections"), &json!(9))
    );
    let (etag, config) = stage.configuration().await;
    assert_eq!(config["rate_limits"]["new"]["limit"], 3);
    let gone = stage
        .change(
            "PATCH",
            PATH,
            &etag,
            &json!({ "rate_limits": { "new": null } }),
        )
        .await;
    assert_eq!(gone.json()["removed"], json!(["rate_limits.new"]));
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_and_says_why() {
    let stage = Stage::new("health_check = \"off\"").await;
    let (etag, config) = stage.configuration().await;
    for (patch, status, text) in [
        (
            json!({ "pools": { "default": { "algorithm": "best" } } }),
            422,
            "algorithm",
        ),
        (
            json!({ "pools": { "default": { "unknown": 1 } } }),
            422,
            "unknown",
        ),
        (
            json!({ "routes": [{ "name": "x", "pool": "none" }] }),
            422,
            "none",
        ),
        (
            json!({ "listeners": { "default": { "tls": { "cert": "/none.pem", "key": "/none.key" } } } }),
            422,
            "/none.pem",
        ),
        (json!([]), 422, "table"),
    ] {
        for path in [PATH, "/api/v1/config?dry_run"] {
            let reply = stage.change("PATCH", path, &etag, &patch).await;
            assert_eq!(reply.status, status, "{patch}: {}", reply.body);
            assert!(reply.body.contains(text), "{patch}: {}", reply.body);
            assert!(!reply.help().is_empty());
        }
    }
    assert_eq!(stage.configuration().await.1, config);
    let failed = stage.json("/api/v1/status").await["config"]["last_reload"].clone();
    assert_eq!(failed["ok"], false);
    assert_ne!(stage.ask("/").await, "");
    // What stands in the environment is nothing for whoever may ask.
    let patch = json!({ "server": { "pseudonym": "${HOME}" } });
    let reply = stage.change("PATCH", PATH, &etag, &patch).await;
    assert_eq!(reply.status, 422);
    assert!(
        !reply.body.contains("/root") && !reply.body.contains("/home"),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn whoever_writes_has_to_know_what_is_replaced() {
    let stage = Stage::new("health_check = \"off\"").await;
    let body = json!({ "server": { "shutdown_timeout": "5s" } }).to_string();
    let blind = send(stage.admin, "PATCH", PATH, &[], Some(&body)).await;
    assert_eq!(blind.status, 428);
    let (etag, _) = stage.configuration().await;
    assert!(blind.help().contains(&etag));
    let wrong = send(
        stage.admin,
        "PATCH",
        PATH,
        &[("if-match", "\"1-0\"")],
        Some(&body),
    )
    .await;
    assert_eq!(wrong.status, 412);
    let list = format!("\"1-0\", {etag}");
    let right = send(
        stage.admin,
        "PATCH",
        PATH,
        &[("if-match", &list)],
        Some(&body),
    )
    .await;
    assert_eq!(right.status, 200, "{}", right.body);
}

#[tokio::test]
async fn toml_is_read_and_written_too() {
    let stage = Stage::new("health_check = \"off\"").await;
    let reply = send(
        stage.admin,
        "GET",
        PATH,
        &[("accept", "application/toml")],
        None,
    )
    .await;
    assert_eq!(reply.field("content-type"), Some("application/toml"));
    let text = reply
        .body
        .replace("shutdown_timeout = \"30s\"", "shutdown_timeout = \"7s\"");
    assert_ne!(text, reply.body);
    let etag = reply.field("etag").unwrap();
    let fields = [("if-match", etag), ("content-type", "application/toml")];
    let put = send(stage.admin, "PUT", PATH, &fields, Some(&text)).await;
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(
        stage.configuration().await.1["server"]["shutdown_timeout"],
        "7s"
    );
}

#[tokio::test]
async fn a_reload_reads_what_there_is_now() {
    let backends = vec![Backend::named("a").await, Backend::named("b").await];
    let text = Arc::new(Mutex::new(toml(&backends, "", "health_check = \"off\"")));
    let config = Config::from_toml(&text.lock().unwrap(), "test").unwrap();
    let mut server = Server::from_config(config).unwrap();
    let source = Arc::clone(&text);
    server.set_config_source(move || {
        let text = source.lock().unwrap().clone();
        let layers = ConfigLayers::new().text(lb_server::ConfigFormat::Toml, &text, "lb.toml");
        layers.load().map_err(Into::into)
    });
    let stage = Stage::of(server, backends).await;
    // An operator's change is undone by a reload.
    let path = "/api/v1/pools/default/backends/a";
    stage
        .send("PATCH", path, json!({ "state": "drain", "weight": 3 }))
        .await;
    assert_eq!(
        stage
            .json("/api/v1/config/drift")
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let unchanged = stage.bare("POST", "/api/v1/reload").await;
    assert_eq!(unchanged.status, 200, "{}", unchanged.body);
    assert_eq!(unchanged.json()["undone"], json!(["default/a"]));
    assert_eq!(stage.json("/api/v1/config/drift").await, json!([]));
    let more = "\n[rate_limits.more]\nlimit = 1\n";
    text.lock().unwrap().push_str(more);
    let reloaded = stage.bare("POST", "/api/v1/reload").await;
    assert_eq!(reloaded.json()["added"], json!(["rate_limits.more"]));
    text.lock().unwrap().push_str("nonsense");
    let failed = stage.bare("POST", "/api/v1/reload").await;
    assert_eq!(failed.status, 422);
    assert!(failed.body.contains("lb.toml"), "{}", failed.body);
    let ready = stage.get("/readyz?verbose").await;
    assert!(ready.body.contains("[-]last reload"), "{}", ready.body);
    assert_eq!(ready.status, 200);
}

#[tokio::test]
async fn what_needs_a_restart_is_said() {
    let stage = Stage::new("health_check = \"off\"").await;
    let (etag, _) = stage.configuration().await;
    let patch = json!({ "admin": { "dashboard": false } });
    let patched = stage.change("PATCH", PATH, &etag, &patch).await;
    assert_eq!(patched.json()["needs_restart"], json!(["admin"]));
}

#[tokio::test]
async fn a_server_that_is_ending_keeps_its_configuration() {
    let stage = Stage::new("health_check = \"off\"\n[server]\nshutdown_delay = \"1h\"").await;
    stage.bare("POST", "/api/v1/drain").await;
    let (etag, config) = stage.configuration().await;
    let put = stage.change("PUT", PATH, &etag, &config).await;
    assert_eq!(put.status, 409);
    assert_eq!(stage.bare("POST", "/api/v1/reload").await.status, 409);
}

#[tokio::test]
async fn certificates_tell_their_names_and_their_end() {
    let backends = vec![Backend::named("a").await];
    let toml = toml(&backends, "", "").replacen(
        "[listeners.default]\n",
        "[listeners.default]\ntls = { self_signed = [\"lb.example\", \"127.0.0.1\"] }\n",
        1,
    );
    let server = Server::from_config(Config::from_toml(&toml, "test").unwrap()).unwrap();
    let stage = Stage::of(server, backends).await;
    let certificates = stage.json("/api/v1/certificates").await;
    assert_eq!(certificates.as_array().unwrap().len(), 1);
    assert_eq!(certificates[0]["names"], json!(["lb.example", "127.0.0.1"]));
    assert_eq!(certificates[0]["is_self_signed"], true);
    let days = certificates[0]["days_left"].as_i64().unwrap();
    assert!((390..400).contains(&days), "{days}");
}
