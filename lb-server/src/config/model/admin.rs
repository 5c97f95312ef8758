//! `[admin]`: where operators ask and steer.

use std::path::PathBuf;

use super::{ListenAddress, ListenerTls, SecretText};

/// `[admin]`: the admin API, its metrics and health endpoints, and the dashboard.
///
/// It is read at the start; a reload does not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where it listens (`"127.0.0.1:9900"`, `"unix:/run/lb/admin.sock"`). Elsewhere than on this machine it
    /// needs a token.
    pub address: ListenAddress,
    /// Names that callers may know it by, besides `localhost`, its address and those of its certificate (none): requests
    /// for any other host are refused, since a stranger could own that name.
    pub names: Vec<String>,
    /// What callers have to show; `None` lets everybody in who can connect.
    pub token: Option<AdminToken>,
    /// Whether `/` is the dashboard (true).
    pub dashboard: bool,
    /// TLS, or `Off` for cleartext, which is the default on this machine.
    pub tls: ListenerTls,
}

/// What callers of the admin API have to show: `Authorization: Bearer …`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminToken {
    /// In a file, without the blanks and line ends around it (`token_file`).
    File(PathBuf),
    /// In the configuration, which should take it from the environment (`token`).
    Text(SecretText),
}
