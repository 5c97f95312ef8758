//! `[dns]`, and what entries of `backends` say of discovery.

use super::Cursor;
use crate::config::model::{DiscoverConfig, DiscoverRecords, DnsConfig};

pub(in crate::config) const RECORDS: [(&str, DiscoverRecords); 2] = [
    ("dns", DiscoverRecords::Addresses),
    ("srv", DiscoverRecords::Services),
];

pub(super) fn dns(cursor: &Cursor<'_>) -> Option<DnsConfig> {
    let mut config = DnsConfig::default();
    cursor.table(|fields| {
        fields.read("servers", &mut config.servers, |cursor| cursor.each(server));
    })?;
    Some(config)
}

fn server(cursor: &Cursor<'_>) -> Option<std::net::SocketAddr> {
    let text = cursor.text()?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        cursor.report(
            format!("`{text}` is no address of a name server"),
            "write address and port, as \"127.0.0.1:53\" or \"[::1]:53\"",
        );
    }
    parsed
}

pub(super) fn discover(cursor: &Cursor<'_>) -> Option<DiscoverConfig> {
    cursor.choice(&RECORDS).map(DiscoverConfig::new)
}
