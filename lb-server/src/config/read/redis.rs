//! `[redis]`.

use super::Cursor;
use crate::config::model::{OnStoreError, RedisConfig, StoreKind};

pub(in crate::config) const ON_STORE_ERROR: [(&str, OnStoreError); 3] = [
    ("allow", OnStoreError::Allow),
    ("deny", OnStoreError::Deny),
    ("local", OnStoreError::Local),
];

pub(in crate::config) const STORES: [(&str, StoreKind); 2] =
    [("memory", StoreKind::Memory), ("redis", StoreKind::Redis)];

pub(super) fn redis(cursor: &Cursor<'_>) -> Option<RedisConfig> {
    let mut config = RedisConfig::at(Vec::new());
    cursor.table(|fields| {
        fields.read("url", &mut config.url, |cursor| cursor.each(Cursor::parse));
        fields.read_some("sentinel", &mut config.sentinel, Cursor::filled_text);
        fields.read("cluster", &mut config.cluster, Cursor::boolean);
        fields.read_some("username", &mut config.username, Cursor::filled_text);
        fields.read_some("password_file", &mut config.password_file, path);
        fields.read_some("ca", &mut config.ca, path);
        fields.read("prefix", &mut config.prefix, |cursor| {
            cursor.text().map(str::to_owned)
        });
        fields.read("timeout", &mut config.timeout, Cursor::duration);
        fields.read("on_store_error", &mut config.on_store_error, on_store_error);
        if fields.get("url").is_none() {
            cursor.report(
                "`[redis]` needs a `url`",
                "write `url = \"redis://127.0.0.1:6379\"`",
            );
        }
    })?;
    Some(config)
}

pub(super) fn on_store_error(cursor: &Cursor<'_>) -> Option<OnStoreError> {
    cursor.choice(&ON_STORE_ERROR)
}

pub(super) fn store(cursor: &Cursor<'_>) -> Option<StoreKind> {
    cursor.choice(&STORES)
}

fn path(cursor: &Cursor<'_>) -> Option<std::path::PathBuf> {
    cursor.filled_text().map(Into::into)
}
