//! How long a connection from a client may live, so that load is evened out behind balancers that
//! know connections only.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::clock;

/// After what a connection is retired, gracefully.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wear {
    /// `None` is no limit.
    pub(crate) max_requests: Option<NonZeroU32>,
    /// `None` is no limit.
    pub(crate) max_age: Option<Duration>,
}

impl Wear {
    /// When a connection that begins now is retired: up to a tenth earlier than its greatest age, so
    /// that those that began together do not come back together.
    pub(crate) fn retire_at(&self, random: impl FnOnce() -> u64) -> Option<Instant> {
        let age = self.max_age?;
        #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
        let share = (random() >> 11) as f64 / (1u64 << 53) as f64;
        clock::now().checked_add(age - age.mul_f64(share / 10.0))
    }
}
