//! What the whole server has counted, for whoever compares one moment with another.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::Handle;
use crate::admin::StatusClasses;

/// Counters at one moment.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) in_flight: u64,
    pub(crate) classes: StatusClasses,
    /// Microseconds from a request's head to its reply's head.
    pub(crate) latency: Histogram<u64>,
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Handle {
    pub(crate) fn counted(&self) -> Counted {
        let metrics = self.metrics();
        let counters = self.counters();
        let [
            informational,
            success,
            redirection,
            client_error,
            server_error,
        ] = counters.classes();
        Counted {
            requests: metrics.request_count,
            errors: metrics.error_count,
            in_flight: metrics.active_requests,
            classes: StatusClasses {
                informational,
                success,
                redirection,
                client_error,
                server_error,
            },
            latency: counters.latency(),
            reasons: metrics
                .reasons
                .into_iter()
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
        }
    }
}
