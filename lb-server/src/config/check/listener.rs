//! `[listeners.x]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Findings;
use crate::config::model::{
    Config, Http2Config, ListenAddress, ListenerConfig, ListenerTls, Protocol,
};
use crate::config::units::{print_duration, print_size};
use crate::config::url::is_host;

/// The largest window of RFC 9113 §6.9.1.
const MAX_WINDOW: u32 = (1 << 31) - 1;

pub(super) fn check(name: &str, listener: &ListenerConfig, findings: &mut Findings) {
    let path = format!("listeners.{name}");
    findings.name(path.clone(), name);
    if listener.address.is_empty() {
        findings.add(
            format!("{path}.address"),
            format!("listener `{name}` has no address"),
            "write `address = \"127.0.0.1:8443\"`",
        );
    }
    protocols(&path, name, &listener.protocols, findings);
    tls(&path, name, listener, findings);
    http2(&format!("{path}.http2"), &listener.http2, findings);
    let timeouts = &listener.timeouts;
    for (key, value) in [
        ("handshake", timeouts.handshake),
        ("request_headers", timeouts.request_headers),
        ("idle", timeouts.idle),
        ("stream_idle", timeouts.stream_idle),
    ] {
        findings.timeout(format!("{path}.timeouts.{key}"), value);
        findings.not_forever(format!("{path}.timeouts.{key}"), value);
    }
    if let Some(age) = listener.max_connection_age {
        let path = format!("{path}.max_connection_age");
        findings.not_forever(path.clone(), age);
        if age < Duration::from_secs(1) {
            findings.add(
                path,
                format!(
                    "`max_connection_age` must be at least 1s, got {}",
                    print_duration(age)
                ),
                "write one like \"1h\", or \"off\"",
            );
        }
    }
}

/// Two listeners at one address: the second could never start.
pub(super) fn addresses(config: &Config, findings: &mut Findings) {
    let mut seen: BTreeMap<&ListenAddress, &str> = BTreeMap::new();
    for (name, listener) in &config.listeners {
        for (index, address) in listener.address.iter().enumerate() {
            // Port 0 is a new port each time.
            if matches!(address, ListenAddress::Tcp(address) if address.port() == 0) {
                continue;
            }
            if let Some(first) = seen.insert(address, name) {
                findings.add(
                    format!("listeners.{name}.address[{index}]"),
                    format!("`{address}` is taken by listener `{first}`"),
                    "give each address to one listener",
                );
            }
        }
    }
}

fn protocols(path: &str, name: &str, protocols: &[Protocol], findings: &mut Findings) {
    let path = format!("{path}.protocols");
    if protocols.is_empty() {
        findings.add(
            path,
            format!("listener `{name}` has no protocols"),
            "write `protocols = [\"h2\", \"http/1.1\"]`, or remove the key for both",
        );
    } else if (1..protocols.len()).any(|index| protocols[..index].contains(&protocols[index])) {
        findings.add(
            path,
            format!("listener `{name}` names a protocol twice"),
            "write each once",
        );
    }
}

fn tls(path: &str, name: &str, listener: &ListenerConfig, findings: &mut Findings) {
    if listener.tls != ListenerTls::Off && listener.redirect_to.is_some() {
        findings.add(
            format!("listeners.{name}.redirect_to"),
            format!("listener `{name}` speaks TLS and redirects to https: a loop"),
            "remove `redirect_to`, or write `tls = \"off\"` on this listener",
        );
        return;
    }
    server_tls(
        &format!("{path}.tls"),
        &format!("listener `{name}`"),
        &listener.tls,
        &listener.address,
        findings,
    );
}

