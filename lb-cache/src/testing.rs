//! What the unit tests share.

use std::time::Instant;

/// The first instant of a test.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise; tests only add to it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
