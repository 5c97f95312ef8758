//! `Edits`: what a request has changed, key by key.

use std::fmt;

use crate::error::SessionError;
use crate::value::Value;

use super::{MAX_BYTES, Values, entry_bytes, write_entry};

/// New values, and `None` for keys that are removed, in the order of the keys.
///
/// Kept apart from the values they were made on, they can be made again on newer ones.
#[derive(Clone, Default)]
pub(crate) struct Edits(Vec<(Box<str>, Option<Value>)>);

impl Edits {
    pub(crate) fn put(&mut self, key: &str, value: Option<Value>) {
        match self.position(key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key.into(), value)),
        }
    }

    /// Forgets what was done to a key.
    pub(crate) fn forget(&mut self, key: &str) {
        if let Ok(at) = self.position(key) {
            self.0.remove(at);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn of(&self, key: &str) -> Option<&Option<Value>> {
        let at = self.position(key).ok()?;
        Some(&self.0[at].1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(key))
    }

    /// How many bytes the values would take if `key` had this value too.
    pub(crate) fn merged_bytes(&self, base: Option<&Values>, key: &str, value: &Value) -> usize {
        let kept = base
            .into_iter()
            .flat_map(Values::entries)
            .filter(|entry| entry.key != key && self.of(entry.key).is_none());
        let kept: usize = kept.map(|entry| entry.bytes.len()).sum();
        let edited = self.0.iter().filter(|(known, _)| **known != *key);
        let new =
            edited.filter_map(|(key, value)| Some(entry_bytes(key, value.as_ref()?.as_ref())));
        kept + new.sum::<usize>() + entry_bytes(key, value.as_ref())
    }

    /// The values with these edits: each key has what was written last.
    ///
    /// # Errors
    /// Fails if the result takes more than `max_bytes`.
    pub(crate) fn merged(&self, base: &Values, max_bytes: usize) -> Result<Values, SessionError> {
        let max_bytes = max_bytes.min(MAX_BYTES);
        let mut merged = Vec::with_capacity(base.bytes() + 64);
        let mut edits = self.0.iter().peekable();
        let add = |key: &str, value: &Option<Value>, merged: &mut Vec<u8>| {
            let Some(value) = value else { return Ok(()) };
            // Before anything is copied, as the length of a value is not bounded by its type.
            if merged.len() + entry_bytes(key, value.as_ref()) > max_bytes {
                return Err(SessionError::TooLarge(max_bytes));
            }
            write_entry(key, value, merged);
            Ok(())
        };
        for entry in base.entries() {
            while let Some((key, value)) = edits.next_if(|(key, _)| **key < *entry.key) {
                add(key, value, &mut merged)?;
            }
            match edits.next_if(|(key, _)| **key == *entry.key) {
                Some((key, value)) => add(key, value, &mut merged)?,
                None => merged.extend_from_slice(entry.bytes),
            }
        }
        for (key, value) in edits {
            add(key, value, &mut merged)?;
        }
        if merged.len() > max_bytes {
            return Err(SessionError::TooLarge(max_bytes));
        }
        Ok(Values(merged.into()))
    }
}

/// As with the values themselves, only the keys are printed.
impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(key, _)| key))
            .finish()
    }
}
