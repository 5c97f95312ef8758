//! A backend: its identity, its parameters, and the errors of both.

use std::borrow::Borrow;
use std::error::Error;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

mod care;
mod latency;
mod outcome;
mod state;

pub(crate) use care::{BREAKER, Care, RATE, Record, STREAKS, Told};
pub use latency::LatencyParameters;
pub(crate) use latency::{LatencyRule, Tick};
pub use outcome::{Cause, Outcome};
pub(crate) use state::{BREAKER_OPEN, EJECTED, FULL, HALF_OPEN, UNHEALTHY};
pub use state::{BackendState, Exclusion};

/// The identity of a backend: a name or URL that stays the same while its parameters change.
///
/// State (in-flight requests, latency) and hash placement belong to the identity, never to a position in a list.
/// Cloning costs one atomic increment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(Arc<str>);

impl BackendId {
    /// Makes an identity of a name.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for BackendId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for BackendId {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}

impl Borrow<str> for BackendId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The configured share of a backend, from 1 to 65,535; only the ratio to the weights of its pool counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(NonZeroU16);

impl Weight {
    /// The weight of a backend for which none is configured.
    pub const ONE: Self = Self(NonZeroU16::MIN);

    /// Checks a weight.
    ///
    /// # Errors
    /// Fails for 0 (disable the backend instead) and for more than 65,535.
    pub fn try_new(weight: u32) -> Result<Self, WeightError> {
        let checked = u16::try_from(weight).ok().and_then(NonZeroU16::new);
        checked.map(Self).ok_or(WeightError { weight })
    }

    /// The weight as a number.
    #[inline]
    pub fn get(self) -> u32 {
        u32::from(self.0.get())
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(weight: u32) -> Result<Self, WeightError> {
        Self::try_new(weight)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A weight outside of 1 to 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightError {
    weight: u32,
}

impl fmt::Display for WeightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight must be from 1 to 65535, got {}", self.weight)
    }
}

impl Error for WeightError {}

/// The parameters of a backend in a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Who it is; unique in its pool.
    pub id: BackendId,
    /// Its share of the requests; default 1. Round-robin is the one algorithm that ignores it.
    pub weight: Weight,
    /// How many requests it may have in flight; default unlimited. A larger number lets it queue more by itself.
    pub max_connections: Option<NonZeroU32>,
    /// Whether it serves only while no other backend can; default false.
    pub backup: bool,
}

impl Backend {
    /// A backend of weight 1, without a limit, that is no backup.
    pub fn new(id: impl Into<BackendId>) -> Self {
        Self {
            id: id.into(),
            weight: Weight::ONE,
            max_connections: None,
            backup: false,
        }
    }

    /// Sets [`Backend::weight`].
    #[must_use]
    pub fn weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Sets [`Backend::max_connections`]; `None` lifts the limit.
    #[must_use]
    pub fn max_connections(mut self, limit: impl Into<Option<NonZeroU32>>) -> Self {
        self.max_connections = limit.into();
        self
    }

    /// Sets [`Backend::backup`].
    #[must_use]
    pub fn backup(mut self, backup: bool) -> Self {
        self.backup = backup;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_checked_at_both_ends() {
        assert_eq!(Weight::try_new(1), Ok(Weight::ONE));
        assert_eq!(Weight::try_new(65_535).unwrap().get(), 65_535);
        assert_eq!(
            Weight::try_new(0).unwrap_err().to_string(),
            "weight must be from 1 to 65535, got 0"
        );
        assert_eq!(
            Weight::try_new(65_536).unwrap_err().to_string(),
            "weight must be from 1 to 65535, got 65536"
        );
    }

    #[test]
    fn setters_set_what_they_name() {
        let backend = Backend::new("a")
            .weight(Weight::try_new(3).unwrap())
            .max_connections(NonZeroU32::new(7))
            .backup(true);
        assert_eq!((backend.id.as_str(), backend.weight.get()), ("a", 3));
        assert_eq!(
            (backend.max_connections.map(NonZeroU32::get), backend.backup),
            (Some(7), true)
        );
    }
}
