//! `SessionCookie`: the signed cookie that carries a session's id.

use std::time::Duration;

use crate::base64;
use crate::cookie::{self, SetCookie};
use crate::id::SessionId;
use crate::secrets::{Key, Secrets};

/// Bytes of id and of tag.
const ID: usize = 16;
const SEALED: usize = 2 * ID;

/// How many cookies of the session's name one request can have checked.
///
/// A sibling host can plant some beside the real one, while a client that sends hundreds wants to see us compute.
const MAX_CANDIDATES: usize = 4;

/// The cookie that carries a session's id, with an HMAC-SHA-256 over it.
///
/// The value is the URL-safe base64 of the id and the first 128 bits of the HMAC over the cookie's name and the id, 43
/// letters. The id alone could not be guessed either; thanks to the tag a made-up one is refused here, before it costs
/// a look into a store, possibly one over the network.
///
/// # Examples
/// ```
/// use lb_session::{Secrets, SessionCookie, SessionId, cookie::SetCookie};
///
/// let secrets = Secrets::try_new(["32 random bytes of this December"])?;
/// let cookie = SessionCookie::new(SetCookie::try_new("__Host-lb_session")?, &secrets);
/// let id = SessionId::from_random([7; 16]);
///
/// let field = cookie.issue(&id, None);
/// let (pair, attributes) = field.split_once("; ").unwrap();
/// assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
///
/// let presented = cookie.read([pair.as_bytes()]).unwrap();
/// assert_eq!(presented.id, id);
/// assert!(cookie.read([pair.replacen("Bw", "Bx", 1).as_bytes()]).is_none());
/// # Ok::<(), lb_session::SessionError>(())
/// ```
#[derive(Clone)]
pub struct SessionCookie {
    cookie: SetCookie,
    keys: Vec<Key>,
}

/// What a client presented, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Presented {
    /// The id.
    pub id: SessionId,
    /// Whether the first secret signed it. If not, [`issue`](SessionCookie::issue) it again, once the session is found,
    /// so that the older secret can be taken away.
    pub current: bool,
}

impl SessionCookie {
    /// Makes the cookie of these attributes, signed with keys derived from the secrets.
    pub fn new(cookie: SetCookie, secrets: &Secrets) -> Self {
        Self {
            cookie,
            keys: secrets.keys("lb-session id 1"),
        }
    }

    /// The id in the `Cookie` field lines of a request, if one of the secrets signed it.
    ///
    /// Of several cookies of the name the first that verifies counts; beyond four of the right length no more are
    /// checked.
    ///
    /// # Complexity
    /// One pass over the field, and one HMAC of two compressions per secret until one verifies; no allocation.
    #[must_use]
    pub fn read<'a>(&self, fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Presented> {
        let values = fields.into_iter();
        values
            .flat_map(|field| cookie::values(field, self.cookie.name()))
            .filter_map(base64::decode)
            .take(MAX_CANDIDATES)
            .find_map(|sealed| self.open(&sealed))
    }

    fn open(&self, sealed: &[u8; SEALED]) -> Option<Presented> {
        let (id, tag) = sealed.split_first_chunk::<ID>()?;
        let parts = self.signed(id);
        let key = self.keys.iter().position(|key| key.verifies(&parts, tag))?;
        Some(Presented {
            id: SessionId::from_random(*id),
            current: key == 0,
        })
    }

    /// A `Set-Cookie` field that gives the id to its client, for this long or until the browser is closed.
    ///
    /// A response that carries it must not be stored by a cache.
    #[must_use]
    pub fn issue(&self, id: &SessionId, max_age: Option<Duration>) -> String {
        let mut sealed = [0; SEALED];
        let (head, tag) = sealed.split_at_mut(ID);
        head.copy_from_slice(id.as_bytes());
        // There is a first key, as there are no `Secrets` without one.
        if let Some(key) = self.keys.first() {
            tag.copy_from_slice(&key.tag::<ID>(&self.signed(id.as_bytes())));
        }
        let mut value = String::with_capacity(43);
        base64::encode(&sealed, &mut value);
        self.cookie.write(&value, max_age)
    }

    /// A `Set-Cookie` field that takes the cookie away, for a session that was destroyed.
    ///
    /// Not for an id that is merely unknown: while a session changes its id, a late request still carries the old one,
    /// and removing the cookie then would take away the new.
    #[must_use]
    pub fn removal(&self) -> String {
        self.cookie.removal()
    }

    /// The name, under which [`cookie::without`] takes the cookie out of what a backend sees.
    pub fn name(&self) -> &str {
        self.cookie.name()
    }

    /// The name is part of it, so that the value of one cookie is not accepted as that of another. The id has a fixed
    /// length, so the parts cannot run into each other.
    fn signed<'a>(&'a self, id: &'a [u8; ID]) -> [&'a [u8]; 2] {
        [id, self.cookie.name().as_bytes()]
    }
}

