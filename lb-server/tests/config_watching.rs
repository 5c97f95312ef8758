//! What `[access_log]` and `[tracing]` say is meant, and prints back the same.

use std::time::Duration;

use http::HeaderName;
use lb_server::{
    AccessLogConfig, AccessLogFormat, AccessLogOutput, Algorithm, Config, LoadBalancerConfig,
    SampleConfig, ServerConfig, TracingConfig,
};
use proptest::prelude::*;

const MINIMAL: &str = "listen = \"127.0.0.1:1\"\nbackends = [\"http://a:1\"]\n";

fn config(text: &str) -> Config {
    Config::from_toml(&format!("{MINIMAL}{text}"), "lb.toml").expect("it is right")
}

fn access_log() -> impl Strategy<Value = AccessLogConfig> {
    let output = prop_oneof![
        Just(AccessLogOutput::Off),
        Just(AccessLogOutput::Stdout),
        Just(AccessLogOutput::Stderr),
        "/[ -~]{1,12}".prop_map(|path| AccessLogOutput::File(path.into())),
    ];
    let format = prop_oneof![
        Just(AccessLogFormat::Json),
        Just(AccessLogFormat::Logfmt),
        Just(AccessLogFormat::Haproxy),
    ];
    let names = prop::collection::vec("[ -~]{1,8}", 0..3);
    let sample = (0.0..=1.0_f64, prop::option::of(0..1_000_000_u64));
    (output, format, names, any::<bool>(), sample, 64..1024_u32).prop_map(
        |(output, format, names, has_headers, (success, slow), buffer)| {
            let mut sample = SampleConfig::default().success(success);
            sample.slower_than = slow.map(Duration::from_millis);
            let headers = [HeaderName::from_static("x-one")];
            AccessLogConfig::default()
                .output(output)
                .format(format)
                .redact_query(names)
                .headers(headers.into_iter().filter(|_| has_headers).collect())
                .sample(sample)
                .buffer(buffer << 10)
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(access_log in access_log(), is_logged in any::<bool>()) {
        let mut config = config("").access_log(access_log);
        config.routes[0].access_log = is_logged;
        let toml = Config::from_toml(&config.to_toml(), "lb.toml");
        prop_assert_eq!(&config, &toml.expect("it is printed right"));
        let json = Config::from_json(&config.to_json(), "lb.json");
        prop_assert_eq!(&config, &json.expect("it is printed right"));
    }
}

#[test]
fn a_file_logs_to_standard_output_and_a_program_nowhere() {
    assert_eq!(config("").access_log.output, AccessLogOutput::Stdout);
    let program = Config::single(
        ServerConfig::new("127.0.0.1:1"),
        LoadBalancerConfig::new(Algorithm::RoundRobin),
    );
    let program = program.expect("it is right");
    assert_eq!(program.access_log.output, AccessLogOutput::Off);
}

#[test]
fn every_key_is_read() {
    let read = config(
        "[access_log]\noutput = \"/var/log/lb.log\"\nformat = \"logfmt\"\nredact_query = \"token\"\n\
         headers = \"Accept\"\nbuffer = \"2MiB\"\n\
         sample = { success = 0.1, errors = 1, slower_than = \"1s\" }",
    );
    let meant = AccessLogConfig::default()
        .output(AccessLogOutput::File("/var/log/lb.log".into()))
        .format(AccessLogFormat::Logfmt)
        .redact_query(vec!["token".to_owned()])
        .headers(vec![HeaderName::from_static("accept")])
        .sample(
            SampleConfig::default()
                .success(0.1)
                .slower_than(Duration::from_secs(1)),
        )
        .buffer(2 << 20);
    assert_eq!(read.access_log, meant);
}

#[test]
fn traces_are_read_and_printed_without_what_is_secret() {
    assert_eq!(config("").tracing, None);
    let text = "[tracing]\nendpoint = \"https://otel.example/v1/traces\"\nsample_ratio = 0.05\n\
                attributes = { a = \"b\" }\nheaders = { api-key = \"geheim\" }\nca = \"/ca.pem\"";
    let read = config(text);
    let tracing = read.tracing.clone().expect("it is written");
    let mut meant = TracingConfig::new("https://otel.example")
        .expect("it is a URL")
        .sample_ratio(0.05)
        .attributes(vec![("a".to_owned(), "b".to_owned())])
        .ca("/ca.pem");
    meant.headers.clone_from(&tracing.headers);
    assert_eq!(tracing, meant);
    assert_eq!(tracing.headers[0].1, "geheim");
    let printed = read.to_toml();
    assert!(!printed.contains("geheim"), "{printed}");
    let hidden = Config::from_toml(&printed, "lb.toml").expect_err("a value is missing");
    assert!(hidden.to_string().contains("tracing.headers.api-key"));
    let shown = Config::from_toml(&printed.replace("(hidden)", "geheim"), "lb.toml");
    assert_eq!(shown.expect("it is printed right"), read);
}
