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

    /// How long those took that came since; all of them where a route has gone meanwhile.
    fn since(&self, before: &Self) -> Percentiles {
        let mut durations = self.durations.clone();
        let result = durations.subtract(&before.durations);
        Percentiles::of(result.map_or(&self.durations, |()| &durations))
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
            let took = now.since(&before);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(took: &[u64]) -> Reading {
        let mut durations = Histogram::new(2).unwrap();
        for micros in took {
            durations.record(*micros).unwrap();
        }
        Reading {
            requests: took.len() as u64,
            errors: 0,
            durations,
        }
    }

    #[test]
    fn tells_of_what_came_since_the_last_one() {
        let (before, now) = (reading(&[9, 9, 9]), reading(&[9, 9, 9, 50, 70]));
        let took = now.since(&before);
        assert_eq!(
            (took.p50, took.p99),
            (Duration::from_micros(50), Duration::from_micros(70))
        );
        // More before than now: a route has gone, and with it what it had counted.
        assert_eq!(before.since(&now).p99, Duration::from_micros(9));
        assert_eq!(now.since(&now), Percentiles::default());
    }
}
