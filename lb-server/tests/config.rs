//! What is read is what was meant, and what is printed reads back the same.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use lb_server::{
    AffinityConfig, Algorithm, BackendConfig, CacheConfig, CachePolicy, CacheQuery,
    CircuitBreakerConfig, Config, ConfigFormat, HashKey, HealthCheckConfig, HttpProbeConfig,
    ListenerConfig, ListenerTls, LoadBalancerConfig, OnStoreError, OutlierDetectionConfig,
    ProbeConfig, RateLimitAlgorithm, RateLimitConfig, RateLimitKey, RedisConfig, RetryOn,
    RouteConfig, RouteMatch, SameSite, SecretsConfig, SessionConfig, SlowStartConfig, StatusRange,
    StoreKind, SuccessRateConfig, TargetConfig,
};
use proptest::prelude::*;
use serde_json::Value;

const MINIMAL_TOML: &str = r#"
listen = "0.0.0.0:8443"
tls = { cert = "server.crt", key = "server.key" }
algorithm = "least-connections"
backends = ["http://10.0.0.1:3000", "http://10.0.0.2:3000"]
"#;

const MINIMAL_JSON: &str = r#"{
  "$schema": "./lb.schema.json",
  "listen": "0.0.0.0:8443",
  "tls": { "cert": "server.crt", "key": "server.key" },
  "algorithm": "least-connections",
  "backends": ["http://10.0.0.1:3000", "http://10.0.0.2:3000"]
}"#;

