//! Rate limits and the store.

use super::{after, shows, table, top};

fn limit(text: &str) -> String {
    after(&format!("[rate_limits.one]\n{text}"))
}

fn redis(text: &str) -> String {
    after(&format!("[redis]\n{text}"))
}

fn route(text: &str) -> String {
    after(&format!(
        "[[routes]]\nname = \"one\"\npool = \"default\"\n{text}\n\
         [rate_limits.per-client]\nlimit = 10\n[rate_limits.login]\nlimit = 5"
    ))
}

#[test]
fn rate_limits() {
    shows(
        "rate_limits",
        table(&[
            ("without a limit", limit("window = \"1m\"")),
            ("limit of 0", limit("limit = 0")),
            ("limit as text", limit("limit = \"100\"")),
            ("limit below 0", limit("limit = -1")),
            ("limit too large", limit("limit = 4294967296")),
            ("window without unit", limit("limit = 1\nwindow = 60")),
            ("no window", limit("limit = 1\nwindow = \"0s\"")),
            ("too fast", limit("limit = 2000\nwindow = \"1us\"")),
            (
                "algorithm",
                limit("limit = 1\nalgorithm = \"leaky-bucket\""),
            ),
            ("burst of 0", limit("limit = 1\nburst = 0")),
            (
                "burst of a window",
                limit("limit = 1\nburst = 2\nalgorithm = \"sliding-window\""),
            ),
            (
                "burst of centuries",
                limit("limit = 1\nwindow = \"24h\"\nburst = 4000000000"),
            ),
            ("unknown key", limit("limit = 1\nkey = \"clientip\"")),
            ("key without name", limit("limit = 1\nkey = \"header\"")),
            ("key with no name", limit("limit = 1\nkey = \"cookie:\"")),
            (
                "key of another kind",
                limit("limit = 1\nkey = \"query:id\""),
            ),
            ("field name", limit("limit = 1\nkey = \"header:a b\"")),
            ("no key", limit("limit = 1\nkey = []")),
            (
                "key twice",
                limit("limit = 1\nkey = [\"route\", \"route\"]"),
            ),
            (
                "prefix",
                limit("limit = 1\nipv4_prefix = 33\nipv6_prefix = 0"),
            ),
            ("cost of 0", limit("limit = 1\ncost = 0")),
            (
                "cost never let pass",
                limit("limit = 10\nburst = 3\ncost = 4"),
            ),
            ("mode", limit("limit = 1\nmode = \"shadow\"")),
            ("too many keys", limit("limit = 1\nmax_keys = 100000001")),
            ("headers", limit("limit = 1\nheaders = \"off\"")),
            ("store", limit("limit = 1\nstore = \"memcached\"")),
            ("store without redis", limit("limit = 1\nstore = \"redis\"")),
            (
                "error of a store that is not asked",
                limit("limit = 1\non_store_error = \"deny\""),
            ),
            (
                "error of a store",
                limit("limit = 1\nstore = \"redis\"\non_store_error = \"fail\""),
            ),
            ("key of another program", limit("limit = 1\nmax = 5")),
            ("name", after("[rate_limits.\"a b\"]\nlimit = 1")),
            (
                "short form and long form",
                top("rate_limit = { limit = 1 }\n") + "[rate_limits.a]\nlimit = 1\n",
            ),
            (
                "short form and routes",
                top("rate_limit = { limit = 1 }\n") + "[[routes]]\npool = \"default\"\n",
            ),
            ("short form without limit", top("rate_limit = {}\n")),
            (
                "short form never let pass",
                top("rate_limit = { limit = 1, cost = 2 }\n"),
            ),
        ]),
    );
}

#[test]
fn rate_limits_of_routes() {
    shows(
        "rate_limits_of_routes",
        table(&[
            ("misspelled", route("rate_limits = [\"per-clint\"]")),
            ("unknown", route("rate_limits = [\"other\"]")),
            ("twice", route("rate_limits = [\"login\", \"login\"]")),
            ("a number", route("rate_limits = 5")),
            (
                "there are none",
                after("[[routes]]\npool = \"default\"\nrate_limits = \"a\""),
            ),
        ]),
    );
}

#[test]
fn redis_itself() {
    let url = "url = \"redis://a\"\n";
    shows(
        "redis",
        table(&[
            ("without a url", redis("prefix = \"lb:\"")),
            ("no scheme", redis("url = \"127.0.0.1:6379\"")),
            ("scheme", redis("url = \"redi://127.0.0.1\"")),
            (
                "password in the url",
                redis("url = \"redis://:secret@a:6379\""),
            ),
            (
                "password and slash",
                redis("url = \"redis://u:se/cret@a:6379\""),
            ),
            ("port", redis("url = \"redis://a:0\"")),
            ("port of letters", redis("url = \"redis://a:redis\"")),
            ("database", redis("url = \"redis://a/b\"")),
            ("socket", redis("url = \"unix:redis.sock\"")),
            ("several", redis("url = [\"redis://a\", \"redis://b\"]")),
            ("none", redis("url = []")),
            (
                "some with TLS",
                redis("url = [\"redis://a\", \"rediss://b\"]\ncluster = true"),
            ),
            (
                "cluster with database and socket",
                redis("url = [\"redis://a/1\", \"unix:/b\"]\ncluster = true"),
            ),
            (
                "cluster and sentinel",
                redis(&format!("{url}cluster = true\nsentinel = \"m\"")),
            ),
            ("ca without TLS", redis(&format!("{url}ca = \"a.pem\""))),
            (
                "user without password",
                redis(&format!("{url}username = \"a\"")),
            ),
            (
                "password in the file",
                redis(&format!("{url}password = \"secret\"")),
            ),
            ("prefix", redis(&format!("{url}prefix = \"a {{b}}\""))),
            ("timeout", redis(&format!("{url}timeout = \"0s\""))),
            ("long timeout", redis(&format!("{url}timeout = \"99999h\""))),
            (
                "on_store_error",
                redis(&format!("{url}on_store_error = \"open\"")),
            ),
        ]),
    );
}
