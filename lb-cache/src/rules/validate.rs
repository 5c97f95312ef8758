//! Asking the backend whether a stored response is still right, and what its answer means (RFC 9111 §4.3).

use std::time::Instant;

use http::header::{
    CONTENT_LENGTH, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, Method, StatusCode};

use super::CacheRules;
use super::directives::RequestDirectives;
use super::etag::weakly_equal;
use super::fields::merged;
use super::freshness::{self, Received};
use super::lookup::RequestHead;
use super::policy::{Failure, ResponsePolicy};
use super::storability::{ResponseHead, Storability};

const CONDITIONS: [HeaderName; 4] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
];

/// Makes a request ask for a whole response that can be stored; `false` if the response will be for this client only.
///
/// The client's conditions go: the stored response answers them afterwards ([`Answer`](crate::Answer)). A request for a
/// range, or a HEAD, stays as it is and fills nothing, and neither does one whose conditions protect a state
/// (`If-Match`, `If-Unmodified-Since`).
pub fn ask_for_fill(method: &Method, headers: &mut HeaderMap) -> bool {
    let guarded = headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE);
    if method != Method::GET || headers.contains_key(RANGE) || guarded {
        return false;
    }
    headers.remove(IF_NONE_MATCH);
    headers.remove(IF_MODIFIED_SINCE);
    headers.remove(IF_RANGE);
    true
}

/// Makes a request ask whether a stored response is still right; `false` if that has no validator, and the request asks
/// for a whole new one.
///
/// Conditions and range of the client go: the stored response, once validated, answers them.
///
/// # References
/// RFC 9111 §4.3.1.
pub fn ask_to_validate(headers: &mut HeaderMap, stored: &HeaderMap) -> bool {
    for name in CONDITIONS.into_iter().chain([RANGE, IF_RANGE]) {
        headers.remove(name);
    }
    let mut asked = false;
    for (validator, condition) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(value) = stored.get(validator) {
            headers.insert(condition, value.clone());
            asked = true;
        }
    }
    asked
}

/// A stored response with the fields of a newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// The stored fields with those that were received. What is not stored (as `Set-Cookie`) is for this client only.
    pub headers: HeaderMap,
    /// Whether this is stored, and by which rules. If not, it is sent this once, and what was stored is removed unless
    /// the refusal [is about the request](crate::Refusal::is_about_request).
    pub storability: Storability,
}

/// What the answer to a validation means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Validated {
    /// The stored body is right, with these fields from now on.
    Refreshed(Box<Refreshed>),
    /// A new response, to pass on and to store as after a miss ([`ResponsePolicy::of`]). If that is not stored and is no
    /// server error, what was stored is removed unless the refusal
    /// [is about the request](crate::Refusal::is_about_request).
    Replaced,
    /// A server error in whose place the stored response is sent.
    ServeStale,
    /// A 304 about something else: what is stored is removed and the request sent again without conditions.
    Unusable,
}

impl Validated {
    /// Decides what the answer to a validation of `policy` and its `stored` fields means.
    ///
    /// `request` is the client's, not the one with our conditions.
    ///
    /// # References
    /// RFC 9111 §4.3.3, §4.3.4; RFC 5861 §4.
    pub fn of(
        policy: &ResponsePolicy,
        stored: &HeaderMap,
        request: &RequestHead<'_>,
        response: &ResponseHead<'_>,
        times: &Received,
        rules: &CacheRules,
    ) -> Self {
        match response.status.as_u16() {
            304 => Self::not_modified(policy, stored, request, response, times, rules),
            500 | 502..=504 => {
                let directives = if rules.obey_requests {
                    RequestDirectives::parse(request.headers)
                } else {
                    RequestDirectives::default()
                };
                if policy.serves_on(Failure::Status, &directives, rules, times.received) {
                    Self::ServeStale
                } else {
                    Self::Replaced
                }
            }
            _ => Self::Replaced,
        }
    }

    fn not_modified(
        policy: &ResponsePolicy,
        stored: &HeaderMap,
        request: &RequestHead<'_>,
        response: &ResponseHead<'_>,
        times: &Received,
        rules: &CacheRules,
    ) -> Self {
        if let (Some(one), Some(other)) = (stored.get(ETAG), response.headers.get(ETAG))
            && !weakly_equal(one.as_bytes(), other.as_bytes())
        {
            return Self::Unusable;
        }
        let headers = merged(stored, response.headers, times, rules);
        let get = RequestHead {
            method: &Method::GET,
            ..*request
        };
        let whole = ResponseHead {
            status: policy.status(),
            headers: &headers,
        };
        let age = freshness::age_value(response.headers);
        let storability = match ResponsePolicy::judge(&get, &whole, age, times, rules) {
            Ok(policy) => Storability::Store(policy),
            Err(refusal) => Storability::Refuse(refusal),
        };
        Self::Refreshed(Box::new(Refreshed {
            headers,
            storability,
        }))
    }
}

/// What a response to HEAD says about the response stored for GET.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum HeadUpdate {
    /// It is the same, with these fields from now on.
    Refreshed(Box<Refreshed>),
    /// It is another by now: what is stored is stale ([`ResponsePolicy::invalidated`]).
    Outdated,
    /// It says nothing about it.
    Unrelated,
}

impl HeadUpdate {
    /// Decides what a response to HEAD says about a stored response.
    ///
    /// # References
    /// RFC 9111 §4.3.5.
    pub fn of(
        policy: &ResponsePolicy,
        stored: &HeaderMap,
        request: &RequestHead<'_>,
        response: &ResponseHead<'_>,
        times: &Received,
        rules: &CacheRules,
    ) -> Self {
        if request.method != Method::HEAD || response.status != StatusCode::OK {
            return Self::Unrelated;
        }
        let same = |name: HeaderName| {
            let received = response.headers.get(&name);
            received.is_none() || received == stored.get(&name)
        };
        if policy.status() != StatusCode::OK
            || ![ETAG, LAST_MODIFIED, CONTENT_LENGTH].into_iter().all(same)
        {
            return Self::Outdated;
        }
        match Validated::not_modified(policy, stored, request, response, times, rules) {
            Validated::Refreshed(refreshed) => Self::Refreshed(refreshed),
            Validated::Replaced | Validated::ServeStale | Validated::Unusable => Self::Outdated,
        }
    }
}

/// Whether a stored response stands in when no backend could be reached to validate it; if not, the answer is 504.
///
/// # References
/// RFC 9111 §4.2.4, §4.3.3, §5.2.2.2.
pub fn stands_in(
    policy: &ResponsePolicy,
    directives: &RequestDirectives,
    rules: &CacheRules,
    now: Instant,
) -> bool {
    policy.serves_on(Failure::Unreachable, directives, rules, now)
}
