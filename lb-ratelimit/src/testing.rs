//! Small helpers of the unit tests.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::key::{Key, Keyer};
use crate::policy::{Quota, Window};

/// The first instant of a test.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise; tests only add to it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

/// `limit` per `seconds`, and as many at once.
pub(crate) fn quota(limit: u32, seconds: u64) -> Quota {
    Quota::try_new(number(limit), Duration::from_secs(seconds)).unwrap()
}

/// At most `limit` within `seconds`.
pub(crate) fn window(limit: u32, seconds: u64) -> Window {
    Window::try_new(number(limit), Duration::from_secs(seconds)).unwrap()
}

pub(crate) fn key(number: u64) -> Key {
    Keyer::new(0x5eed).start().number(number).finish()
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
