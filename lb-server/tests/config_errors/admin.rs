//! The admin API.

use lb_server::Config;

use super::{after, shows, table, top};

fn admin(text: &str) -> String {
    after(&format!("[admin]\n{text}"))
}

#[test]
fn admin_api() {
    let local = |text: &str| admin(&format!("address = \"127.0.0.1:9900\"\n{text}"));
    shows(
        "admin",
        table(&[
            ("a word", top("admin = \"on\"")),
            ("a number", top("admin = 9900")),
            ("without an address", admin("dashboard = true")),
            ("port only", admin("address = \":9900\"")),
            ("a list", admin("address = [\"127.0.0.1:9900\"]")),
            (
                "no token",
                admin("address = \"10.0.0.1:9900\"\ntls = \"off\""),
            ),
            (
                "no certificate",
                admin("address = \"0.0.0.0:9900\"\ntoken_file = \"t\""),
            ),
            ("short token", local("token = \"geheim\"")),
            (
                "token with blanks",
                local("token = \"geheim geheim geheim\""),
            ),
            ("empty token", local("token = \"\"")),
            (
                "a name with its port",
                local("names = [\"lb.internal:9900\"]"),
            ),
            ("token as a number", local("token = 12345678901234567")),
            (
                "two tokens",
                local("token = \"0123456789abcdef\"\ntoken_file = \"t\""),
            ),
            ("dashboard as text", local("dashboard = \"off\"")),
            ("tls", local("tls = \"on\"")),
            ("unknown key", local("tokens = []")),
            ("a listener's", admin("address = \"127.0.0.1:8443\"")),
        ]),
    );
}

#[test]
fn a_token_is_never_shown() {
    let text = admin("address = \"127.0.0.1:9900\"\ntoken = \"0123456789abcdef\"");
    let config = Config::from_toml(&text, "lb.toml").unwrap();
    for shown in [config.to_toml(), config.to_json(), format!("{config:?}")] {
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
}

#[test]
fn off_is_nothing() {
    let config = Config::from_toml(&top("admin = \"off\""), "lb.toml").unwrap();
    assert_eq!(config.admin, None);
}

#[test]
fn cleartext_on_the_network_is_worth_a_warning() {
    let text = admin("address = \"10.0.0.1:9900\"\ntls = \"off\"\ntoken_file = \"t\"");
    let config = Config::from_toml(&text, "lb.toml").unwrap();
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("learns the token")),
        "{warnings:?}"
    );
}
