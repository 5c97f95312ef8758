//! Traces: spans of exchanges, sent to a collector of OpenTelemetry.
//!
//! A request gets its place in a trace when its head is there (`context.rs`). Spans are made at its end of what its
//! record has, straight into the worker's buffer (`spans.rs`, `wire.rs`), and sent by a thread (`export.rs`).

mod context;
mod export;
mod spans;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use crate::access_log::Redaction;
use crate::config::{Config, TracingConfig};
use crate::error::{Error, ErrorKind};
use crate::record::Record;
use crate::spool::Spool;

pub(crate) use context::Trace;

/// How long a span may wait for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the last spans to be sent.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Traces in force.
#[derive(Debug)]
pub(crate) struct Tracer {
    config: TracingConfig,
    /// Below this draw a trace is kept.
    threshold: u64,
    /// Of queries, as in the access log.
    redaction: Redaction,
    spool: Arc<Spool>,
}

impl Tracer {
    /// Starts what the configuration says; `None` where it says nothing. The spool before stays where nothing has
    /// changed but the share that is kept.
    pub(crate) fn build(
        config: &Config,
        previous: Option<&Self>,
    ) -> Result<Option<Arc<Self>>, Error> {
        let Some(tracing) = &config.tracing else {
            return Ok(None);
        };
        let same = |tracer: &&Self| {
            let ratio = tracing.sample_ratio;
            tracer.config.clone().sample_ratio(ratio) == *tracing
        };
        let spool = match previous.filter(same) {
            Some(tracer) => Arc::clone(&tracer.spool),
            None => {
                let exporter = export::Exporter::new(tracing)?;
                let workers = config.server.workers();
                let buffer = tracing.buffer as usize;
                let started = Spool::start("lb-otel", exporter, workers, buffer, GATHER);
                Arc::new(started.map_err(|error| {
                    Error::new(ErrorKind::Start, "the exporter of traces cannot be started")
                        .with_source(error)
                })?)
            }
        };
        Ok(Some(Arc::new(Self {
            config: tracing.clone(),
            threshold: threshold(tracing.sample_ratio),
            redaction: Redaction::new(&config.access_log.redact_query),
            spool,
        })))
    }

    /// Whether a trace is kept about which nobody else decides.
    pub(crate) fn draws(&self, draw: impl FnOnce() -> u64) -> bool {
        self.threshold == u64::MAX || (self.threshold > 0 && draw() < self.threshold)
    }

    /// Takes an exchange that has ended, if its trace is kept.
    pub(crate) fn take(&self, record: &Record<'_>) {
        if let Some(trace) = record.trace.filter(|trace| trace.is_sampled) {
            self.spool
                .append(|out| spans::write(out, record, trace, &self.redaction));
        }
    }

    /// Exchanges and spans that were dropped because the buffers were full, or that the collector did not take.
    pub(crate) fn dropped(&self) -> u64 {
        self.spool.dropped()
    }

    /// Sends what is there; nothing comes after it. Waits a second at most.
    pub(crate) fn close(&self) {
        self.spool.close(CLOSE_PATIENCE);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of all draws; the conversion saturates"
)]
fn threshold(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * u64::MAX as f64) as u64
}
