//! `[redis]`.

use schemars::JsonSchema;
use serde::Serialize;

use super::convert::{duration, file, texts};
use super::{Duration, OneOrMore};
use crate::config::model::{OnStoreError, RedisConfig, StoreKind};
use crate::config::read::{ON_STORE_ERROR, STORES};
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Redis {
    /// "redis://host:port/database", "rediss://…" for TLS, "unix:/run/redis.sock"; several for a cluster or
    /// sentinels.
    url: OneOrMore,
    /// The name of the master, where `url` names sentinels.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentinel: Option<String>,
    /// Whether `url` names nodes of a cluster.
    cluster: bool,
    /// User of the access control list.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// File with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<String>,
    /// PEM file with the only authorities believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    /// What the names of all keys begin with.
    prefix: String,
    /// How long a request may wait for an answer.
    timeout: Duration,
    /// What happens to what the store cannot answer.
    #[schemars(schema_with = "on_store_error_word")]
    on_store_error: &'static str,
}

impl From<&RedisConfig> for Redis {
    fn from(config: &RedisConfig) -> Self {
        Self {
            url: texts(&config.url),
            sentinel: config.sentinel.as_deref().map(escape),
            cluster: config.cluster,
            username: config.username.as_deref().map(escape),
            password_file: config.password_file.as_deref().map(file),
            ca: config.ca.as_deref().map(file),
            prefix: escape(&config.prefix),
            timeout: duration(config.timeout),
            on_store_error: on_store_error(config.on_store_error),
        }
    }
}

/// The word for a value of a choice.
pub(super) fn word<T: PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    let found = choices.iter().find(|(_, known)| *known == value);
    found.map_or("", |(word, _)| word)
}

pub(super) fn on_store_error(value: OnStoreError) -> &'static str {
    word(&ON_STORE_ERROR, value)
}

pub(super) fn store(value: StoreKind) -> &'static str {
    word(&STORES, value)
}

schemas! {
    on_store_error_word => { "enum": ["allow", "deny", "local"] },
}
