//! `[server]`.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use ipnet::IpNet;

use super::Cursor;
use crate::config::error::ValueError;
use crate::config::model::{ForwardedFields, ProcessConfig, UnderscoreHeaders};
use crate::config::tree::Value;

pub(super) const FORWARDED: [(&str, ForwardedFields); 3] = [
    ("x", ForwardedFields::X),
    ("rfc7239", ForwardedFields::Rfc7239),
    ("both", ForwardedFields::Both),
];

pub(super) const UNDERSCORES: [(&str, UnderscoreHeaders); 3] = [
    ("reject", UnderscoreHeaders::Reject),
    ("drop", UnderscoreHeaders::Drop),
    ("allow", UnderscoreHeaders::Allow),
];

pub(super) fn process(cursor: &Cursor<'_>) -> Option<ProcessConfig> {
    let mut config = ProcessConfig::default();
    cursor.table(|fields| {
        fields.read("threads", &mut config.threads, threads);
        fields.read_some("max_connections", &mut config.max_connections, count);
        fields.read(
            "max_connections_per_client",
            &mut config.max_connections_per_client,
            count,
        );
        fields.read("max_handshakes", &mut config.max_handshakes, count);
        fields.read("trusted_proxies", &mut config.trusted_proxies, |cursor| {
            cursor.each(network)
        });
        fields.read("forwarded", &mut config.forwarded, |cursor| {
            cursor.choice(&FORWARDED)
        });
        fields.read("pseudonym", &mut config.pseudonym, Cursor::filled_text);
        fields.read(
            "expose_details",
            &mut config.expose_details,
            Cursor::boolean,
        );
        fields.read(
            "underscore_headers",
            &mut config.underscore_headers,
            |cursor| cursor.choice(&UNDERSCORES),
        );
        fields.read("memory_limit", &mut config.memory_limit, Cursor::large_size);
        fields.read(
            "shutdown_delay",
            &mut config.shutdown_delay,
            Cursor::duration,
        );
        fields.read(
            "shutdown_timeout",
            &mut config.shutdown_timeout,
            Cursor::duration,
        );
    })?;
    Some(config)
}

pub(super) fn count(cursor: &Cursor<'_>) -> Option<NonZeroU32> {
    NonZeroU32::new(cursor.integer(1, u32::MAX.into())?)
}

fn threads(cursor: &Cursor<'_>) -> Option<Option<NonZeroUsize>> {
    match &cursor.node.value {
        Value::Text(text) if text == "auto" => Some(None),
        Value::Integer(_) => Some(NonZeroUsize::new(cursor.integer(1, 1024)?)),
        _ => {
            cursor.expected(
                "\"auto\" or a number",
                "write `threads = \"auto\"`, or a number from 1 to 1024",
            );
            None
        }
    }
}

fn network(cursor: &Cursor<'_>) -> Option<IpNet> {
    parse_network(cursor.text()?)
        .map_err(|error| cursor.report(error.message(), error.help()))
        .ok()
}

/// Reads `"10.0.0.0/8"`, or one address.
pub(in crate::config) fn parse_network(text: &str) -> Result<IpNet, ValueError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let wrong = |help: String| ValueError::new(format!("`{text}` is no network"), help);
    let network = text.parse::<IpNet>().map_err(|_| {
        wrong("write a network like \"10.0.0.0/8\" or \"fd00::/8\", or one address".to_owned())
    })?;
    if network.trunc() != network {
        return Err(wrong(format!(
            "it has bits beyond its prefix: write \"{}\", or \"{}\" for one address",
            network.trunc(),
            network.addr()
        )));
    }
    Ok(network)
}
