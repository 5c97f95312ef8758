//! `[pools.x]`: probes, ejection, breaking, retries.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::Cursor;
use super::server::count;
use crate::config::model::{
    BackoffConfig, CircuitBreakerConfig, HealthCheckConfig, HttpProbeConfig,
    OutlierDetectionConfig, ProbeConfig, RetryConfig, RetryOn, SlowStartConfig, StatusRange,
    SuccessRateConfig,
};
use crate::config::suggest::nearest;
use crate::config::tree::Value;

/// The conditions of `retry.on` that are words.
pub(in crate::config) const CONDITIONS: [&str; 4] = [
    "connect-error",
    "refused-stream",
    "reset-before-headers",
    "timeout",
];

/// What can be switched off by the word.
pub(super) fn unless_off<'a, T>(
    cursor: &Cursor<'a>,
    read: impl FnOnce(&Cursor<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match &cursor.node.value {
        Value::Text(text) if text == "off" => Some(None),
        _ => read(cursor).map(Some),
    }
}

/// A duration, or `"off"`.
pub(super) fn optional_duration(cursor: &Cursor<'_>) -> Option<Option<Duration>> {
    unless_off(cursor, Cursor::duration)
}

/// A count, or `"off"`.
pub(super) fn optional_count(cursor: &Cursor<'_>) -> Option<Option<NonZeroU32>> {
    unless_off(cursor, count)
}

/// A number for which `"off"` is 0.
pub(super) fn number_or_off(cursor: &Cursor<'_>, most: u32) -> Option<u32> {
    unless_off(cursor, |cursor| cursor.integer(0, most.into())).map(Option::unwrap_or_default)
}

fn percent(cursor: &Cursor<'_>) -> Option<u8> {
    cursor.integer(0, 100)
}

/// A table, or one of these words in its place.
fn word_or_table<'a>(cursor: &Cursor<'a>, words: &str, example: &str) -> Option<Option<&'a str>> {
    match &cursor.node.value {
        Value::Text(text) => Some(Some(text)),
        Value::Table(_) => Some(None),
        _ => {
            cursor.expected(&format!("{words} or a table"), format!("write `{example}`"));
            None
        }
    }
}

pub(super) fn health_check(cursor: &Cursor<'_>) -> Option<HealthCheckConfig> {
    let words = "\"off\", \"tcp\", \"http\", \"grpc\", a path";
    if let Some(text) = word_or_table(cursor, words, "health_check = { path = \"/healthz\" }")? {
        return Some(HealthCheckConfig::default().probe(probe_word(cursor, text)?));
    }
    let mut config = HealthCheckConfig::default();
    let (mut kind, mut service) = (None, None);
    let mut http = HttpProbeConfig::default();
    cursor.table(|fields| {
        fields.read_some("type", &mut kind, |cursor| {
            cursor.choice(&[("http", "http"), ("tcp", "tcp"), ("grpc", "grpc")])
        });
        fields.read("path", &mut http.path, Cursor::filled_text);
        fields.read("method", &mut http.method, method);
        fields.read_some("host", &mut http.host, Cursor::filled_text);
        fields.read("headers", &mut http.headers, headers);
        fields.read("expect_status", &mut http.expect_status, |cursor| {
            cursor.each(status_range)
        });
        fields.read_some("expect_body", &mut http.expect_body, Cursor::filled_text);
        fields.read_some("service", &mut service, |cursor| {
            cursor.text().map(str::to_owned)
        });
        fields.read("interval", &mut config.interval, Cursor::duration);
        fields.read_some(
            "unhealthy_interval",
            &mut config.unhealthy_interval,
            Cursor::duration,
        );
        fields.read("timeout", &mut config.timeout, Cursor::duration);
        fields.read("unhealthy_after", &mut config.unhealthy_after, count);
        fields.read("healthy_after", &mut config.healthy_after, count);
        fields.read("jitter", &mut config.jitter, percent);
    })?;
    // The keys say what is meant where the type does not.
    let written = |key: &str| cursor.node.entry(key).is_some();
    let of_http = HTTP_KEYS.into_iter().find(|key| written(key));
    let kind = kind.unwrap_or_else(|| match of_http {
        Some(_) => "http",
        None if service.is_some() => "grpc",
        None => "tcp",
    });
    let stray = match kind {
        "http" => written("service").then_some("service"),
        "grpc" => of_http,
        _ => of_http.or_else(|| written("service").then_some("service")),
    };
    if let Some(key) = stray {
        cursor.report(
            format!("`{key}` has no effect on a probe of type \"{kind}\""),
            format!(
                "write `type = \"{}\"`, or remove `{key}`",
                if key == "service" { "grpc" } else { "http" }
            ),
        );
    }
    config.probe = match kind {
        "http" => ProbeConfig::Http(http),
        "grpc" => ProbeConfig::Grpc {
            service: service.unwrap_or_default(),
        },
        _ => ProbeConfig::Tcp,
    };
    Some(config)
}

