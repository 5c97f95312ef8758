//! `discover` of backends, and `[dns]`.

use super::{after, pool, shows, table};

fn backend(text: &str) -> String {
    pool(&format!("backends = [{{ {text} }}]"))
}

#[test]
fn discovery() {
    shows(
        "discovery",
        table(&[
            (
                "unknown records",
                backend("url = \"http://a:1\", discover = \"mx\""),
            ),
            (
                "no name",
                backend("url = \"http://10.0.0.1:1\", discover = \"dns\""),
            ),
            (
                "a socket",
                backend("url = \"unix:/run/a\", discover = \"dns\""),
            ),
            (
                "a refresh of nothing",
                backend("url = \"http://a:1\", refresh = \"9s\""),
            ),
            (
                "a refresh at once",
                backend("url = \"http://a:1\", discover = \"srv\", refresh = \"0s\""),
            ),
            (
                "a refresh without a unit",
                backend("url = \"http://a:1\", discover = \"srv\", refresh = 10"),
            ),
            (
                "a server by name",
                after("[dns]\nservers = \"ns.example:53\""),
            ),
            (
                "a server without a port",
                after("[dns]\nservers = [\"10.0.0.1\"]"),
            ),
            ("misspelt key", after("[dns]\nserver = \"10.0.0.1:53\"")),
        ]),
    );
}

#[test]
fn what_is_discovered_is_written_as_it_was_read() {
    let text = "listen = \"127.0.0.1:1\"\nbackends = [{ url = \"http://a:1\", discover = \"srv\", refresh = \"7s\" }]\n\
                [dns]\nservers = [\"127.0.0.1:53\", \"[::1]:5353\"]\n";
    let config = lb_server::Config::from_toml(text, "lb.toml").expect(text);
    let toml = lb_server::Config::from_toml(&config.to_toml(), "lb.toml");
    assert_eq!(toml.as_ref(), Ok(&config));
    assert_eq!(
        lb_server::Config::from_json(&config.to_json(), "lb.json"),
        Ok(config)
    );
}
