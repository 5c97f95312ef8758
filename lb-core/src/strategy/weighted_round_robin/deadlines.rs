//! Evenly spaced deadlines, by a heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::hash::STEP;
use crate::roster::Roster;

/// In each cycle a backend of weight w has w deadlines, at `(turn + phase) / w` with a phase of its own in 0..1. So each
/// cycle holds exactly the configured shares, however the divisions round, and each backend's are evenly spaced.
#[derive(Debug, Clone)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<Next>>,
    /// The deadline last passed.
    passed: Deadline,
    /// Turns taken ahead, by affinity or because the others could not, of each position of the roster.
    ahead: Vec<u32>,
}

/// A cycle, and how far it is gone in parts of [`CYCLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Deadline {
    cycle: u64,
    part: u64,
}

/// A backend's next deadline. The order is that of the deadlines, then of the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    deadline: Deadline,
    index: u32,
    weight: u32,
    phase: u32,
    turn: u32,
}

const CYCLE: u64 = 1 << 47;

/// After so many turns in a row that nobody could take, all are compared.
const LOST_MAX: usize = 32;

impl Next {
    fn part(&self) -> u64 {
        // 16 bits of turn, 32 of phase, 15 of precision: the quotient is below CYCLE because the turn is below the weight.
        (((u64::from(self.turn) << 32) | u64::from(self.phase)) << 15) / u64::from(self.weight)
    }

    fn advance(&mut self) {
        self.turn += 1;
        if self.turn == self.weight {
            self.turn = 0;
            self.deadline.cycle += 1;
        }
        self.deadline.part = self.part();
    }

    /// Goes to the first deadline after `passed`.
    fn skip_to(&mut self, passed: Deadline) {
        self.deadline.cycle = passed.cycle;
        let turns = u128::from(passed.part) * u128::from(self.weight) / u128::from(CYCLE);
        self.turn = u32::try_from(turns).unwrap_or(0).min(self.weight - 1);
        self.deadline.part = self.part();
        if self.deadline <= passed {
            self.advance();
        }
    }
}

impl Deadlines {
    pub(super) fn new(roster: &Roster) -> Self {
        let mut by_weight: Vec<u32> = roster.eligible().to_vec();
        by_weight.sort_by_key(|&index| roster.weight(index as usize));
        let equals =
            by_weight.chunk_by(|&a, &b| roster.weight(a as usize) == roster.weight(b as usize));
        let mut next = Vec::with_capacity(by_weight.len());
        let mut offset = STEP / 2;
        for equals in equals {
            // Together, equals are like one backend with the sum of their weights. Each such group begins at a point of
            // its own, by golden-section steps, or all odd weights would meet in the middle of the cycle.
            for (place, &index) in (0_u64..).zip(equals) {
                let phase = ((place << 32) | (offset >> 32)) / equals.len() as u64;
                let weight = roster.weight(index as usize);
                let phase = u32::try_from(phase).unwrap_or(u32::MAX);
                let mut first = Next {
                    deadline: Deadline::default(),
                    index,
                    weight,
                    phase,
                    turn: 0,
                };
                first.deadline.part = first.part();
                next.push(Reverse(first));
            }
            offset = offset.wrapping_add(STEP);
        }
        Self {
            heap: next.into(),
            passed: Deadline::default(),
            ahead: vec![0; roster.len()],
        }
    }

    /// Time goes on where it stood: what is due later is still due then.
    pub(super) fn take_over(&mut self, old: &Self) {
        self.passed = old.passed;
        let mut next = std::mem::take(&mut self.heap).into_vec();
        for Reverse(next) in &mut next {
            next.skip_to(old.passed);
        }
        self.heap = next.into();
    }

    pub(super) fn pick(&mut self, is_usable: impl Fn(usize) -> bool) -> Option<usize> {
        let mut lost = 0;
        while lost < LOST_MAX {
            let mut top = self.heap.peek_mut()?;
            let index = top.0.index as usize;
            self.passed = top.0.deadline;
            top.0.advance();
            // Sifts it to its new place.
            drop(top);
            if self.ahead[index] > 0 {
                self.ahead[index] -= 1;
            } else if is_usable(index) {
                return Some(index);
            } else {
                lost += 1;
            }
        }
        let usable = self
            .heap
            .iter()
            .map(|next| &next.0)
            .filter(|next| is_usable(next.index as usize));
        let index = usable.min().map(|next| next.index as usize)?;
        self.ahead[index] = self.ahead[index].saturating_add(1);
        Some(index)
    }

    pub(super) fn charge(&mut self, roster: &Roster, index: usize) {
        self.ahead[index] = (self.ahead[index] + 1).min(roster.weight(index));
    }

    /// How far each backend's deadline lies ahead, in cycles.
    pub(super) fn scores(&self, roster: &Roster) -> Vec<Option<f64>> {
        let mut scores = vec![None; roster.len()];
        for Reverse(next) in &self.heap {
            let cycles = next.deadline.cycle.saturating_sub(self.passed.cycle) as f64;
            let parts = (next.deadline.part as f64 - self.passed.part as f64) / CYCLE as f64;
            scores[next.index as usize] = Some(cycles + parts);
        }
        scores
    }
}