fn toml(text: &str) -> Config {
    Config::from_toml(text, "lb.toml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn json(text: &str) -> Config {
    Config::from_json(text, "lb.json").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn both_spellings_mean_the_same() {
    let config = toml(MINIMAL_TOML);
    assert_eq!(config, json(MINIMAL_JSON));
    assert_eq!(
        config.pools["default"].algorithm,
        Algorithm::LeastConnections
    );
    assert_eq!(
        config.routes[0].target,
        TargetConfig::Pool("default".into())
    );
    assert_eq!(config.warnings(), Vec::new());
}

#[test]
fn the_long_form_has_everything_written_out() {
    insta::assert_snapshot!(toml(MINIMAL_TOML).to_toml());
}

#[test]
fn a_rich_configuration_is_read_as_meant() {
    let config = toml(include_str!("config/rich.toml"));
    assert_eq!(config, toml(&config.to_toml()));
    assert_eq!(config, json(&config.to_json()));
    assert_eq!(config.listeners["plain"].tls, ListenerTls::Off);
    assert_eq!(config.pools["assets"].hash.balance_factor, Some(1.25));
    let limit = &config.rate_limits["login"];
    assert_eq!(limit.algorithm, RateLimitAlgorithm::SlidingWindow);
    assert_eq!(limit.key[2].to_string(), "header:x-api-key");
    assert_eq!(config.routes[1].rate_limits, ["per-client"]);
    assert_eq!(config.metrics.duration_buckets, [0.001, 0.1, 2.0]);
    let redis = config.redis.as_ref().unwrap();
    assert_eq!(redis.url[0].to_string(), "rediss://a.internal:6379/0");
    assert_eq!(redis.on_store_error, OnStoreError::Deny);
    assert_eq!(
        config.routes[1].stream_idle,
        Some(Duration::from_secs(3600))
    );
    insta::assert_debug_snapshot!(config.warnings());
}

#[test]
fn short_forms_mean_the_long_ones() {
    let pool = |text: &str| {
        let text =
            format!("listen = \"127.0.0.1:1\"\n[pools.p]\nbackends = [\"h2c://a:1\"]\n{text}");
        toml(&text).pools.remove("p").unwrap()
    };
    for (short, long) in [
        ("", "health_check = { type = \"tcp\" }"),
        ("health_check = \"tcp\"", "health_check = {}"),
        (
            "health_check = \"http\"",
            "health_check = { type = \"http\", path = \"/\" }",
        ),
        (
            "health_check = \"/up\"",
            "health_check = { path = \"/up\" }",
        ),
        (
            "health_check = \"grpc\"",
            "health_check = { service = \"\" }",
        ),
        ("slow_start = \"9s\"", "slow_start = { window = \"9s\" }"),
        ("retry = \"off\"", "retry = { attempts = 1 }"),
        ("queue = \"off\"", "queue = 0"),
        ("circuit_breaker = \"off\"", ""),
        ("max_connections = \"off\"", ""),
        ("timeouts = { request = \"off\" }", ""),
    ] {
        assert_eq!(pool(short), pool(long), "{short}");
    }
    assert_eq!(pool("health_check = \"off\"").health_check, None);
    assert_eq!(pool("outlier_detection = \"off\"").outlier_detection, None);
    let status = pool("health_check = { expect_status = [200, \"300-302\"] }");
    let Some(ProbeConfig::Http(http)) = status.health_check.map(|check| check.probe) else {
        panic!("no HTTP probe");
    };
    assert!(
        [200, 300, 302]
            .into_iter()
            .all(|s| http.expect_status.iter().any(|range| range.contains(s)))
    );
    assert!(!http.expect_status.iter().any(|range| range.contains(204)));
}

#[test]
fn the_short_form_of_a_limit_holds_for_the_only_route() {
    let short = format!("rate_limit = {{ limit = 9 }}\n{MINIMAL_TOML}");
    let long = format!("{MINIMAL_TOML}[rate_limits.default]\nlimit = 9\n");
    assert_eq!(toml(&short), toml(&long));
    let config = toml(&short);
    assert_eq!(config.routes[0].rate_limits, ["default"]);
    assert_eq!(
        config.rate_limits["default"],
        RateLimitConfig::new(9, Duration::from_secs(60))
    );
    assert_eq!(config.warnings(), Vec::new());
}

#[test]
fn references_are_replaced_in_values() {
    let variable = |name: &str| (name == "APP").then(|| "app.internal".to_owned());
    let text = "listen = \"127.0.0.1:${PORT:-8443}\"\nbackends = [\"http://${APP}:3000\"]\n";
    let config = Config::from_text(ConfigFormat::Toml, text, "lb.toml", &variable).unwrap();
    assert_eq!(
        config.pools["default"].backends[0].url.to_string(),
        "http://app.internal:3000"
    );
}

#[test]
fn the_full_starter_is_made_of_defaults() {
    let config = toml(Config::starter_toml(true));
    let defaults = toml(
        "listen = \"127.0.0.1:8443\"\nbackends = [\"http://127.0.0.1:3000\", \"http://127.0.0.1:3001\"]\n",
    );
    assert_eq!(config, defaults);
    assert_eq!(json(&Config::starter_json(true)), defaults);
}

#[test]
fn the_short_starter_works() {
    let config = toml(Config::starter_toml(false));
    assert_eq!(
        config.listeners["default"].tls,
        ListenerTls::self_signed(&["localhost"])
    );
    assert_eq!(json(&Config::starter_json(false)), config);
    assert_eq!(config.warnings(), Vec::new());
}

/// Every object of the schema with its keys, by the place in the schema.
fn objects<'a>(schema: &'a Value, place: &str, found: &mut Vec<(String, &'a Value)>) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                found.push((place.to_owned(), schema));
            }
            for (key, value) in map {
                objects(value, &format!("{place}/{key}"), found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| objects(value, place, found)),
        _ => {}
    }
}

#[test]
fn the_schema_is_closed_and_the_full_starter_names_every_key() {
    let schema = Config::schema();
    let mut found = Vec::new();
    objects(&schema, "", &mut found);
    assert!(found.len() > 15, "{}", found.len());
    let starter = Config::starter_toml(true);
    let short = [
        "$schema",
        "listen",
        "tls",
        "algorithm",
        "backends",
        "rate_limit",
    ];
    for (place, object) in found {
        assert_eq!(
            object["additionalProperties"],
            Value::Bool(false),
            "{place}"
        );
        for key in object["properties"].as_object().unwrap().keys() {
            let named = ["[", ".", "# ", "{ ", ", ", "\n", "  "]
                .iter()
                .any(|before| {
                    [" =", "]", "."]
                        .iter()
                        .any(|after| starter.contains(&format!("{before}{key}{after}")))
                });
            assert!(named || short.contains(&key.as_str()), "{place}: {key}");
        }
    }
}

#[test]
fn the_schema_does_not_change_unseen() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&Config::schema()).unwrap());
}

