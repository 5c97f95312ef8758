//! `[tracing]`.

use super::{after, shows, table};

fn tracing(text: &str) -> String {
    after(&format!(
        "[tracing]\nendpoint = \"http://127.0.0.1:4318\"\n{text}"
    ))
}

fn endpoint(text: &str) -> String {
    after(&format!("[tracing]\nendpoint = {text:?}"))
}

#[test]
fn tracing_of_exchanges() {
    shows(
        "tracing",
        table(&[
            ("no endpoint", after("[tracing]\nsample_ratio = 0.5")),
            ("endpoint without scheme", endpoint("collector:4318")),
            (
                "endpoint of another protocol",
                endpoint("grpc://collector:4317"),
            ),
            ("endpoint over HTTP/2", endpoint("h2c://collector:4318")),
            (
                "endpoint with a blank",
                endpoint("http://collector:4318/v1 /traces"),
            ),
            ("misspelt key", tracing("sample_ration = 0.5")),
            ("ratio in percent", tracing("sample_ratio = 5")),
            ("empty name", tracing("service_name = \"\"")),
            (
                "attribute that is a number",
                tracing("attributes = { shard = 5 }"),
            ),
            (
                "header of the protocol",
                tracing("headers = { host = \"a\" }"),
            ),
            (
                "header that was not printed",
                tracing("headers = { authorization = \"(hidden)\" }"),
            ),
            (
                "header with a line end",
                tracing("headers = { a = \"b\\nc\" }"),
            ),
            ("timeout without unit", tracing("timeout = 10")),
            ("timeout of zero", tracing("timeout = \"0s\"")),
            ("authority without TLS", tracing("ca = \"ca.pem\"")),
            ("tiny buffer", tracing("buffer = \"1KiB\"")),
        ]),
    );
}
