//! `[admin]`.

use std::path::PathBuf;

use super::Cursor;
use super::listener::listener_tls;
use crate::config::model::{AdminConfig, AdminToken, SecretText};
use crate::config::tree::Value;

pub(super) fn admin(cursor: &Cursor<'_>) -> Option<AdminConfig> {
    if !matches!(cursor.node.value, Value::Table(_)) {
        cursor.expected(
            "a table or \"off\"",
            "write `admin = { address = \"127.0.0.1:9900\" }`",
        );
        return None;
    }
    let (mut address, mut text, mut file, mut tls) = (None, None, None, None);
    let mut dashboard = true;
    let mut names = Vec::new();
    cursor.table(|fields| {
        fields.read_some("address", &mut address, Cursor::parse);
        fields.read_some("token", &mut text, |cursor| {
            cursor.filled_text().map(SecretText::new)
        });
        fields.read_some("token_file", &mut file, |cursor| {
            cursor.filled_text().map(PathBuf::from)
        });
        fields.read("names", &mut names, |cursor| {
            cursor.each(Cursor::filled_text)
        });
        fields.read("dashboard", &mut dashboard, Cursor::boolean);
        fields.read_some("tls", &mut tls, listener_tls);
        if fields.get("address").is_none() {
            cursor.report(
                "`[admin]` needs an address",
                "write `address = \"127.0.0.1:9900\"`",
            );
        }
    })?;
    if cursor.node.entry("token").is_some() && cursor.node.entry("token_file").is_some() {
        cursor.report("`token` and `token_file` are both written", "keep one");
    }
    let mut config = AdminConfig::at(address?).dashboard(dashboard).names(names);
    config.token = text
        .map(AdminToken::Text)
        .or_else(|| file.map(AdminToken::File));
    if let Some(tls) = tls {
        config.tls = tls;
    }
    Some(config)
}
