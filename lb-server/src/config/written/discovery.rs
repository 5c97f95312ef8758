//! `[dns]`, and what entries of `backends` say of discovery.

use schemars::JsonSchema;
use serde::Serialize;

use super::redis::word;
use crate::config::model::{DiscoverRecords, DnsConfig};
use crate::config::read::RECORDS;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Dns {
    /// "127.0.0.1:53"; none are those of the system.
    servers: Vec<String>,
}

/// `None` where nothing differs from the default.
pub(super) fn dns(config: &DnsConfig) -> Option<Dns> {
    let servers = config.servers.iter().map(ToString::to_string).collect();
    (*config != DnsConfig::default()).then_some(Dns { servers })
}

pub(super) fn records(records: DiscoverRecords) -> &'static str {
    word(&RECORDS, records)
}