const HTTP_KEYS: [&str; 6] = [
    "path",
    "method",
    "host",
    "headers",
    "expect_status",
    "expect_body",
];

fn probe_word(cursor: &Cursor<'_>, text: &str) -> Option<ProbeConfig> {
    match text {
        "tcp" => Some(ProbeConfig::Tcp),
        "http" => Some(ProbeConfig::Http(HttpProbeConfig::default())),
        "grpc" => Some(ProbeConfig::Grpc {
            service: String::new(),
        }),
        path if path.starts_with('/') => {
            Some(ProbeConfig::Http(HttpProbeConfig::default().path(path)))
        }
        other => {
            let help = nearest(other, ["off", "tcp", "http", "grpc"]).map_or_else(
                || {
                    "write \"off\", \"tcp\", \"http\", \"grpc\", or a path like \"/healthz\""
                        .to_owned()
                },
                |name| format!("did you mean \"{name}\"?"),
            );
            cursor.report(format!("unknown value `{other}` of `health_check`"), help);
            None
        }
    }
}

fn method(cursor: &Cursor<'_>) -> Option<Method> {
    let text = cursor.text()?;
    let method = Method::from_bytes(text.as_bytes()).ok();
    if method.is_none() {
        cursor.report(
            format!("`{text}` is no method"),
            "write one like \"GET\" or \"HEAD\"",
        );
    }
    method
}

fn headers(cursor: &Cursor<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let read = |(name, cursor): (&str, Cursor<'_>)| {
        let text = cursor.text()?;
        let Ok(field) = name.parse::<HeaderName>() else {
            cursor.report(
                format!("`{name}` is no field name"),
                "use letters, digits and `-`",
            );
            return None;
        };
        let Ok(value) = HeaderValue::from_str(text) else {
            cursor.report(
                format!("the value of `{name}` is no field value"),
                "use printable characters on one line",
            );
            return None;
        };
        Some((field, value))
    };
    Some(cursor.children().into_iter().filter_map(read).collect())
}

fn status_range(cursor: &Cursor<'_>) -> Option<StatusRange> {
    if let Value::Integer(_) = cursor.node.value {
        let status = cursor.integer(100, 599)?;
        return Some(StatusRange {
            from: status,
            to: status,
        });
    }
    cursor.parse()
}

pub(super) fn outlier_detection(cursor: &Cursor<'_>) -> Option<OutlierDetectionConfig> {
    let mut config = OutlierDetectionConfig::default();
    table(cursor, "outlier_detection", |fields| {
        fields.read("consecutive_errors", &mut config.consecutive_errors, count);
        fields.read(
            "consecutive_gateway_errors",
            &mut config.consecutive_gateway_errors,
            optional_count,
        );
        fields.read("success_rate", &mut config.success_rate, |cursor| {
            unless_off(cursor, success_rate)
        });
        fields.read("interval", &mut config.interval, Cursor::duration);
        fields.read("eject_for", &mut config.eject_for, Cursor::duration);
        fields.read("max_eject_for", &mut config.max_eject_for, Cursor::duration);
        fields.read(
            "max_ejected_percent",
            &mut config.max_ejected_percent,
            percent,
        );
        fields.read(
            "panic_below_percent",
            &mut config.panic_below_percent,
            percent,
        );
    })?;
    Some(config)
}

fn success_rate(cursor: &Cursor<'_>) -> Option<SuccessRateConfig> {
    let mut config = SuccessRateConfig::default();
    table(cursor, "success_rate", |fields| {
        fields.read("min_requests", &mut config.min_requests, count);
        fields.read("min_backends", &mut config.min_backends, count);
        fields.read("deviations", &mut config.deviations, Cursor::float);
    })?;
    Some(config)
}

