//! The standard variables of OpenTelemetry: they stand for `[tracing]` where the configuration has none.

use std::time::Duration;

use anyhow::Context as _;
use http::{HeaderName, HeaderValue};
use lb_server::{Config, TracingConfig};

use crate::failure::Failure;
use crate::output;

/// Completes the configuration; `variable` reads the environment.
///
/// `OTEL_SDK_DISABLED=true` switches traces off whatever the configuration says.
///
/// # Errors
///
/// A variable has a value that is not understood.
pub(crate) fn complete(
    config: &mut Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    if value("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        config.tracing = None;
        return Ok(());
    }
    if config.tracing.is_some() || value("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none") {
        return Ok(());
    }
    config.tracing = tracing(&value).map_err(|error| {
        Failure::invalid(
            error,
            "correct the variable, or write `[tracing]`, which wins over all of them",
        )
    })?;
    Ok(())
}

fn tracing(value: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<TracingConfig>> {
    let Some((name, endpoint)) = endpoint(value) else {
        return Ok(None);
    };
    let config = TracingConfig::new(&endpoint);
    let mut config = config.with_context(|| format!("{name} is not understood"))?;
    for name in [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ] {
        if let Some(protocol) = value(name).filter(|protocol| protocol != "http/protobuf") {
            output::warning(format_args!(
                "{name}={protocol}: spans are sent as http/protobuf, which the collector has to take at {endpoint}"
            ));
            break;
        }
    }
    if let Some(ratio) = ratio(value)? {
        config.sample_ratio = ratio;
    }
    if let Some(text) = value("OTEL_RESOURCE_ATTRIBUTES") {
        config.attributes = pairs("OTEL_RESOURCE_ATTRIBUTES", &text)?;
        let named = |(key, _): &&(String, String)| key == "service.name";
        if let Some((_, name)) = config.attributes.iter().find(named) {
            config.service_name.clone_from(name);
        }
        config.attributes.retain(|(key, _)| key != "service.name");
    }
    if let Some(name) = value("OTEL_SERVICE_NAME") {
        config.service_name = name;
    }
    if let Some((name, text)) = of_traces(value, "HEADERS") {
        for (key, text) in pairs(&name, &text)? {
            let field = HeaderName::from_bytes(key.as_bytes());
            let field = field.with_context(|| format!("`{key}` in {name} is no header name"))?;
            let mut text = HeaderValue::from_str(&text)
                .with_context(|| format!("the value of `{key}` in {name} is no header value"))?;
            text.set_sensitive(true);
            config.headers.push((field, text));
        }
    }
    if let Some((name, text)) = of_traces(value, "TIMEOUT") {
        let millis = text.trim().parse().ok().filter(|millis| *millis > 0);
        let millis = millis
            .with_context(|| format!("{name} must be a number of milliseconds, got `{text}`"))?;
        config.timeout = Duration::from_millis(millis);
    }
    if let Some((_, path)) = of_traces(value, "CERTIFICATE") {
        config.ca = Some(path.into());
    }
    Ok(Some(config))
}

/// The variable for traces alone wins over the one for all signals, to which the path is added.
fn endpoint(value: &dyn Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    match value(TRACES) {
        Some(endpoint) => Some((TRACES, endpoint)),
        None => {
            let endpoint = value(ALL)?;
            Some((ALL, format!("{}/v1/traces", endpoint.trim_end_matches('/'))))
        }
    }
}

fn of_traces(value: &dyn Fn(&str) -> Option<String>, what: &str) -> Option<(String, String)> {
    [
        format!("OTEL_EXPORTER_OTLP_TRACES_{what}"),
        format!("OTEL_EXPORTER_OTLP_{what}"),
    ]
    .into_iter()
    .find_map(|name| {
        let text = value(&name)?;
        Some((name, text))
    })
}

/// What `OTEL_TRACES_SAMPLER` comes to. The word of trusted peers counts in any case, as with `parentbased_…`.
fn ratio(value: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<f64>> {
    let Some(sampler) = value("OTEL_TRACES_SAMPLER") else {
        return Ok(None);
    };
    match sampler.strip_prefix("parentbased_").unwrap_or(&sampler) {
        "always_on" => Ok(Some(1.0)),
        "always_off" => Ok(Some(0.0)),
        "traceidratio" => {
            let argument = value("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".to_owned());
            let ratio = argument.trim().parse::<f64>().ok();
            let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
            let ratio = ratio.with_context(|| {
                format!("OTEL_TRACES_SAMPLER_ARG must be from 0 to 1, got `{argument}`")
            })?;
            Ok(Some(ratio))
        }
        other => anyhow::bail!(
            "OTEL_TRACES_SAMPLER=`{other}` is not known: always_on, always_off, traceidratio, and the same after \
             parentbased_"
        ),
    }
}

/// `key=value,key=value` with percent-encoding, as W3C Baggage has it.
fn pairs(name: &str, text: &str) -> anyhow::Result<Vec<(String, String)>> {
    text.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("`{}` in {name} is no key=value", pair.trim()))?;
            Ok((decoded(key.trim())?, decoded(value.trim())?))
        })
        .collect()
}

fn decoded(text: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| *byte == b'%');
        let encoded = encoded.and_then(|digits| std::str::from_utf8(digits).ok());
        match encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).with_context(|| format!("`{text}` is not UTF-8 once it is decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(variables: &[(&str, &str)]) -> Result<Option<TracingConfig>, String> {
        let mut config = Config::default();
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        complete(&mut config, &variable)
            .map(|()| config.tracing)
            .map_err(|failure| failure.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn an_endpoint_switches_traces_on() {
        assert_eq!(completed(&[("OTEL_SERVICE_NAME", "a")]), Ok(None));
        let expected = TracingConfig::new("http://collector:4318").unwrap();
        assert_eq!(completed(&[ENDPOINT]), Ok(Some(expected)));
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/own");
        let expected = TracingConfig::new("https://c/own").unwrap();
        assert_eq!(completed(&[ENDPOINT, traces]), Ok(Some(expected)));
        for off in [
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert_eq!(completed(&[ENDPOINT, off]), Ok(None));
        }
    }

    #[test]
    fn each_variable_has_its_place() {
        let found = completed(&[
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=s, a=b%2Cc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ]);
        let found = found.unwrap().unwrap();
        assert!((found.sample_ratio - 0.25).abs() < f64::EPSILON);
        assert_eq!(found.service_name, "s");
        assert_eq!(found.attributes, [("a".to_owned(), "b,c".to_owned())]);
        assert_eq!(found.headers[0].0, "api-key");
        assert_eq!(found.timeout, Duration::from_millis(2500));
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_the_variable() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
            ("OTEL_RESOURCE_ATTRIBUTES", "nothing"),
        ] {
            let error = completed(&[ENDPOINT, (name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }
}
