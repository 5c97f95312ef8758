//! `SessionId`, which its client alone keeps, and `SessionHandle`, by which all others name the session.

use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::base64;

/// The secret that makes a client the owner of a session: 128 bits of the caller's randomness.
///
/// Whoever has it has the session, so it stands in the client's cookie and nowhere else: it is not printed, and stores
/// keep the [`SessionHandle`].
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Makes an id of 16 random bytes.
    ///
    /// They have to come from a generator that nobody can predict (the operating system's, or one seeded by it), and
    /// must not be used for anything else.
    pub const fn from_random(random: [u8; 16]) -> Self {
        Self(random)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The public name of this session.
    ///
    /// # Complexity
    /// One compression of SHA-256.
    pub fn handle(&self) -> SessionHandle {
        let mut digest = Sha256::new();
        // Keeps these digests apart from any other use that somebody may make of SHA-256 over the same bytes.
        digest.update(b"lb-session handle 1\0");
        digest.update(self.0);
        let digest: [u8; 32] = digest.finalize().into();
        let mut handle = [0; 16];
        handle.copy_from_slice(&digest[..16]);
        SessionHandle(handle)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The public name of a session: 128 bits of the SHA-256 of its id.
///
/// It finds the session in a store, a log or a list, in every instance alike, but opens nothing: the id cannot be
/// computed from it. Its text is 22 letters of URL-safe base64.
///
/// # Examples
/// ```
/// use lb_session::{SessionHandle, SessionId};
///
/// let handle = SessionId::from_random([7; 16]).handle();
/// assert_eq!(handle.to_string().parse(), Ok(handle));
/// assert_eq!(handle.to_string().len(), 22);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionHandle([u8; 16]);

impl SessionHandle {
    /// The 16 bytes, as a key in a store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// 64 of its bits, all as good as random.
    pub(crate) const fn bits(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// One of `count` shards, chosen by bits that [`bits`](Self::bits) leaves out.
    pub(crate) const fn shard(&self, count: usize) -> usize {
        let [.., low, high] = self.0;
        u16::from_le_bytes([low, high]) as usize % count
    }
}

/// All its bits are as good as random, so eight bytes of them are a hash.
impl Hash for SessionHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.bits());
    }
}

impl fmt::Display for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(22);
        base64::encode(&self.0, &mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionHandle({self})")
    }
}

impl FromStr for SessionHandle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        let bytes = base64::decode(text.as_bytes());
        bytes.map(Self).ok_or(HandleError)
    }
}

/// A text that is not the handle of any session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleError;

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handle of a session is 22 letters of URL-safe base64")
    }
}

impl Error for HandleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_not_printed() {
        let id = SessionId::from_random([0x41; 16]);
        assert_eq!(format!("{id:?}"), "SessionId(..)");
    }

    /// Other instances and stored sessions rely on it; the value is from `tests/data/values.py`.
    #[test]
    fn a_handle_stays_the_same() {
        let handle = SessionId::from_random([0; 16]).handle();
        assert_eq!(handle.to_string(), "coYyPIxkop6_txo1D3zyaA");
    }

    #[test]
    fn only_a_whole_handle_is_read() {
        let text = SessionId::from_random([1; 16]).handle().to_string();
        assert!(text.parse::<SessionHandle>().is_ok());
        for wrong in [
            "",
            &text[1..],
            &format!("{text}A"),
            &format!("{} ", &text[1..]),
        ] {
            assert_eq!(wrong.parse::<SessionHandle>(), Err(HandleError));
        }
    }
}
