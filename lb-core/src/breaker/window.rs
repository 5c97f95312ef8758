//! Requests and failures of the last seconds.

use std::time::{Duration, Instant};

/// How many parts a window has: what leaves it at once is a tenth.
const PARTS: usize = 10;

/// A window that moves in tenths.
#[derive(Debug, Default)]
pub(super) struct Window {
    parts: [Part; PARTS],
    /// The newest part, and when it began.
    newest: usize,
    began: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    requests: u32,
    failures: u32,
}

impl Window {
    pub(super) fn count(&mut self, length: Duration, is_failure: bool, now: Instant) {
        let part = self.part(length, now);
        part.requests = part.requests.saturating_add(1);
        part.failures = part.failures.saturating_add(u32::from(is_failure));
    }

    /// One that was counted as a success is a failure.
    pub(super) fn correct(&mut self, length: Duration, now: Instant) {
        let part = self.part(length, now);
        part.failures = part.failures.saturating_add(1);
    }

    /// Requests and failures; the success of a corrected one may have left the window before.
    pub(super) fn totals(&mut self, length: Duration, now: Instant) -> (u32, u32) {
        self.part(length, now);
        let add = |(requests, failures): (u32, u32), part: &Part| {
            (
                requests.saturating_add(part.requests),
                failures.saturating_add(part.failures),
            )
        };
        let (requests, failures) = self.parts.iter().fold((0, 0), add);
        (requests, failures.min(requests))
    }

    /// The part that `now` belongs to, once what is older than the window is forgotten.
    fn part(&mut self, length: Duration, now: Instant) -> &mut Part {
        let began = *self.began.get_or_insert(now);
        let part = (length.as_nanos() / PARTS as u128).max(1);
        let passed = now.saturating_duration_since(began).as_nanos() / part;
        if passed >= PARTS as u128 {
            *self = Self {
                began: Some(now),
                ..Self::default()
            };
        } else if let Ok(passed) = u64::try_from(passed) {
            for _ in 0..passed {
                self.newest = (self.newest + 1) % PARTS;
                self.parts[self.newest] = Part::default();
            }
            let part = u64::try_from(part).unwrap_or(u64::MAX);
            self.began = Some(began + Duration::from_nanos(part.saturating_mul(passed)));
        }
        &mut self.parts[self.newest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draws;
    use crate::testing::now;

    /// Against a list of all requests: nothing younger than nine tenths is missing, nothing older than the window counts.
    #[test]
    fn a_million_requests_are_counted_and_forgotten_in_time() {
        let length = Duration::from_secs(10);
        let start = now();
        let mut draws = Draws::new(2);
        let mut window = Window::default();
        let mut all = std::collections::VecDeque::new();
        let mut at = start;
        for step in 0..1_000_000_u32 {
            at += if step % 5000 == 0 {
                Duration::from_secs(draws.next() % 15)
            } else {
                Duration::from_micros(draws.next() % 400_000)
            };
            let failed = draws.next().is_multiple_of(3);
            window.count(length, failed, at);
            all.push_back((at, failed));
            while all.front().is_some_and(|&(then, _)| at - then > length) {
                all.pop_front();
            }
            let least = all
                .iter()
                .filter(|&&(then, _)| at - then <= length * 9 / 10)
                .count();
            let (requests, failures) = window.totals(length, at);
            assert!(
                (least..=all.len()).contains(&(requests as usize)),
                "{requests}"
            );
            assert!(failures as usize <= all.iter().filter(|(_, failed)| *failed).count());
        }
    }
}
