//! `[pools.x]`: probes, ejection, breaking, retries.

use std::time::Duration;

use super::{FRAMING, Findings};
use crate::config::model::{
    BackendConfig, BackendScheme, CircuitBreakerConfig, HealthCheckConfig, HttpProbeConfig,
    LoadBalancerConfig, OutlierDetectionConfig, ProbeConfig, RetryConfig, SlowStartConfig,
};
use crate::config::units::print_duration;

pub(super) fn check(path: &str, pool: &LoadBalancerConfig, findings: &mut Findings) {
    if let Some(config) = &pool.health_check {
        health_check(&format!("{path}.health_check"), config, findings);
        if matches!(config.probe, ProbeConfig::Grpc { .. }) {
            grpc_probe(path, pool, findings);
        }
    }
    if let Some(config) = &pool.outlier_detection {
        outlier_detection(&format!("{path}.outlier_detection"), config, findings);
    }
    if let Some(config) = &pool.circuit_breaker {
        circuit_breaker(&format!("{path}.circuit_breaker"), config, findings);
    }
    retry(&format!("{path}.retry"), &pool.retry, findings);
    if let Some(config) = &pool.slow_start {
        slow_start(&format!("{path}.slow_start"), config, findings);
    }
}

fn bounded(path: String, value: Duration, findings: &mut Findings) {
    findings.timeout(path.clone(), value);
    findings.not_forever(path, value);
}

fn percent(path: String, value: u8, findings: &mut Findings) {
    if value > 100 {
        findings.add(
            path,
            format!("a share is at most 100 percent, got {value}"),
            "write a whole number from 0 to 100",
        );
    }
}

/// What begins above its own bound would never grow.
fn no_more_than(
    path: &str,
    (key, value): (&str, Duration),
    (bound_key, bound): (&str, Duration),
    findings: &mut Findings,
) {
    if value > bound {
        findings.add(
            format!("{path}.{key}"),
            format!(
                "`{key}` of {} is more than `{bound_key}` of {}",
                print_duration(value),
                print_duration(bound)
            ),
            format!("raise `{bound_key}`, or lower `{key}`"),
        );
    }
}

fn health_check(path: &str, config: &HealthCheckConfig, findings: &mut Findings) {
    for (key, value) in [
        ("interval", config.interval),
        ("unhealthy_interval", config.interval_while_unhealthy()),
        ("timeout", config.timeout),
    ] {
        let path = format!("{path}.{key}");
        findings.not_forever(path.clone(), value);
        // A probe that never rests would be the backend's whole load.
        if value < Duration::from_millis(1)
            && !(key == "unhealthy_interval" && config.unhealthy_interval.is_none())
        {
            findings.add(
                path,
                format!(
                    "`{key}` must be at least 1ms, got {}",
                    print_duration(value)
                ),
                "write one like \"10s\"",
            );
        }
    }
    percent(format!("{path}.jitter"), config.jitter, findings);
    if let ProbeConfig::Http(http) = &config.probe {
        http_probe(path, http, findings);
    }
}

/// gRPC is spoken over HTTP/2 only.
fn grpc_probe(path: &str, pool: &LoadBalancerConfig, findings: &mut Findings) {
    let over_http1 = |backend: &&BackendConfig| backend.url.scheme == BackendScheme::Http;
    if let Some(backend) = pool.backends.iter().find(over_http1) {
        findings.add(
            format!("{path}.health_check"),
            format!("gRPC needs HTTP/2, which `{}` does not speak", backend.url),
            "write the backend as `h2c://…` or `https://…`, or probe another way",
        );
    }
}

fn http_probe(path: &str, http: &HttpProbeConfig, findings: &mut Findings) {
    if !http.path.starts_with('/')
        || http.path.parse::<http::uri::PathAndQuery>().is_err()
        || http.path.contains('#')
    {
        findings.add(
            format!("{path}.path"),
            format!("`{}` is no path", http.path),
            "write one like \"/healthz\", without scheme and host",
        );
    }
    if http.method == http::Method::CONNECT {
        findings.add(
            format!("{path}.method"),
            "a probe cannot use CONNECT",
            "write \"GET\", \"HEAD\" or \"OPTIONS\"",
        );
    }
    if http.method == http::Method::HEAD && http.expect_body.is_some() {
        findings.add(
            format!("{path}.expect_body"),
            "a response to HEAD has no body",
            "write `method = \"GET\"`, or remove `expect_body`",
        );
    }
    if http.expect_status.is_empty() {
        findings.add(
            format!("{path}.expect_status"),
            "no status would pass",
            "write `expect_status = [\"200-399\"]`, or remove the key",
        );
    }
    if let Some(host) = &http.host
        && (host.parse::<http::uri::Authority>().is_err() || host.contains('@'))
    {
        findings.add(
            format!("{path}.host"),
            format!("`{host}` is no host"),
            "write one like \"app.example.com\" or \"10.0.0.1:8080\"",
        );
    }
    for (name, _) in &http.headers {
        if *name == http::header::HOST {
            findings.add(
                format!("{path}.headers.{name}"),
                "the host has a key of its own",
                "write `host = \"…\"`",
            );
        } else if FRAMING.contains(&name.as_str()) {
            findings.add(
                format!("{path}.headers.{name}"),
                format!("`{name}` belongs to the protocol and cannot be set"),
                "remove it",
            );
        }
    }
}

