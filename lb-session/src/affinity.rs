//! Affinity: a sealed cookie that names the backend a client stays with, and what to do when that backend cannot serve.

use std::borrow::Borrow;
use std::fmt;
use std::hint::black_box;

use crate::base64;
use crate::secrets::Secrets;

mod course;

pub use course::{AffinityMode, AffinityStatus, Course, Standing};

/// Bytes of a tag: 144 bits, which make 24 letters without a rest.
const TAG: usize = 18;
const TEXT: usize = TAG / 3 * 4;

/// The affinity cookies of one pool: a value for each backend, and the backend of each value.
///
/// A value is a keyed tag over the names of the pool and the backend (144 bits of HMAC-SHA-256 in URL-safe base64): it
/// tells nothing about the backend, and nobody without a secret can make one or move it to another pool. It is the same
/// in every instance with the same secrets, whatever the order of the list, so it survives restarts and reloads. All
/// tags are computed here, once per configuration; a request costs a look into a table.
///
/// How long a client stays is the `Max-Age` of its cookie, which the client keeps: the value itself does not age. A
/// client that keeps it longer gains nothing but the backend that it had.
///
/// # Examples
/// ```
/// use lb_session::{AffinityTable, Secrets};
///
/// let secrets = Secrets::try_new(["32 random bytes of this December"])?;
/// let table = AffinityTable::seal(&secrets, "web", ["http://10.0.0.1:80", "http://10.0.0.2:80"]);
///
/// let value = table.value("http://10.0.0.2:80").unwrap();
/// assert_eq!(value.len(), 24);
/// assert_eq!(table.verify(value.as_bytes()).unwrap().backend, &"http://10.0.0.2:80");
/// assert_eq!(table.verify(b"http://10.0.0.2:80"), None);
/// # Ok::<(), lb_session::SessionError>(())
/// ```
///
/// # Complexity
/// [`seal`](Self::seal) computes one HMAC per backend and secret; [`verify`](Self::verify) is O(1) without allocation.
/// About 40 bytes per backend and secret besides the backends themselves.
#[derive(Clone)]
pub struct AffinityTable<B> {
    backends: Vec<B>,
    /// In the order of their buckets.
    tags: Vec<Tag>,
    /// Where each bucket begins in `tags`, and the end of the last.
    starts: Vec<u32>,
    /// How far the mixed bits of a value are shifted to give its bucket.
    shift: u32,
}

#[derive(Clone)]
struct Tag {
    text: [u8; TEXT],
    backend: u32,
    current: bool,
}

/// The backend that a value names.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Bound<'a, B> {
    /// The backend.
    pub backend: &'a B,
    /// Its position in the list that was sealed.
    pub index: usize,
    /// Whether the value is of the first secret. If not, set the cookie again so that the older secret can be taken
    /// away.
    pub current: bool,
}

impl<B: Borrow<str>> AffinityTable<B> {
    /// Computes the values of all backends of a pool, by their identities.
    ///
    /// Seal again when the secrets or the list change. Of two backends of the same identity the first counts.
    ///
    /// # Panics
    /// With more than 2^32 backends times secrets.
    pub fn seal(secrets: &Secrets, pool: &str, backends: impl IntoIterator<Item = B>) -> Self {
        let backends: Vec<B> = backends.into_iter().collect();
        let mut tags = Vec::new();
        // The length keeps the names of pool and backend from running into each other.
        let pool_length = (pool.len() as u64).to_le_bytes();
        for (rank, key) in secrets.keys("lb-session affinity 1").iter().enumerate() {
            for (backend, index) in backends.iter().zip(0..) {
                let parts = [&pool_length, pool.as_bytes(), backend.borrow().as_bytes()];
                tags.push(Tag {
                    text: text(&key.tag(&parts)),
                    backend: index,
                    current: rank == 0,
                });
            }
        }
        // A power of two, at least one bucket per tag.
        let bits = tags.len().max(2).next_power_of_two().ilog2();
        let shift = 64 - bits;
        tags.sort_by_key(|tag| (bucket(&tag.text, shift), !tag.current, tag.backend));
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut start = 0;
        for number in 0..1 << bits {
            starts.push(u32::try_from(start).expect("fewer than 2^32 tags"));
            let rest = tags[start..].iter();
            start += rest
                .take_while(|tag| bucket(&tag.text, shift) == number)
                .count();
        }
        starts.push(u32::try_from(start).expect("fewer than 2^32 tags"));
        Self {
            backends,
            tags,
            starts,
            shift,
        }
    }

    /// The value for a cookie that binds a client to this backend, under the first secret; `None` for one that was not
    /// in the list.
    ///
    /// # Complexity
    /// O(backends × secrets) comparisons; [`value_at`](Self::value_at) is faster where the position is known.
    pub fn value(&self, backend: &str) -> Option<&str> {
        let index = self
            .backends
            .iter()
            .position(|known| known.borrow() == backend)?;
        self.value_at(index)
    }
}

impl<B> AffinityTable<B> {
    /// The value for the backend at this position of the list.
    ///
    /// # Complexity
    /// O(backends × secrets).
    pub fn value_at(&self, index: usize) -> Option<&str> {
        let of = |tag: &&Tag| tag.current && tag.backend as usize == index;
        str::from_utf8(&self.tags.iter().find(of)?.text).ok()
    }

