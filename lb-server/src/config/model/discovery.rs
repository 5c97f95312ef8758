//! Backends that are found by their name, as meant.

use std::net::SocketAddr;
use std::time::Duration;

/// `discover` and `refresh` of an entry of `backends`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiscoverConfig {
    /// What the name stands for.
    pub records: DiscoverRecords,
    /// How long an answer holds at most (10 s); a shorter time to live counts, from 1 s on.
    pub refresh: Duration,
}

/// What the name of a backend stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DiscoverRecords {
    /// Addresses (`"dns"`): A and AAAA, all with the port, weight and limit that are written.
    Addresses,
    /// A service (`"srv"`): host, port and weight of each; those of a higher priority number than the lowest are backups.
    Services,
}

impl DiscoverConfig {
    /// These records, looked up every 10 s.
    #[must_use]
    pub fn new(records: DiscoverRecords) -> Self {
        Self {
            records,
            refresh: Duration::from_secs(10),
        }
    }

    /// Sets [`DiscoverConfig::refresh`].
    #[must_use]
    pub fn refresh(mut self, refresh: Duration) -> Self {
        self.refresh = refresh;
        self
    }
}

/// `[dns]`; read at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DnsConfig {
    /// Name servers (`"127.0.0.1:53"`); none are those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
}
