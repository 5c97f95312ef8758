//! `[tracing]`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::convert::{duration, file, size};
use super::sessions::HIDDEN;
use super::{Duration, Size, header_values};
use crate::config::model::TracingConfig;
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Tracing {
    /// Where spans are sent: "http://collector:4318", or with the whole path.
    endpoint: String,
    /// Share of the traces whose spans are kept.
    #[schemars(range(min = 0, max = 1))]
    sample_ratio: f64,
    /// The attribute `service.name` of all spans.
    service_name: String,
    /// Further attributes of the service.
    #[schemars(schema_with = "header_values")]
    attributes: Map<String, Value>,
    /// Fields of each request to the collector, such as a key to it.
    #[schemars(schema_with = "header_values")]
    headers: Map<String, Value>,
    /// How long the collector may take for a request.
    timeout: Duration,
    /// PEM file with the only authorities believed on https://.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    /// Bytes of spans that may wait for each worker.
    buffer: Size,
}

impl From<&TracingConfig> for Tracing {
    fn from(config: &TracingConfig) -> Self {
        let attributes = config.attributes.iter();
        let headers = config.headers.iter();
        Self {
            endpoint: escape(&config.endpoint.to_string()),
            sample_ratio: config.sample_ratio,
            service_name: escape(&config.service_name),
            attributes: attributes
                .map(|(key, value)| (key.clone(), escape(value).into()))
                .collect(),
            headers: headers
                .map(|(name, _)| (name.to_string(), HIDDEN.into()))
                .collect(),
            timeout: duration(config.timeout),
            ca: config.ca.as_deref().map(file),
            buffer: size(config.buffer),
        }
    }
}
