//! The retry budget: how many attempts a pool may add to what its clients ask for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::Cause;

/// How many retries are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetPolicy {
    /// How many retries 100 requests pay for; default 20. A larger number saves more requests while some backends fail,
    /// and multiplies the load while all do.
    pub percent: u32,
    /// How many retries a second are granted whatever the requests pay for; default 10. A larger number helps pools with
    /// few requests.
    pub min_per_second: u32,
    /// In which time 63 % of what was saved is forgotten; default 3 s. A backend that dies or hangs fails at once, or
    /// within one timeout, what was dealt to it before, and only savings can pay for that. Longer covers longer timeouts.
    pub memory: Duration,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self {
            percent: 20,
            min_per_second: 10,
            memory: Duration::from_secs(3),
        }
    }
}

impl BudgetPolicy {
    /// Sets [`BudgetPolicy::percent`].
    #[must_use]
    pub fn percent(mut self, percent: u32) -> Self {
        self.percent = percent;
        self
    }

    /// Sets [`BudgetPolicy::min_per_second`].
    #[must_use]
    pub fn min_per_second(mut self, min_per_second: u32) -> Self {
        self.min_per_second = min_per_second;
        self
    }

    /// Sets [`BudgetPolicy::memory`].
    #[must_use]
    pub fn memory(mut self, memory: Duration) -> Self {
        self.memory = memory;
        self
    }

    fn per_request(&self) -> f32 {
        self.percent as f32 / 100.0
    }

    /// One second's worth of the minimum, so that a burst is no more than a test by the second would see.
    fn cash_max(&self) -> f32 {
        self.min_per_second as f32 + self.per_request()
    }
}

/// Grants retries in proportion to requests.
///
/// Each request pays [`percent`](BudgetPolicy::percent) hundredths of a retry, into two accounts. *Cash* holds no more
/// than one second's minimum and is filled by the minimum too. *Savings* hold what the requests of the last seconds paid
/// and were not used; they shrink by themselves. A retry costs one of each, and:
/// - after a backend *answered* with an error, and for a hedge, cash is needed. So while all backends answer 503, attempts
///   stay below (1 + `percent` ÷ 100) × requests + `min_per_second` each second, from the first second on.
/// - after a connection error, a timeout or a reset, savings will do. So when a backend with half of the requests in
///   flight dies, all of these can go elsewhere at once.
///
/// Over any time retries are at most what was saved before, what requests paid in it, and the minimum; and if every attempt
/// of a pool times out, savings are spent once and then the first bound holds.
///
/// # Examples
/// ```
/// use lb_core::{BudgetPolicy, Cause, RetryBudget};
///
/// let now = std::time::Instant::now();
/// let (policy, budget) = (BudgetPolicy::default(), RetryBudget::new(now));
/// (0..100).for_each(|_| budget.deposit(&policy, now));
/// let granted = (0..100).filter(|_| budget.try_retry(&policy, Cause::Reset, now)).count();
/// assert_eq!(granted, 20);
/// assert!(!budget.try_retry(&policy, Cause::Reset, now));
/// ```
///
/// # Complexity
/// O(1), two compare-and-swaps, no lock; 32 bytes.
///
/// # References
/// Finagle's `RetryBudget` for deposits that expire; Envoy's `retry_budget` for the share of live requests.
#[derive(Debug)]
pub struct RetryBudget {
    epoch: Instant,
    cash: Account,
    savings: Account,
}

/// An amount in retries (upper half, an `f32`) and when it was right, in 1/1024 s after the epoch.
#[derive(Debug)]
struct Account(AtomicU64);

/// Above it an `f32` would not notice a deposit of a hundredth.
const SAVINGS_MAX: f32 = 100_000.0;
const STAMPS_PER_SECOND: f32 = 1024.0;

