//! `[sessions]` and `[pools.x] affinity` in the long form.

use schemars::JsonSchema;
use serde::Serialize;

use super::convert::{duration, file, size};
use super::redis::{on_store_error, store, word};
use super::{Duration, OneOrMore, Size};
use crate::config::model::{AffinityConfig, SecretsConfig, SessionConfig};
use crate::config::read::{AFFINITY_MODES, ON_STORE_ERROR, SAME_SITE, STORES};
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Sessions {
    /// Name of the cookie.
    cookie: String,
    /// What signs the cookie, best as "${NAME}"; of several the first signs and all verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<OneOrMore>,
    /// File with what signs the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<String>,
    /// Files with what signs the cookie, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_files: Option<Vec<String>>,
    /// Which requests from other sites carry the cookie.
    #[schemars(schema_with = "same_sites")]
    same_site: &'static str,
    /// Whether the cookie is for encrypted connections only.
    secure: bool,
    /// How long a session lives however much it is used.
    max_age: Duration,
    /// How long a session lives without being used.
    idle_timeout: Duration,
    /// Bytes of keys and values in one session.
    max_bytes: Size,
    /// Sessions held in memory.
    #[schemars(range(min = 1))]
    max_sessions: u32,
    /// Where sessions are.
    #[schemars(schema_with = "stores")]
    store: &'static str,
    /// What happens where a session cannot be loaded or stored; by default what `[redis]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "errors")]
    on_store_error: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "the printer writes tables; the schema allows both"
)]
pub(super) enum Affinity {
    /// Name of the cookie.
    Cookie(String),
    Table(AffinityTable),
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AffinityTable {
    /// Name of the cookie.
    cookie: String,
    /// How long the client keeps it; by default until the browser is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Duration>,
    /// What happens to a client whose backend cannot serve.
    #[schemars(schema_with = "modes")]
    mode: &'static str,
    /// Which requests from other sites carry the cookie.
    #[schemars(schema_with = "same_sites")]
    same_site: &'static str,
    /// What seals the cookie, best as "${NAME}"; of several the first signs and all verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<OneOrMore>,
    /// File with what seals the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<String>,
    /// Files with what seals the cookie, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_files: Option<Vec<String>>,
}

/// What stands in a printed configuration for a secret; too short to be taken for one.
pub(in crate::config) const HIDDEN: &str = "(hidden)";

/// `secret`, `secret_file` and `secret_files`.
fn secrets(config: &SecretsConfig) -> (Option<OneOrMore>, Option<String>, Option<Vec<String>>) {
    match config {
        SecretsConfig::Unwritten => (None, None, None),
        SecretsConfig::Texts(texts) => {
            let hidden = texts.iter().map(|_| HIDDEN.to_owned()).collect();
            (Some(OneOrMore::More(hidden)), None, None)
        }
        SecretsConfig::Files(files) => match files.as_slice() {
            [only] => (None, Some(file(only)), None),
            files => (
                None,
                None,
                Some(files.iter().map(|path| file(path)).collect()),
            ),
        },
    }
}

impl From<&SessionConfig> for Sessions {
    fn from(config: &SessionConfig) -> Self {
        let (secret, secret_file, secret_files) = secrets(&config.secrets);
        Self {
            cookie: escape(&config.cookie),
            secret,
            secret_file,
            secret_files,
            same_site: word(&SAME_SITE, config.same_site),
            secure: config.secure,
            max_age: duration(config.max_age),
            idle_timeout: duration(config.idle_timeout),
            max_bytes: size(config.max_bytes),
            max_sessions: config.max_sessions.into(),
            store: store(config.store),
            on_store_error: config.on_store_error.map(on_store_error),
        }
    }
}

impl From<&AffinityConfig> for Affinity {
    fn from(config: &AffinityConfig) -> Self {
        let (secret, secret_file, secret_files) = secrets(&config.secrets);
        Self::Table(AffinityTable {
            cookie: escape(&config.cookie),
            ttl: config.ttl.map(duration),
            mode: word(&AFFINITY_MODES, config.mode),
            same_site: word(&SAME_SITE, config.same_site),
            secret,
            secret_file,
            secret_files,
        })
    }
}

schemas! {
    same_sites => { "enum": (SAME_SITE.map(|(word, _)| word)) },
    stores => { "enum": (STORES.map(|(word, _)| word)) },
    errors => { "enum": (ON_STORE_ERROR.map(|(word, _)| word)) },
    modes => { "enum": (AFFINITY_MODES.map(|(word, _)| word)) },
}
