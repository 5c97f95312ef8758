//! The access log: a line for each exchange that has ended.
//!
//! ```text
//! worker   exchange ends ─ kept? ─ formatted into the worker's buffer
//! thread                            └ a few times a second ─► standard output, or a file
//! ```

mod escape;
mod figures;
mod format;
mod line;
mod output;
mod redact;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AccessLogConfig, AccessLogOutput, Config};
use crate::error::{Error, ErrorKind};
use crate::record::{Record, RecordSink};
use crate::spool::Spool;

use format::Formatter;
use line::Line;
pub(crate) use output::Output;
pub(crate) use redact::Redaction;
use sample::Sample;

/// How long a line may wait for others to be written with.
const GATHER: Duration = Duration::from_millis(200);

/// How long the end of the process waits for the last lines to be written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The access log in force.
#[derive(Debug)]
pub(crate) struct AccessLog {
    formatter: Formatter,
    sample: Sample,
    /// Routes whose exchanges are not logged.
    silent: Box<[Box<str>]>,
    spool: Arc<Spool>,
    /// What the spool was made for.
    output: AccessLogOutput,
    buffer: u32,
}

impl AccessLog {
    /// Opens what the configuration says; `None` where it is off. The spool before stays where neither destination
    /// nor buffer has changed, so no line is lost or written twice.
    pub(crate) fn build(
        config: &Config,
        previous: Option<&Self>,
    ) -> Result<Option<Arc<Self>>, Error> {
        let AccessLogConfig {
            output,
            format,
            redact_query,
            headers,
            sample,
            buffer,
        } = &config.access_log;
        if *output == AccessLogOutput::Off {
            return Ok(None);
        }
        let kept = previous.filter(|log| log.output == *output && log.buffer == *buffer);
        let spool = match kept {
            Some(log) => Arc::clone(&log.spool),
            None => Arc::new(open(output, config.server.workers(), *buffer)?),
        };
        let silent = config.routes.iter().filter(|route| !route.access_log);
        Ok(Some(Arc::new(Self {
            formatter: Formatter::new(
                *format,
                Redaction::new(redact_query),
                headers.iter().map(|name| name.as_str().into()).collect(),
            ),
            sample: Sample::new(sample.success, sample.errors, sample.slower_than),
            silent: silent.map(|route| route.name.as_str().into()).collect(),
            spool,
            output: output.clone(),
            buffer: *buffer,
        })))
    }

    /// Writes a line, if exchanges like this are logged.
    fn note(&self, line: &Line<'_>) {
        let is_silent = |route: &str| self.silent.iter().any(|silent| **silent == *route);
        if !line.route.is_some_and(is_silent) && self.sample.keeps(line) {
            self.spool.append(|out| self.formatter.write(line, out));
        }
    }

    /// Lines that were dropped because the buffers were full, or could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.spool.dropped()
    }

    /// Opens the file anew, after it was renamed.
    pub(crate) fn reopen(&self) {
        self.spool.reopen();
    }

    /// Writes what is there; nothing comes after it. Waits a second at most.
    pub(crate) fn close(&self) {
        self.spool.close(CLOSE_PATIENCE);
    }
}

fn open(output: &AccessLogOutput, workers: usize, buffer: u32) -> Result<Spool, Error> {
    let failed = |error: std::io::Error| {
        let text = match output {
            AccessLogOutput::File(path) => {
                format!("the access log cannot be written to `{}`", path.display())
            }
            _ => "the access log cannot be written".to_owned(),
        };
        Error::new(ErrorKind::Start, text).with_source(error)
    };
    let opened = Output::open(output.clone()).map_err(failed)?;
    Spool::start("lb-access-log", opened, workers, buffer as usize, GATHER).map_err(failed)
}

impl RecordSink for AccessLog {
    fn take(&self, record: &Record<'_>) {
        self.note(&Line::of(record));
    }
}
