//! Whether a shared cache may store a response (RFC 9111 §3).

use std::fmt;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, StatusCode};

use super::CacheRules;
use super::directives::{RequestDirectives, ResponseDirectives, named_fields};
use super::lookup::RequestHead;
use super::policy::ResponsePolicy;

/// The head of a response from a backend, before anything was added to it.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The final status.
    pub status: StatusCode,
    /// The fields as they came.
    pub headers: &'a HeaderMap,
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Only responses to GET are stored.
    Method,
    /// Interim responses, parts (206) and 304 are no response to store.
    Status,
    /// `must-understand`, and a status whose rules are not known here.
    NotUnderstood,
    /// The request said `no-store`.
    RequestNoStore,
    /// The response said `no-store`.
    NoStore,
    /// It is for one client.
    Private,
    /// The request was authorised and the response does not say that it may be shared.
    Authorization,
    /// It would set a cookie for everybody.
    SetCookie,
    /// No other request could match it.
    Vary,
    /// Nothing says how long it is fresh.
    NoFreshness,
    /// It is stale already and cannot be validated.
    Useless,
    /// Its body is larger than the cache takes.
    TooLarge,
}

impl Refusal {
    /// The word for logs and for `detail` in `Cache-Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::NotUnderstood => "not-understood",
            Self::RequestNoStore => "request-no-store",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::NoFreshness => "no-freshness",
            Self::Useless => "useless",
            Self::TooLarge => "too-large",
        }
    }
}

impl Refusal {
    /// Whether it is about this request alone, so that what is stored under its key stays as it is.
    ///
    /// Otherwise a newer response says that what was stored is outdated. Without this difference a client could empty
    /// the cache with `no-store`.
    pub const fn is_about_request(self) -> bool {
        matches!(
            self,
            Self::Method | Self::RequestNoStore | Self::Authorization
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a response is stored, and by which rules it is reused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Storability {
    /// It is stored with this policy.
    Store(ResponsePolicy),
    /// It is passed on only.
    Refuse(Refusal),
}

impl Storability {
    /// The policy, if the response is stored.
    pub fn policy(self) -> Option<ResponsePolicy> {
        match self {
            Self::Store(policy) => Some(policy),
            Self::Refuse(_) => None,
        }
    }
}

/// Checks the conditions of RFC 9111 §3 that are about permission, not about time.
pub(crate) fn permitted(
    request: &RequestHead<'_>,
    response: &ResponseHead<'_>,
    directives: &ResponseDirectives,
    rules: &CacheRules,
) -> Result<(), Refusal> {
    let headers = response.headers;
    if directives.must_understand && !understood(response.status) {
        return Err(Refusal::NotUnderstood);
    }
    if directives.no_store && !directives.must_understand {
        return Err(Refusal::NoStore);
    }
    if directives.private {
        return Err(Refusal::Private);
    }
    if rules.obey_requests && RequestDirectives::parse(request.headers).no_store {
        return Err(Refusal::RequestNoStore);
    }
    let shareable =
        directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    if request.headers.contains_key(AUTHORIZATION) && !shareable {
        return Err(Refusal::Authorization);
    }
    if headers.contains_key(SET_COOKIE) && !rules.store_set_cookie {
        let left_out =
            directives.names_fields && named_fields(headers).any(|name| name == SET_COOKIE);
        if !left_out {
            return Err(Refusal::SetCookie);
        }
    }
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if length
        .and_then(|length| length.parse::<u64>().ok())
        .is_some_and(|length| length > rules.max_object_bytes)
    {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

/// Final statuses whose caching rules are those of RFC 9110 §15 and nothing else, as `must-understand` demands.
const fn understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505
    )
}
