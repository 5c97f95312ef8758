//! `ip-hash`.

use std::time::Instant;

use super::{ConsistentHashing, PickHint, Reasoning, Strategy};
use crate::roster::Roster;

/// Picks the same backend for the same client address: [`ConsistentHashing`] with the address as the key.
///
/// The key is [`hash::client_address`](crate::hash::client_address), of the address of the peer or of the rightmost
/// untrusted forwarded address; never of the leftmost, which the client writes itself. Unlike nginx's `ip_hash` and
/// HAProxy's `source`, only the clients of a backend that goes move, weights are exact, and the prefix lengths are the
/// caller's choice.
///
/// # Examples
/// ```
/// use lb_core::{Backend, IpHash, PickHint, Roster, Strategy, hash};
///
/// let now = std::time::Instant::now();
/// let roster = Roster::new(&["a", "b", "c"].map(Backend::new), now);
/// let strategy = IpHash::new(&roster);
/// let pick = |address: &str| {
///     let key = hash::client_address(address.parse().unwrap(), 24, 64);
///     strategy.pick(&roster, &PickHint::new(0).key(key), now)
/// };
/// assert_eq!(pick("192.0.2.1"), pick("192.0.2.99"));
/// ```
///
/// # Complexity
/// As [`ConsistentHashing`].
#[derive(Debug, Clone)]
pub struct IpHash {
    pub(crate) placement: ConsistentHashing,
}

impl IpHash {
    /// Builds the table for a roster, as [`ConsistentHashing::new`].
    pub fn new(roster: &Roster) -> Self {
        Self {
            placement: ConsistentHashing::new(roster),
        }
    }
}

impl From<ConsistentHashing> for IpHash {
    fn from(placement: ConsistentHashing) -> Self {
        Self { placement }
    }
}

impl Strategy for IpHash {
    #[inline]
    fn pick(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Option<usize> {
        self.placement.pick(roster, hint, now)
    }

    fn explain(&self, roster: &Roster, hint: &PickHint<'_>, now: Instant) -> Reasoning {
        self.placement.explain(roster, hint, now)
    }

    fn bound(&self, roster: &Roster, index: usize) -> u32 {
        self.placement.bound(roster, index)
    }
}
