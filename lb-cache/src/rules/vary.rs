//! `Vary`: which requests a stored response answers (RFC 9111 §4.1), and the responses of one key that differ by it.

mod wire;

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;

use foldhash::fast::FixedState;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName, VARY};

use super::CacheRules;
use super::list::members;
use super::policy::ResponsePolicy;

/// Fields a response may vary by, and bytes of their values in all, before it is not worth storing.
const MAX_FIELDS: usize = 16;
const MAX_VALUE_BYTES: usize = 4 << 10;
/// Above this many members, lists in another order are another list.
const MAX_UNORDERED: usize = 16;

/// The request fields that selected a response, with the values they had.
///
/// Values are compared member by member: lines are combined and white space between members does not count. The order of
/// `Accept-Encoding` and `Accept-Language` does not count either, which says the same in any order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vary(Box<[Selecting]>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Selecting {
    name: HeaderName,
    /// The members, joined with `, `; `None` if the request had no such field.
    value: Option<Box<[u8]>>,
}

impl Vary {
    /// What a response's `Vary` selects of its request, with [`CacheRules::vary_by`].
    ///
    /// `None` if no other request can match: `*` anywhere, a name that is none, or more than 16 fields or 4 KiB of values.
    pub fn of(response: &HeaderMap, request: &HeaderMap, rules: &CacheRules) -> Option<Self> {
        let mut names = rules.vary_by.clone();
        for line in response.get_all(VARY) {
            for name in members(line.as_bytes()) {
                // `*` would be a valid name, too.
                let name = HeaderName::from_bytes(name)
                    .ok()
                    .filter(|name| name != "*")?;
                if !names.contains(&name) {
                    names.push(name);
                }
                if names.len() > MAX_FIELDS {
                    return None;
                }
            }
        }
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let mut bytes = 0;
        let selecting = names.into_iter().map(|name| {
            let value = joined(request, &name);
            bytes += value.as_ref().map_or(0, |value| value.len());
            (bytes <= MAX_VALUE_BYTES).then_some(Selecting { name, value })
        });
        selecting.collect::<Option<_>>().map(Self)
    }

    /// Whether a request is answered by the response that this belongs to.
    ///
    /// # Complexity
    /// O(length of the fields); no allocation. One comparison where the field is spelt as it was.
    #[inline]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|selecting| selecting.matches(request))
    }

    /// Whether both answer the same requests.
    pub fn is_same(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|(one, other)| one.is_same(other))
    }

    /// A hash of the values that a request has for these fields, to tell apart what must not be collapsed.
    pub fn fingerprint(&self, request: &HeaderMap) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        for selecting in &self.0 {
            for line in request.get_all(&selecting.name) {
                for member in members(line.as_bytes()) {
                    hasher.write(member);
                    hasher.write_u8(b',');
                }
            }
            hasher.write_u8(b'\n');
        }
        hasher.finish()
    }

    /// Writes what the request had in those of the fields that `wanted` accepts, as [`Vary::write_selection`] writes it of
    /// another request.
    pub fn write_own_selection(&self, out: &mut Vec<u8>, wanted: impl Fn(&HeaderName) -> bool) {
        for Selecting { name, value } in self.0.iter().filter(|one| wanted(&one.name)) {
            write_selected(out, name, value.as_deref().map(members));
        }
    }

    /// Writes what a request has in these fields: the same for all requests that responses varying by them do not tell
    /// apart, whatever their lines and, where it does not count, their order.
    ///
    /// For a store outside of this process, where variants are found by name. Texts that are equal are no promise:
    /// [`Vary::matches`] decides.
    pub fn write_selection<'n>(
        out: &mut Vec<u8>,
        names: impl IntoIterator<Item = &'n HeaderName>,
        request: &HeaderMap,
    ) {
        for name in names {
            let lines = request.get_all(name).into_iter();
            let is_there = request.contains_key(name);
            let members = lines.flat_map(|line| members(line.as_bytes()));
            write_selected(out, name, is_there.then_some(members));
        }
    }

    /// The names of the fields, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &HeaderName> {
        self.0.iter().map(|selecting| &selecting.name)
    }

    /// Bytes that it holds on the heap, names included as if none were well known.
    pub fn heap_bytes(&self) -> usize {
        let text = |selecting: &Selecting| {
            let value = selecting.value.as_ref().map_or(0, |value| value.len());
            value + selecting.name.as_str().len()
        };
        size_of_val(&*self.0) + self.0.iter().map(text).sum::<usize>()
    }
}

