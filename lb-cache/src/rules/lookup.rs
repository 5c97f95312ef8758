//! What to do with a request: whether the cache is asked at all, and what the stored responses are good for.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method};

use super::CacheRules;
use super::directives::RequestDirectives;
use super::policy::{Decision, Validation};
use super::vary::{Entry, Variants};

/// The head of a request, and whether a body follows.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The fields as they came.
    pub headers: &'a HeaderMap,
    /// Whether a body follows.
    pub has_body: bool,
}

/// Why a request passes by the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bypass {
    /// Its method is neither GET nor HEAD. An unsafe one may invalidate ([`invalidates`](crate::invalidates)).
    Method,
    /// It has a body, which the key does not tell.
    Body,
    /// It asks for another protocol.
    Upgrade,
}

impl Bypass {
    /// The word for logs and for `detail` in `Cache-Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Body => "body",
            Self::Upgrade => "upgrade",
        }
    }
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that the cache may answer, with its directives read.
///
/// # Examples
/// ```
/// use http::{HeaderMap, Method};
/// use lb_cache::{Bypass, CacheRequest, CacheRules, RequestHead};
///
/// let headers = HeaderMap::new();
/// let head = RequestHead { method: &Method::POST, headers: &headers, has_body: true };
/// let bypass = CacheRequest::of(&head, &CacheRules::default()).err();
/// assert_eq!(bypass, Some(Bypass::Method));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CacheRequest<'a> {
    head: RequestHead<'a>,
    directives: RequestDirectives,
}

impl<'a> CacheRequest<'a> {
    /// Decides whether the cache is asked.
    ///
    /// # Errors
    /// Why it is not, which is no mistake of anybody's.
    ///
    /// # Complexity
    /// O(length of `Cache-Control`), no allocation.
    #[inline]
    pub fn of(head: &RequestHead<'a>, rules: &CacheRules) -> Result<Self, Bypass> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(Bypass::Method);
        }
        if head.has_body || head.headers.contains_key(TRANSFER_ENCODING) {
            return Err(Bypass::Body);
        }
        if head.headers.contains_key(UPGRADE) {
            return Err(Bypass::Upgrade);
        }
        let directives = if rules.obey_requests {
            RequestDirectives::parse(head.headers)
        } else {
            RequestDirectives::default()
        };
        Ok(Self {
            head: *head,
            directives,
        })
    }

    /// The head it was made of.
    pub const fn head(&self) -> &RequestHead<'a> {
        &self.head
    }

    /// What its `Cache-Control` says, or nothing if the rules pass over it.
    pub const fn directives(&self) -> &RequestDirectives {
        &self.directives
    }

    /// Decides what the responses stored under its key are good for.
    ///
    /// # Complexity
    /// O(variants × length of the selecting fields), no allocation.
    ///
    /// # References
    /// RFC 9111 §4, §5.2.1; RFC 5861 §3.
    #[inline]
    pub fn lookup<'e, E: Entry>(
        &self,
        stored: Option<&'e Variants<E>>,
        rules: &CacheRules,
        now: Instant,
    ) -> Lookup<'e, E> {
        let Some(stored) = stored.filter(|stored| !stored.is_empty()) else {
            return self.unless_only_if_cached(Lookup::Miss(Miss::Uri));
        };
        let Some(entry) = stored.select(self.head.headers) else {
            return self.unless_only_if_cached(Lookup::Miss(Miss::Vary));
        };
        let policy = entry.policy();
        match policy.decide(&self.directives, rules, now) {
            Decision::Fresh | Decision::StaleAccepted => Lookup::Hit(Found::of(entry, now)),
            Decision::StaleWhileRevalidating => Lookup::Stale(Found::of(entry, now)),
            Decision::Validate(why) => {
                self.unless_only_if_cached(Lookup::Revalidate(Found::of(entry, now), why))
            }
        }
    }

    const fn unless_only_if_cached<'e, E>(&self, lookup: Lookup<'e, E>) -> Lookup<'e, E> {
        if self.directives.only_if_cached {
            Lookup::Unsatisfiable
        } else {
            lookup
        }
    }
}

/// What the stored responses are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Lookup<'e, E> {
    /// It is sent as it is: fresh, or as stale as the client said it may be.
    Hit(Found<'e, E>),
    /// It is sent although it is stale, and validated in the background, once.
    Stale(Found<'e, E>),
    /// It has to be validated before it is sent.
    Revalidate(Found<'e, E>, Validation),
    /// Nothing stored answers this request.
    Miss(Miss),
    /// The client wants a stored response or none: 504 (RFC 9111 §5.2.1.7).
    Unsatisfiable,
}

/// A stored response that a request selected.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'e, E> {
    /// What is stored.
    pub entry: &'e E,
    /// How old it is: the value of `Age`.
    pub age: Duration,
    /// Seconds it stays fresh, negative once it is stale.
    pub ttl_seconds: i64,
}

impl<E> Clone for Found<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Found<'_, E> {}

impl<'e, E: Entry> Found<'e, E> {
    #[inline]
    fn of(entry: &'e E, now: Instant) -> Self {
        let freshness = entry.policy().freshness();
        Self {
            entry,
            age: freshness.age(now),
            ttl_seconds: freshness.ttl_seconds(now),
        }
    }
}

/// Why nothing stored answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Miss {
    /// Nothing is stored under its key.
    Uri,
    /// What is stored was selected by other fields.
    Vary,
}
