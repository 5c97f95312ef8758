//! `Secrets`: keys for signing, of which the first signs and all verify.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::SessionError;

/// The secrets of a deployment, newest first: the first signs, all verify.
///
/// To change a secret without ending sessions, put the new one first everywhere, and take the old one away when what it
/// has signed is past its lifetime. Instances with the same secrets accept each other's cookies.
///
/// # Examples
/// ```
/// use lb_session::Secrets;
///
/// let secrets = Secrets::try_new(["32 random bytes of this December", "32 random bytes of last November"])?;
/// assert_eq!(format!("{secrets:?}"), "Secrets { count: 2 }");
/// # Ok::<(), lb_session::SessionError>(())
/// ```
#[derive(Clone)]
pub struct Secrets(Vec<Hmac<Sha256>>);

impl Secrets {
    /// The least length of a secret in bytes: below the size of its hash HMAC loses strength (RFC 2104 §3).
    pub const MIN_BYTES: usize = 32;

    /// The largest number of secrets, as a forged value costs a check against each.
    pub const MAX: usize = 8;

    /// Checks the secrets.
    ///
    /// They have to be random; a long word is not. Nothing here can tell.
    ///
    /// # Errors
    /// Fails without a secret, with more than [`MAX`](Self::MAX), and with one below [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn try_new<S: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SessionError> {
        let mut keys = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref();
            if secret.len() < Self::MIN_BYTES {
                return Err(SessionError::ShortSecret(secret.len()));
            }
            keys.push(keyed(secret));
        }
        if keys.is_empty() || keys.len() > Self::MAX {
            return Err(SessionError::SecretCount(keys.len()));
        }
        Ok(Self(keys))
    }

    /// Keys for one purpose, so that what was signed for one is never accepted for another.
    pub(crate) fn keys(&self, purpose: &str) -> Vec<Key> {
        let derive = |secret: &Hmac<Sha256>| {
            let derived = secret.clone().chain_update(purpose).finalize();
            Key(keyed(&derived.into_bytes()))
        };
        self.0.iter().map(derive).collect()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("count", &self.0.len())
            .finish()
    }
}

/// A derived key, with the part of HMAC that depends on the key alone done.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// The first `N` bytes of the HMAC over the parts, which must not be able to run into each other.
    pub(crate) fn tag<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut tag = [0; N];
        tag.copy_from_slice(&self.mac(parts).finalize().into_bytes()[..N]);
        tag
    }

    /// Whether `tag` is the start of the HMAC over the parts, in a time that does not depend on how much of it is.
    pub(crate) fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(parts).verify_truncated_left(tag).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_missing_and_many_secrets_are_refused() {
        let refused = |secrets: &[&str]| Secrets::try_new(secrets).unwrap_err();
        assert_eq!(refused(&[]), SessionError::SecretCount(0));
        assert_eq!(refused(&["short"]), SessionError::ShortSecret(5));
        let long = "x".repeat(32);
        assert_eq!(refused(&[long.as_str(); 9]), SessionError::SecretCount(9));
        assert!(Secrets::try_new([&long; 8]).is_ok());
    }

    #[test]
    fn purposes_do_not_share_keys() {
        let secrets = Secrets::try_new(["x".repeat(32)]).unwrap();
        let tag = |purpose| secrets.keys(purpose)[0].tag::<16>(&[b"value"]);
        assert_eq!(tag("a"), tag("a"));
        assert_ne!(tag("a"), tag("b"));
    }

    #[test]
    fn verifies_its_own_tags_only() {
        let secrets = Secrets::try_new(["x".repeat(32), "y".repeat(32)]).unwrap();
        let keys = secrets.keys("purpose");
        let tag = keys[0].tag::<16>(&[b"va", b"lue"]);
        assert!(keys[0].verifies(&[b"value"], &tag));
        assert!(!keys[1].verifies(&[b"value"], &tag));
        assert!(!keys[0].verifies(&[b"valuf"], &tag));
        assert!(!keys[0].verifies(&[b"value"], &[]), "no tag is no proof");
    }
}
