//! Slow start: what share of its load a backend gets that is new or has come back.

use std::time::Duration;

/// How the share of a backend grows when it enters its pool.
///
/// For every algorithm that balances; those that place by key don't move keys for it. The ramp begins anew each time the
/// backend becomes eligible, and is skipped where nobody else has been serving, who could take the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SlowStart {
    /// How long it takes to the full share; default 30 s. Longer spares cold caches more, and burdens the others.
    pub window: Duration,
    /// The share to begin with, in percent; default 10. A smaller one lets fewer requests meet a cold backend, and warms it
    /// up later.
    pub min_percent: u32,
    /// The shape; default 1, which is linear. Above 1 the share grows quickly at first and then slowly, below 1 the other
    /// way round.
    pub aggression: f64,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            min_percent: 10,
            aggression: 1.0,
        }
    }
}

impl SlowStart {
    /// The number that stands for a full share.
    pub(crate) const FULL: u32 = 100;

    /// Sets [`SlowStart::window`].
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets [`SlowStart::min_percent`].
    #[must_use]
    pub fn min_percent(mut self, percent: u32) -> Self {
        self.min_percent = percent;
        self
    }

    /// Sets [`SlowStart::aggression`].
    #[must_use]
    pub fn aggression(mut self, aggression: f64) -> Self {
        self.aggression = aggression;
        self
    }

    /// The share, in percent, of a backend that entered so long ago: from 1 to 100, and never less than before.
    ///
    /// # References
    /// Envoy's `slow_start_config`: `max(min_weight_percent, (time ÷ window)^(1 ÷ aggression))`.
    pub fn percent(&self, entered: Duration) -> u32 {
        if entered >= self.window {
            return Self::FULL;
        }
        let time = entered.as_secs_f64() / self.window.as_secs_f64();
        let aggression = if self.aggression > 0.0 {
            self.aggression
        } else {
            1.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100"
        )]
        let percent = (time.powf(1.0 / aggression) * f64::from(Self::FULL)) as u32;
        percent.max(self.min_percent).clamp(1, Self::FULL)
    }

    /// The wait until the share is worth looking at again: a fiftieth of the window.
    pub(crate) fn step(&self) -> Duration {
        (self.window / 50).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_share_grows_from_the_least_to_the_whole() {
        let ramp = SlowStart::default();
        let percents = [0, 1, 3, 6, 15, 29, 30, 31].map(|second| ramp.percent(second * SECOND));
        assert_eq!(percents, [10, 10, 10, 20, 50, 96, 100, 100]);
        let early = ramp.aggression(2.0);
        assert_eq!(
            [3, 8, 15].map(|second| early.percent(second * SECOND)),
            [31, 51, 70]
        );
        assert_eq!(ramp.window(Duration::ZERO).percent(Duration::ZERO), 100);
    }

    proptest! {
        #[test]
        fn any_ramp_rises(
            window in any::<u64>(),
            min_percent in any::<u32>(),
            aggression in any::<f64>(),
            times in prop::collection::vec(any::<u64>(), 1..50),
        ) {
            let ramp = SlowStart::default()
                .window(Duration::from_nanos(window))
                .min_percent(min_percent)
                .aggression(aggression);
            let mut times = times;
            times.sort_unstable();
            let mut before = 1;
            for time in times {
                let percent = ramp.percent(Duration::from_nanos(time));
                prop_assert!((before..=100).contains(&percent));
                prop_assert!(percent == 100 || time < window);
                before = percent;
            }
        }
    }
}
