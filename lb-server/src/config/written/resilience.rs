//! `[pools.x]`: probes, ejection, breaking, retries, as they are written.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::convert::duration;
use super::{Count, Duration, OneOrMore, header_values};
use crate::config::model::{
    BackoffConfig, CircuitBreakerConfig, HealthCheckConfig, HttpProbeConfig,
    OutlierDetectionConfig, ProbeConfig, RetryConfig, RetryOn, SlowStartConfig,
};
use crate::config::substitute::escape;

/// A value, or "off".
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OrOff<T> {
    #[schemars(schema_with = "off")]
    Off(&'static str),
    On(T),
}

impl<T> OrOff<T> {
    pub(super) fn of(value: Option<T>) -> Self {
        value.map_or(Self::Off("off"), Self::On)
    }
}

/// A table, a word in its place, or a path.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "the printer writes tables; the schema allows words"
)]
pub(super) enum HealthCheck {
    #[schemars(schema_with = "probe_word")]
    Word(&'static str),
    Table(Box<HealthCheckTable>),
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct HealthCheckTable {
    /// What is asked: "tcp", "http" or "grpc"; by default what the other keys belong to.
    #[serde(rename = "type")]
    #[schemars(schema_with = "probe_type")]
    kind: &'static str,
    /// Path and query of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Method of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Host of the request; by default the one of the backend's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Further fields of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "header_values")]
    headers: Option<Map<String, Value>>,
    /// Statuses that pass: "204", "200-399".
    #[serde(skip_serializing_if = "Option::is_none")]
    expect_status: Option<Statuses>,
    /// Text that has to be in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    expect_body: Option<String>,
    /// Service that a gRPC probe asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// From one probe of a backend to the next.
    interval: Option<Duration>,
    /// The same while it is unhealthy; by default a fifth of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    unhealthy_interval: Option<Duration>,
    /// How long a probe may take.
    timeout: Option<Duration>,
    /// Failed probes in a row that make a backend unhealthy.
    #[schemars(range(min = 1))]
    unhealthy_after: u32,
    /// Passed probes in a row that make it healthy again.
    #[schemars(range(min = 1))]
    healthy_after: u32,
    /// How far an interval may be off, in percent.
    #[schemars(range(max = 100))]
    jitter: u8,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the printer writes lists; the schema allows one")]
enum Statuses {
    #[schemars(schema_with = "status")]
    One(String),
    #[schemars(schema_with = "statuses")]
    More(Vec<String>),
}

impl From<&HealthCheckConfig> for HealthCheck {
    fn from(config: &HealthCheckConfig) -> Self {
        let mut table = HealthCheckTable {
            interval: Some(duration(config.interval)),
            unhealthy_interval: config.unhealthy_interval.map(duration),
            timeout: Some(duration(config.timeout)),
            unhealthy_after: config.unhealthy_after.into(),
            healthy_after: config.healthy_after.into(),
            jitter: config.jitter,
            ..HealthCheckTable::default()
        };
        match &config.probe {
            ProbeConfig::Tcp => table.kind = "tcp",
            ProbeConfig::Grpc { service } => {
                table.kind = "grpc";
                table.service = Some(escape(service));
            }
            ProbeConfig::Http(http) => http_probe(http, &mut table),
        }
        Self::Table(Box::new(table))
    }
}

fn http_probe(config: &HttpProbeConfig, table: &mut HealthCheckTable) {
    let field = |(name, value): &(http::HeaderName, http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), Value::String(escape(&value)))
    };
    table.kind = "http";
    table.path = Some(escape(&config.path));
    table.method = Some(config.method.to_string());
    table.host = config.host.as_deref().map(escape);
    table.headers =
        (!config.headers.is_empty()).then(|| config.headers.iter().map(field).collect());
    let statuses = config.expect_status.iter().map(ToString::to_string);
    table.expect_status = Some(Statuses::More(statuses.collect()));
    table.expect_body = config.expect_body.as_deref().map(escape);
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OutlierDetection {
    /// Failures in a row that eject a backend.
    #[schemars(range(min = 1))]
    consecutive_errors: u32,
    /// The same for 502, 503, 504 and attempts without a response alone.
    consecutive_gateway_errors: OrOff<Count>,
    /// How often success rates are compared, and ejections forgotten.
    interval: Duration,
    /// The first ejection.
    eject_for: Duration,
    /// No ejection is longer.
    max_eject_for: Duration,
    /// Share of the pool that may be ejected at once.
    #[schemars(range(max = 100))]
    max_ejected_percent: u8,
    /// Below this share of usable backends ejections are disregarded.
    #[schemars(range(max = 100))]
    panic_below_percent: u8,
    /// Ejects who succeeds less often than the others.
    success_rate: OrOff<SuccessRate>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct SuccessRate {
    /// Requests without which a backend has no rate.
    #[schemars(range(min = 1))]
    min_requests: u32,
    /// Backends with a rate without which nobody is ejected.
    #[schemars(range(min = 1))]
    min_backends: u32,
    /// How many standard deviations below the mean ejects.
    #[schemars(range(min = 0))]
    deviations: f64,
}

impl From<&OutlierDetectionConfig> for OutlierDetection {
    fn from(config: &OutlierDetectionConfig) -> Self {
        Self {
            consecutive_errors: config.consecutive_errors.into(),
            consecutive_gateway_errors: OrOff::of(
                config
                    .consecutive_gateway_errors
                    .map(|count| Count(count.into())),
            ),
            interval: duration(config.interval),
            eject_for: duration(config.eject_for),
            max_eject_for: duration(config.max_eject_for),
            max_ejected_percent: config.max_ejected_percent,
            panic_below_percent: config.panic_below_percent,
            success_rate: OrOff::of(config.success_rate.as_ref().map(|rate| SuccessRate {
                min_requests: rate.min_requests.into(),
                min_backends: rate.min_backends.into(),
                deviations: rate.deviations,
            })),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CircuitBreaker {
    /// Share of failures within the window that opens it.
    #[schemars(range(min = 0, max = 1))]
    failure_ratio: f64,
    /// Requests within the window without which it never opens.
    #[schemars(range(min = 1))]
    min_requests: u32,
    /// Time over which failures are counted.
    window: Duration,
    /// The first pause.
    open_for: Duration,
    /// No pause is longer.
    max_open_for: Duration,
    /// Requests let through as a trial after a pause.
    #[schemars(range(min = 1))]
    half_open_requests: u32,
}

impl From<&CircuitBreakerConfig> for CircuitBreaker {
    fn from(config: &CircuitBreakerConfig) -> Self {
        Self {
            failure_ratio: config.failure_ratio,
            min_requests: config.min_requests.into(),
            window: duration(config.window),
            open_for: duration(config.open_for),
            max_open_for: duration(config.max_open_for),
            half_open_requests: config.half_open_requests.into(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Retry {
    /// The first attempt and those after it together.
    #[schemars(range(min = 1))]
    attempts: u32,
    /// After what: "connect-error", "refused-stream", "reset-before-headers", "timeout", statuses.
    on: OneOrMore,
    /// How long an attempt may wait for its response head.
    per_try_timeout: OrOff<Duration>,
    /// Retries in proportion to requests, in percent.
    #[schemars(range(max = 1000))]
    budget_percent: u32,
    /// Retries besides in each second.
    #[schemars(range(max = 1_000_000))]
    budget_min_per_second: u32,
    /// Pause before a retry.
    backoff: OrOff<Backoff>,
    /// A second attempt beside the first after this time.
    hedge: OrOff<Duration>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Backoff {
    /// Bound of the first pause.
    base: Duration,
    /// No bound is larger.
    max: Duration,
}

impl From<&RetryConfig> for Retry {
    fn from(config: &RetryConfig) -> Self {
        let BackoffConfig { base, max } = &config.backoff;
        Self {
            attempts: config.attempts.into(),
            on: OneOrMore::More(conditions(&config.on)),
            per_try_timeout: OrOff::of(config.per_try_timeout.map(duration)),
            budget_percent: config.budget_percent,
            budget_min_per_second: config.budget_min_per_second,
            backoff: OrOff::On(Backoff {
                base: duration(*base),
                max: duration(*max),
            }),
            hedge: OrOff::of(config.hedge.map(duration)),
        }
    }
}

fn conditions(on: &RetryOn) -> Vec<String> {
    let flags = [
        on.connect_error,
        on.refused_stream,
        on.reset_before_headers,
        on.timeout,
    ];
    crate::config::read::CONDITIONS
        .into_iter()
        .zip(flags)
        .filter(|(_, is_on)| *is_on)
        .map(|(name, _)| name.to_owned())
        .chain(on.statuses.iter().map(ToString::to_string))
        .collect()
}

/// A duration, or a table.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "the printer writes tables; the schema allows one duration"
)]
pub(super) enum SlowStart {
    Window(Duration),
    Table(SlowStartTable),
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct SlowStartTable {
    /// Time until the full share.
    window: Duration,
    /// The share it begins with.
    #[schemars(range(max = 100))]
    min_percent: u8,
    /// 1 grows evenly, more begins faster.
    #[schemars(range(min = 0))]
    aggression: f64,
}

impl From<&SlowStartConfig> for SlowStart {
    fn from(config: &SlowStartConfig) -> Self {
        Self::Table(SlowStartTable {
            window: duration(config.window),
            min_percent: config.min_percent,
            aggression: config.aggression,
        })
    }
}

super::schemas! {
    off => { "const": "off" },
    probe_word => { "anyOf": [{ "enum": ["tcp", "http", "grpc"] }, { "type": "string", "pattern": "^/" }] },
    probe_type => { "enum": ["tcp", "http", "grpc"] },
    status => { "oneOf": [
        { "type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" },
        { "type": "integer", "minimum": 100, "maximum": 599 },
    ] },
    statuses => { "type": "array", "minItems": 1, "items": { "oneOf": [
        { "type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" },
        { "type": "integer", "minimum": 100, "maximum": 599 },
    ] } },
}