fn word() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9_-]{0,8}[a-z0-9])?"
}

fn backends() -> impl Strategy<Value = Vec<BackendConfig>> {
    let one = (
        prop::sample::select(vec!["http", "h2c", "https"]),
        1..=65_535u16,
        1..=65_535u32,
        0..3u32,
        any::<bool>(),
    );
    prop::collection::vec(one, 0..4).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(index, (scheme, port, weight, max, named))| {
                let config = BackendConfig::new(format!("{scheme}://h{index}:{port}")).unwrap();
                let config = config.weight(weight).max_connections(max);
                if named {
                    config.name(format!("n{index}")).server_name("a.b")
                } else {
                    config
                }
            })
            .collect()
    })
}

fn secrets() -> impl Strategy<Value = SecretsConfig> {
    let path = "[ -~]{1,12}".prop_map(PathBuf::from);
    prop_oneof![
        Just(SecretsConfig::Unwritten),
        prop::collection::vec(path, 1..4).prop_map(SecretsConfig::Files),
    ]
}

fn same_site() -> impl Strategy<Value = SameSite> {
    prop::sample::select(vec![SameSite::Lax, SameSite::Strict, SameSite::None])
}

fn affinity() -> impl Strategy<Value = AffinityConfig> {
    (
        word(),
        secrets(),
        same_site(),
        prop::option::of(1..1_000_000_000u64),
    )
        .prop_map(|(cookie, secrets, same_site, nanos)| {
            let mut affinity = AffinityConfig::new(format!("a{cookie}"))
                .secrets(secrets)
                .same_site(same_site);
            affinity.ttl = nanos.map(Duration::from_nanos);
            affinity
        })
}

fn sessions() -> impl Strategy<Value = SessionConfig> {
    (
        word(),
        secrets(),
        same_site(),
        1..=65_535u32,
        1..1_000_000u32,
    )
        .prop_map(|(cookie, secrets, same_site, bytes, count)| {
            SessionConfig::ephemeral()
                .cookie(format!("__Host-{cookie}"))
                .secrets(secrets)
                .same_site(same_site)
                .max_bytes(bytes)
                .max_sessions(count.try_into().unwrap())
        })
}

fn pool() -> impl Strategy<Value = LoadBalancerConfig> {
    let key = prop_oneof![
        Just(HashKey::Path),
        word().prop_map(HashKey::Query),
        word().prop_map(|name| HashKey::Header(name.parse().unwrap())),
    ];
    (
        backends(),
        key,
        prop::option::of(1.0..4.0f64),
        1..=32u8,
        1..100_000_000_000u64,
        prop::option::of(affinity()),
    )
        .prop_map(|(backends, key, factor, prefix, nanos, affinity)| {
            let mut pool = LoadBalancerConfig::new(Algorithm::ConsistentHashing)
                .backends(backends)
                .hash_key(key);
            pool.hash.balance_factor = factor;
            pool.hash.ipv4_prefix = prefix;
            pool.timeouts.connect = Duration::from_nanos(nanos);
            pool.affinity = affinity;
            pool
        })
}

