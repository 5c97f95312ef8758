//! `[redis]`: the store that several instances share.

use std::path::PathBuf;
use std::time::Duration;

/// `[redis]`: a Redis or Valkey that several instances share; sessions, rate limits and caches with
/// `store = "redis"` live there.
///
/// It is read at the start; a reload does not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Where it is, at least one: a server, some nodes of a cluster, or the sentinels.
    pub url: Vec<RedisUrl>,
    /// The name under which the sentinels at `url` know the master; `None` is no sentinels.
    pub sentinel: Option<String>,
    /// Whether `url` names nodes of a cluster.
    pub cluster: bool,
    /// User of the access control list; `None` is the default user.
    pub username: Option<String>,
    /// File with the password, read with every connection.
    pub password_file: Option<PathBuf>,
    /// PEM file with the only authorities believed on `rediss://`; `None` is the system's store.
    pub ca: Option<PathBuf>,
    /// What the names of all keys begin with (`lb:`); instances that share state have the same.
    pub prefix: String,
    /// How long a request may wait for an answer (50 ms); beyond it `on_store_error` decides.
    pub timeout: Duration,
    /// What happens to what the store cannot answer (local); rate limits may have their own.
    pub on_store_error: OnStoreError,
}

/// Where a Redis is: `redis://host:port/database`, `rediss://` for TLS, or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedisUrl {
    pub(crate) address: RedisAddress,
    pub(crate) database: u16,
}

/// The address in a [`RedisUrl`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RedisAddress {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

/// What happens to a request while the store gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnStoreError {
    /// It passes as if nothing had been asked (`"allow"`).
    Allow,
    /// It is refused with 503 (`"deny"`).
    Deny,
    /// This instance decides by itself, by what it knows (`"local"`).
    #[default]
    Local,
}

/// Where a feature keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StoreKind {
    /// In this process (`"memory"`).
    #[default]
    Memory,
    /// In the store of `[redis]`, shared with other instances (`"redis"`).
    Redis,
}
