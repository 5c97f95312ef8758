//! `[tracing]`.

use super::{FRAMING, Findings};
use crate::config::model::{BackendScheme, TracingConfig};
use crate::config::units::print_size;
use crate::config::written::HIDDEN;

const BUFFER_LEAST: u32 = 64 << 10;
/// Collectors refuse larger requests.
const BUFFER_MOST: u32 = 16 << 20;

pub(super) fn check(config: &TracingConfig, findings: &mut Findings) {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        findings.add(
            "tracing.sample_ratio",
            format!(
                "`sample_ratio` must be from 0 to 1, got {}",
                config.sample_ratio
            ),
            "write a share: 0.05 is every twentieth trace, 1.0 all",
        );
    }
    for (name, value) in &config.headers {
        let path = format!("tracing.headers.{name}");
        if FRAMING.contains(&name.as_str()) || name == "content-type" {
            findings.add(
                path,
                format!("`{name}` belongs to the protocol and cannot be set"),
                "remove it",
            );
        } else if value == HIDDEN {
            findings.add(
                path,
                format!("`{HIDDEN}` stands for a value that was not printed"),
                "write the value, or `${NAME}` for one of the environment",
            );
        }
    }
    findings.timeout("tracing.timeout".to_owned(), config.timeout);
    findings.not_forever("tracing.timeout".to_owned(), config.timeout);
    if config.ca.is_some() && config.endpoint.url.scheme != BackendScheme::Https {
        findings.add(
            "tracing.ca",
            "`ca` has no effect without TLS",
            "write the endpoint with `https://`, or remove `ca`",
        );
    }
    if !(BUFFER_LEAST..=BUFFER_MOST).contains(&config.buffer) {
        findings.add(
            "tracing.buffer",
            format!(
                "`buffer` must be from 64KiB to 16MiB, got {}",
                print_size(config.buffer.into())
            ),
            "write one like \"1MiB\"",
        );
    }
}