pub(super) fn circuit_breaker(cursor: &Cursor<'_>) -> Option<CircuitBreakerConfig> {
    let mut config = CircuitBreakerConfig::default();
    table(cursor, "circuit_breaker", |fields| {
        fields.read("failure_ratio", &mut config.failure_ratio, Cursor::float);
        fields.read("min_requests", &mut config.min_requests, count);
        fields.read("window", &mut config.window, Cursor::duration);
        fields.read("open_for", &mut config.open_for, Cursor::duration);
        fields.read("max_open_for", &mut config.max_open_for, Cursor::duration);
        fields.read("half_open_requests", &mut config.half_open_requests, count);
    })?;
    Some(config)
}

pub(super) fn retry(cursor: &Cursor<'_>) -> Option<RetryConfig> {
    if matches!(&cursor.node.value, Value::Text(text) if text == "off") {
        return Some(RetryConfig::off());
    }
    let mut config = RetryConfig::default();
    table(cursor, "retry", |fields| {
        fields.read("attempts", &mut config.attempts, count);
        fields.read("on", &mut config.on, retry_on);
        fields.read(
            "per_try_timeout",
            &mut config.per_try_timeout,
            optional_duration,
        );
        fields.read("budget_percent", &mut config.budget_percent, |cursor| {
            cursor.integer(0, 1000)
        });
        fields.read(
            "budget_min_per_second",
            &mut config.budget_min_per_second,
            |cursor| cursor.integer(0, 1_000_000),
        );
        fields.read("backoff", &mut config.backoff, backoff);
        fields.read("hedge", &mut config.hedge, optional_duration);
    })?;
    Some(config)
}

fn backoff(cursor: &Cursor<'_>) -> Option<BackoffConfig> {
    if matches!(&cursor.node.value, Value::Text(text) if text == "off") {
        return Some(BackoffConfig {
            base: Duration::ZERO,
            max: Duration::ZERO,
        });
    }
    let mut config = BackoffConfig::default();
    table(cursor, "backoff", |fields| {
        fields.read("base", &mut config.base, Cursor::duration);
        fields.read("max", &mut config.max, Cursor::duration);
    })?;
    Some(config)
}

fn retry_on(cursor: &Cursor<'_>) -> Option<RetryOn> {
    let mut on = RetryOn {
        connect_error: false,
        refused_stream: false,
        reset_before_headers: false,
        timeout: false,
        statuses: Vec::new(),
    };
    for cursor in cursor.one_or_more() {
        let status = match &cursor.node.value {
            Value::Integer(_) => cursor.integer(400, 599),
            Value::Text(text) => match text.as_str() {
                "connect-error" => {
                    on.connect_error = true;
                    None
                }
                "refused-stream" => {
                    on.refused_stream = true;
                    None
                }
                "reset-before-headers" => {
                    on.reset_before_headers = true;
                    None
                }
                "timeout" => {
                    on.timeout = true;
                    None
                }
                text => match text.parse() {
                    Ok(status @ 400..=599) => Some(status),
                    _ => {
                        let help = nearest(text, CONDITIONS).map_or_else(
                            || {
                                format!(
                                    "write {}, or a status like \"503\"",
                                    super::one_of(CONDITIONS.into_iter())
                                )
                            },
                            |name| format!("did you mean \"{name}\"?"),
                        );
                        cursor.report(format!("unknown condition `{text}` of `on`"), help);
                        None
                    }
                },
            },
            _ => {
                cursor.expected(
                    "a condition",
                    "write one like \"connect-error\", or a status like \"503\"",
                );
                None
            }
        };
        on.statuses.extend(status);
    }
    on.statuses.sort_unstable();
    on.statuses.dedup();
    Some(on)
}

pub(super) fn slow_start(cursor: &Cursor<'_>) -> Option<SlowStartConfig> {
    if let Value::Text(_) = cursor.node.value {
        return cursor.duration().map(SlowStartConfig::new);
    }
    let mut config = SlowStartConfig::new(Duration::ZERO);
    cursor.table(|fields| {
        fields.read("window", &mut config.window, Cursor::duration);
        fields.read("min_percent", &mut config.min_percent, percent);
        fields.read("aggression", &mut config.aggression, Cursor::float);
    })?;
    Some(config)
}

/// A table, with a hint at `"off"` where something else stands.
fn table<'a>(
    cursor: &Cursor<'a>,
    name: &str,
    read: impl FnOnce(&mut super::Fields<'a>),
) -> Option<()> {
    if matches!(cursor.node.value, Value::Table(_)) {
        return cursor.table(read);
    }
    cursor.expected(
        "\"off\" or a table",
        format!("write `{name} = \"off\"`, or `{name} = {{ … }}`"),
    );
    None
}
