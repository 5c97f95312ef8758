//! `Values`: the keys and values of a session in one run of bytes, the same in memory and in a store elsewhere.

use std::fmt;
use std::sync::Arc;

use crate::error::SessionError;
use crate::value::{Value, ValueRef};

mod edits;

pub(crate) use edits::Edits;

/// Lengths are 16 bits, so no session can be larger.
pub(crate) const MAX_BYTES: usize = 65_535;

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const TEXT: u8 = 4;
const BYTES: u8 = 5;
const JSON: u8 = 6;

/// The keys and values of a session, in the order of the keys.
///
/// They are kept as the bytes that a store elsewhere would get, so cloning costs one reference count and reading is a
/// walk over a few entries. An entry is the length of its key in one byte, the key, the type in one byte, and the value:
/// nothing for true and false, 8 bytes for numbers, otherwise the length in 2 bytes (little-endian) and the content.
///
/// # Complexity
/// Reading a key is O(bytes).
#[derive(Clone)]
pub struct Values(Arc<[u8]>);

impl Values {
    /// Takes bytes that were stored, after checking all of them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        let mut rest = bytes;
        let mut last = "";
        while !rest.is_empty() {
            let (entry, after) = Entry::split(rest).ok_or(SessionError::Malformed)?;
            // The order is strict, so that the same values are the same bytes and no key hides another.
            if entry.key <= last {
                return Err(SessionError::Malformed);
            }
            last = entry.key;
            rest = after;
        }
        if bytes.len() > MAX_BYTES {
            return Err(SessionError::Malformed);
        }
        Ok(Self(bytes.into()))
    }

    /// The value under a key.
    pub fn value(&self, key: &str) -> Option<ValueRef<'_>> {
        self.entry(key).map(|entry| entry.value)
    }

    /// All keys with their values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
        self.entries().map(|entry| (entry.key, entry.value))
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn entry(&self, key: &str) -> Option<Entry<'_>> {
        self.entries().find(|entry| entry.key == key)
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (entry, after) = Entry::split(rest)?;
            rest = after;
            Some(entry)
        })
    }
}

impl Default for Values {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Values are not printed: they are what people keep about people.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(key, _)| key))
            .finish()
    }
}

struct Entry<'a> {
    key: &'a str,
    value: ValueRef<'a>,
    /// The whole entry.
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The first entry and what follows it; `None` at the end and where the bytes are no entry.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&length, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_at_checked(length.into())?;
        let key = str::from_utf8(key).ok()?;
        let (&kind, rest) = rest.split_first()?;
        let (value, rest) = match kind {
            FALSE => (ValueRef::Bool(false), rest),
            TRUE => (ValueRef::Bool(true), rest),
            INT => {
                let (number, rest) = rest.split_first_chunk()?;
                (ValueRef::Int(i64::from_le_bytes(*number)), rest)
            }
            FLOAT => {
                let (number, rest) = rest.split_first_chunk()?;
                (ValueRef::Float(f64::from_le_bytes(*number)), rest)
            }
            TEXT | BYTES | JSON => {
                let (length, rest) = rest.split_first_chunk()?;
                let (content, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
                let value = match kind {
                    TEXT => ValueRef::Text(str::from_utf8(content).ok()?),
                    JSON => ValueRef::Json(str::from_utf8(content).ok()?),
                    _ => ValueRef::Bytes(content),
                };
                (value, rest)
            }
            _ => return None,
        };
        let bytes = &bytes[..bytes.len() - rest.len()];
        Some((Self { key, value, bytes }, rest))
    }
}

/// How many bytes an entry takes.
fn entry_bytes(key: &str, value: ValueRef<'_>) -> usize {
    let content = match value {
        ValueRef::Bool(_) => 0,
        ValueRef::Int(_) | ValueRef::Float(_) => 8,
        ValueRef::Text(text) | ValueRef::Json(text) => 2 + text.len(),
        ValueRef::Bytes(bytes) => 2 + bytes.len(),
    };
    1 + key.len() + 1 + content
}

/// Appends an entry whose lengths were checked.
fn write_entry(key: &str, value: &Value, out: &mut Vec<u8>) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "keys have at most 255 bytes"
    )]
    out.push(key.len() as u8);
    out.extend_from_slice(key.as_bytes());
    let mut content = |kind: u8, content: &[u8]| {
        out.push(kind);
        #[expect(clippy::cast_possible_truncation, reason = "within MAX_BYTES")]
        out.extend_from_slice(&(content.len() as u16).to_le_bytes());
        out.extend_from_slice(content);
    };
    match value {
        Value::Text(text) => content(TEXT, text.as_bytes()),
        Value::Json(text) => content(JSON, text.as_bytes()),
        Value::Bytes(bytes) => content(BYTES, bytes),
        Value::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Int(number) => {
            out.push(INT);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Float(number) => {
            out.push(FLOAT);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_pinned() {
        let mut edits = Edits::default();
        edits.put("user", Some("al".into()));
        edits.put("n", Some((-2).into()));
        edits.put("ok", Some(true.into()));
        let values = edits.merged(&Values::default(), MAX_BYTES).unwrap();
        let expected = b"\x01n\x02\xfe\xff\xff\xff\xff\xff\xff\xff\x02ok\x01\x04user\x04\x02\0al";
        assert_eq!(values.as_bytes(), expected);
        assert_eq!(Values::decode(expected).unwrap(), values);
    }

    #[test]
    fn malformed_bytes_are_refused() {
        for bytes in [
            &b"\x01"[..],
            b"\x00\x01",
            b"\x01a",
            b"\x01a\x07",
            b"\x01a\x02\0\0\0\0\0\0\0",
            b"\x01a\x04\x02\0x",
            b"\x01a\x04\x01\0\xff",
            b"\x01\xff\x01",
            b"\x01b\x01\x01a\x01",
            b"\x01a\x01\x01a\x01",
            b"\x01a\x01\x00",
        ] {
            assert_eq!(
                Values::decode(bytes),
                Err(SessionError::Malformed),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn values_are_not_printed() {
        let values = Values::decode(b"\x04user\x04\x05\0alice").unwrap();
        assert_eq!(format!("{values:?}"), "{\"user\"}");
    }
}
