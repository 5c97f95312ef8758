//! `[tracing]`.

use http::{HeaderName, HeaderValue};

use super::Cursor;
use super::route::{header_name, header_value};
use crate::config::model::TracingConfig;

pub(super) fn tracing(cursor: &Cursor<'_>) -> Option<TracingConfig> {
    let mut endpoint = None;
    let mut config = None;
    cursor.table(|fields| {
        fields.read_some("endpoint", &mut endpoint, Cursor::parse);
        if fields.get("endpoint").is_none() {
            cursor.report(
                "`[tracing]` needs an `endpoint`",
                "write `endpoint = \"http://127.0.0.1:4318\"`",
            );
        }
        let placeholder = || "http://127.0.0.1:4318".parse().ok();
        // What else is wrong is worth being told as well.
        let Some(at) = endpoint.take().or_else(placeholder) else {
            return;
        };
        let config = config.insert(TracingConfig::at(at));
        fields.read("sample_ratio", &mut config.sample_ratio, Cursor::float);
        fields.read(
            "service_name",
            &mut config.service_name,
            Cursor::filled_text,
        );
        fields.read("attributes", &mut config.attributes, attributes);
        fields.read("headers", &mut config.headers, headers);
        fields.read("timeout", &mut config.timeout, Cursor::duration);
        fields.read_some("ca", &mut config.ca, |cursor| {
            cursor.filled_text().map(Into::into)
        });
        fields.read("buffer", &mut config.buffer, Cursor::size);
    })?;
    config
}

fn attributes(cursor: &Cursor<'_>) -> Option<Vec<(String, String)>> {
    let read = |(key, value): (&str, Cursor<'_>)| Some((key.to_owned(), value.text()?.to_owned()));
    Some(cursor.children().into_iter().filter_map(read).collect())
}

fn headers(cursor: &Cursor<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let read = |(name, value): (&str, Cursor<'_>)| {
        let mut found = header_value(&value)?;
        found.set_sensitive(true);
        Some((header_name(&value, name)?, found))
    };
    Some(cursor.children().into_iter().filter_map(read).collect())
}