/// What a pool does about failures, with everything that can be written in more than one way.
fn resilience() -> impl Strategy<Value = LoadBalancerConfig> {
    let count = || (1..=u32::MAX).prop_map(|count| NonZeroU32::new(count).unwrap());
    let probe = prop_oneof![
        Just(None),
        Just(Some(ProbeConfig::Tcp)),
        "[ -~]{0,9}".prop_map(|service| Some(ProbeConfig::Grpc { service })),
        ("/[a-z?=]{0,9}", prop::option::of("[ -~]{1,9}"), 100..600u16).prop_map(
            |(path, body, status)| {
                let mut http = HttpProbeConfig::default().path(path);
                http.expect_body = body;
                http.expect_status = vec![StatusRange {
                    from: status,
                    to: 599,
                }];
                Some(ProbeConfig::Http(http))
            }
        ),
    ];
    let on = prop::collection::btree_set(400..600u16, 0..3);
    (
        probe,
        on,
        count(),
        0..5u32,
        prop::option::of(1..1_000_000u64),
        any::<[bool; 4]>(),
    )
        .prop_map(|(probe, on, count, small, millis, flags)| {
            let mut pool = LoadBalancerConfig::new(Algorithm::RoundRobin)
                .backend(BackendConfig::new("h2c://a:1").unwrap())
                .queue(small)
                .max_connections(count)
                .health_check(probe.map(|probe| HealthCheckConfig::default().probe(probe)));
            pool.timeouts.request = millis.map(Duration::from_millis);
            pool.retry.hedge = millis.map(Duration::from_millis);
            pool.retry.on = RetryOn::default()
                .statuses(on.into_iter().collect())
                .timeout(flags[0]);
            pool.slow_start =
                millis.map(|millis| SlowStartConfig::new(Duration::from_millis(millis)));
            pool.circuit_breaker = flags[1].then(CircuitBreakerConfig::default);
            pool.outlier_detection = flags[2].then(|| {
                let config = OutlierDetectionConfig::default().consecutive_errors(count);
                if flags[3] {
                    config.success_rate(SuccessRateConfig::default())
                } else {
                    config
                }
            });
            pool
        })
}

fn target() -> impl Strategy<Value = TargetConfig> {
    prop_oneof![
        Just(TargetConfig::Pool("p".into())),
        "[ -~]{0,20}".prop_map(|body| TargetConfig::Respond {
            status: StatusCode::OK,
            body,
            content_type: "text/html".into()
        }),
        Just(TargetConfig::Redirect {
            to: "https://${x}".replace("${x}", "x.y{path}"),
            status: StatusCode::FOUND
        }),
    ]
}

fn routes() -> impl Strategy<Value = Vec<RouteConfig>> {
    let one = (
        word(),
        target(),
        prop::option::of("[ -~]{0,10}"),
        any::<bool>(),
    );
    prop::collection::vec(one, 1..4).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(index, (host, target, value, methods))| {
                let mut matches = RouteMatch::default()
                    .host(vec![host])
                    .path(format!("/{index}/*"));
                let header = HeaderName::from_static("x-one");
                matches.headers = vec![(header.clone(), value.clone())];
                if methods {
                    matches.methods = vec![Method::GET, Method::from_bytes(b"PURGE").unwrap()];
                }
                let mut route = RouteConfig::new(format!("r{index}"), target).matches(matches);
                if let Some(value) = value {
                    route.request_headers.set =
                        vec![(header, HeaderValue::from_str(&value).unwrap())];
                    route.response_headers.remove = vec![HeaderName::from_static("server")];
                }
                route
            })
            .collect()
    })
}

fn limits() -> impl Strategy<Value = Vec<(String, RateLimitConfig)>> {
    let key = prop_oneof![
        Just(RateLimitKey::ClientIp),
        Just(RateLimitKey::Route),
        word().prop_map(RateLimitKey::Cookie),
        word().prop_map(|name| RateLimitKey::Header(name.parse().unwrap())),
    ];
    let one = (
        word(),
        key,
        1..1_000_000u32,
        1..1_000_000u64,
        prop::option::of(any::<NonZeroU32>()),
        any::<bool>(),
    );
    let one = one.prop_map(|(name, key, limit, millis, burst, is_shared)| {
        let mut config = RateLimitConfig::new(limit, Duration::from_millis(limit as u64 + millis));
        config.key = vec![key];
        config.burst = burst.filter(|burst| burst.get() < 1_000_000);
        config.headers = is_shared;
        if is_shared {
            config = config
                .store(StoreKind::Redis)
                .on_store_error(OnStoreError::Allow);
        }
        (name, config)
    });
    prop::collection::vec(one, 0..3)
}

fn redis() -> impl Strategy<Value = RedisConfig> {
    let url = prop_oneof![
        (word(), 1..=65_535u16, 0..16u16)
            .prop_map(|(host, port, database)| { format!("redis://{host}:{port}/{database}") }),
        Just("rediss://[2001:db8::1]".to_owned()),
        Just("unix:///run/redis.sock".to_owned()),
    ];
    (url, "[!-z|~]{0,9}", prop::option::of("[ -~]{1,9}")).prop_map(|(url, prefix, file)| {
        let config = RedisConfig::new(url).unwrap().prefix(prefix);
        match file {
            Some(file) => config.password_file(file).username("lb"),
            None => config,
        }
    })
}

