//! Decisions by a store that others share: one script for all limits of a route, in one round trip.

use std::sync::Arc;

use lb_ratelimit::{Decision, Enforcement, Policy, StoreQuota, StoreWindow};

use super::Limit;
use crate::redis::{Command, Script, Value};

static DECIDE: Script = Script::new(include_str!("script.lua"));

/// Integers that the script takes, and answers, for each limit.
const NUMBERS: usize = 5;

/// Asks for a decision under all of these limits; `key` names what is counted.
pub(super) fn command(limits: &[Arc<Limit>], key: impl Fn(&Limit) -> String) -> Command {
    let command = limits
        .iter()
        .fold(Command::script(&DECIDE), |command, limit| {
            command.key(key(limit))
        });
    limits.iter().fold(command, |command, limit| {
        let (kind, a, b) = match &limit.policy {
            Policy::TokenBucket(quota) => {
                let numbers = StoreQuota::from(quota);
                let interval = numbers.emission_interval_micros();
                ("bucket", interval, numbers.burst_tolerance_micros())
            }
            Policy::SlidingWindow(window) => {
                let numbers = StoreWindow::from(window);
                ("window", numbers.window_micros(), numbers.limit().into())
            }
        };
        command
            .word(kind)
            .number((limit.enforcement == Enforcement::Enforce).into())
            .number(limit.cost.into())
            .number(a)
            .number(b)
    })
}

/// Understands the answer: a decision for each limit. `None` if it is not of that form.
pub(super) fn decisions(limits: &[Arc<Limit>], answer: &Value) -> Option<Vec<Decision>> {
    let integers = answer.integers()?;
    if integers.len() != limits.len() * NUMBERS {
        return None;
    }
    let answers = || limits.iter().zip(integers.chunks_exact(NUMBERS));
    let is_counted = answers()
        .all(|(limit, numbers)| numbers[0] == 1 || limit.enforcement == Enforcement::Observe);
    Some(
        answers()
            .map(|(limit, numbers)| decision(limit, numbers, is_counted))
            .collect(),
    )
}

/// Nothing is assumed of the numbers: what is negative or too large counts as the extreme.
fn decision(limit: &Limit, numbers: &[i64], is_counted: bool) -> Decision {
    let admitted = numbers[0] == 1;
    let at = |index: usize| u64::try_from(numbers[index]).unwrap_or(0);
    let count = |index: usize| u32::try_from(at(index)).unwrap_or(u32::MAX);
    let level = if admitted && is_counted { 3 } else { 2 };
    match &limit.policy {
        Policy::TokenBucket(quota) => {
            StoreQuota::from(quota).decision(limit.cost, admitted, at(level), at(4))
        }
        Policy::SlidingWindow(window) => StoreWindow::from(window).decision(
            limit.cost,
            admitted,
            (count(1), count(level)),
            at(4),
        ),
    }
}

#[cfg(test)]
#[cfg(feature = "redis")]
mod tests;
