//! Flags win over variables, variables over the file, the file over defaults, and errors name the layer.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use lb_server::{
    Algorithm, Config, ConfigFormat, ConfigLayers, ListenAddress, ListenerTls, LoadedConfig,
};

const SHORT: &str = "listen = \"127.0.0.1:1\"\nbackends = [\"http://a:1\", \"http://b:1\"]\n";
const LONG: &str = "[listeners.default]\naddress = \"127.0.0.1:1\"\n\n[pools.my-api]\nbackends = [\"http://a:1\", { url = \"http://b:1\", weight = 2 }]\n";

fn layers(text: &str, variables: &[(&str, &str)]) -> ConfigLayers {
    let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    ConfigLayers::new()
        .text(ConfigFormat::Toml, text, "lb.toml")
        .variables(variables.iter().map(pair))
}

fn load(layers: &ConfigLayers) -> LoadedConfig {
    layers
        .load_with(&|_| None)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn error(layers: &ConfigLayers) -> String {
    layers.load_with(&|_| None).unwrap_err().to_string()
}

fn address(config: &Config) -> String {
    config.listeners["default"]
        .address
        .iter()
        .map(ListenAddress::to_string)
        .collect()
}

#[test]
fn the_last_layer_wins() {
    let both = layers(
        SHORT,
        &[("LB_LISTEN", "127.0.0.1:2"), ("LB_ALGORITHM", "ip-hash")],
    );
    let config = load(&both).config;
    assert_eq!(address(&config), "127.0.0.1:2");
    assert_eq!(config.pools["default"].algorithm, Algorithm::IpHash);
    assert_eq!(
        address(&load(&both.set("listen=127.0.0.1:3")).config),
        "127.0.0.1:3"
    );
}

#[test]
fn either_form_is_reached_by_either_path() {
    let config = load(
        &layers(SHORT, &[])
            .set("listeners.default.tls=self-signed")
            .set("pools.default.algorithm=ip-hash"),
    )
    .config;
    assert_eq!(
        config.listeners["default"].tls,
        ListenerTls::self_signed(&["localhost"])
    );
    assert_eq!(config.pools["default"].algorithm, Algorithm::IpHash);
    assert_eq!(
        address(&load(&layers(LONG, &[]).set("listen=127.0.0.1:9")).config),
        "127.0.0.1:9"
    );
}

#[test]
fn a_short_key_means_the_only_pool_and_never_one_of_two() {
    let config = load(&layers(LONG, &[("LB_ALGORITHM", "ip-hash")])).config;
    assert_eq!(config.pools["my-api"].algorithm, Algorithm::IpHash);
    let two = format!("{LONG}[pools.web]\nbackends = [\"http://c:1\"]\n");
    let two = layers(&two, &[]).flag("--algorithm ip-hash", "algorithm", "ip-hash");
    assert!(two.load_with(&|_| None).unwrap_err().is_misplaced());
    insta::assert_snapshot!(error(&two), @r"
    --algorithm ip-hash: algorithm: could mean any of pools: my-api, web
      = help: name the one you mean: `--set pools.NAME.algorithm=VALUE`
    ");
}

#[test]
fn only_keys_of_the_format_are_overrides() {
    let others = [("LB_PORT", "1"), ("LB_VERSION", "2"), ("LB_CONFIG", "x")];
    assert!(!layers(SHORT, &others).has_overrides());
    assert!(layers(SHORT, &[("LB_SERVER__THREADS", "1")]).has_overrides());
    assert!(layers(SHORT, &[]).set("server.threads=1").has_overrides());
}

#[test]
fn variables_reach_names_and_lists() {
    let variables = [
        ("LB_POOLS__MY_API__BACKENDS__1__WEIGHT", "7"),
        ("LB_SERVER__SHUTDOWN_DELAY", "5s"),
        ("LB_SERVER__EXPOSE_DETAILS", "true"),
    ];
    let config = load(&layers(LONG, &variables)).config;
    assert_eq!(config.pools["my-api"].backends[1].weight, 7);
    assert_eq!(config.server.shutdown_delay.as_secs(), 5);
    assert!(config.server.expose_details);
}

#[test]
fn flags_alone_are_a_configuration() {
    let config = load(
        &ConfigLayers::new()
            .set("listen=127.0.0.1:1")
            .set("backends=[\"http://a:1\"]"),
    )
    .config;
    assert_eq!(config.pools["default"].backends.len(), 1);
}

#[test]
fn errors_name_the_layer() {
    let variable = layers(SHORT, &[("LB_ALGORITHM", "ip-hsh")]);
    insta::assert_snapshot!(error(&variable), @r#"
    LB_ALGORITHM: algorithm: unknown algorithm `ip-hsh`
      = help: did you mean "ip-hash"?
    "#);
    insta::assert_snapshot!(error(&layers(LONG, &[]).set("pools.my-api.backends[1].weight=0")), @r"
    --set pools.my-api.backends[1].weight=0: pools.my-api.backends[1].weight: weight of backend `http://b:1` must be from 1 to 65535, got 0
      = help: remove the backend, or write `backup = true` to use it last
    ");
    insta::assert_snapshot!(error(&layers(LONG, &[]).set("pools.my-api.backends[5].weight=1")), @r"
    --set pools.my-api.backends[5].weight=1: pools.my-api.backends[5].weight: `5` is no place in a list of 2
      = help: write a number from 0 to 2; 2 adds one
    ");
    insta::assert_snapshot!(error(&layers(SHORT, &[]).set("nothing")), @r"
    --set nothing: `nothing` sets nothing
      = help: write `--set pools.api.algorithm=ip-hash`
    ");
    assert!(error(&layers(SHORT, &[]).set("server.thread=2")).contains("did you mean `threads`"));
}

#[test]
fn variables_of_others_are_left_alone() {
    let variables = [
        ("LB_PORT", "tcp://10.0.0.1:80"),
        ("LB_VERSION", "0.1.0"),
        ("LB_POOL__A", "x"),
        ("PATH", "/"),
    ];
    let warnings = load(&layers(SHORT, &variables)).warnings;
    let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].contains("LB_POOLS"), "{shown:?}");
}

#[test]
fn every_value_has_an_origin() {
    let loaded = load(&layers(LONG, &[("LB_SERVER__THREADS", "2")]).set("listen=127.0.0.1:9"));
    let origin = |path: &str| {
        let found = loaded.origins.iter().find(|(found, _)| found == path);
        found.map_or("none", |(_, origin)| origin.as_str())
    };
    assert_eq!(origin("server.threads"), "LB_SERVER__THREADS");
    assert_eq!(
        origin("listeners.default.address[0]"),
        "--set listen=127.0.0.1:9"
    );
    assert_eq!(origin("pools.my-api.backends[1].weight"), "lb.toml:5");
    assert_eq!(origin("pools.my-api.algorithm"), "default");
    assert_eq!(origin("server.forwarded"), "default");
}

#[test]
fn warnings_have_a_place() {
    let loaded = load(&layers(LONG, &[]));
    insta::assert_snapshot!(loaded.warnings[0], @r#"
    lb.toml:5:58: algorithm `round-robin` ignores the weight of 2
      |
    5 | backends = ["http://a:1", { url = "http://b:1", weight = 2 }]
      |                                                          ^
      = at: pools.my-api.backends[1].weight
      = help: write `algorithm = "weighted-round-robin"`
    "#);
}

#[test]
fn where_a_running_server_is_asked_is_no_key() {
    let asked = layers(SHORT, &[("LB_ADMIN", "127.0.0.1:9900")]);
    assert!(!asked.has_overrides());
    assert!(load(&asked).config.admin.is_none());
    let configured = layers(SHORT, &[("LB_ADMIN__ADDRESS", "127.0.0.1:9900")]);
    assert!(load(&configured).config.admin.is_some());
}
