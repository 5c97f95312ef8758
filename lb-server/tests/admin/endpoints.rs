//! What each endpoint answers and changes.

use std::sync::{Arc, Mutex};

use lb_server::admin::{LogControl, Status};
use lb_server::{Config, Server};
use serde_json::{Value, json};

use crate::client::send;
use crate::stage::{Backend, Stage, toml};

/// What turns everything on.
const EVERYTHING: &str = "health_check = \"off\"\n\
    affinity = { cookie = \"route\", secret = \"11111111111111111111111111111111\" }\n\
    [caches.pages]\nmax_size = \"16MiB\"\n\
    [rate_limits.per-client]\nlimit = 5\nwindow = \"1h\"\n\
    [rate_limits.both]\nlimit = 100\nkey = [\"client-ip\", \"header:x-key\"]\n\
    [sessions]\nsecret = \"22222222222222222222222222222222\"\n\
    [[routes]]\nname = \"limited\"\nmatch = { path = \"/limited\" }\npool = \"default\"\n\
    rate_limits = [\"per-client\", \"both\"]\n\
    [[routes]]\nname = \"cached\"\nmatch = { path = \"/cached/*\", methods = [\"GET\"] }\npool = \"default\"\ncache = \"pages\"\n\
    [[routes]]\nname = \"gone\"\nmatch = { host = [\"old.example\"] }\nredirect = { to = \"https://new.example{path}\" }\n\
    [[routes]]\nname = \"rest\"\npool = \"default\"\n";

