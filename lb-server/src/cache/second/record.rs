//! A value in the store: a response, or the names of the fields that tell the responses of a key apart.
//!
//! Nothing of a value is believed before its checksum, and the key that it was written under, are right: other programs
//! write to the same store, and names are hashes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::HeaderName;
use lb_cache::StoredResponse;

/// What every value begins with; another layout gets another one.
const MAGIC: [u8; 8] = *b"lbcache1";
/// The checksum of all that follows it.
const CHECKSUM: usize = 8;
const RESPONSE: u8 = 0;
const INDEX: u8 = 1;

/// What a value tells beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// How far its writer had read the log of purges before it asked the backend.
    pub(super) position: u64,
    /// When it was written, by the clock of its writer.
    pub(super) written: SystemTime,
    /// How long the store was told to keep it.
    pub(super) lives: Duration,
}

impl Stamp {
    /// How long ago the value was written.
    ///
    /// The store counts it down, whatever the clocks of the instances say. Where they say that it was longer, because
    /// the command was held up on its way, that counts: what is in doubt is older.
    fn resident(&self, left: Duration, wall: SystemTime) -> Duration {
        let by_store = self.lives.saturating_sub(left);
        let by_clock = wall.duration_since(self.written).unwrap_or_default();
        by_store.max(by_clock)
    }
}

/// A value that was read.
#[derive(Debug)]
pub(super) enum Record {
    Response(Box<StoredResponse>, Stamp),
    /// The responses differ by these fields, and lie under names made of them.
    Index(Vec<HeaderName>),
}

/// Writes a response; `None` if it cannot be written.
pub(super) fn of_response(
    key: &str,
    response: &StoredResponse,
    stamp: &Stamp,
    now: Instant,
) -> Option<Vec<u8>> {
    let mut out = begin(key, RESPONSE, stamp)?;
    response.encode(&mut out, now).then(|| sealed(out))
}

/// Writes the names of fields.
pub(super) fn of_index<'n>(
    key: &str,
    names: impl Iterator<Item = &'n HeaderName>,
    stamp: &Stamp,
) -> Option<Vec<u8>> {
    let mut out = begin(key, INDEX, stamp)?;
    for name in names {
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b'\n');
    }
    Some(sealed(out))
}

/// Reads a value of this key; `left` is how long the store still keeps it. `None` unless this version wrote it.
pub(super) fn read(
    key: &str,
    value: &[u8],
    left: Duration,
    now: Instant,
    wall: SystemTime,
) -> Option<Record> {
    let (checksum, content) = value
        .strip_prefix(&MAGIC)?
        .split_first_chunk::<CHECKSUM>()?;
    if u64::from_le_bytes(*checksum) != lb_core::hash::key(content) {
        return None;
    }
    let ([kind], rest) = content.split_first_chunk()?;
    let (position, rest) = number(rest)?;
    let (written, rest) = number(rest)?;
    let (lives, rest) = number(rest)?;
    let (length, rest) = number(rest)?;
    let (its_key, content) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    if its_key != key.as_bytes() {
        return None;
    }
    let stamp = Stamp {
        position,
        written: UNIX_EPOCH.checked_add(Duration::from_millis(written))?,
        lives: Duration::from_millis(lives),
    };
    match *kind {
        RESPONSE => {
            let resident = stamp.resident(left, wall);
            let response = StoredResponse::decode(content, resident, now)?;
            Some(Record::Response(Box::new(response), stamp))
        }
        INDEX => {
            let names = content.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
            let names: Result<Vec<_>, _> = names.map(HeaderName::from_bytes).collect();
            names.ok().map(Record::Index)
        }
        _ => None,
    }
}

fn begin(key: &str, kind: u8, stamp: &Stamp) -> Option<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[0; CHECKSUM]);
    out.push(kind);
    let written = stamp.written.duration_since(UNIX_EPOCH).unwrap_or_default();
    for number in [
        stamp.position,
        u64::try_from(written.as_millis()).ok()?,
        u64::try_from(stamp.lives.as_millis()).ok()?,
        key.len() as u64,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(key.as_bytes());
    Some(out)
}

fn sealed(mut out: Vec<u8>) -> Vec<u8> {
    let checksum = lb_core::hash::key(&out[MAGIC.len() + CHECKSUM..]);
    out[MAGIC.len()..MAGIC.len() + CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests;