    /// The backend that a cookie's value names; `None` if no backend of this pool has it under any secret.
    ///
    /// A forged value and that of a backend that has left the pool are the same here.
    ///
    /// # Complexity
    /// O(1): 24 bytes are compared with on average half a tag, each in a time that does not tell how much was right.
    #[inline]
    #[must_use]
    pub fn verify(&self, value: &[u8]) -> Option<Bound<'_, B>> {
        let value: &[u8; TEXT] = value.try_into().ok()?;
        let bucket = bucket(value, self.shift);
        let (start, end) = (self.starts.get(bucket)?, self.starts.get(bucket + 1)?);
        let candidates = self.tags.get(*start as usize..*end as usize)?;
        let tag = candidates.iter().find(|tag| same(&tag.text, value))?;
        let index = tag.backend as usize;
        Some(Bound {
            backend: self.backends.get(index)?,
            index,
            current: tag.current,
        })
    }

    /// The backends in their order.
    pub fn backends(&self) -> &[B] {
        &self.backends
    }
}

/// The values are not printed: whoever has one can claim to be bound to its backend.
impl<B: fmt::Debug> fmt::Debug for AffinityTable<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AffinityTable")
            .field("backends", &self.backends)
            .finish_non_exhaustive()
    }
}

fn text(tag: &[u8; TAG]) -> [u8; TEXT] {
    let mut letters = String::with_capacity(TEXT);
    base64::encode(tag, &mut letters);
    let mut text = [0; TEXT];
    text.copy_from_slice(letters.as_bytes());
    text
}

/// A bucket of few bits: the time of the look-up tells no more about a tag than these.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "fewer than 2^33 buckets")]
fn bucket(text: &[u8; TEXT], shift: u32) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let mixed = u64::from_le_bytes(words[0]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> shift) as usize
}

/// Equality that looks at all bytes before it knows.
#[inline]
fn same(one: &[u8; TEXT], other: &[u8; TEXT]) -> bool {
    let (one, _) = one.as_chunks::<8>();
    let (other, _) = other.as_chunks::<8>();
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| {
        differing | (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other))
    });
    // Hides from the compiler that one differing word would do.
    black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(letters: &str) -> Secrets {
        Secrets::try_new(letters.chars().map(|letter| letter.to_string().repeat(32))).unwrap()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|index| format!("http://10.0.0.{index}:8080"))
            .collect()
    }

    #[test]
    fn each_value_names_its_backend() {
        for count in [0, 1, 2, 3, 10, 100, 1_000] {
            let table = AffinityTable::seal(&secrets("ab"), "web", names(count));
            for (index, name) in names(count).iter().enumerate() {
                let value = table.value(name).unwrap();
                let bound = table.verify(value.as_bytes()).unwrap();
                assert_eq!((bound.backend, bound.index), (name, index));
                assert!(bound.current);
            }
            assert_eq!(table.verify(&[b'A'; TEXT]), None);
            assert_eq!(table.value("http://elsewhere"), None);
        }
    }

    #[test]
    fn a_value_outlives_changes_of_the_list_and_of_the_secrets() {
        let before = AffinityTable::seal(&secrets("a"), "web", ["one", "two"]);
        let value = before.value("two").unwrap();
        let after = AffinityTable::seal(&secrets("ba"), "web", ["three", "two", "four"]);
        let bound = after.verify(value.as_bytes()).unwrap();
        assert_eq!((*bound.backend, bound.current), ("two", false));
        assert_ne!(after.value("two"), Some(value), "the new secret signs");
        let without = AffinityTable::seal(&secrets("a"), "web", ["one"]);
        assert_eq!(without.verify(value.as_bytes()), None);
        let retired = AffinityTable::seal(&secrets("b"), "web", ["one", "two"]);
        assert_eq!(retired.verify(value.as_bytes()), None);
    }

    #[test]
    fn a_value_counts_in_its_own_pool_only() {
        let sealed = |pool, backend| {
            let table = AffinityTable::seal(&secrets("a"), pool, [backend]);
            table.value(backend).unwrap().to_owned()
        };
        assert_ne!(sealed("web", "one"), sealed("api", "one"));
        assert_ne!(sealed("we", "bone"), sealed("web", "one"));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let table = AffinityTable::seal(&secrets("abc"), "web", names(50));
        for name in names(50) {
            let value = table.value(&name).unwrap().as_bytes();
            for bit in 0..value.len() * 8 {
                let mut tampered = value.to_vec();
                tampered[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(table.verify(&tampered), None);
            }
            assert_eq!(table.verify(&value[1..]), None);
            assert_eq!(table.verify(&[value, b"A"].concat()), None);
        }
    }

    #[test]
    fn of_the_same_identity_twice_the_first_counts() {
        let table = AffinityTable::seal(&secrets("a"), "web", ["one", "one"]);
        let value = table.value("one").unwrap();
        assert_eq!(table.verify(value.as_bytes()).unwrap().index, 0);
    }

    /// Instances of different versions have to agree; the value is from `tests/data/values.py`.
    #[test]
    fn a_value_stays_the_same() {
        let table = AffinityTable::seal(&secrets("a"), "web", ["http://10.0.0.1:8080"]);
        assert_eq!(table.value_at(0), Some("IPySgBNX56tETTVW68Su-qRX"));
    }
}
