//! What is kept of a response's caching rules: read once when it is stored, compared at each hit.

mod wire;

use std::time::{Duration, Instant};

use http::header::{CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED};
use http::{Method, StatusCode};

use super::CacheRules;
use super::date::HttpDate;
use super::directives::{RequestDirectives, ResponseDirectives};
use super::freshness::{self, Freshness, Received};
use super::lookup::RequestHead;
use super::storability::{Refusal, ResponseHead, Storability, permitted};
use super::targeted;
use super::vary::Vary;

/// The caching rules of a stored response.
///
/// At most 256 bytes, beside the values of the fields it varies by. Every decision on it is a comparison of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponsePolicy {
    freshness: Freshness,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
    vary: Vary,
    date: HttpDate,
    modified: HttpDate,
    status: StatusCode,
    no_cache: bool,
    /// Whether it said that it must not be sent once stale.
    must_revalidate: bool,
    /// Whether it had `s-maxage`, which says the same more quietly.
    s_maxage: bool,
}

impl ResponsePolicy {
    /// Decides whether a shared cache stores a response, and by which rules it is reused.
    ///
    /// The body has still to be counted: a response without `Content-Length` is given up when it passes
    /// [`CacheRules::max_object_bytes`], and a truncated one is never stored.
    ///
    /// # Complexity
    /// O(length of the fields); allocates for the fields named in `Vary` only.
    ///
    /// # References
    /// RFC 9111 §3, §3.5, §5.2.2.
    pub fn of(
        request: &RequestHead<'_>,
        response: &ResponseHead<'_>,
        times: &Received,
        rules: &CacheRules,
    ) -> Storability {
        let age = freshness::age_value(response.headers);
        match Self::judge(request, response, age, times, rules) {
            Ok(policy) => Storability::Store(policy),
            Err(refusal) => Storability::Refuse(refusal),
        }
    }

    pub(crate) fn judge(
        request: &RequestHead<'_>,
        response: &ResponseHead<'_>,
        age: Option<Duration>,
        times: &Received,
        rules: &CacheRules,
    ) -> Result<Self, Refusal> {
        let headers = response.headers;
        if request.method != Method::GET || request.has_body {
            return Err(Refusal::Method);
        }
        let status = response.status.as_u16();
        let whole = (200..600).contains(&status) && !matches!(status, 206 | 304);
        // What gives a range without being a part is neither.
        if !whole || status == 200 && headers.contains_key(CONTENT_RANGE) {
            return Err(Refusal::Status);
        }
        let targeted = targeted::parse(headers, &rules.targets);
        let directives = targeted.unwrap_or_else(|| ResponseDirectives::parse(headers));
        permitted(request, response, &directives, rules)?;
        let wall = HttpDate::from(times.wall);
        let lifetime = freshness::lifetime(
            &directives,
            targeted.is_none(),
            response.status,
            headers,
            wall,
            rules,
        );
        let validators = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        let lifetime = match lifetime {
            Some(lifetime) => lifetime,
            // `no-cache` says when it is fresh: never.
            None if directives.no_cache && freshness::cacheable(&directives, response.status) => {
                Duration::ZERO
            }
            None => return Err(Refusal::NoFreshness),
        };
        let date = freshness::date_value(headers, &DATE, wall);
        let initial_age = freshness::initial_age(age, date, times);
        let policy = Self {
            freshness: Freshness::new(initial_age, lifetime, times.received),
            stale_while_revalidate: directives.stale_while_revalidate,
            stale_if_error: directives.stale_if_error,
            vary: Vary::of(headers, request.headers, rules).ok_or(Refusal::Vary)?,
            date: date.unwrap_or(wall),
            // RFC 9111 §4.3.2: without it the date of the response is what a client's date is compared with.
            modified: freshness::date_value(headers, &LAST_MODIFIED, wall)
                .or(date)
                .unwrap_or(wall),
            status: response.status,
            no_cache: directives.no_cache,
            must_revalidate: directives.must_revalidate || directives.proxy_revalidate,
            s_maxage: directives.s_maxage.is_some(),
        };
        let stale = policy.freshness.stale_for(times.received).is_some() || policy.no_cache;
        let window = policy
            .error_window(&RequestDirectives::default(), rules, Failure::Status)
            .max(policy.revalidation_window(rules));
        if stale && !validators && window.is_zero() {
            return Err(Refusal::Useless);
        }
        Ok(policy)
    }

    /// The policy of a value that a program makes and keeps for `lifetime`, as of `times`.
    ///
    /// It answers every request for its key, and nothing of it is sent once stale.
    pub fn lasting(status: StatusCode, lifetime: Duration, times: &Received) -> Self {
        let made = HttpDate::from(times.wall);
        Self {
            freshness: Freshness::new(Duration::ZERO, lifetime, times.received),
            stale_while_revalidate: None,
            stale_if_error: None,
            vary: Vary::default(),
            date: made,
            modified: made,
            status,
            no_cache: false,
            must_revalidate: true,
            s_maxage: false,
        }
    }

    /// How old it is and how long it is fresh.
    pub const fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The request fields that selected it.
    pub const fn vary(&self) -> &Vary {
        &self.vary
    }

    /// Whether no request may be answered with it before a backend was asked for that request (`no-cache`). It is not
    /// shared by those who wait for it either.
    pub const fn is_validated_each_time(&self) -> bool {
        self.no_cache
    }

