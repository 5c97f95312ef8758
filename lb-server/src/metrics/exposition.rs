//! What is counted, as text that monitoring systems read.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::families::{self, Family, Kind, Sample, Value};
use crate::running::Handle;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricsFormat {
    /// Prometheus's own, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// The format that a client asks for in its `Accept` field: OpenMetrics where it is named and not refused, else
    /// Prometheus's own.
    pub fn accepted(accept: Option<&str>) -> Self {
        let named = accept.unwrap_or_default().split(',').find(|part| {
            let media_type = part.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("application/openmetrics-text")
        });
        let is_refused = |part: &str| {
            let mut parameters = part.split(';').skip(1).map(str::trim);
            parameters.any(|it| it.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
        };
        match named {
            Some(part) if !is_refused(part) => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The value of `Content-Type` for a text in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Everything that is counted, read now, O(series).
pub(crate) fn exposition(handle: &Handle, format: MetricsFormat) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reading(families::all(handle))));
    let mut text = String::new();
    if let Err(error) = text::encode(&mut text, &registry) {
        // Only a writer fails, and a string is none that does.
        tracing::error!(%error, "the metrics could not be written");
    }
    match format {
        MetricsFormat::OpenMetrics => text,
        MetricsFormat::Prometheus => prometheus(&text),
    }
}

/// What was read, to be encoded.
#[derive(Debug)]
struct Reading(Vec<Family>);

struct Labels<'a>(&'a [(&'static str, String)]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        use prometheus_client::encoding::EncodeLabel as _;
        for (name, value) in self.0 {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for sample in &family.samples {
                encode(&mut metric, family.kind, sample)?;
            }
        }
        Ok(())
    }
}

fn encode(metric: &mut MetricEncoder<'_>, kind: Kind, sample: &Sample) -> fmt::Result {
    let labels = Labels(&sample.labels);
    if kind == Kind::Info {
        return metric.encode_info(&labels);
    }
    if sample.labels.is_empty() {
        return value(metric, kind, &sample.value);
    }
    value(&mut metric.encode_family(&labels)?, kind, &sample.value)
}

fn value(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(count)) => {
            metric.encode_counter::<NoLabelSet, _, u64>(count, None)
        }
        (Kind::Counter, Value::Real(count)) => {
            metric.encode_counter::<NoLabelSet, _, u64>(count, None)
        }
        (_, Value::Whole(value)) => metric.encode_gauge(value),
        (_, Value::Real(value)) => metric.encode_gauge(value),
        (_, Value::Buckets(buckets)) => metric.encode_histogram::<NoLabelSet>(
            buckets.sum_seconds,
            buckets.count(),
            &buckets.counts,
            None,
        ),
        (_, Value::Nothing) => Ok(()),
    }
}

/// Prometheus's format of a text in OpenMetrics's. There a counter is described under the name of its samples, facts are a
/// gauge, and nothing marks the end.
fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + 4096);
    // The help stands before the type that its name depends on.
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|typed| typed.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            if let Some((_, help)) = help.take() {
                text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_format_that_it_names() {
        let chosen = |accept| MetricsFormat::accepted(accept);
        assert_eq!(chosen(None), MetricsFormat::Prometheus);
        assert_eq!(chosen(Some("*/*")), MetricsFormat::Prometheus);
        // As Prometheus 3 asks.
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
        assert_eq!(chosen(Some(accept)), MetricsFormat::OpenMetrics);
        let accept = "text/plain, application/openmetrics-text; q=0";
        assert_eq!(chosen(Some(accept)), MetricsFormat::Prometheus);
    }

    #[test]
    fn counters_and_facts_are_described_under_their_samples_names() {
        let openmetrics = "# HELP a_b Some help.\n# TYPE a_b counter\na_b_total{x=\"y\"} 1\n\
                           # HELP c More.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            prometheus(openmetrics),
            "# HELP a_b_total Some help.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 1\n\
             # HELP c_info More.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n"
        );
    }
}