#[tokio::test]
async fn status_tells_everything_and_reads_back() {
    let stage = Stage::new(EVERYTHING).await;
    for _request in 0..3 {
        stage.ask("/").await;
    }
    stage.ask("/cached/x").await;
    stage.ask("/cached/x").await;
    let reply = stage.get("/api/v1/status").await;
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert_eq!(reply.field("cache-control"), Some("no-store"));
    assert_eq!(reply.field("x-content-type-options"), Some("nosniff"));
    let status: Status = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(status.totals.requests, 5);
    assert_eq!(status.totals.errors, 0);
    assert_eq!(status.totals.classes.success, 5);
    assert_eq!(status.totals.latency.since_start.count, 5);
    assert!(status.totals.latency.since_start.p50_ms > 0.0);
    let pool = &status.pools[0];
    assert_eq!((pool.name.as_str(), pool.eligible), ("default", 3));
    let requests: u64 = pool.backends.iter().map(|backend| backend.requests).sum();
    assert_eq!(requests, 4);
    assert_eq!(status.caches[0].hits, 1);
    assert_eq!(status.caches[0].hit_ratio, 0.5);
    assert_eq!(status.rate_limits.len(), 2);
    assert_eq!(status.sessions.as_ref().unwrap().store, "memory");
    assert_eq!(status.listeners[0].address, stage.proxy.to_string());
    assert_eq!(status.listeners[0].protocols, ["h2", "http/1.1"]);
    assert!(status.uptime_seconds >= 0.0 && status.started > 1.6e9);
    assert!(status.connections.max > 0 && status.memory.limit_bytes == 1 << 30);
    let head = stage.bare("HEAD", "/api/v1/status").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_backend_is_steered_and_its_traffic_follows() {
    let stage = Stage::new("health_check = \"off\"").await;
    let path = "/api/v1/pools/default/backends/b";
    for order in ["drain", "maintain"] {
        let changed = stage.send("PATCH", path, json!({ "state": order })).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        let before = stage.backends[1].count();
        for _request in 0..6 {
            stage.ask("/").await;
        }
        assert_eq!(stage.backends[1].count(), before, "{order}");
        assert_eq!(
            stage.json("/api/v1/config/drift").await[0]["in_force"],
            order
        );
    }
    assert_eq!(stage.json(path).await["state"], "maintenance");
    let ready = stage
        .send(
            "PATCH",
            path,
            json!({ "state": "ready", "weight": 7, "max_connections": 9 }),
        )
        .await;
    let ready = ready.json();
    assert_eq!(
        (&ready["state"], &ready["weight"]),
        (&json!("ready"), &json!(7))
    );
    assert_eq!(ready["max_connections"], 9);
    let lifted = stage
        .send(
            "PATCH",
            path,
            json!({ "max_connections": null, "weight": 1 }),
        )
        .await;
    assert_eq!(lifted.json()["max_connections"], Value::Null);
    let mut answered: Vec<String> = Vec::new();
    for _request in 0..3 {
        answered.push(stage.ask("/").await);
    }
    answered.sort();
    assert_eq!(answered, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_backend_comes_and_goes() {
    let stage = Stage::new("health_check = \"off\"").await;
    let new = Backend::named("d").await;
    let backends = "/api/v1/pools/default/backends";
    let added = stage
        .send("POST", backends, json!({ "url": new.url, "weight": 2 }))
        .await;
    assert_eq!(added.status, 201, "{}", added.body);
    let place = added.field("location").unwrap().to_owned();
    assert_eq!(stage.json(&place).await["weight"], 2);
    let again = stage
        .send("POST", backends, json!({ "url": new.url }))
        .await;
    assert_eq!(again.status, 409);
    for wrong in [
        json!({ "url": "ftp://a" }),
        json!({ "url": "http://a:1", "weight": 0 }),
    ] {
        assert_eq!(stage.send("POST", backends, wrong).await.status, 422);
    }
    for _request in 0..4 {
        stage.ask("/").await;
    }
    assert_eq!(new.count(), 1);
    assert_eq!(stage.bare("DELETE", &place).await.status, 204);
    assert_eq!(stage.bare("DELETE", &place).await.status, 404);
    assert_eq!(stage.json(backends).await.as_array().unwrap().len(), 3);
    for _request in 0..4 {
        stage.ask("/").await;
    }
    assert_eq!(new.count(), 1);
}

#[tokio::test]
async fn caches_are_purged() {
    let stage = Stage::new(EVERYTHING).await;
    let purge = async |body| stage.send("POST", "/api/v1/cache/purge", body).await;
    for path in ["/cached/a", "/cached/b", "/cached/c"] {
        stage.ask(path).await;
    }
    let url = format!("http://{}/cached/a", stage.proxy);
    let purged = purge(json!({ "url": url })).await;
    assert_eq!(purged.json(), json!({ "cache": "pages", "purged": 1 }));
    let prefix = format!("http://{}/cached/", stage.proxy);
    let purged = purge(json!({ "cache": "pages", "prefix": prefix })).await;
    assert_eq!(purged.json()["purged"], 2);
    assert_eq!(purge(json!({ "all": true })).await.json()["purged"], 0);
    for (body, status) in [
        (json!({}), 400),
        (json!({ "all": false }), 400),
        (json!({ "url": "x", "tag": "y" }), 400),
        (json!({ "cache": "none", "all": true }), 404),
        (json!({ "url": "no url" }), 422),
    ] {
        assert_eq!(purge(body.clone()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn rate_limits_are_looked_at_and_forgotten_by_key() {
    let stage = Stage::new(EVERYTHING).await;
    let path = "/api/v1/rate-limits/per-client/127.0.0.1";
    assert_eq!(stage.json(path).await["remaining"], 5);
    for _request in 0..5 {
        assert_ne!(stage.ask("/limited").await, "");
    }
    let used = stage.json(path).await;
    assert_eq!(
        (&used["remaining"], &used["would_admit"]),
        (&json!(0), &json!(false))
    );
    let refused = crate::client::get(stage.proxy, "/limited").await;
    assert_eq!(refused.status, 429);
    assert_eq!(stage.bare("DELETE", path).await.status, 204);
    assert_eq!(stage.json(path).await["remaining"], 5);
    assert_eq!(
        crate::client::get(stage.proxy, "/limited").await.status,
        200
    );
    let of_two = "/api/v1/rate-limits/both/127.0.0.1,secret%252C1";
    assert_eq!(
        stage.json(of_two).await["counted_by"],
        json!(["client-ip", "header:x-key"])
    );
    for (path, status) in [
        ("/api/v1/rate-limits/none/127.0.0.1", 404),
        ("/api/v1/rate-limits/per-client/nobody", 422),
        ("/api/v1/rate-limits/both/127.0.0.1", 422),
    ] {
        assert_eq!(stage.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn sessions_are_counted_and_end_by_their_handles() {
    let stage = Stage::new(EVERYTHING).await;
    assert_eq!(stage.json("/api/v1/sessions/stats").await["active"], 0);
    assert_eq!(
        stage.json("/api/v1/sessions").await,
        json!({ "sessions": [], "next": null })
    );
    let handle = "A".repeat(22);
    for (path, status) in [
        (format!("/api/v1/sessions/{handle}"), 404),
        ("/api/v1/sessions/x".to_owned(), 400),
    ] {
        let reply = stage.bare("DELETE", &path).await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    let without = Stage::new("").await;
    assert_eq!(without.get("/api/v1/sessions/stats").await.status, 404);
}

#[tokio::test]
async fn routes_are_listed_in_their_order() {
    let stage = Stage::new(EVERYTHING).await;
    let routes = stage.json("/api/v1/routes").await;
    let names: Vec<&str> = routes
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["limited", "cached", "gone", "rest"]);
    assert_eq!(
        routes[1]["target"],
        json!({ "kind": "pool", "pool": "default" })
    );
    assert_eq!(routes[0]["rate_limits"], json!(["per-client", "both"]));
    assert_eq!(routes[1]["cache"], "pages");
    assert_eq!(routes[2]["target"]["status"], 308);
}

#[tokio::test]
async fn the_configuration_is_shown_without_secrets() {
    let stage = Stage::with_admin("token = \"0123456789abcdef\"", EVERYTHING).await;
    let bearer = [("authorization", "Bearer 0123456789abcdef")];
    for path in [
        "/api/v1/config",
        "/api/v1/support-bundle",
        "/api/v1/support-bundle?anonymous",
    ] {
        let reply = send(stage.admin, "GET", path, &bearer, None).await;
        assert_eq!(reply.status, 200);
        for secret in ["11111111", "22222222", "0123456789abcdef"] {
            assert!(!reply.body.contains(secret), "{path} tells {secret}");
        }
    }
    let reply = send(stage.admin, "GET", "/api/v1/config", &bearer, None).await;
    assert!(reply.field("etag").is_some());
    assert_eq!(reply.json()["admin"]["token"], "(hidden)");
}

/// A log whose level is a text.
struct Log(Arc<Mutex<String>>);

impl LogControl for Log {
    fn level(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn set_level(&self, directives: &str) -> Result<(), String> {
        if directives.contains(' ') {
            return Err(format!("`{directives}` is no level"));
        }
        directives.clone_into(&mut self.0.lock().unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn the_log_is_as_loud_as_it_is_told_to_be() {
    let level = Arc::new(Mutex::new("info".to_owned()));
    let backends = vec![Backend::named("a").await];
    let config = Config::from_toml(&toml(&backends, "", ""), "test").unwrap();
    let mut server = Server::from_config(config).unwrap();
    server.set_log_control(Log(Arc::clone(&level)));
    let stage = Stage::of(server, backends).await;
    assert_eq!(stage.json("/api/v1/log-level").await["level"], "info");
    let set = stage
        .send("PUT", "/api/v1/log-level", json!({ "level": "debug" }))
        .await;
    assert_eq!(
        (set.status, set.json()["level"].clone()),
        (200, json!("debug"))
    );
    assert_eq!(*level.lock().unwrap(), "debug");
    let wrong = stage
        .send("PUT", "/api/v1/log-level", json!({ "level": "very loud" }))
        .await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.help().contains("debug"));
}

#[tokio::test]
async fn the_end_can_be_asked_for_and_is_seen() {
    let stage = Stage::new("health_check = \"off\"\n[server]\nshutdown_delay = \"1h\"\n").await;
    assert_eq!(stage.get("/readyz").await.status, 200);
    let reply = stage.bare("POST", "/api/v1/drain").await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.json()["shutdown_delay_seconds"], 3600);
    let ready = stage.get("/readyz?verbose").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.body.contains("[-]shutdown it is ending"),
        "{}",
        ready.body
    );
    assert_eq!(stage.get("/livez").await.status, 200);
    // It still serves.
    assert_ne!(stage.ask("/").await, "");
    assert_eq!(stage.json("/api/v1/status").await["state"], "stopping");
}

#[tokio::test]
async fn it_is_ready_after_the_first_round_of_probes() {
    let stage = Stage::new("health_check = \"tcp\"").await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&200) {
        statuses.push(stage.get("/readyz").await.status);
        assert!(
            statuses.iter().all(|it| matches!(it, 200 | 503)),
            "{statuses:?}"
        );
        assert!(statuses.len() < 100_000);
    }
    // One that is added later sends nobody away.
    let added = stage
        .send(
            "POST",
            "/api/v1/pools/default/backends",
            json!({ "url": "http://127.0.0.1:9" }),
        )
        .await;
    assert_eq!(added.status, 201);
    let ready = stage.get("/readyz?verbose").await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert!(ready.body.contains("[+]pool default"), "{}", ready.body);
    assert_eq!(stage.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn many_change_at_once_while_requests_run() {
    let stage = Arc::new(Stage::new("health_check = \"off\"").await);
    let load = {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            for _request in 0..200 {
                let reply = crate::client::get(stage.proxy, "/").await;
                assert_eq!(reply.status, 200, "{}", reply.body);
            }
        })
    };
    let mut operators = Vec::new();
    for operator in 0..4u32 {
        let stage = Arc::clone(&stage);
        operators.push(tokio::spawn(async move {
            // Backend c stays as it is, so that there is always one.
            let path = format!("/api/v1/pools/default/backends/{}", ["a", "b"][operator as usize % 2]);
            for round in 0..20u32 {
                let state = ["drain", "ready", "maintain", "ready"][round as usize % 4];
                let body = json!({ "state": state, "weight": round % 5 + 1 });
                assert_eq!(stage.send("PATCH", &path, body).await.status, 200);
                let body = json!({ "url": format!("http://127.0.0.1:9/{operator}"), "name": format!("x{operator}"), "state": "maintain" });
                let added = stage.send("POST", "/api/v1/pools/default/backends", body).await;
                assert!(matches!(added.status, 201 | 422), "{}", added.body);
                stage.bare("DELETE", &format!("/api/v1/pools/default/backends/x{operator}")).await;
            }
        }));
    }
    for operator in operators {
        operator.await.unwrap();
    }
    load.await.unwrap();
    let backends = stage.json("/api/v1/pools/default/backends").await;
    assert_eq!(backends.as_array().unwrap().len(), 3);
}
