//! A summary in the log, every so often.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Percentiles;
use crate::drain::Drain;
use crate::running::Handle;

/// What a summary compares with the one before it.
struct Reading {
    requests: u64,
    errors: u64,
    durations: Histogram<u64>,
}

impl Reading {
    fn of(handle: &Handle) -> Self {
        let sums = handle.counters().read();
        let mut durations = Histogram::new(2).expect("two significant digits are valid");
        for (_, route) in handle.snapshot().route_counters() {
            // It resizes itself.
            let _too_large = durations.add(route.durations().histogram());
        }
        Self {
            requests: sums.answered,
            errors: sums.errors,
            durations,
        }
    }

    /// What was added since; all of it where a route has gone meanwhile.
    fn since(&self, before: &Self) -> Histogram<u64> {
        let mut durations = self.durations.clone();
        match durations.subtract(&before.durations) {
            Ok(()) => durations,
            Err(_more_before) => self.durations.clone(),
        }
    }
}

/// Logs a summary every so often, until the server's end.
pub(crate) async fn report(handle: Handle, every: Option<Duration>, drain: Drain) {
    let Some(every) = every else {
        return;
    };
    let reporting = async {
        let mut before = Reading::of(&handle);
        loop {
            tokio::time::sleep(every).await;
            let now = Reading::of(&handle);
            let took = Percentiles::of(&now.since(&before));
            tracing::info!(
                requests = now.requests - before.requests,
                errors = now.errors - before.errors,
                active = handle.counters().read().active,
                p50 = ?took.p50,
                p99 = ?took.p99,
                every = ?every,
                "report"
            );
            before = now;
        }
    };
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = reporting => {}
    }
}
