//! What clients can get wrong or forge about the session cookie, over HTTP/2 and HTTP/1.1.

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Browser, NOBODY, Proxy, SECRETS, app, proxy};
use crate::tests::soon;

const NAME: &str = "__Host-lb_session";

/// One request over HTTP/1.1 with this `Cookie` field; the whole reply.
async fn http1(proxy: &Proxy, cookie: &[u8]) -> String {
    let mut pipe = proxy.pipe().await;
    let head = b"GET / HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\ncookie: ";
    pipe.write_all(head).await.unwrap();
    pipe.write_all(cookie).await.unwrap();
    pipe.write_all(b"\r\n\r\n").await.unwrap();
    let mut reply = Vec::new();
    soon("the reply's end", pipe.read_to_end(&mut reply))
        .await
        .unwrap();
    String::from_utf8(reply).unwrap()
}

fn is_nobody(reply: &str) -> bool {
    reply.starts_with("HTTP/1.1 200") && reply.ends_with(NOBODY) && !reply.contains("set-cookie")
}

#[tokio::test(start_paused = true)]
async fn malformed_cookies_are_no_session() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let letters = "A".repeat(43);
    for cookie in [
        NAME.to_owned(),
        format!("{NAME}="),
        format!("{NAME}=;"),
        format!("{NAME}=="),
        format!("={letters}"),
        format!(";;; ; {NAME} = x ;;"),
        format!("{NAME}={letters}"),
        format!("{NAME}=\"{letters}\""),
        format!("{NAME}={letters}A"),
        format!("{NAME}={}", "A".repeat(4000)),
        format!("{NAME}=%00%0d%0aset-cookie:a=b"),
        format!("{NAME}={NAME}={letters}"),
        format!("{NAME}={letters}, {NAME}={letters}"),
        format!("{}={letters}", NAME.to_lowercase()),
    ] {
        let reply = browser.get_with("/", Some(&cookie)).await;
        assert_eq!(reply.text(), NOBODY, "{cookie}");
        assert_eq!(reply.field("set-cookie"), "", "{cookie}");
        let reply = http1(&proxy, cookie.as_bytes()).await;
        assert!(is_nobody(&reply), "{cookie}: {reply}");
    }
    // Bytes that are no text.
    let reply = http1(&proxy, b"a=\xff\xfe; __Host-lb_session=\xe4\xf6").await;
    assert!(is_nobody(&reply), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_session_is_found_over_both_protocols() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    let jar = browser.jar.clone().unwrap();
    let reply = http1(&proxy, format!("a=b; {jar} ; c").as_bytes()).await;
    assert!(reply.ends_with("ada [false, false] true"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn every_changed_letter_is_refused() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    let jar = browser.jar.clone().unwrap();
    for at in NAME.len() + 1..jar.len() {
        let mut forged = jar.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let reply = browser.get_with("/", Some(&forged)).await;
        assert_eq!(reply.text(), NOBODY, "{forged}");
    }
    assert_eq!(browser.known().await, "ada [false, false] true");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_signed_elsewhere_is_never_adopted() {
    let ours = proxy("");
    let other = format!("[sessions]\nsecret = {:?}\n", "3".repeat(32));
    let theirs = Proxy::handled_with(&["http://a:80"], &other, app);
    let mut stranger = Browser::new(&theirs).await;
    stranger.get("/login/eve").await;
    let mut browser = Browser::new(&ours).await;
    browser.jar.clone_from(&stranger.jar);
    assert_eq!(browser.known().await, NOBODY);
    browser.get("/login/ada").await;
    assert_ne!(browser.jar, stranger.jar);
    // Signed with our secret, but for a session that is not in this store.
    let twin = proxy("");
    let mut elsewhere = Browser::new(&twin).await;
    elsewhere.jar.clone_from(&browser.jar);
    assert_eq!(elsewhere.known().await, NOBODY);
    elsewhere.get("/set/a").await;
    assert_ne!(elsewhere.jar, browser.jar);
}

#[tokio::test(start_paused = true)]
async fn a_planted_cookie_does_not_hide_the_real_one() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    browser.get("/login/ada").await;
    let jar = browser.jar.clone().unwrap();
    let planted = format!("{NAME}={}", "A".repeat(43));
    for (count, known) in [
        (1, "ada [false, false] true"),
        (3, "ada [false, false] true"),
        // Beyond four nobody computes any more.
        (4, NOBODY),
    ] {
        let cookie = format!("{}{jar}", format!("{planted}; ").repeat(count));
        let reply = browser.get_with("/", Some(&cookie)).await;
        assert_eq!(reply.text(), known, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn huge_cookie_fields_are_refused() {
    let proxy = proxy("");
    let mut browser = Browser::new(&proxy).await;
    let crumbs = "a=b;".repeat(3000);
    let reply = browser.get_with("/", Some(&crumbs)).await;
    assert_eq!(reply.text(), NOBODY, "12 KiB are within the limit");
    let mut request = super::get("/");
    for _ in 0..200 {
        request
            .headers_mut()
            .append("cookie", "a=b".parse().unwrap());
    }
    let reply = browser.client.send(request).await;
    assert_eq!(reply.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let reply = http1(&proxy, "a=b;".repeat(5000).as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 431"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn an_older_secret_still_counts_and_is_replaced() {
    let before = format!("[sessions]\nsecret = {:?}\n", SECRETS[1]);
    let before = Proxy::handled_with(&["http://a:80"], &before, app);
    let mut browser = Browser::new(&before).await;
    browser.get("/login/ada").await;
    let old = browser.jar.clone();
    let config = format!("[sessions]\nsecret = {SECRETS:?}\n");
    before.reload(&config).await;
    assert_eq!(browser.known().await, "ada [false, false] true");
    assert_ne!(browser.jar, old, "signed anew");
    let signed_anew = browser.jar.clone();
    assert_eq!(browser.known().await, "ada [false, false] true");
    assert_eq!(browser.jar, signed_anew, "once");
    before
        .reload(&format!("[sessions]\nsecret = {:?}\n", SECRETS[0]))
        .await;
    assert_eq!(browser.known().await, "ada [false, false] true");
    let reply = browser.get_with("/", old.as_deref()).await;
    assert_eq!(reply.text(), NOBODY, "the old secret is gone");
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_place_is_said_or_refused() {
    for (choice, status) in [
        ("allow", StatusCode::OK),
        ("deny", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let more = format!("max_sessions = 1\non_store_error = \"{choice}\"");
        let proxy = proxy(&more);
        Browser::new(&proxy).await.get("/login/ada").await;
        let reply = Browser::new(&proxy).await.get("/set/a").await;
        assert_eq!(reply.status(), status, "{choice}");
        assert_eq!(reply.field("set-cookie"), "", "{choice}");
    }
}
