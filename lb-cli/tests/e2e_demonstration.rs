//! `lb-cli serve` without a configuration answers the line it tells the reader to try.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use support::clients::Curl;
use support::files::Directory;
use support::proxy::Demonstration;
use support::redis::Redis;

#[test]
fn answers_the_example_application() {
    let mut demonstration = Demonstration::start("off", &[]);
    let url = &demonstration.url;
    let ask = || {
        Curl::get(&format!("{url}/api/users"))
            .arguments(&["-4", "--http2"])
            .send()
            .expect(200)
    };
    let made = ask();
    assert_eq!(made.version, "2");
    assert!(made.json().is_array());
    assert!(made.header("cache-status").unwrap().contains("stored"));
    let kept = ask();
    assert_eq!(kept.json(), made.json());
    assert!(kept.header("cache-status").unwrap().contains("hit"));
    // What the application does not answer itself goes to one of the built-in backends.
    Curl::get(&format!("{url}/anything"))
        .arguments(&["-4"])
        .send()
        .expect(200);
    demonstration.process.signal("TERM");
    assert_eq!(demonstration.process.wait().code(), Some(0));
}

#[test]
fn two_on_one_redis_know_the_same_sessions_and_users() {
    let redis = Redis::start();
    let directory = Directory::new();
    let secret = directory.write("secret", "a secret of at least thirty-two bytes");
    let jar = directory.file("jar");
    let environment = [("REDIS_URL", redis.url()), ("SECRET_FILE", secret)];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let one = Demonstration::start("off", &environment);
    let other = Demonstration::start("off", &environment);
    let ask = |at: &Demonstration, path: &str, more: &[&str]| {
        let url = format!("{}{path}", at.url);
        let asked = Curl::get(&url).arguments(&["-4", "--http2", "-b", &jar, "-c", &jar]);
        asked.arguments(more).send()
    };
    let users = ask(&one, "/api/users", &[]).expect(200);
    assert!(users.header("cache-status").unwrap().contains("stored"));
    ask(&other, "/api/protected", &[]).expect(401);
    let login = ["-d", r#"{"username":"demo","password":"demo"}"#];
    ask(&one, "/api/login", &login).expect(200);
    ask(&other, "/api/protected", &[]).expect(200);
    ask(&other, "/api/logout", &["-X", "POST"]).expect(200);
    ask(&one, "/api/protected", &[]).expect(401);
}
