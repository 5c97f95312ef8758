//! An explanation says what is then done.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::client::send;
use crate::stage::Stage;

impl Stage {
    async fn explain(&self, body: Value) -> Value {
        let reply = self.send("POST", "/api/v1/routes/explain", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }
}

#[tokio::test]
async fn the_backend_explained_is_the_one_then_picked() {
    let key = "hash = { key = \"header:x-user\" }";
    for pool in [
        "algorithm = \"round-robin\"".to_owned(),
        "algorithm = \"weighted-round-robin\"".to_owned(),
        format!("algorithm = \"consistent-hashing\"\n{key}"),
        "algorithm = \"ip-hash\"".to_owned(),
    ] {
        let more = format!("health_check = \"off\"\n{pool}");
        let stage = Stage::with_pool(&more).await;
        let mut answered: HashMap<String, u32> = HashMap::new();
        for user in 0..20 {
            let user = format!("user-{user}");
            let url = format!("http://{}/x", stage.proxy);
            let body = json!({ "url": url, "client": "127.0.0.1", "headers": { "x-user": user } });
            let explained = stage.explain(body).await;
            assert_eq!(explained["refused"], Value::Null);
            assert_eq!(explained["pool"]["verdict"], "picked");
            let fields = [("x-user", user.as_str())];
            let reply = send(stage.proxy, "GET", "/x", &fields, None).await;
            assert_eq!(
                explained["pool"]["backend"], reply.body,
                "{pool}: {explained}"
            );
            *answered.entry(reply.body).or_default() += 1;
        }
        assert!(
            answered.len() > 1 || pool.contains("ip-hash"),
            "{pool}: {answered:?}"
        );
    }
}

#[tokio::test]
async fn each_candidate_has_its_reason() {
    let stage = Stage::new("health_check = \"off\"").await;
    stage
        .send(
            "PATCH",
            "/api/v1/pools/default/backends/a",
            json!({ "state": "drain" }),
        )
        .await;
    stage
        .send(
            "PATCH",
            "/api/v1/pools/default/backends/b",
            json!({ "state": "maintain" }),
        )
        .await;
    let explained = stage
        .explain(json!({ "url": "https://example.com/" }))
        .await;
    let candidates = explained["pool"]["candidates"].as_array().unwrap();
    let excluded: Vec<&Value> = candidates.iter().map(|it| &it["excluded"]).collect();
    assert_eq!(
        excluded,
        [&json!("draining"), &json!("disabled"), &Value::Null]
    );
    assert_eq!(explained["pool"]["backend"], "c");
    stage
        .send(
            "PATCH",
            "/api/v1/pools/default/backends/c",
            json!({ "state": "maintain" }),
        )
        .await;
    let explained = stage
        .explain(json!({ "url": "https://example.com/" }))
        .await;
    assert_eq!(explained["refused"], "no_healthy_backend");
    assert_eq!(explained["pool"]["verdict"], "none_eligible");
}

#[tokio::test]
async fn routes_tell_why_they_do_not_take_it() {
    let stage = Stage::new(
        "health_check = \"off\"\n[caches.pages]\nmax_size = \"16MiB\"\n[rate_limits.two]\nlimit = 2\nwindow = \"1h\"\n\
         [[routes]]\nname = \"api\"\nmatch = { host = [\"api.example\"], path = \"/v1/*\", methods = [\"POST\"] }\npool = \"default\"\n\
         [[routes]]\nname = \"beta\"\nmatch = { headers = { x-beta = \"yes\" } }\npool = \"default\"\n\
         [[routes]]\nname = \"old\"\nmatch = { path = \"/old/*\" }\nredirect = { to = \"https://{host}/new{path}\" }\n\
         [[routes]]\nname = \"web\"\nmatch = { host = [\"*.example\"] }\npool = \"default\"\ncache = \"pages\"\nrate_limits = [\"two\"]\n",
    )
    .await;
    let explained = stage
        .explain(json!({ "url": "http://www.example/%61dmin/../x" }))
        .await;
    assert_eq!(explained["route"], "web");
    assert_eq!(explained["path"], "/x");
    let considered = explained["considered"].as_array().unwrap();
    assert_eq!(considered.len(), 4);
    assert_eq!(
        considered[0]["why"],
        json!([
            "host `www.example` is not api.example",
            "path `/x` is not /v1/*",
            "method GET is not POST"
        ])
    );
    assert_eq!(considered[1]["why"], json!(["field `x-beta` is not yes"]));
    assert_eq!(considered[3]["matches"], true);
    assert_eq!(explained["rate_limits"][0]["remaining"], 2);
    assert_eq!(explained["cache"]["result"], "miss");
    // Asking counts nothing.
    for _time in 0..5 {
        stage
            .explain(json!({ "url": "http://www.example/x" }))
            .await;
    }
    let explained = stage
        .explain(json!({ "url": "http://www.example/x" }))
        .await;
    assert_eq!(explained["rate_limits"][0]["remaining"], 2);
    assert_eq!(explained["refused"], Value::Null);
    let host = [("host", "www.example")];
    for _request in 0..2 {
        send(stage.proxy, "GET", "/x", &host, None).await;
    }
    let body = json!({ "url": "http://www.example/x", "client": "127.0.0.1" });
    let explained = stage.explain(body).await;
    assert_eq!(explained["refused"], "rate_limited");
    assert_eq!(explained["cache"]["result"], "hit");
    let redirect = stage.explain(json!({ "url": "http://a/old/x" })).await;
    assert_eq!(
        redirect["target"],
        json!({ "kind": "redirect", "to": "https://a/new/old/x", "status": 308 })
    );
    let nowhere = stage.explain(json!({ "url": "http://a/" })).await;
    assert_eq!(nowhere["refused"], "no_route");
    let looked_at: Vec<_> = nowhere["considered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["matches"])
        .collect();
    assert_eq!(looked_at, [&json!(false); 4]);
}

#[tokio::test]
async fn what_nobody_could_send_is_refused() {
    let stage = Stage::new("health_check = \"off\"").await;
    for body in [
        json!({}),
        json!({ "url": "/path" }),
        json!({ "url": "ftp://a/" }),
        json!({ "url": "http://a/", "method": "G T" }),
        json!({ "url": "http://a/", "headers": { "x y": "1" } }),
        json!({ "url": "http://a/", "headers": { "x": "a\nb" } }),
        json!({ "url": "http://a/", "client": "nobody" }),
        json!({ "url": "http://a/", "unknown": 1 }),
    ] {
        let reply = stage
            .send("POST", "/api/v1/routes/explain", body.clone())
            .await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(!reply.help().is_empty());
    }
    let explained = stage
        .explain(json!({ "url": "http://a/", "headers": { "x_y": "1" } }))
        .await;
    assert_eq!(explained["refused"], "bad_request");
}
