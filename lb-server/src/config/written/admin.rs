//! `[admin]` in the long form.

use schemars::JsonSchema;
use serde::Serialize;

use super::Tls;
use super::convert::{file, tls};
use super::sessions::HIDDEN;
use crate::config::model::{AdminConfig, AdminToken};
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Admin {
    /// "127.0.0.1:9900" or "unix:/run/lb/admin.sock".
    address: String,
    /// Names that callers may know it by, besides `localhost`, its address and those of its certificate.
    names: Vec<String>,
    /// What callers have to show, best as "${NAME}".
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'static str>,
    /// File with what callers have to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<String>,
    /// Whether there is a page for browsers.
    dashboard: bool,
    /// Certificates, or "off".
    tls: Tls,
}

impl From<&AdminConfig> for Admin {
    fn from(config: &AdminConfig) -> Self {
        let (token, token_file) = match &config.token {
            None => (None, None),
            Some(AdminToken::Text(_)) => (Some(HIDDEN), None),
            Some(AdminToken::File(path)) => (None, Some(file(path))),
        };
        Self {
            address: escape(&config.address.to_string()),
            names: config.names.iter().map(|name| escape(name)).collect(),
            token,
            token_file,
            dashboard: config.dashboard,
            tls: tls(&config.tls),
        }
    }
}
