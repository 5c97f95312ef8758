//! Wrong settings of caches.

use super::{after, shows, table};

#[test]
fn caches() {
    let cache = |text: &str| after(&format!("[caches.main]\n{text}"));
    let route = |text: &str| {
        after(&format!(
            "[caches.main]\n[[routes]]\npool = \"default\"\n{text}"
        ))
    };
    shows(
        "caches",
        table(&[
            ("unknown key", cache("max_sice = \"1GiB\"")),
            ("bare size", cache("max_size = 1000000")),
            ("no room", cache("max_size = \"1KiB\"")),
            (
                "an object as large as the cache",
                cache("max_size = \"1MiB\"\nmax_object = \"1MiB\""),
            ),
            ("policy", cache("policy = \"lfu\"")),
            ("no variants", cache("max_variants = 0")),
            ("bare duration", cache("default_ttl = 60")),
            ("far too long", cache("stale_if_error = \"100000h\"")),
            ("query", cache("query = \"some\"")),
            ("empty query", cache("query = []")),
            ("field name", cache("vary = [\"a b\"]")),
            (
                "too many fields",
                cache("vary = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"]"),
            ),
            ("store", cache("store = \"rediss\"")),
            ("store without redis", cache("store = \"redis\"")),
            ("name of a cache", after("[caches.\"a b\"]")),
            ("misspelt cache of a route", route("cache = \"mein\"")),
            (
                "a cache that does not exist",
                after("[[routes]]\npool = \"default\"\ncache = \"main\""),
            ),
        ]),
    );
}
