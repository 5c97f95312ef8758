//! What the admin API does not do, and for whom.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{self, raw, send};
use crate::stage::Stage;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn without_the_token_nothing_is_told_and_nothing_done() {
    let stage = Stage::with_admin(&format!("token = \"{TOKEN}\""), "").await;
    let bearer = format!("Bearer {TOKEN}");
    for (fields, status) in [
        (vec![], 401),
        (vec![("authorization", "Bearer wrong")], 401),
        (vec![("authorization", "Basic bGI6bGI=")], 401),
        (vec![("authorization", bearer.as_str())], 200),
    ] {
        let reply = send(stage.admin, "GET", "/api/v1/status", &fields, None).await;
        assert_eq!(reply.status, status, "{fields:?}");
        if status == 401 {
            assert_eq!(
                reply.field("www-authenticate"),
                Some("Bearer realm=\"lb admin\"")
            );
            assert!(reply.help().contains("Bearer"));
        }
    }
    // Not even which paths there are.
    assert_eq!(stage.get("/api/v1/nothing").await.status, 401);
    let drained = stage.bare("POST", "/api/v1/drain").await;
    assert_eq!(drained.status, 401);
    assert!(!stage.running.handle().is_stopping());
    // But for those who cannot have one.
    for path in ["/livez", "/readyz", "/healthz", "/"] {
        assert_ne!(stage.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_token_may_be_replaced_in_its_file() {
    let directory = std::env::temp_dir().join(format!("lb-admin-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let stage = Stage::with_admin(&format!("token_file = \"{}\"", file.display()), "").await;
    let status = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let fields = [("authorization", bearer.as_str())];
        send(stage.admin, "GET", "/api/v1/status", &fields, None)
            .await
            .status
    };
    assert_eq!(status(TOKEN).await, 200);
    std::fs::write(&file, "another-token-of-32-characters!!").unwrap();
    assert_eq!(status(TOKEN).await, 401);
    assert_eq!(status("another-token-of-32-characters!!").await, 200);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(status(TOKEN).await, 401);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let stage = Stage::new("").await;
    let own = format!("http://{}", stage.admin);
    let drain = "/api/v1/pools/default/backends/a";
    let body = Some("{\"state\":\"drain\"}");
    for (fields, status) in [
        (vec![("host", "evil.example")], 403),
        (vec![("host", "evil.example:9900")], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("content-type", "text/plain")], 415),
        (
            vec![("content-type", "application/x-www-form-urlencoded")],
            415,
        ),
        (
            vec![("origin", own.as_str()), ("sec-fetch-site", "same-origin")],
            200,
        ),
        (
            vec![("content-type", "application/json; charset=utf-8")],
            200,
        ),
    ] {
        let reply = send(stage.admin, "PATCH", drain, &fields, body).await;
        assert_eq!(reply.status, status, "{fields:?}: {}", reply.body);
        if status >= 400 {
            assert!(!reply.help().is_empty());
            assert_eq!(stage.json(drain).await["state"], "ready");
        }
    }
    // Nor may they read, though a browser would not show them what it read.
    let rebound = send(
        stage.admin,
        "GET",
        "/api/v1/status",
        &[("host", "evil.example")],
        None,
    )
    .await;
    assert_eq!(rebound.status, 403);
    // An orchestrator names us as it likes.
    let probe = send(
        stage.admin,
        "GET",
        "/livez",
        &[("host", "10.1.2.3:9900")],
        None,
    )
    .await;
    assert_eq!(probe.status, 200);
    let none = raw(
        stage.admin,
        "GET /api/v1/status HTTP/1.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(none.starts_with("HTTP/1.1 400"), "{none}");
}

#[tokio::test]
async fn nothing_is_changed_by_get() {
    let stage = Stage::new("").await;
    for path in [
        "/api/v1/drain",
        "/api/v1/reload",
        "/api/v1/cache/purge",
        "/api/v1/routes/explain",
    ] {
        for method in ["GET", "HEAD"] {
            let reply = stage.bare(method, path).await;
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.field("allow"), Some("POST"));
        }
    }
    // What a query says counts for nothing.
    let path = "/api/v1/pools/default/backends/a?state=drain&weight=5&_method=DELETE";
    assert_eq!(stage.get(path).await.status, 200);
    assert_eq!(stage.json("/api/v1/config/drift").await, json!([]));
    assert!(!stage.running.handle().is_stopping());
}

#[tokio::test]
async fn what_is_not_there_is_said_with_what_is() {
    let stage = Stage::new("").await;
    for path in [
        "/api/v1/nothing",
        "/api/v1/pools/none",
        "/api/v1/pools/default/backends/x",
        "/x",
    ] {
        let reply = stage.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.help().is_empty());
    }
    let missing = stage.get("/api/v1/pools/none").await.json();
    assert_eq!(
        missing["detail"],
        "there is no pool `none`; there are: default"
    );
    let wrong = stage.bare("DELETE", "/api/v1/status").await;
    assert_eq!(
        (wrong.status, wrong.field("allow")),
        (405, Some("GET, HEAD"))
    );
    let odd = stage.bare("BREW", "/api/v1/status").await;
    assert_eq!(odd.status, 405);
}

#[tokio::test]
async fn bodies_are_bounded_and_have_to_be_understood() {
    let stage = Stage::new("").await;
    let path = "/api/v1/pools/default/backends/a";
    let large = format!("{{\"weight\": {}1}}", " ".repeat(70_000));
    for (body, status) in [
        (large.as_str(), 413),
        ("{", 400),
        ("[]", 400),
        ("{}", 400),
        ("{\"wieght\": 1}", 400),
        ("{\"weight\": \"1\"}", 400),
        ("{\"weight\": 0}", 422),
        ("{\"weight\": 65536}", 422),
        ("{\"max_connections\": 0}", 422),
        ("{\"state\": \"off\"}", 400),
        ("{\"weight\": 2}", 200),
    ] {
        let reply = send(stage.admin, "PATCH", path, &[], Some(body)).await;
        assert_eq!(
            reply.status,
            status,
            "{}: {}",
            &body[..body.len().min(40)],
            reply.body
        );
    }
    // Said to be larger than it may: it is not even read.
    let request = format!(
        "PATCH {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 99999999\r\nconnection: close\r\n\r\n{{"
    );
    let reply = raw(stage.admin, &request).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    // And so is one that does not say how long it is.
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let request = format!(
        "PATCH {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let reply = raw(stage.admin, &request).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
}

#[tokio::test]
async fn heads_are_bounded() {
    let stage = Stage::new("").await;
    let fields: String = (0..100).map(|n| format!("x-{n}: 1\r\n")).collect();
    let many =
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n");
    let reply = raw(stage.admin, &many).await;
    assert!(reply.starts_with("HTTP/1.1 431"), "{reply}");
    let long = format!(
        "GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(64 * 1024)
    );
    let reply = raw(stage.admin, &long).await;
    assert!(
        reply.is_empty() || reply.starts_with("HTTP/1.1 431"),
        "{reply}"
    );
}

#[tokio::test]
async fn as_many_connect_as_may_and_those_after_them_wait() {
    let stage = Stage::new("").await;
    let mut idle = Vec::new();
    for _connection in 0..64 {
        let mut stream = TcpStream::connect(stage.admin).await.unwrap();
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        idle.push(stream);
    }
    let admin = stage.admin;
    let mut late = tokio::spawn(async move { client::get(admin, "/livez").await.status });
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut late).await;
    assert!(waited.is_err(), "it did not wait");
    idle.pop();
    assert_eq!(late.await.unwrap(), 200);
}
