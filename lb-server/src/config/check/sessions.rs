//! `[sessions]` and `[pools.x] affinity`.

use lb_session::cookie::{SameSite, SetCookie};
use lb_session::{Secrets, SessionError};

use super::{Findings, redis};
use crate::config::model::{AffinityConfig, Config, SecretsConfig, SessionConfig};

/// What a record of a session can hold.
const MAX_BYTES: u32 = 65_535;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let sessions = config.active_sessions();
    if let Some(sessions) = sessions {
        session(sessions, findings);
        redis::needed("sessions", sessions.store, config, findings);
    }
    for (name, pool) in &config.pools {
        let Some(affinity) = &pool.affinity else {
            continue;
        };
        let path = format!("pools.{name}.affinity");
        self::affinity(&path, affinity, findings);
        if sessions.is_some_and(|sessions| sessions.cookie == affinity.cookie) {
            findings.add(
                format!("{path}.cookie"),
                format!("cookie `{}` is that of `[sessions]` too", affinity.cookie),
                "give each its own name",
            );
        }
    }
}

fn session(sessions: &SessionConfig, findings: &mut Findings) {
    if let Err(error) = set_cookie(&sessions.cookie, sessions.secure, sessions.same_site) {
        cookie_error("sessions", &error, findings);
    }
    secrets("sessions", &sessions.secrets, findings);
    for (key, value) in [
        ("max_age", sessions.max_age),
        ("idle_timeout", sessions.idle_timeout),
    ] {
        findings.timeout(format!("sessions.{key}"), value);
        findings.not_forever(format!("sessions.{key}"), value);
    }
    if sessions.max_bytes == 0 || sessions.max_bytes > MAX_BYTES {
        findings.add(
            "sessions.max_bytes",
            format!(
                "`max_bytes` must be from 1 to {MAX_BYTES} bytes, got {}",
                sessions.max_bytes
            ),
            "write \"4KiB\", and keep what is larger elsewhere",
        );
    }
}

fn affinity(path: &str, affinity: &AffinityConfig, findings: &mut Findings) {
    if let Err(error) = set_cookie(&affinity.cookie, true, affinity.same_site) {
        cookie_error(path, &error, findings);
    }
    secrets(path, &affinity.secrets, findings);
    if let Some(ttl) = affinity.ttl {
        findings.timeout(format!("{path}.ttl"), ttl);
        findings.not_forever(format!("{path}.ttl"), ttl);
    }
}

fn set_cookie(name: &str, secure: bool, same_site: SameSite) -> Result<SetCookie, SessionError> {
    let cookie = SetCookie::try_new(name)?;
    let cookie = if secure { cookie } else { cookie.insecure()? };
    cookie.same_site(same_site)
}

fn cookie_error(path: &str, error: &SessionError, findings: &mut Findings) {
    let (key, help) = match error {
        SessionError::CookieName(_) => ("cookie", "use letters, digits, `-` and `_`"),
        _ => ("secure", "remove `secure = false`, or change what needs it"),
    };
    findings.add(format!("{path}.{key}"), error.to_string(), help);
}

fn secrets(path: &str, secrets: &SecretsConfig, findings: &mut Findings) {
    let many = "keep the new one and the old: a forged cookie costs a check against each";
    match secrets {
        SecretsConfig::Unwritten => {}
        SecretsConfig::Files(files) => {
            if files.is_empty() || files.len() > Secrets::MAX {
                let error = SessionError::SecretCount(files.len());
                findings.add(format!("{path}.secret_files"), error.to_string(), many);
            }
        }
        SecretsConfig::Texts(texts) => {
            match Secrets::try_new(texts.iter().map(|text| text.as_str())) {
                Ok(_) => {}
                Err(error @ SessionError::SecretCount(_)) => {
                    findings.add(format!("{path}.secret"), error.to_string(), many);
                }
                Err(error) => findings.add(
                    format!("{path}.secret"),
                    error.to_string(),
                    "make one with `openssl rand -base64 32`, and name it as \"${NAME}\"",
                ),
            }
        }
    }
}

/// What is probably not meant.
pub(super) fn warnings(config: &Config, findings: &mut Findings) {
    let unwritten = |secrets: &SecretsConfig| *secrets == SecretsConfig::Unwritten;
    let way_out = "write `secret_file = \"…\"` with 32 random bytes, the same for all instances";
    let sessions = config.active_sessions();
    if let Some(sessions) = sessions {
        if unwritten(&sessions.secrets) {
            findings.add(
                "sessions",
                "sessions have no secret: a random one is made at start, so they end with the process",
                way_out,
            );
        }
        if sessions.idle_timeout > sessions.max_age {
            findings.add(
                "sessions.idle_timeout",
                "`idle_timeout` is longer than `max_age`, which ends every session before",
                "shorten it, or lengthen `max_age`",
            );
        }
    }
    for (index, (name, pool)) in config.pools.iter().enumerate() {
        let Some(affinity) = &pool.affinity else {
            continue;
        };
        let path = format!("pools.{name}.affinity");
        if unwritten(&affinity.secrets) && sessions.is_none_or(|it| unwritten(&it.secrets)) {
            findings.add(
                path.clone(),
                format!("affinity of pool `{name}` has no secret: a random one is made at start, so clients lose their backends with the process"),
                way_out,
            );
        }
        let before = config.pools.iter().take(index);
        let twin = before.into_iter().find(|(_, other)| {
            let other = other.affinity.as_ref();
            other.is_some_and(|other| other.cookie == affinity.cookie)
        });
        if let Some((twin, _)) = twin {
            findings.add(
                format!("{path}.cookie"),
                format!(
                    "pools `{twin}` and `{name}` have the same affinity cookie `{}`: a client of both keeps one backend at most",
                    affinity.cookie
                ),
                "give each pool its own, unless they serve different hosts",
            );
        }
    }
}
