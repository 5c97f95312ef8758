//! `[access_log]`.

use super::Findings;
use crate::config::model::{AccessLogConfig, AccessLogFormat};
use crate::config::units::print_size;

/// Fields whose values let others act as the client.
const SECRET: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];

/// A line with a head at its limit has room in it.
const BUFFER_LEAST: u32 = 64 << 10;
const BUFFER_MOST: u32 = 1 << 30;

pub(super) fn check(config: &AccessLogConfig, findings: &mut Findings) {
    for (index, name) in config.headers.iter().enumerate() {
        let path = format!("access_log.headers[{index}]");
        if SECRET.contains(&name.as_str()) {
            findings.add(
                path,
                format!("`{name}` is never logged: who reads it can act as the client"),
                "remove it; the request id tells requests apart, and `user_agent` clients",
            );
        } else if config.headers[..index].contains(name) {
            findings.add(
                path,
                format!("`{name}` stands here twice"),
                "write it once; letter case does not matter",
            );
        }
    }
    let has_no_place = matches!(
        config.format,
        AccessLogFormat::Common | AccessLogFormat::Combined | AccessLogFormat::Pretty
    );
    if has_no_place && !config.headers.is_empty() {
        findings.add(
            "access_log.headers",
            "this format has no place for further fields",
            "write `format = \"json\"`, \"logfmt\" or \"haproxy\", or remove `headers`",
        );
    }
    for (key, share) in [
        ("success", config.sample.success),
        ("errors", config.sample.errors),
    ] {
        if !(0.0..=1.0).contains(&share) {
            findings.add(
                format!("access_log.sample.{key}"),
                format!("`{key}` must be from 0 to 1, got {share}"),
                "write a share: 0.1 is every tenth, 1.0 all",
            );
        }
    }
    if let Some(slow) = config.sample.slower_than {
        findings.not_forever("access_log.sample.slower_than".to_owned(), slow);
    }
    if !(BUFFER_LEAST..=BUFFER_MOST).contains(&config.buffer) {
        findings.add(
            "access_log.buffer",
            format!(
                "`buffer` must be from 64KiB to 1GiB, got {}",
                print_size(config.buffer.into())
            ),
            "write one like \"1MiB\"",
        );
    }
}
