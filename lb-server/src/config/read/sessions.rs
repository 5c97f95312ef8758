//! `[sessions]` and `[pools.x] affinity`.

use std::path::PathBuf;

use lb_session::AffinityMode;
use lb_session::cookie::SameSite;

use super::redis::{on_store_error, store};
use super::server::count;
use super::{Cursor, Fields};
use crate::config::model::{AffinityConfig, SecretText, SecretsConfig, SessionConfig};
use crate::config::tree::Value;

pub(in crate::config) const SAME_SITE: [(&str, SameSite); 3] = [
    ("lax", SameSite::Lax),
    ("strict", SameSite::Strict),
    ("none", SameSite::None),
];

pub(in crate::config) const AFFINITY_MODES: [(&str, AffinityMode); 2] = [
    ("loose", AffinityMode::Loose),
    ("strict", AffinityMode::Strict),
];

pub(super) fn sessions(cursor: &Cursor<'_>) -> Option<SessionConfig> {
    let mut config = SessionConfig::default();
    cursor.table(|fields| {
        fields.read("cookie", &mut config.cookie, Cursor::filled_text);
        config.secrets = secrets(fields);
        fields.read("same_site", &mut config.same_site, |cursor| {
            cursor.choice(&SAME_SITE)
        });
        fields.read("secure", &mut config.secure, Cursor::boolean);
        fields.read("max_age", &mut config.max_age, Cursor::duration);
        fields.read("idle_timeout", &mut config.idle_timeout, Cursor::duration);
        fields.read("max_bytes", &mut config.max_bytes, Cursor::size);
        fields.read("max_sessions", &mut config.max_sessions, count);
        fields.read("store", &mut config.store, store);
        fields.read_some("on_store_error", &mut config.on_store_error, on_store_error);
    })?;
    Some(config)
}

/// A cookie's name, or a table.
pub(super) fn affinity(cursor: &Cursor<'_>) -> Option<AffinityConfig> {
    match &cursor.node.value {
        Value::Text(_) => return cursor.filled_text().map(AffinityConfig::new),
        Value::Table(_) => {}
        _ => {
            cursor.expected(
                "the name of a cookie or a table",
                "write `affinity = \"lb_route\"` or `affinity = { cookie = \"lb_route\", ttl = \"1h\" }`",
            );
            return None;
        }
    }
    let mut cookie = None;
    let mut config = AffinityConfig::new("");
    cursor.table(|fields| {
        fields.read_some("cookie", &mut cookie, Cursor::filled_text);
        fields.read_some("ttl", &mut config.ttl, Cursor::duration);
        fields.read("mode", &mut config.mode, |cursor| {
            cursor.choice(&AFFINITY_MODES)
        });
        fields.read("same_site", &mut config.same_site, |cursor| {
            cursor.choice(&SAME_SITE)
        });
        config.secrets = secrets(fields);
        if fields.get("cookie").is_none() {
            cursor.report(
                "affinity needs the name of its cookie",
                "write `cookie = \"lb_route\"`",
            );
        }
    })?;
    config.cookie = cookie?;
    Some(config)
}

/// `secret`, `secret_file` or `secret_files`.
fn secrets(fields: &mut Fields<'_>) -> SecretsConfig {
    let path = |cursor: &Cursor<'_>| cursor.filled_text().map(PathBuf::from);
    let (mut texts, mut file, mut files) = (None, None, None);
    fields.read_some("secret", &mut texts, |cursor| {
        cursor.each(|cursor| cursor.filled_text().map(SecretText::new))
    });
    fields.read_some("secret_file", &mut file, path);
    fields.read_some("secret_files", &mut files, |cursor| cursor.each(path));
    let mut written = ["secret", "secret_file", "secret_files"]
        .into_iter()
        .filter_map(|key| fields.get(key).map(|cursor| (key, cursor)));
    if let Some((first, _)) = written.next()
        && let Some((second, cursor)) = written.next()
    {
        cursor.report(
            format!("`{second}` and `{first}` are both written"),
            "keep one; to change a secret, list the new one and the old: `secret_files = [\"new\", \"old\"]`",
        );
    }
    match (texts, file, files) {
        (Some(texts), _, _) => SecretsConfig::Texts(texts),
        (None, Some(file), _) => SecretsConfig::Files(vec![file]),
        (None, None, Some(files)) => SecretsConfig::Files(files),
        (None, None, None) => SecretsConfig::Unwritten,
    }
}
