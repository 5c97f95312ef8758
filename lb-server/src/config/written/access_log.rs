//! `[access_log]`.

use schemars::JsonSchema;
use serde::Serialize;

use super::convert::{duration, file, size};
use super::redis::word;
use super::resilience::OrOff;
use super::{Duration, Size};
use crate::config::model::{AccessLogConfig, AccessLogOutput, SampleConfig};
use crate::config::read::FORMATS;
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AccessLog {
    /// "stdout", "stderr", "off", or the path of a file.
    output: String,
    /// How a line is written.
    #[schemars(schema_with = "formats")]
    format: &'static str,
    /// Parameters of the query whose values are left out.
    redact_query: Vec<String>,
    /// Fields of the request that are logged.
    headers: Vec<String>,
    /// Which exchanges are logged.
    sample: Sample,
    /// Bytes of lines that may wait for each worker.
    buffer: Size,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Sample {
    /// Share of the exchanges that went well.
    #[schemars(range(min = 0, max = 1))]
    success: f64,
    /// Share of those that did not.
    #[schemars(range(min = 0, max = 1))]
    errors: f64,
    /// Those that took so long are all logged.
    slower_than: OrOff<Duration>,
}

impl From<&AccessLogConfig> for AccessLog {
    fn from(config: &AccessLogConfig) -> Self {
        Self {
            output: match &config.output {
                AccessLogOutput::Off => "off".to_owned(),
                AccessLogOutput::Stdout => "stdout".to_owned(),
                AccessLogOutput::Stderr => "stderr".to_owned(),
                AccessLogOutput::File(path) => file(path),
            },
            format: word(&FORMATS, config.format),
            redact_query: config
                .redact_query
                .iter()
                .map(|name| escape(name))
                .collect(),
            headers: config.headers.iter().map(ToString::to_string).collect(),
            sample: (&config.sample).into(),
            buffer: size(config.buffer),
        }
    }
}

impl From<&SampleConfig> for Sample {
    fn from(config: &SampleConfig) -> Self {
        Self {
            success: config.success,
            errors: config.errors,
            slower_than: OrOff::of(config.slower_than.map(duration)),
        }
    }
}

schemas! {
    formats => { "enum": ["json", "common", "combined", "logfmt", "haproxy", "pretty"] },
}