fn outlier_detection(path: &str, config: &OutlierDetectionConfig, findings: &mut Findings) {
    bounded(format!("{path}.interval"), config.interval, findings);
    bounded(format!("{path}.eject_for"), config.eject_for, findings);
    bounded(
        format!("{path}.max_eject_for"),
        config.max_eject_for,
        findings,
    );
    no_more_than(
        path,
        ("eject_for", config.eject_for),
        ("max_eject_for", config.max_eject_for),
        findings,
    );
    percent(
        format!("{path}.max_ejected_percent"),
        config.max_ejected_percent,
        findings,
    );
    percent(
        format!("{path}.panic_below_percent"),
        config.panic_below_percent,
        findings,
    );
    if let Some(rate) = &config.success_rate {
        let path = format!("{path}.success_rate");
        if !(rate.deviations.is_finite() && rate.deviations > 0.0) {
            findings.add(
                format!("{path}.deviations"),
                format!("`deviations` must be above 0, got {}", rate.deviations),
                "write one like `1.9`",
            );
        }
    }
}

fn circuit_breaker(path: &str, config: &CircuitBreakerConfig, findings: &mut Findings) {
    let ratio = config.failure_ratio;
    if !(ratio.is_finite() && ratio > 0.0 && ratio <= 1.0) {
        findings.add(
            format!("{path}.failure_ratio"),
            format!("`failure_ratio` must be above 0 and at most 1, got {ratio}"),
            "write `0.5` for half of the requests",
        );
    }
    for (key, value) in [
        ("window", config.window),
        ("open_for", config.open_for),
        ("max_open_for", config.max_open_for),
    ] {
        bounded(format!("{path}.{key}"), value, findings);
    }
    no_more_than(
        path,
        ("open_for", config.open_for),
        ("max_open_for", config.max_open_for),
        findings,
    );
}

/// More attempts than this multiply a failure without healing it.
const ATTEMPTS_MAX: u32 = 20;

fn retry(path: &str, config: &RetryConfig, findings: &mut Findings) {
    if config.attempts.get() > ATTEMPTS_MAX {
        findings.add(
            format!("{path}.attempts"),
            format!(
                "`attempts` must be from 1 to {ATTEMPTS_MAX}, got {}",
                config.attempts
            ),
            "write `3`",
        );
    }
    for (key, value) in [
        ("per_try_timeout", config.per_try_timeout),
        ("hedge", config.hedge),
    ] {
        if let Some(value) = value {
            let path = format!("{path}.{key}");
            findings.not_forever(path.clone(), value);
            if value.is_zero() {
                findings.add(
                    path,
                    format!("`{key}` must be longer than 0, got 0s"),
                    format!("write `{key} = \"off\"`, or a time like \"1s\""),
                );
            }
        }
    }
    findings.not_forever(format!("{path}.backoff.max"), config.backoff.max);
    no_more_than(
        &format!("{path}.backoff"),
        ("base", config.backoff.base),
        ("max", config.backoff.max),
        findings,
    );
    if let Some(status) = config
        .on
        .statuses
        .iter()
        .find(|status| !(400..=599).contains(*status))
    {
        findings.add(
            format!("{path}.on"),
            format!("{status} is no status to retry on"),
            "write statuses from 400 to 599, like \"503\"",
        );
    }
}

fn slow_start(path: &str, config: &SlowStartConfig, findings: &mut Findings) {
    findings.not_forever(path.to_owned(), config.window);
    if config.window.is_zero() {
        findings.add(
            path,
            "a slow start needs a `window` longer than 0",
            "write `slow_start = \"30s\"`, or \"off\"",
        );
    }
    percent(format!("{path}.min_percent"), config.min_percent, findings);
    if !(config.aggression.is_finite() && config.aggression > 0.0) {
        findings.add(
            format!("{path}.aggression"),
            format!("`aggression` must be above 0, got {}", config.aggression),
            "write `1` for an even ramp",
        );
    }
}