/// TLS of whatever listens; `what` is what messages call it.
pub(super) fn server_tls(
    path: &str,
    what: &str,
    tls: &ListenerTls,
    addresses: &[ListenAddress],
    findings: &mut Findings,
) {
    match tls {
        ListenerTls::Off => {}
        ListenerTls::SelfSigned { names } if names.is_empty() => {
            findings.add(
                path,
                "a self-signed certificate needs a name",
                "write `self_signed = [\"localhost\"]`",
            );
        }
        ListenerTls::SelfSigned { names } => {
            for wrong in names
                .iter()
                .filter(|name| name.parse::<IpAddr>().is_err() && !is_certificate_name(name))
            {
                findings.add(
                    path,
                    format!("`{wrong}` is no name for a certificate"),
                    "write a DNS name or an IP address: \"localhost\", \"127.0.0.1\"",
                );
            }
        }
        ListenerTls::Files { certificates, .. } if certificates.is_empty() => {
            let address = addresses.iter().find(|address| !address.is_local());
            let at = address.map_or_else(String::new, |address| {
                format!(" and `{address}` is not on loopback")
            });
            findings.add(
                path,
                format!("{what} has no certificate{at}"),
                "write `tls = { cert = \"server.crt\", key = \"server.key\" }` (`lb-cli gen-cert` makes them), \
                 `tls = \"self-signed\"`, or `tls = \"off\"` for cleartext",
            );
        }
        ListenerTls::Files { certificates, .. } => {
            for (index, certificate) in certificates.iter().enumerate() {
                if certificates[..index].contains(certificate) {
                    findings.add(
                        format!("{path}.certificates[{index}]"),
                        format!(
                            "certificate `{}` is listed twice",
                            certificate.cert.display()
                        ),
                        "list it once",
                    );
                }
            }
        }
    }
}

fn is_certificate_name(name: &str) -> bool {
    is_host(name.strip_prefix("*.").unwrap_or(name))
}

fn http2(path: &str, config: &Http2Config, findings: &mut Findings) {
    for (key, value) in [
        ("max_concurrent_streams", config.max_concurrent_streams),
        ("max_header_fields", config.max_header_fields),
        ("max_resets_per_second", config.max_resets_per_second),
    ] {
        if value == 0 {
            findings.add(
                format!("{path}.{key}"),
                format!("`{key}` must be at least 1, got 0"),
                "remove it for the default of 100",
            );
        }
    }
    if config.max_header_list == 0 {
        findings.add(
            format!("{path}.max_header_list"),
            "`max_header_list` must be at least 1 byte, got 0B",
            "remove it for the default of \"16KiB\"",
        );
    }
    if config.send_buffer == 0 {
        findings.add(
            format!("{path}.send_buffer"),
            "`send_buffer` must be at least 1 byte, got 0B",
            "remove it for the default of \"32KiB\"",
        );
    }
    let mut usable = true;
    for (key, value) in [
        ("stream_window", config.stream_window),
        ("connection_window", config.connection_window),
    ] {
        if value == 0 || value > MAX_WINDOW {
            usable = false;
            findings.add(
                format!("{path}.{key}"),
                format!(
                    "`{key}` must be from 1B to {MAX_WINDOW}B, got {}",
                    print_size(value.into())
                ),
                "write a size like \"64KiB\"; RFC 9113 ends windows at 2^31-1",
            );
        }
    }
    // The connection's window starts at 65,535 and can only be raised (RFC 9113 §6.9.2).
    if usable && config.connection_window < 65_535 {
        findings.add(
            format!("{path}.connection_window"),
            format!(
                "`connection_window` must be at least 65535B, got {}",
                print_size(config.connection_window.into())
            ),
            "write at least \"64KiB\"",
        );
    } else if usable && config.connection_window < config.stream_window {
        let (connection, stream) = (config.connection_window.into(), config.stream_window.into());
        findings.add(
            format!("{path}.connection_window"),
            format!(
                "`connection_window` of {} is smaller than `stream_window` of {}",
                print_size(connection),
                print_size(stream)
            ),
            "write at least max_concurrent_streams × stream_window",
        );
    }
}
