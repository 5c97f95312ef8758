//! Defaults of `[access_log]`.

use crate::config::model::{AccessLogConfig, AccessLogFormat, AccessLogOutput, SampleConfig};

impl Default for AccessLogConfig {
    /// One JSON object for each exchange, on standard output.
    fn default() -> Self {
        Self {
            output: AccessLogOutput::Stdout,
            format: AccessLogFormat::Json,
            redact_query: Vec::new(),
            headers: Vec::new(),
            sample: SampleConfig::default(),
            buffer: 1 << 20,
        }
    }
}

impl AccessLogConfig {
    /// No access log.
    #[must_use]
    pub fn off() -> Self {
        Self {
            output: AccessLogOutput::Off,
            ..Self::default()
        }
    }
}

impl Default for SampleConfig {
    /// Every exchange.
    fn default() -> Self {
        Self {
            success: 1.0,
            errors: 1.0,
            slower_than: None,
        }
    }
}