    /// The status of the stored response.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its `Date`, or when it was received if it has none.
    pub const fn date(&self) -> HttpDate {
        self.date
    }

    /// Its `Last-Modified`, or else its date: what `If-Modified-Since` is compared with.
    pub const fn modified(&self) -> HttpDate {
        self.modified
    }

    /// Bytes that it holds on the heap, beside its own size.
    pub fn heap_bytes(&self) -> usize {
        self.vary.heap_bytes()
    }

    /// How much longer it is of use: while it is fresh, and while it may be sent stale by its own word or by the rules.
    pub fn useful_for(&self, rules: &CacheRules, now: Instant) -> Duration {
        if self.no_cache {
            return Duration::ZERO;
        }
        let none = RequestDirectives::default();
        let window = self
            .error_window(&none, rules, Failure::Unreachable)
            .max(self.error_window(&none, rules, Failure::Status))
            .max(self.revalidation_window(rules));
        let end = self.freshness.lifetime().saturating_add(window);
        end.saturating_sub(self.freshness.age(now))
    }

    /// Makes a response stale as of `now`, so that it is validated before it is sent again.
    ///
    /// For an invalidation that keeps the validators (RFC 9111 §4.4).
    #[must_use]
    pub fn invalidated(mut self, now: Instant) -> Self {
        self.freshness = Freshness::new(self.freshness.age(now), Duration::ZERO, now);
        self.must_revalidate = true;
        self
    }

    #[inline]
    pub(crate) fn decide(
        &self,
        directives: &RequestDirectives,
        rules: &CacheRules,
        now: Instant,
    ) -> Decision {
        if self.no_cache {
            return Decision::Validate(Validation::NoCache);
        }
        if directives.no_cache {
            return Decision::Validate(Validation::Request);
        }
        if directives
            .max_age
            .is_some_and(|most| self.freshness.age(now) > most)
        {
            return Decision::Validate(Validation::Request);
        }
        let Some(stale) = self.freshness.stale_for(now) else {
            let remaining = self.freshness.remaining(now);
            return if directives.min_fresh.is_some_and(|least| remaining < least) {
                Decision::Validate(Validation::Request)
            } else {
                Decision::Fresh
            };
        };
        if self.must_revalidate || directives.min_fresh.is_some() {
            return Decision::Validate(Validation::Stale);
        }
        if !self.s_maxage && directives.max_stale.is_some_and(|most| stale <= most) {
            return Decision::StaleAccepted;
        }
        // A client that gives a greatest age does not want what is stale (RFC 9111 §5.2.1.1).
        if directives.max_age.is_none() && stale < self.revalidation_window(rules) {
            Decision::StaleWhileRevalidating
        } else {
            Decision::Validate(Validation::Stale)
        }
    }

    /// Whether it may be sent in place of a failure of the backend.
    ///
    /// If it may not and no backend was reached, the answer is 504 (RFC 9111 §5.2.2.2).
    pub fn serves_on(
        &self,
        failure: Failure,
        directives: &RequestDirectives,
        rules: &CacheRules,
        now: Instant,
    ) -> bool {
        if self.no_cache || directives.no_cache {
            return false;
        }
        let window = self.error_window(directives, rules, failure);
        // Fresh, and validated only because the client asked for it.
        let stale = self.freshness.stale_for(now).unwrap_or_default();
        stale < window
    }

    /// For how long it may be sent while it is validated.
    fn revalidation_window(&self, rules: &CacheRules) -> Duration {
        if self.forbids_stale(self.stale_while_revalidate, rules) {
            return Duration::ZERO;
        }
        // A lifetime of zero asks for validation each time; only the response itself can say otherwise.
        let assumed = if self.freshness.lifetime().is_zero() {
            Duration::ZERO
        } else {
            rules.stale_while_revalidate
        };
        self.stale_while_revalidate.unwrap_or(assumed)
    }

    fn error_window(
        &self,
        directives: &RequestDirectives,
        rules: &CacheRules,
        failure: Failure,
    ) -> Duration {
        if self.forbids_stale(self.stale_if_error, rules) {
            return Duration::ZERO;
        }
        let assumed = match failure {
            Failure::Unreachable => rules.stale_if_unreachable.max(rules.stale_if_error),
            Failure::Status => rules.stale_if_error,
        };
        let own = self.stale_if_error.unwrap_or(assumed);
        own.max(directives.stale_if_error.unwrap_or_default())
    }

    /// Whether it may not be sent stale at all; `granted` is the window that the response itself gives.
    fn forbids_stale(&self, granted: Option<Duration>, rules: &CacheRules) -> bool {
        let quietly = self.s_maxage && !(rules.stale_beside_s_maxage && granted.is_some());
        self.no_cache || self.must_revalidate || quietly
    }
}

/// How a backend failed where a stored response could stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No response at all: no connection, a timeout, a response that broke off.
    Unreachable,
    /// A response with status 500, 502, 503 or 504.
    Status,
}

/// Why a stored response is validated before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validation {
    /// It is stale.
    Stale,
    /// It said `no-cache`.
    NoCache,
    /// The request asked for it.
    Request,
}

/// What may be done with one stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Fresh,
    StaleAccepted,
    StaleWhileRevalidating,
    Validate(Validation),
}
