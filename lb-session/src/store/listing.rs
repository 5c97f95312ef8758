//! What an operator sees of the sessions: summaries, page by page, without ids and values.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::id::SessionHandle;

/// What an operator may know of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its public name, by which it can be ended.
    pub handle: SessionHandle,
    /// Whether its id has been rotated, as at a login.
    pub logged_in: bool,
    /// The time since its login, or since its creation while nobody has logged in.
    pub age: Duration,
    /// The time since it was last used.
    pub idle: Duration,
    /// The bytes of its keys and values.
    pub bytes: usize,
}

/// Some of the sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The sessions.
    pub sessions: Vec<SessionSummary>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// Where a page begins: at first `Cursor::default()`, then as the page before says.
///
/// Its text can be given to whoever asks for the pages. A made-up one leads to some page or past the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    shard: u32,
    slot: u32,
}

impl Cursor {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 64 shards of 2^32 slots"
    )]
    pub(super) const fn new(shard: usize, slot: usize) -> Self {
        Self {
            shard: shard as u32,
            slot: slot as u32,
        }
    }

    pub(super) const fn place(self) -> (usize, usize) {
        (self.shard as usize, self.slot as usize)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard, self.slot)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (shard, slot) = text.split_once('.').ok_or(CursorError)?;
        let number = |text: &str| text.parse().map_err(|_| CursorError);
        Ok(Self {
            shard: number(shard)?,
            slot: number(slot)?,
        })
    }
}

/// A text that no page has given as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorError;

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cursor is two numbers with a dot between")
    }
}

impl Error for CursorError {}
