//! What backends received, noted line by line: when, what, and of which request.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The head has come.
    Head,
    /// The request is here to its last byte: from now on it is processed.
    Whole,
}

impl Event {
    pub(crate) fn line(self, id: &str) -> String {
        let letter = match self {
            Self::Head => 'H',
            Self::Whole => 'W',
        };
        format!("{} {letter} {id}\n", now_micros())
    }
}

/// Microseconds since 1970: the processes of a run have no other clock in common.
pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// What one backend received.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// When the heads came, in order.
    pub(crate) heads: Vec<u64>,
    /// How often each request was received whole.
    pub(crate) whole: HashMap<u64, u32>,
}

impl Journal {
    /// Reads what was noted; nothing if nothing ever came.
    ///
    /// # Errors
    ///
    /// Fails if the file is there and cannot be read.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut journal = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let at = words.next().and_then(|at| at.parse().ok());
            match (at, words.next()) {
                (Some(at), Some("H")) => journal.heads.push(at),
                (Some(_), Some("W")) => {
                    if let Some(id) = words.next().and_then(|id| id.parse().ok()) {
                        *journal.whole.entry(id).or_default() += 1;
                    }
                }
                // Of a backend that was killed within a line.
                _ => {}
            }
        }
        journal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_was_noted() {
        let text = Event::Head.line("7") + &Event::Whole.line("7") + "12 W 7\n99 H\n12";
        let journal = Journal::parse(&text);
        assert_eq!(journal.heads.len(), 2);
        assert_eq!(journal.heads[1], 99);
        assert_eq!(journal.whole[&7], 2);
    }
}
