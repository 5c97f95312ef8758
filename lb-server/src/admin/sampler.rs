//! What is counted over a time: samples of counters that only grow, and their differences.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hdrhistogram::Histogram;

use super::{Latencies, Percentiles, PoolStatus};

/// How often counters are sampled.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// The longest time that is looked back.
const LONGEST: Duration = Duration::from_secs(10);
/// A sample may be this much younger than a second to stand for it: timers are not exact.
const SLACK: Duration = Duration::from_millis(100);

/// Counters at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Microseconds of all replies since the start.
    pub(crate) latency: Histogram<u64>,
    /// Requests and errors, by pool and backend.
    pub(crate) backends: HashMap<(String, String), (u64, u64), RandomState>,
}

impl Sample {
    /// Takes in what pools say of their backends.
    pub(crate) fn add_pools(&mut self, pools: &[PoolStatus]) {
        for pool in pools {
            for backend in &pool.backends {
                let key = (pool.name.clone(), backend.id.clone());
                let counted = (backend.requests, backend.errors);
                self.backends.insert(key, counted);
            }
        }
    }
}

/// The samples of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    samples: VecDeque<Sample>,
}

/// Rates at one moment.
#[derive(Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) last_1s: f64,
    pub(crate) last_10s: f64,
    pub(crate) errors_10s: f64,
    pub(crate) latency: Latencies,
}

impl Sampler {
    /// Keeps a sample, and forgets those that are older than what is looked back.
    pub(crate) fn keep(&mut self, sample: Sample) {
        let oldest_of_use = sample.at.checked_sub(LONGEST + SLACK);
        while let Some(second) = self.samples.get(1)
            && oldest_of_use.is_some_and(|at| second.at <= at)
        {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// The youngest sample that is as old as `time`, or the oldest there is.
    fn before(&self, now: Instant, time: Duration) -> Option<&Sample> {
        let is_old = |sample: &&Sample| now.saturating_duration_since(sample.at) + SLACK >= time;
        let found = self.samples.iter().rev().find(is_old);
        found.or_else(|| self.samples.front())
    }

    /// What was counted over the last second and the last ten, up to `now`.
    pub(crate) fn rates(&self, now: &Sample) -> Rates {
        let short = self.before(now.at, EVERY);
        let long = self.before(now.at, LONGEST);
        Rates {
            last_1s: rate(short, now, |sample| sample.requests),
            last_10s: rate(long, now, |sample| sample.requests),
            errors_10s: rate(long, now, |sample| sample.errors),
            latency: Latencies {
                last_1s: percentiles(&since(short, now)),
                last_10s: percentiles(&since(long, now)),
                since_start: percentiles(&now.latency),
            },
        }
    }

    /// Writes the rates of backends into their status.
    pub(crate) fn rate_backends(&self, now: &Sample, pools: &mut [PoolStatus]) {
        let long = self.before(now.at, LONGEST);
        for pool in pools {
            for backend in &mut pool.backends {
                let key = (pool.name.clone(), backend.id.clone());
                let count = |which: fn(&(u64, u64)) -> u64| {
                    rate(long, now, |sample| {
                        sample.backends.get(&key).map_or(0, which)
                    })
                };
                backend.rate = count(|counted| counted.0);
                backend.error_rate = count(|counted| counted.1);
            }
        }
    }
}

/// How much a counter grew in a second, with two digits after the point.
fn rate(before: Option<&Sample>, now: &Sample, count: impl Fn(&Sample) -> u64) -> f64 {
    let Some(before) = before else { return 0.0 };
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
    // A backend that was removed and came back counts from 0.
    let grown = count(now).saturating_sub(count(before));
    if seconds < 0.001 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "rates are not exact")]
    let rate = grown as f64 / seconds;
    (rate * 100.0).round() / 100.0
}

/// What was recorded between two samples.
fn since(before: Option<&Sample>, now: &Sample) -> Histogram<u64> {
    let mut difference = now.latency.clone();
    if let Some(before) = before
        && difference.subtract(&before.latency).is_err()
    {
        // Counters that shrank were made anew; what they say is all since then.
        return now.latency.clone();
    }
    difference
}

/// The percentiles of a histogram of microseconds.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds, to two digits")]
    let millis = |micros: u64| micros as f64 / 1e3;
    let at = |quantile| millis(histogram.value_at_quantile(quantile));
    Percentiles {
        count: histogram.len(),
        mean_ms: (histogram.mean() / 1e3 * 1e3).round() / 1e3,
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        // The difference of two histograms knows no other.
        max_ms: at(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(began: Instant, seconds: u64, requests: u64, micros: &[u64]) -> Sample {
        let mut latency = Histogram::new(2).unwrap();
        for value in micros {
            latency.record(*value).unwrap();
        }
        Sample {
            at: began + Duration::from_secs(seconds),
            requests,
            errors: requests / 10,
            latency,
            backends: HashMap::default(),
        }
    }

    #[test]
    fn rates_are_of_the_last_second_and_the_last_ten() {
        let began = crate::clock::now();
        let mut sampler = Sampler::default();
        for second in 0..30 {
            sampler.keep(sample(began, second, second * 100, &[1000]));
        }
        assert!(sampler.samples.len() <= 12, "{}", sampler.samples.len());
        let rates = sampler.rates(&sample(began, 30, 2900 + 300, &[1000, 5000, 5000]));
        assert_eq!((rates.last_1s, rates.last_10s), (300.0, 120.0));
        assert_eq!(rates.latency.last_1s.count, 2);
        assert_eq!(rates.latency.since_start.count, 3);
        assert!((4.9..5.2).contains(&rates.latency.last_1s.p50_ms));
    }

    #[test]
    fn a_server_that_just_began_has_no_rates_and_no_latencies() {
        let began = crate::clock::now();
        let mut sampler = Sampler::default();
        let first = sample(began, 0, 0, &[]);
        assert_eq!(sampler.rates(&first).last_1s, 0.0);
        sampler.keep(first.clone());
        let rates = sampler.rates(&first);
        assert_eq!((rates.last_10s, rates.latency), (0.0, Latencies::default()));
    }

    #[test]
    fn counters_that_begin_anew_are_no_negative_rate() {
        let began = crate::clock::now();
        let mut sampler = Sampler::default();
        sampler.keep(sample(began, 0, 500, &[1000, 1000]));
        let rates = sampler.rates(&sample(began, 1, 20, &[2000]));
        assert_eq!(rates.last_1s, 0.0);
        assert_eq!(rates.latency.last_1s.count, 1);
    }
}
