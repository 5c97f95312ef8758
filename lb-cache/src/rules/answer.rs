//! What of a stored response a request gets: all of it, parts, or the word that its own copy is right.

use std::time::Duration;

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::date::HttpDate;
use super::directives::MAX_SECONDS;
use super::etag::{any_weakly_equal, strongly_equal};
use super::fields::value;
use super::lookup::RequestHead;
use super::policy::ResponsePolicy;
use super::ranges::{ByteRanges, Multipart, RangeField, content_range};

const OF_THE_CONTENT: [HeaderName; 5] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
];

/// What of a stored response a request gets. To HEAD the body is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// The response as it is stored.
    Full,
    /// 304: the client's own copy is right.
    NotModified,
    /// 206 with these parts of the body.
    Partial(ByteRanges),
    /// 416: the body, of this length, has none of the parts.
    NotSatisfiable(u64),
}

impl Answer {
    /// Evaluates the conditions and the range of a request against a stored response.
    ///
    /// Conditions and ranges are about a 200 only. `length` is that of the body, `None` while it is not known, when ranges
    /// are not served. `If-Match` and `If-Unmodified-Since` are for the origin and passed over (RFC 9110 §13.1.1).
    ///
    /// # Complexity
    /// O(length of the fields); allocates for ranges only.
    ///
    /// # References
    /// RFC 9111 §4.3.2; RFC 9110 §13.2.2, §14.2.
    pub fn of(
        request: &RequestHead<'_>,
        policy: &ResponsePolicy,
        stored: &HeaderMap,
        length: Option<u64>,
    ) -> Self {
        if policy.status() != StatusCode::OK {
            return Self::Full;
        }
        if not_modified(request.headers, policy, stored) {
            return Self::NotModified;
        }
        let range = request.headers.get(RANGE);
        let (Some(range), Some(length), true) = (range, length, request.method == Method::GET)
        else {
            return Self::Full;
        };
        if !if_range(request.headers, policy, stored) {
            return Self::Full;
        }
        match ByteRanges::parse(range.as_bytes(), length) {
            RangeField::Ignored => Self::Full,
            RangeField::Unsatisfiable => Self::NotSatisfiable(length),
            RangeField::Parts(parts) => Self::Partial(parts),
        }
    }

    /// The status of the reply.
    pub const fn status(&self, policy: &ResponsePolicy) -> StatusCode {
        match self {
            Self::Full => policy.status(),
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::Partial(_) => StatusCode::PARTIAL_CONTENT,
            Self::NotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// Makes a copy of the stored fields those of the reply, `age` among them.
    ///
    /// `random` is for the boundary of several parts, whose framing is returned. `Date` stays what it was, and the
    /// `Content-Length` of a full reply is left to whoever knows the body.
    pub fn apply(&self, headers: &mut HeaderMap, age: Duration, random: u64) -> Option<Multipart> {
        headers.insert(AGE, HeaderValue::from(age.as_secs().min(MAX_SECONDS)));
        match self {
            Self::Full => None,
            Self::NotModified => {
                for name in OF_THE_CONTENT {
                    headers.remove(name);
                }
                None
            }
            Self::NotSatisfiable(length) => {
                for name in OF_THE_CONTENT {
                    headers.remove(name);
                }
                headers.insert(CONTENT_RANGE, value(&format!("bytes */{length}")));
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
                None
            }
            Self::Partial(parts) => {
                if let Some(part) = parts.single() {
                    headers.insert(CONTENT_RANGE, value(&content_range(&part, parts.length())));
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
                    return None;
                }
                let whole = headers
                    .get(CONTENT_TYPE)
                    .and_then(|value| value.to_str().ok());
                let multipart = parts.multipart(whole, random);
                headers.insert(CONTENT_TYPE, value(&multipart.content_type()));
                headers.insert(
                    CONTENT_LENGTH,
                    HeaderValue::from(multipart.content_length()),
                );
                Some(multipart)
            }
        }
    }
}

/// Whether the conditions say that the client's copy is right; `If-None-Match` decides alone if it is there.
fn not_modified(request: &HeaderMap, policy: &ResponsePolicy, stored: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let tag = stored.get(ETAG);
        return request.get_all(IF_NONE_MATCH).iter().any(|list| {
            let list = list.as_bytes();
            let same = |tag: &HeaderValue| any_weakly_equal(list, tag.as_bytes());
            list.trim_ascii() == b"*" || tag.is_some_and(same)
        });
    }
    let since = request.get(IF_MODIFIED_SINCE);
    since
        .and_then(|since| HttpDate::parse(since.as_bytes(), policy.date()))
        .is_some_and(|since| policy.modified() <= since)
}

/// Whether the range may be served: `If-Range` is not there, or names this very representation.
fn if_range(request: &HeaderMap, policy: &ResponsePolicy, stored: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else {
        return true;
    };
    let condition = condition.as_bytes();
    if condition.contains(&b'"') {
        return stored
            .get(ETAG)
            .is_some_and(|tag| strongly_equal(condition, tag.as_bytes()));
    }
    // A date is a strong validator only if the response was made later than it (RFC 9110 §8.8.2.2).
    let since = HttpDate::parse(condition, policy.date());
    stored.contains_key(LAST_MODIFIED)
        && since == Some(policy.modified())
        && policy.date() > policy.modified()
}
