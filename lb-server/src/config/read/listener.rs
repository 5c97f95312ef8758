//! `[listeners.x]`.

use super::Cursor;
use super::resilience::{optional_count, optional_duration};
use crate::config::model::{
    CertificateConfig, Http2Config, ListenAddress, ListenerConfig, ListenerTimeouts, ListenerTls,
    Protocol, RedirectScheme, TlsVersion,
};
use crate::config::suggest::nearest;
use crate::config::tree::Value;

pub(super) const PROTOCOLS: [(&str, Protocol); 2] =
    [("h2", Protocol::H2), ("http/1.1", Protocol::Http11)];

pub(super) fn listener(cursor: &Cursor<'_>) -> Option<ListenerConfig> {
    let mut address = None;
    let mut tls = None;
    let mut config = ListenerConfig::at(Vec::new());
    cursor.table(|fields| {
        fields.read_some("address", &mut address, addresses);
        fields.read_some("tls", &mut tls, listener_tls);
        fields.read("protocols", &mut config.protocols, |cursor| {
            cursor.each(|cursor| cursor.choice(&PROTOCOLS))
        });
        fields.read("http2", &mut config.http2, http2);
        fields.read("timeouts", &mut config.timeouts, timeouts);
        fields.read(
            "max_requests_per_connection",
            &mut config.max_requests_per_connection,
            optional_count,
        );
        fields.read(
            "max_connection_age",
            &mut config.max_connection_age,
            optional_duration,
        );
        fields.read_some("redirect_to", &mut config.redirect_to, |cursor| {
            cursor.choice(&[("https", RedirectScheme::Https)])
        });
        if fields.get("address").is_none() {
            cursor.report(
                "a listener needs an address",
                "write `address = \"127.0.0.1:8443\"`",
            );
        }
    })?;
    config.address = address.unwrap_or_default();
    config.tls = match tls {
        Some(tls) => tls,
        // What only redirects to https speaks cleartext.
        None if config.redirect_to.is_some() => ListenerTls::Off,
        None => ListenerTls::unwritten(&config.address),
    };
    Some(config)
}

pub(super) fn addresses(cursor: &Cursor<'_>) -> Option<Vec<ListenAddress>> {
    cursor.each(Cursor::parse)
}

pub(super) fn listener_tls(cursor: &Cursor<'_>) -> Option<ListenerTls> {
    if let Value::Text(text) = &cursor.node.value {
        return match text.as_str() {
            "off" => Some(ListenerTls::Off),
            "self-signed" => Some(ListenerTls::self_signed(&["localhost"])),
            other => {
                let help = nearest(other, ["off", "self-signed"]).map_or_else(
                    || "write \"off\", \"self-signed\", or `{ cert = \"server.crt\", key = \"server.key\" }`".to_owned(),
                    |name| format!("did you mean \"{name}\"?"),
                );
                cursor.report(format!("unknown value `{other}` of `tls`"), help);
                None
            }
        };
    }
    if !matches!(cursor.node.value, Value::Table(_)) {
        cursor.expected(
            "\"off\", \"self-signed\" or a table",
            "write `tls = { cert = \"server.crt\", key = \"server.key\" }`",
        );
        return None;
    }
    let (mut cert, mut key, mut names, mut certificates) = (None, None, None, None);
    let mut min_version = None;
    let mut listed = false;
    cursor.table(|fields| {
        fields.read_some("cert", &mut cert, Cursor::filled_text);
        fields.read_some("key", &mut key, Cursor::filled_text);
        fields.read_some("self_signed", &mut names, |cursor| {
            cursor.each(Cursor::filled_text)
        });
        listed = fields.get("certificates").is_some();
        fields.read_some("certificates", &mut certificates, |cursor| {
            Some(
                cursor
                    .list()
                    .iter()
                    .filter_map(certificate)
                    .collect::<Vec<_>>(),
            )
        });
        fields.read_some("min_version", &mut min_version, tls_version);
    })?;
    let has = |key| cursor.node.entry(key).is_some();
    if let Some(names) = names {
        if has("cert") || has("key") || listed || has("min_version") {
            cursor.report(
                "`self_signed` and certificates of files exclude each other",
                "keep `self_signed`, or `cert` and `key`",
            );
        }
        return Some(ListenerTls::SelfSigned { names });
    }
    if listed && (has("cert") || has("key")) {
        cursor.report(
            "`certificates` and `cert`, `key` say the same thing",
            "move the pair into the list: `certificates = [{ cert = …, key = … }]`",
        );
        return None;
    }
    if !listed {
        certificates = pair(cursor, cert, key).map(|pair| vec![pair]);
    }
    Some(ListenerTls::Files {
        certificates: certificates?,
        min_version: min_version.unwrap_or(TlsVersion::Tls12),
    })
}

fn tls_version(cursor: &Cursor<'_>) -> Option<TlsVersion> {
    cursor.choice(&[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)])
}

fn certificate(cursor: &Cursor<'_>) -> Option<CertificateConfig> {
    let (mut cert, mut key) = (None, None);
    cursor.table(|fields| {
        fields.read_some("cert", &mut cert, Cursor::filled_text);
        fields.read_some("key", &mut key, Cursor::filled_text);
    })?;
    pair(cursor, cert, key)
}

fn pair(
    cursor: &Cursor<'_>,
    cert: Option<String>,
    key: Option<String>,
) -> Option<CertificateConfig> {
    for name in ["cert", "key"] {
        if cursor.node.entry(name).is_none() {
            cursor.report(
                format!("TLS needs a certificate and its key, `{name}` is missing"),
                "write `{ cert = \"server.crt\", key = \"server.key\" }`; `lb-cli gen-cert` makes a pair",
            );
        }
    }
    Some(CertificateConfig::new(cert?, key?))
}

fn http2(cursor: &Cursor<'_>) -> Option<Http2Config> {
    let mut config = Http2Config::default();
    let number = |cursor: &Cursor<'_>| cursor.integer(0, u32::MAX.into());
    cursor.table(|fields| {
        fields.read(
            "max_concurrent_streams",
            &mut config.max_concurrent_streams,
            number,
        );
        fields.read("stream_window", &mut config.stream_window, Cursor::size);
        fields.read(
            "connection_window",
            &mut config.connection_window,
            Cursor::size,
        );
        fields.read("max_header_list", &mut config.max_header_list, Cursor::size);
        fields.read("max_header_fields", &mut config.max_header_fields, number);
        fields.read("send_buffer", &mut config.send_buffer, Cursor::size);
        fields.read(
            "max_resets_per_second",
            &mut config.max_resets_per_second,
            number,
        );
    })?;
    Some(config)
}

fn timeouts(cursor: &Cursor<'_>) -> Option<ListenerTimeouts> {
    let mut config = ListenerTimeouts::default();
    cursor.table(|fields| {
        fields.read("handshake", &mut config.handshake, Cursor::duration);
        fields.read(
            "request_headers",
            &mut config.request_headers,
            Cursor::duration,
        );
        fields.read("idle", &mut config.idle, Cursor::duration);
        fields.read("stream_idle", &mut config.stream_idle, Cursor::duration);
    })?;
    Some(config)
}
