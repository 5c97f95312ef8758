//! Which exchanges are logged: a share of what went well, a share of what did not, and all that was slow.

use std::time::Duration;

use super::line::Line;

/// Which exchanges are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// Below this draw of 32 bits a success is kept.
    success: u64,
    /// The same for errors.
    errors: u64,
    /// From this time on everything is kept.
    slow: Option<Duration>,
}

impl Sample {
    /// Shares from 0 to 1.
    pub(crate) fn new(success: f64, errors: f64, slow: Option<Duration>) -> Self {
        Self {
            success: threshold(success),
            errors: threshold(errors),
            slow,
        }
    }

    /// Whether the line is kept. The request id decides, so instances that pass a request on agree about it.
    pub(crate) fn keeps(&self, line: &Line<'_>) -> bool {
        let below = if line.is_error() {
            self.errors
        } else {
            self.success
        };
        below > u64::from(u32::MAX)
            || self.slow.is_some_and(|slow| line.timers.total >= slow)
            || (below > 0 && lb_core::hash::key(line.request_id.as_bytes()) >> 32 < below)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share times 2^32 is within 0 and 2^32"
)]
fn threshold(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 4_294_967_296.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::line::sample as line;

    fn kept(sample: Sample, change: impl Fn(&mut Line<'_>)) -> usize {
        let ids = (0..10_000).map(|number: u32| number.to_string());
        ids.filter(|id| {
            let mut line = line();
            line.request_id = id;
            change(&mut line);
            sample.keeps(&line)
        })
        .count()
    }

    #[test]
    fn keeps_the_share_it_is_told() {
        for (share, least, most) in [
            (0.0, 0, 0),
            (0.1, 900, 1100),
            (0.5, 4800, 5200),
            (1.0, 10_000, 10_000),
        ] {
            let found = kept(Sample::new(share, 1.0, None), |_| {});
            assert!((least..=most).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn keeps_errors_and_what_was_slow_whatever_becomes_of_the_rest() {
        let sample = Sample::new(0.0, 1.0, Some(Duration::from_secs(1)));
        assert_eq!(kept(sample, |_| {}), 0);
        assert_eq!(kept(sample, |line| line.status = 404), 10_000);
        assert_eq!(
            kept(sample, |line| line.reason = Some("client_closed")),
            10_000
        );
        assert_eq!(
            kept(sample, |line| line.timers.total = Duration::from_secs(1)),
            10_000
        );
        let sample = Sample::new(1.0, 0.0, None);
        assert_eq!(kept(sample, |line| line.status = 503), 0);
    }

    #[test]
    fn decides_alike_for_the_same_request() {
        let sample = Sample::new(0.5, 1.0, None);
        let one = kept(sample, |_| {});
        assert_eq!(kept(sample, |_| {}), one);
    }
}
