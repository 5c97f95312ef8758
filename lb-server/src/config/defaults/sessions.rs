//! The defaults of `[sessions]` and of affinity.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lb_session::AffinityMode;
use lb_session::cookie::SameSite;

use crate::config::model::{AffinityConfig, SecretText, SecretsConfig, SessionConfig, StoreKind};

const MAX_SESSIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("not zero");

impl Default for SessionConfig {
    /// As [`SessionConfig::ephemeral`].
    fn default() -> Self {
        Self {
            cookie: "__Host-lb_session".to_owned(),
            secrets: SecretsConfig::Unwritten,
            same_site: SameSite::Lax,
            secure: true,
            max_age: Duration::from_secs(24 * 60 * 60),
            idle_timeout: Duration::from_secs(30 * 60),
            max_bytes: 4 << 10,
            max_sessions: MAX_SESSIONS,
            store: StoreKind::Memory,
            on_store_error: None,
            is_on: true,
        }
    }
}

impl SessionConfig {
    /// No sessions.
    #[must_use]
    pub fn off() -> Self {
        Self {
            is_on: false,
            ..Self::default()
        }
    }

    /// Sessions whose cookies are signed with a random secret that ends with the process, and with it
    /// every session.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::default()
    }

    /// Sessions whose cookies are signed with the secret in a file.
    #[must_use]
    pub fn secret_file(path: impl Into<PathBuf>) -> Self {
        Self::default().secrets(SecretsConfig::Files(vec![path.into()]))
    }

    /// Sessions whose cookies are signed with a secret of at least 32 bytes.
    #[must_use]
    pub fn secret(secret: impl Into<Box<str>>) -> Self {
        Self::default().secrets(SecretsConfig::Texts(vec![SecretText::new(secret)]))
    }

    /// Whether there are sessions.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }
}

impl AffinityConfig {
    /// A cookie of this name, kept until the browser is closed.
    #[must_use]
    pub fn new(cookie: impl Into<String>) -> Self {
        Self {
            cookie: cookie.into(),
            ttl: None,
            mode: AffinityMode::Loose,
            same_site: SameSite::Lax,
            secrets: SecretsConfig::Unwritten,
        }
    }
}
