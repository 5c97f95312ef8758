//! `[access_log]`.

use super::{after, route, shows, table};

fn log(text: &str) -> String {
    after(&format!("[access_log]\n{text}"))
}

#[test]
fn access_log() {
    shows(
        "access_log",
        table(&[
            (
                "not a table",
                after("[server]\n").replace("listen", "access_log = false\nlisten"),
            ),
            ("misspelt key", log("formats = \"json\"")),
            ("misspelt stream", log("output = \"stdot\"")),
            ("file without a slash", log("output = \"access.log\"")),
            ("misspelt format", log("format = \"combine\"")),
            (
                "field that is a credential",
                log("headers = [\"Authorization\"]"),
            ),
            (
                "field that is a session",
                log("headers = [\"accept\", \"cookie\"]"),
            ),
            ("field twice", log("headers = [\"accept\", \"Accept\"]")),
            ("no field", log("headers = [\"a b\"]")),
            (
                "fields without a place",
                log("format = \"common\"\nheaders = [\"accept\"]"),
            ),
            ("empty parameter", log("redact_query = [\"\"]")),
            ("share in percent", log("sample = { success = 10 }")),
            ("negative share", log("sample = { errors = -0.5 }")),
            ("misspelt share", log("sample = { error = 0.5 }")),
            ("time without unit", log("sample = { slower_than = 5 }")),
            (
                "time for ever",
                log("sample = { slower_than = \"1000000h\" }"),
            ),
            ("tiny buffer", log("buffer = \"1KiB\"")),
            ("huge buffer", log("buffer = \"2GiB\"")),
            (
                "switch of a route",
                route("pool = \"default\"\naccess_log = \"off\""),
            ),
        ]),
    );
}