impl Selecting {
    #[inline]
    fn matches(&self, request: &HeaderMap) -> bool {
        let mut lines = request.get_all(&self.name).iter();
        let (first, second) = (lines.next(), lines.next());
        let (Some(stored), Some(line)) = (&self.value, first) else {
            return self.value.is_none() && first.is_none();
        };
        if second.is_none() && line.as_bytes() == &**stored {
            return true;
        }
        self.same_members(stored, || {
            let lines = request.get_all(&self.name).into_iter();
            lines.flat_map(|line| members(line.as_bytes()))
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.value, &other.value) {
                (Some(one), Some(other)) => self.same_members(one, || members(other)),
                (one, other) => one.is_none() && other.is_none(),
            }
    }

    fn same_members<'a, I: Iterator<Item = &'a [u8]>>(
        &self,
        stored: &[u8],
        asked: impl Fn() -> I,
    ) -> bool {
        if asked().eq(members(stored)) {
            return true;
        }
        is_unordered(&self.name)
            && members(stored).count() <= MAX_UNORDERED
            && asked().take(MAX_UNORDERED + 1).count() == members(stored).count()
            && asked().all(|one| members(stored).any(|other| one.eq_ignore_ascii_case(other)))
            && members(stored).all(|one| asked().any(|other| one.eq_ignore_ascii_case(other)))
    }
}

fn write_selected<'a>(
    out: &mut Vec<u8>,
    name: &HeaderName,
    members: Option<impl Iterator<Item = &'a [u8]>>,
) {
    out.extend_from_slice(name.as_str().as_bytes());
    if let Some(members) = members {
        let mut members: Vec<Vec<u8>> = members.map(<[u8]>::to_vec).collect();
        if is_unordered(name) {
            for member in &mut members {
                member.make_ascii_lowercase();
            }
            members.sort_unstable();
        }
        out.push(b':');
        for member in members {
            out.extend_from_slice(&member);
            out.push(b',');
        }
    }
    out.push(b'\n');
}

fn is_unordered(name: &HeaderName) -> bool {
    *name == ACCEPT_ENCODING || *name == ACCEPT_LANGUAGE
}

fn joined(request: &HeaderMap, name: &HeaderName) -> Option<Box<[u8]>> {
    request.get(name)?;
    let mut value = Vec::new();
    for line in request.get_all(name) {
        for member in members(line.as_bytes()) {
            if !value.is_empty() {
                value.extend_from_slice(b", ");
            }
            value.extend_from_slice(member);
        }
    }
    Some(value.into())
}

/// What is stored for one response: its policy beside whatever the store keeps (head, body).
pub trait Entry {
    /// The policy that [`ResponsePolicy::of`] made of the response.
    fn policy(&self) -> &ResponsePolicy;
}

impl Entry for ResponsePolicy {
    fn policy(&self) -> &ResponsePolicy {
        self
    }
}

impl<E: Entry> Entry for Arc<E> {
    fn policy(&self) -> &ResponsePolicy {
        self.as_ref().policy()
    }
}

/// The responses stored under one key, which differ by what their requests selected.
///
/// The newest stands first. Their number is bounded by [`CacheRules::max_variants`](crate::CacheRules::max_variants).
#[derive(Debug, Clone)]
pub struct Variants<E>(Vec<E>);

impl<E> Default for Variants<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E: Entry> Variants<E> {
    /// The response that answers a request; of several the one with the latest `Date` (RFC 9111 §4.1).
    ///
    /// # Complexity
    /// O(variants × length of the selecting fields), no allocation.
    #[inline]
    pub fn select(&self, request: &HeaderMap) -> Option<&E> {
        let mut found: Option<&E> = None;
        for entry in &self.0 {
            let newer = found.is_none_or(|found| entry.policy().date() > found.policy().date());
            if newer && entry.policy().vary().matches(request) {
                found = Some(entry);
            }
        }
        found
    }

    /// Adds a response and returns what it displaces: the one that answered the same requests, and the oldest beyond
    /// `most`.
    pub fn insert(&mut self, entry: E, most: NonZeroUsize) -> Vec<E> {
        let same = |other: &mut E| entry.policy().vary().is_same(other.policy().vary());
        let mut displaced: Vec<E> = self.0.extract_if(.., same).collect();
        self.0.insert(0, entry);
        displaced.extend(self.0.drain(self.0.len().min(most.get())..));
        displaced
    }

    /// Takes the oldest response out.
    pub fn pop_oldest(&mut self) -> Option<E> {
        self.0.pop()
    }

    /// A hash of what the stored responses select of a request; 0 if nothing is known to vary.
    ///
    /// Beside the key it tells which misses may share one fill.
    pub fn fingerprint(&self, request: &HeaderMap) -> u64 {
        let vary = self.0.first().map(|newest| newest.policy().vary());
        vary.map_or(0, |vary| {
            if vary.0.is_empty() {
                0
            } else {
                vary.fingerprint(request)
            }
        })
    }

    /// The responses, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.0.iter()
    }

    /// Keeps the responses that `keep` accepts.
    pub fn retain(&mut self, keep: impl FnMut(&E) -> bool) {
        self.0.retain(keep);
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
