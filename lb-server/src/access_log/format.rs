//! The formats of a line.

mod apache;
mod haproxy;
mod json;
mod logfmt;
mod pretty;

use http::HeaderValue;

use crate::config::AccessLogFormat;

use super::line::Line;
use super::redact::Redaction;

/// How a line is written.
#[derive(Debug)]
pub(crate) struct Formatter {
    format: AccessLogFormat,
    redaction: Redaction,
    /// Names of the request's fields that are logged.
    headers: Box<[Box<str>]>,
}

impl Formatter {
    pub(crate) fn new(
        format: AccessLogFormat,
        redaction: Redaction,
        headers: Box<[Box<str>]>,
    ) -> Self {
        Self {
            format,
            redaction,
            headers,
        }
    }

    /// Appends a line with its end.
    pub(crate) fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        match self.format {
            AccessLogFormat::Json => json::write(self, line, out),
            AccessLogFormat::Common => apache::write(self, line, out, apache::Kind::Common),
            AccessLogFormat::Combined => apache::write(self, line, out, apache::Kind::Combined),
            AccessLogFormat::Logfmt => logfmt::write(self, line, out),
            AccessLogFormat::Haproxy => haproxy::write(self, line, out),
            AccessLogFormat::Pretty => pretty::write(self, line, out),
        }
        out.push(b'\n');
    }

    /// The parts of the query as it may be shown.
    fn query<'a>(&'a self, line: &Line<'a>) -> Option<impl Iterator<Item = &'a [u8]>> {
        line.query
            .map(|query| self.redaction.query(query.as_bytes()))
    }

    /// The parts of the referer as it may be shown.
    fn referer<'a>(&'a self, line: &Line<'a>) -> Option<impl Iterator<Item = &'a [u8]>> {
        line.referer.map(|referer| self.redaction.url(referer))
    }

    /// The fields that are logged, with their values where the request has them.
    fn fields<'a>(&'a self, line: &Line<'a>) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let values = line
            .headers
            .iter()
            .map(|value| value.as_ref().map(HeaderValue::as_bytes));
        self.headers.iter().map(AsRef::as_ref).zip(values)
    }
}

/// Appends a value that formats `Display`, such as an address, which no peer chose the letters of.
fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    use std::io::Write as _;
    // Writing to a `Vec` does not fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests;
