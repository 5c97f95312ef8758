//! The parameters of a pool.

use crate::backend::LatencyParameters;
use crate::pool::PoolError;
use crate::strategy::Algorithm;

/// How a pool balances.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct PoolParameters {
    /// The algorithm; default round-robin.
    pub algorithm: Algorithm,
    /// How much more than its fair share of the requests in flight a backend may have, as a factor of at least 1, for
    /// `consistent-hashing` and `ip-hash`; default none. From 1.25 to 2 is usual: a larger factor keeps more keys at
    /// their first backend, a smaller one evens out popular keys.
    pub balance_factor: Option<f64>,
    /// Mixed into keys and random bits; default 0. Instances that shall place keys alike need the same seed. A secret
    /// one keeps clients from making up keys that all lead to one backend.
    pub seed: u64,
    /// How many backends the pool may grow to, for `consistent-hashing` and `ip-hash`; default 0, as many as there are.
    /// The placement table is sized for 160, 2,621, 10,485, 41,943 or 65,535 backends, with 128 KiB to 32 MiB, and growing
    /// past one of these numbers moves nearly all keys once. A larger number takes the larger table from the start.
    /// Instances that shall place keys alike need the same.
    pub expected_backends: usize,
    /// How `least-response-time` estimates latencies.
    pub latency: LatencyParameters,
}

impl PoolParameters {
    /// The defaults with an algorithm.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            ..Self::default()
        }
    }

    /// Sets [`PoolParameters::balance_factor`].
    #[must_use]
    pub fn balance_factor(mut self, factor: impl Into<Option<f64>>) -> Self {
        self.balance_factor = factor.into();
        self
    }

    /// Sets [`PoolParameters::seed`].
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets [`PoolParameters::expected_backends`].
    #[must_use]
    pub fn expected_backends(mut self, expected: usize) -> Self {
        self.expected_backends = expected;
        self
    }

    /// Sets [`PoolParameters::latency`].
    #[must_use]
    pub fn latency(mut self, latency: LatencyParameters) -> Self {
        self.latency = latency;
        self
    }

    pub(super) fn check(&self) -> Result<(), PoolError> {
        match self.balance_factor {
            Some(factor) if !(factor.is_finite() && factor >= 1.0) => {
                Err(PoolError::BalanceFactor { factor })
            }
            Some(_) if !self.algorithm.uses_key() => Err(PoolError::BalanceFactorUnused {
                algorithm: self.algorithm,
            }),
            _ => Ok(()),
        }
    }
}
