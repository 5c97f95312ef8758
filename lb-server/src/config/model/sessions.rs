//! `[sessions]`, `[pools.x] affinity`, and what signs their cookies.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lb_session::AffinityMode;
use lb_session::cookie::SameSite;

use super::{OnStoreError, StoreKind};

/// `[sessions]`: sessions for a program's request handler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Name of the cookie (`__Host-lb_session`).
    pub cookie: String,
    /// What signs the cookie; without any, a random one that ends with the process.
    pub secrets: SecretsConfig,
    /// Which requests from other sites carry the cookie (lax).
    pub same_site: SameSite,
    /// Whether the cookie is for encrypted connections only; without it the name must not begin with
    /// `__Host-`.
    pub secure: bool,
    /// How long a session lives however much it is used, counted from the login (24 h).
    pub max_age: Duration,
    /// How long a session lives without being used (30 min).
    pub idle_timeout: Duration,
    /// Bytes of keys and values in one session (4 KiB); at most 65,535.
    pub max_bytes: u32,
    /// Sessions held in memory (100,000); each takes about 120 bytes beside its values.
    pub max_sessions: NonZeroU32,
    /// Where sessions are: in this process (the default), or shared by instances.
    pub store: StoreKind,
    /// What happens to requests whose session cannot be loaded or stored: they go on with an empty one
    /// (`Allow`; `Local` is the same, as this process knows of no other), or are refused with 503
    /// (`Deny`). `None` is what `[redis]` says, and in memory `Allow`.
    pub on_store_error: Option<OnStoreError>,
    pub(crate) is_on: bool,
}

/// `[pools.x] affinity`: the cookie that binds a client to its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AffinityConfig {
    /// Name of the cookie.
    pub cookie: String,
    /// How long the client keeps the cookie; `None` is until the browser is closed.
    pub ttl: Option<Duration>,
    /// What happens to a client whose backend cannot serve (loose).
    pub mode: AffinityMode,
    /// Which requests from other sites carry the cookie (lax).
    pub same_site: SameSite,
    /// What seals the cookie; without any, what `[sessions]` has, else a random one that ends with the
    /// process.
    pub secrets: SecretsConfig,
}

/// Where the secrets come from that cookies are signed with; the first signs, all verify.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SecretsConfig {
    /// Nothing is written.
    #[default]
    Unwritten,
    /// Each file holds one; blanks and line ends around it do not count.
    Files(Vec<PathBuf>),
    /// They stand in the configuration, which should take them from the environment.
    Texts(Vec<SecretText>),
}

/// A secret, which is neither shown nor written.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Box<str>);

impl SecretText {
    /// Takes the secret: 32 random bytes or more.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for whoever has to show or to compare it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}
