//! The rules of HTTP caching as pure decisions: what is stored, for how long it is fresh, what of it a request gets.

mod answer;
mod date;
mod directives;
mod etag;
mod fields;
mod fill;
mod freshness;
mod invalidate;
mod key;
mod list;
mod lookup;
mod policy;
mod ranges;
mod status;
mod storability;
mod tags;
mod targeted;
mod validate;
mod vary;

use std::num::NonZeroUsize;
use std::time::Duration;

use http::header::HeaderName;

pub use self::answer::Answer;
pub use self::date::HttpDate;
pub use self::directives::{RequestDirectives, ResponseDirectives};
pub use self::fields::stored_fields;
pub use self::fill::{FillId, FillOutcome, FillParameters, Fills, Join, Pass};
pub use self::freshness::{Freshness, Received};
pub use self::invalidate::invalidates;
pub use self::key::{CacheKey, TargetUri, write_key};
pub use self::lookup::{Bypass, CacheRequest, Found, Lookup, Miss, RequestHead};
pub use self::policy::{Failure, ResponsePolicy, Validation};
pub use self::ranges::{ByteRanges, Multipart};
pub use self::status::{CacheStatus, Forwarded};
pub use self::storability::{Refusal, ResponseHead, Storability};
pub use self::tags::{TAG_FIELDS, tags};
pub use self::validate::{
    HeadUpdate, Refreshed, Validated, ask_for_fill, ask_to_validate, stands_in,
};
pub use self::vary::{Entry, Variants, Vary};

/// Parameters of the decisions of this crate; they are given to each and stored nowhere.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use lb_cache::CacheRules;
///
/// let mut rules = CacheRules::default();
/// rules.stale_if_error = Duration::from_secs(600);
/// assert!(!rules.store_set_cookie);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheRules {
    /// Lifetime of responses that say nothing of their freshness, if their status allows it (RFC 9111 §4.2.2); 0 by
    /// default: they are not stored. A longer one hides changes for as long.
    pub default_ttl: Duration,
    /// The share, in percent, of the time since `Last-Modified` that such a response is fresh for, at most a day; 0, off,
    /// by default. It goes before `default_ttl`.
    pub heuristic_percent: u8,
    /// How long after its lifetime a response may be sent while it is validated, if it does not say; 0 by default.
    pub stale_while_revalidate: Duration,
    /// How long after its lifetime a response may be sent in place of an error of the backend (500, 502, 503, 504), if it
    /// does not say; 0 by default.
    pub stale_if_error: Duration,
    /// The same where no backend can be reached at all, which RFC 9111 §4.2.4 allows without anybody's word; 10 minutes by
    /// default.
    pub stale_if_unreachable: Duration,
    /// Whether `stale-while-revalidate` and `stale-if-error` in a response count beside its own `s-maxage`; `false` by
    /// default, as RFC 9111 §5.2.2.10 demands. Some frameworks send both and mean it.
    pub stale_beside_s_maxage: bool,
    /// Whether responses with `Set-Cookie` are stored; `false` by default, though RFC 9111 §7.3 allows it: what is meant
    /// for one client would reach all.
    pub store_set_cookie: bool,
    /// Whether `Cache-Control` of requests counts; `true` by default. Where it does, a client can make each of its
    /// requests reach the backend.
    pub obey_requests: bool,
    /// Fields that speak to this cache in place of `Cache-Control`, the first present wins; `CDN-Cache-Control` by default.
    pub targets: Vec<HeaderName>,
    /// Request fields by which responses are kept apart, whether they say so in `Vary` or not; none by default. At most 16,
    /// with those that responses name.
    pub vary_by: Vec<HeaderName>,
    /// The longest key in bytes, 8,192 by default; requests for longer ones pass by the cache.
    pub max_key_bytes: usize,
    /// The largest body in bytes that is stored, 4 MiB by default.
    pub max_object_bytes: u64,
    /// Responses kept for one key that differ by `Vary`, 16 by default. All of them are compared in the worst case, and
    /// clients choose how many there are.
    pub max_variants: NonZeroUsize,
}

impl Default for CacheRules {
    fn default() -> Self {
        Self {
            default_ttl: Duration::ZERO,
            heuristic_percent: 0,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            stale_if_unreachable: Duration::from_secs(600),
            stale_beside_s_maxage: false,
            store_set_cookie: false,
            obey_requests: true,
            targets: vec![HeaderName::from_static("cdn-cache-control")],
            vary_by: Vec::new(),
            max_key_bytes: 8 << 10,
            max_object_bytes: 4 << 20,
            max_variants: NonZeroUsize::MIN.saturating_add(15),
        }
    }
}