impl RetryBudget {
    /// A budget that has its first second's minimum.
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            // The first use fills it: an hour's minimum was due since.
            cash: Account(AtomicU64::new(pack(f32::INFINITY, 0))),
            savings: Account(AtomicU64::new(pack(0.0, 0))),
        }
    }

    /// Takes in that a request came: the first attempt, not a retry.
    pub fn deposit(&self, policy: &BudgetPolicy, now: Instant) {
        let paid = policy.per_request();
        if paid > 0.0 {
            let stamp = self.stamp(now);
            self.savings.change(stamp, |amount, passed| {
                Some((kept(policy, amount, passed) + paid).min(SAVINGS_MAX))
            });
            self.cash.change(stamp, |amount, passed| {
                Some((filled(policy, amount, passed) + paid).min(policy.cash_max()))
            });
        }
    }

    /// Pays for a retry after a failure, if the budget allows it.
    #[must_use]
    pub fn try_retry(&self, policy: &BudgetPolicy, cause: Cause, now: Instant) -> bool {
        self.pay(policy, !cause.is_answer(), now)
    }

    /// Pays for an attempt beside one that runs, if the budget allows it.
    #[must_use]
    pub fn try_hedge(&self, policy: &BudgetPolicy, now: Instant) -> bool {
        self.pay(policy, false, now)
    }

    /// How many retries it would grant now: after an answer, and after other failures.
    pub fn available(&self, policy: &BudgetPolicy, now: Instant) -> (u32, u32) {
        let stamp = self.stamp(now);
        let (amount, passed) = self.cash.read(stamp);
        let cash = filled(policy, amount, passed).min(policy.cash_max());
        let (amount, passed) = self.savings.read(stamp);
        let savings = kept(policy, amount, passed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both are from 0 to 2^32"
        )]
        let whole = |amount: f32| amount as u32;
        // Paying with cash takes as much from the savings.
        (whole(cash), whole(cash.max(savings)))
    }

    fn pay(&self, policy: &BudgetPolicy, may_save: bool, now: Instant) -> bool {
        let stamp = self.stamp(now);
        let paid = self.cash.change(stamp, |amount, passed| {
            let amount = filled(policy, amount, passed).min(policy.cash_max());
            (amount >= 1.0).then_some(amount - 1.0)
        });
        let must_pay = !paid;
        if must_pay && !may_save {
            return false;
        }
        self.savings.change(stamp, |amount, passed| {
            let amount = kept(policy, amount, passed);
            // Down to a debt: else what cash pays below one would be forgiven, again and again.
            (!must_pay || amount >= 1.0).then_some((amount - 1.0).max(-policy.cash_max()))
        }) || paid
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "wraps after 48 days, which then count as none"
    )]
    fn stamp(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.epoch);
        (elapsed.as_secs() << 10) as u32
            | (u64::from(elapsed.subsec_nanos()) * 1024 / 1_000_000_000) as u32
    }
}

/// Savings after some time.
fn kept(policy: &BudgetPolicy, amount: f32, passed: u32) -> f32 {
    if passed == 0 || amount == 0.0 {
        return amount;
    }
    let memory = policy.memory.as_secs_f32().max(f32::MIN_POSITIVE);
    amount * (-(passed as f32) / STAMPS_PER_SECOND / memory).exp()
}

/// Cash after some time, not yet bounded.
fn filled(policy: &BudgetPolicy, amount: f32, passed: u32) -> f32 {
    amount + policy.min_per_second as f32 * passed as f32 / STAMPS_PER_SECOND
}

impl Account {
    /// Whether `change` of the amount and the time passed had a result.
    fn change(&self, stamp: u32, change: impl Fn(f32, u32) -> Option<f32>) -> bool {
        let update = |word| {
            let (amount, before) = unpack(word);
            let passed = since(before, stamp);
            // Time that another thread has already counted must not be counted again.
            let stamp = before.wrapping_add(passed);
            change(amount, passed).map(|amount| pack(amount, stamp))
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
            .is_ok()
    }

    fn read(&self, stamp: u32) -> (f32, u32) {
        let (amount, before) = unpack(self.0.load(Ordering::Relaxed));
        (amount, since(before, stamp))
    }
}

/// Stamps passed, none if `now` is a little earlier, as another thread's may be.
fn since(before: u32, now: u32) -> u32 {
    let passed = now.wrapping_sub(before);
    if passed > u32::MAX / 2 { 0 } else { passed }
}

fn pack(amount: f32, stamp: u32) -> u64 {
    (u64::from(amount.to_bits()) << 32) | u64::from(stamp)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the two halves of the word"
)]
fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

#[cfg(test)]
mod tests;
