//! `[access_log]`.

use super::Cursor;
use super::resilience::optional_duration;
use super::route::header_name;
use crate::config::model::{AccessLogConfig, AccessLogFormat, AccessLogOutput, SampleConfig};

pub(in crate::config) const FORMATS: [(&str, AccessLogFormat); 6] = [
    ("json", AccessLogFormat::Json),
    ("common", AccessLogFormat::Common),
    ("combined", AccessLogFormat::Combined),
    ("logfmt", AccessLogFormat::Logfmt),
    ("haproxy", AccessLogFormat::Haproxy),
    ("pretty", AccessLogFormat::Pretty),
];

pub(super) fn access_log(cursor: &Cursor<'_>) -> Option<AccessLogConfig> {
    let mut config = AccessLogConfig::default();
    cursor.table(|fields| {
        fields.read("output", &mut config.output, output);
        fields.read("format", &mut config.format, |cursor| {
            cursor.choice(&FORMATS)
        });
        fields.read("redact_query", &mut config.redact_query, |cursor| {
            cursor.each(Cursor::filled_text)
        });
        fields.read("headers", &mut config.headers, |cursor| {
            cursor.each(|cursor| header_name(cursor, cursor.text()?))
        });
        fields.read("sample", &mut config.sample, sample);
        fields.read("buffer", &mut config.buffer, Cursor::size);
    })?;
    Some(config)
}

fn output(cursor: &Cursor<'_>) -> Option<AccessLogOutput> {
    match cursor.filled_text()?.as_str() {
        "off" => Some(AccessLogOutput::Off),
        "stdout" => Some(AccessLogOutput::Stdout),
        "stderr" => Some(AccessLogOutput::Stderr),
        path if path.contains('/') => Some(AccessLogOutput::File(path.into())),
        other => {
            cursor.report(
                format!("`{other}` is neither a stream nor a path"),
                format!(
                    "write \"stdout\", \"stderr\" or \"off\"; a file in the working directory is \"./{other}\""
                ),
            );
            None
        }
    }
}

fn sample(cursor: &Cursor<'_>) -> Option<SampleConfig> {
    let mut config = SampleConfig::default();
    cursor.table(|fields| {
        fields.read("success", &mut config.success, Cursor::float);
        fields.read("errors", &mut config.errors, Cursor::float);
        fields.read("slower_than", &mut config.slower_than, optional_duration);
    })?;
    Some(config)
}