fn cache() -> impl Strategy<Value = CacheConfig> {
    let query = prop_oneof![
        Just(CacheQuery::All),
        Just(CacheQuery::None),
        prop::collection::vec("[ -~]{1,5}", 1..3).prop_map(CacheQuery::Only),
    ];
    (
        (1 << 17..1u64 << 50, 1..1u64 << 16, 1..1000u32),
        (0..100_000_000_000u64, any::<bool>()),
        (query, prop::collection::vec(word(), 0..8)),
    )
        .prop_map(|((size, object, variants), (nanos, flag), (query, vary))| {
            let mut cache = CacheConfig::default()
                .max_size(size)
                .max_object(object)
                .max_variants(variants.try_into().unwrap())
                .stale_if_error(Duration::from_nanos(nanos))
                .store_set_cookie(flag)
                .obey_requests(!flag)
                .query(query);
            if flag {
                cache.policy = CachePolicy::Lru;
            }
            cache.vary(vary.iter().map(|name| name.parse().unwrap()).collect())
        })
}

fn tls() -> impl Strategy<Value = ListenerTls> {
    prop_oneof![
        Just(ListenerTls::Off),
        Just(ListenerTls::self_signed(&["localhost"])),
        Just(ListenerTls::self_signed(&["a.b", "10.0.0.1"])),
        "[ -~]{1,12}".prop_map(|cert| ListenerTls::files(cert, "k")),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(pool in pool(), tough in resilience(), routes in routes(), limits in limits(), redis in redis(), tls in tls(), sessions in prop::option::of(sessions()), window in 65_536..=2_147_483_647u32, cache in cache()) {
        let mut listener = ListenerConfig::at(vec!["0.0.0.0:1".parse().unwrap(), "unix:/run/a".parse().unwrap()]).tls(tls);
        listener.http2.connection_window = window;
        let mut config = Config::default().listener("l", listener).pool("p", pool).pool("q", tough);
        config.routes = routes;
        config.routes[0].rate_limits = limits.first().map(|(name, _)| name.clone()).into_iter().collect();
        config.rate_limits = limits.into_iter().collect();
        config.redis = Some(redis);
        config.sessions = sessions;
        config.caches.insert("c".into(), cache);
        config.routes[0].cache = Some("c".into());
        prop_assert_eq!(&config, &toml(&config.to_toml()));
        prop_assert_eq!(&config, &json(&config.to_json()));
    }

    #[test]
    fn no_text_panics(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::from_toml(&text, "lb.toml").map_err(|error| error.to_string());
        let _ = Config::from_json(&text, "lb.json").map_err(|error| error.to_string());
        let text = String::from_utf8_lossy(&bytes);
        let _ = Config::from_toml(&text, "lb.toml").map_err(|error| error.to_string());
        let _ = Config::from_json(&text, "lb.json").map_err(|error| error.to_string());
    }

    #[test]
    fn no_damage_to_a_file_panics(at in 0..3000usize, length in 0..40usize, insert in "[\\[\\]{}\"=.,0-9a-zé\\n-]{0,6}") {
        let text = include_str!("config/rich.toml");
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((start + length).min(text.len()));
        let damaged = format!("{}{insert}{}", &text[..start], &text[end..]);
        let _ = Config::from_toml(&damaged, "lb.toml").map_err(|error| error.to_string());
        let as_json = toml(text).to_json();
        let (start, end) = (start.min(as_json.len()), end.min(as_json.len()));
        let damaged = format!("{}{insert}{}", &as_json[..start], &as_json[end..]);
        let _ = Config::from_json(&damaged, "lb.json").map_err(|error| error.to_string());
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{{\"server\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let error = Config::from_json(&deep, "lb.json").unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
    let error = Config::from_toml(
        &format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000)),
        "lb.toml",
    );
    assert!(error.is_err());
}
