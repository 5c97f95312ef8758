//! The parameters of outlier detection, and the bounds that depend on nothing else.

use std::time::Duration;

/// When a backend is ejected because of how it answers, and what bounds ejections.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct OutlierPolicy {
    /// How many failures in a row eject, of any [`Cause`](crate::Cause); default 5, 0 is off. More bears with longer streaks of bad luck,
    /// and lets a dead backend fail more requests.
    pub consecutive_errors: u32,
    /// How many [gateway errors](crate::Cause::is_gateway_error) in a row eject; default 0, which is off. Below
    /// [`consecutive_errors`](OutlierPolicy::consecutive_errors) it is stricter with backends that do not serve at all
    /// than with those that answer 500.
    pub consecutive_gateway_errors: u32,
    /// Whether backends are compared with each other; default `None`, which is off.
    pub success_rate: Option<SuccessRatePolicy>,
    /// How often success rates are compared, and after which time without ejection the next one is shorter by one
    /// `eject_for`; default 10 s. A longer one judges by more requests, later.
    pub interval: Duration,
    /// The length of a first ejection; default 30 s. The second in a row is twice as long, the third three times. Longer
    /// keeps more requests from a sick backend, and a recovered one out for longer.
    pub eject_for: Duration,
    /// The longest ejection; default 5 min.
    pub max_eject_for: Duration,
    /// By how many percent at most an ejection is made longer or shorter at random; default 10. More brings backends that
    /// were ejected together back further apart.
    pub jitter_percent: u32,
    /// How many percent of the pool's backends may be ejected at once, rounded down; default 50. Of the backends that the
    /// operator lets take part, backups included. More trusts the detection more than the pool.
    pub max_ejected_percent: u32,
    /// Below how many percent of usable backends ejections are disregarded; default 50, 0 is never. Usable is what is
    /// healthy and not ejected. More gives up sooner on telling good from bad.
    pub panic_below_percent: u32,
    /// Whether in that panic the probes are disregarded too; default false: a backend that fails its probes stays out. An
    /// open breaker is never disregarded, because it protects the backend.
    pub panic_ignores_probes: bool,
    /// Whether a probe that passes ends an ejection that began before it; default true. Set it to false where probes only
    /// connect: a backend that hangs or answers 500 passes them.
    pub readmit_on_probe: bool,
}

/// The comparison of success rates.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SuccessRatePolicy {
    /// How many backends must have enough requests in an interval; default 5. Fewer compares with less to compare with.
    pub min_hosts: u32,
    /// How many requests a backend must have in an interval to be compared; default 100.
    pub min_requests: u32,
    /// By how many standard deviations a success rate must be below the mean; default 1.9. More ejects only the worst.
    pub stdev_factor: f64,
}

impl Default for SuccessRatePolicy {
    fn default() -> Self {
        Self {
            min_hosts: 5,
            min_requests: 100,
            stdev_factor: 1.9,
        }
    }
}

impl SuccessRatePolicy {
    /// Sets [`SuccessRatePolicy::min_hosts`].
    #[must_use]
    pub fn min_hosts(mut self, hosts: u32) -> Self {
        self.min_hosts = hosts;
        self
    }

    /// Sets [`SuccessRatePolicy::min_requests`].
    #[must_use]
    pub fn min_requests(mut self, requests: u32) -> Self {
        self.min_requests = requests;
        self
    }

    /// Sets [`SuccessRatePolicy::stdev_factor`].
    #[must_use]
    pub fn stdev_factor(mut self, factor: f64) -> Self {
        self.stdev_factor = factor;
        self
    }
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            consecutive_errors: 5,
            consecutive_gateway_errors: 0,
            success_rate: None,
            interval: Duration::from_secs(10),
            eject_for: Duration::from_secs(30),
            max_eject_for: Duration::from_secs(300),
            jitter_percent: 10,
            max_ejected_percent: 50,
            panic_below_percent: 50,
            panic_ignores_probes: false,
            readmit_on_probe: true,
        }
    }
}

impl OutlierPolicy {
    /// Sets [`OutlierPolicy::consecutive_errors`].
    #[must_use]
    pub fn consecutive_errors(mut self, errors: u32) -> Self {
        self.consecutive_errors = errors;
        self
    }

    /// Sets [`OutlierPolicy::consecutive_gateway_errors`].
    #[must_use]
    pub fn consecutive_gateway_errors(mut self, errors: u32) -> Self {
        self.consecutive_gateway_errors = errors;
        self
    }

    /// Sets [`OutlierPolicy::success_rate`].
    #[must_use]
    pub fn success_rate(mut self, policy: impl Into<Option<SuccessRatePolicy>>) -> Self {
        self.success_rate = policy.into();
        self
    }

    /// Sets [`OutlierPolicy::interval`].
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets [`OutlierPolicy::eject_for`].
    #[must_use]
    pub fn eject_for(mut self, time: Duration) -> Self {
        self.eject_for = time;
        self
    }

    /// Sets [`OutlierPolicy::max_eject_for`].
    #[must_use]
    pub fn max_eject_for(mut self, time: Duration) -> Self {
        self.max_eject_for = time;
        self
    }

    /// Sets [`OutlierPolicy::jitter_percent`].
    #[must_use]
    pub fn jitter_percent(mut self, percent: u32) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// Sets [`OutlierPolicy::max_ejected_percent`].
    #[must_use]
    pub fn max_ejected_percent(mut self, percent: u32) -> Self {
        self.max_ejected_percent = percent;
        self
    }

    /// Sets [`OutlierPolicy::panic_below_percent`].
    #[must_use]
    pub fn panic_below_percent(mut self, percent: u32) -> Self {
        self.panic_below_percent = percent;
        self
    }

    /// Sets [`OutlierPolicy::panic_ignores_probes`].
    #[must_use]
    pub fn panic_ignores_probes(mut self, ignores: bool) -> Self {
        self.panic_ignores_probes = ignores;
        self
    }

    /// Sets [`OutlierPolicy::readmit_on_probe`].
    #[must_use]
    pub fn readmit_on_probe(mut self, readmits: bool) -> Self {
        self.readmit_on_probe = readmits;
        self
    }

    /// Whether one more backend may be ejected.
    pub(crate) fn has_room(&self, ejected: usize, all: usize) -> bool {
        (ejected as u64 + 1) * 100 <= u64::from(self.max_ejected_percent) * all as u64
    }

    /// Whether too few are usable to trust what is said of the others.
    pub(crate) fn is_panic(&self, usable: usize, all: usize) -> bool {
        (usable as u64) * 100 < u64::from(self.panic_below_percent) * all as u64
    }
}
