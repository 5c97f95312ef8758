//! Defaults of `[tracing]`.

use std::time::Duration;

use crate::config::error::ValueError;
use crate::config::model::{OtlpEndpoint, TracingConfig};

impl TracingConfig {
    /// All traces, for a collector at this URL (`"http://127.0.0.1:4318"`).
    ///
    /// # Errors
    /// When the text is no URL of the forms that [`OtlpEndpoint`] names.
    pub fn new(endpoint: impl AsRef<str>) -> Result<Self, ValueError> {
        Ok(Self::at(endpoint.as_ref().parse()?))
    }

    /// As [`TracingConfig::new`], of a URL that is parsed already.
    #[must_use]
    pub fn at(endpoint: OtlpEndpoint) -> Self {
        Self {
            endpoint,
            sample_ratio: 1.0,
            service_name: "lb".to_owned(),
            attributes: Vec::new(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            ca: None,
            buffer: 1 << 20,
        }
    }
}
