//! Numbers and texts in a row of bytes: what a record for a store outside of this process is made of.

use std::time::Duration;

/// Reads from the front; `None` where the bytes end too early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn millis(&mut self) -> Option<Duration> {
        let millis = self.array().map(u64::from_le_bytes)?;
        Some(Duration::from_millis(millis))
    }

    /// Bytes with their length before them.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.array().map(u32::from_le_bytes)?;
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Writes what [`Reader::millis`] reads; what is longer than 584 million years is cut.
pub(crate) fn write_millis(out: &mut Vec<u8>, duration: Duration) {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    out.extend_from_slice(&millis.to_le_bytes());
}

/// Writes what [`Reader::text`] reads; `None` if it is longer than 4 GiB.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let length = u32::try_from(text.len()).ok()?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
    Some(())
}

/// Writes how many follow; `None` if there are more than [`Reader::u16`] can tell.
pub(crate) fn write_count(out: &mut Vec<u8>, count: usize) -> Option<()> {
    let count = u16::try_from(count).ok()?;
    out.extend_from_slice(&count.to_le_bytes());
    Some(())
}