impl std::fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCookie")
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(name: &str, secrets: &[&str]) -> SessionCookie {
        let secrets = secrets.iter().map(|secret| secret.repeat(32));
        let secrets = Secrets::try_new(secrets).unwrap();
        SessionCookie::new(SetCookie::try_new(name).unwrap(), &secrets)
    }

    fn pair(cookie: &SessionCookie, id: u8) -> String {
        let field = cookie.issue(&SessionId::from_random([id; 16]), None);
        field.split(';').next().unwrap().to_owned()
    }

    fn read(cookie: &SessionCookie, fields: &[&str]) -> Option<(u8, bool)> {
        let presented = cookie.read(fields.iter().map(|field| field.as_bytes()))?;
        Some((presented.id.as_bytes()[0], presented.current))
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let cookie = cookie("s", &["a", "b"]);
        let pair = pair(&cookie, 7);
        assert_eq!(read(&cookie, &[&pair]), Some((7, true)));
        for bit in 0..pair.len() * 8 {
            let mut tampered = pair.clone().into_bytes();
            tampered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cookie.read([&tampered[..]]), None, "bit {bit}");
        }
        for length in 0..pair.len() {
            assert_eq!(read(&cookie, &[&pair[..length]]), None);
        }
        assert_eq!(read(&cookie, &[&format!("{pair}A")]), None);
    }

    /// Instances of different versions have to agree; the value is from `tests/data/values.py`.
    #[test]
    fn a_value_stays_the_same() {
        let value = "s=BwcHBwcHBwcHBwcHBwcHB8xe9UkDKpeKGKADyXIw7P0";
        assert_eq!(pair(&cookie("s", &["a"]), 7), value);
    }

    #[test]
    fn an_older_secret_verifies_but_does_not_sign() {
        let old = pair(&cookie("s", &["a"]), 1);
        assert_eq!(read(&cookie("s", &["b", "a"]), &[&old]), Some((1, false)));
        assert_eq!(read(&cookie("s", &["b"]), &[&old]), None);
        assert_eq!(pair(&cookie("s", &["a", "b"]), 1), old);
    }

    #[test]
    fn a_value_counts_for_its_own_name_only() {
        let (one, other) = (cookie("s", &["a"]), cookie("t", &["a"]));
        let moved = pair(&one, 1).replacen('s', "t", 1);
        assert_eq!(read(&other, &[&moved]), None);
    }

    #[test]
    fn a_planted_cookie_does_not_hide_the_real_one() {
        let cookie = cookie("s", &["a"]);
        let real = pair(&cookie, 1);
        let planted = format!("s={}", "A".repeat(43));
        let field = format!("s=x; {planted}; {real}");
        assert_eq!(read(&cookie, &[&field]), Some((1, true)));
        assert_eq!(read(&cookie, &[&planted, "u=v", &real]), Some((1, true)));
    }

    #[test]
    fn the_work_for_one_request_is_bounded() {
        let cookie = cookie("s", &["a"]);
        let planted = format!("s={}; ", "A".repeat(43)).repeat(MAX_CANDIDATES);
        let field = planted + &pair(&cookie, 1);
        assert_eq!(read(&cookie, &[&field]), None);
    }
}
