//! How old a response is and how long it is fresh (RFC 9111 §4.2).

use std::time::{Duration, Instant, SystemTime};

use http::header::{AGE, DATE, EXPIRES, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::CacheRules;
use super::date::HttpDate;
use super::directives::{ResponseDirectives, seconds};
use super::list::members;

/// The longest lifetime that is guessed from `Last-Modified`.
const MAX_HEURISTIC: Duration = Duration::from_secs(24 * 3600);

/// When a request was sent and its response head arrived.
///
/// Ages grow by the monotonic clock; the wall clock counts once, against the response's `Date`. So a step of the wall clock
/// changes nothing that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// When the request was sent to the backend.
    pub requested: Instant,
    /// When the head of the response had arrived.
    pub received: Instant,
    /// The wall clock at that moment.
    pub wall: SystemTime,
}

/// How old a stored response is, and for how long it is fresh.
///
/// # References
/// RFC 9111 §4.2.3: `current_age` is `corrected_initial_age + resident_time`; §4.2: fresh while `freshness_lifetime >
/// current_age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    received: Instant,
    initial_age: Duration,
    lifetime: Duration,
}

impl Freshness {
    /// A response that was `initial_age` old at `received`.
    pub const fn new(initial_age: Duration, lifetime: Duration, received: Instant) -> Self {
        Self {
            received,
            initial_age,
            lifetime,
        }
    }

    /// How long it is fresh, from its generation at the origin.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How old it is; never less than when it was received, whatever `now` is.
    #[inline]
    pub fn age(&self, now: Instant) -> Duration {
        self.initial_age
            .saturating_add(now.saturating_duration_since(self.received))
    }

    /// How much longer it is fresh; zero once it is stale.
    #[inline]
    pub fn remaining(&self, now: Instant) -> Duration {
        self.lifetime.saturating_sub(self.age(now))
    }

    /// For how long it has been stale, or `None` while it is fresh.
    #[inline]
    pub fn stale_for(&self, now: Instant) -> Option<Duration> {
        self.age(now).checked_sub(self.lifetime)
    }

    /// What is left of the lifetime in seconds, negative once it is stale: `ttl` of RFC 9211 §2.4.
    pub fn ttl_seconds(&self, now: Instant) -> i64 {
        let signed = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        match self.stale_for(now) {
            Some(stale) => -signed(stale),
            None => signed(self.remaining(now)),
        }
    }
}

/// The value of `Age`: the first member counts; `None` if it is not a number of seconds (RFC 9111 §5.1).
pub(crate) fn age_value(headers: &HeaderMap) -> Option<Duration> {
    members(headers.get(AGE)?.as_bytes())
        .next()
        .and_then(seconds)
}

/// The date of a field that has to occur once.
pub(crate) fn date_value(
    headers: &HeaderMap,
    name: &HeaderName,
    now: HttpDate,
) -> Option<HttpDate> {
    HttpDate::parse(headers.get(name)?.as_bytes(), now)
}

/// `corrected_initial_age` (RFC 9111 §4.2.3). Without a readable `Date`, the response counts as made on arrival.
pub(crate) fn initial_age(
    age: Option<Duration>,
    date: Option<HttpDate>,
    times: &Received,
) -> Duration {
    let wall = HttpDate::from(times.wall);
    let apparent = date.map_or(Duration::ZERO, |date| wall.saturating_since(date));
    let delay = times.received.saturating_duration_since(times.requested);
    apparent.max(age.unwrap_or_default().saturating_add(delay))
}

/// `freshness_lifetime` (RFC 9111 §4.2.1), or `None` if the response says nothing and nothing may be assumed.
///
/// `plain` says whether `Expires` counts, which it does not beside a targeted field.
pub(crate) fn lifetime(
    directives: &ResponseDirectives,
    plain: bool,
    status: StatusCode,
    headers: &HeaderMap,
    wall: HttpDate,
    rules: &CacheRules,
) -> Option<Duration> {
    let explicit = directives.lifetime();
    if explicit.is_some() {
        return explicit;
    }
    let date = date_value(headers, &DATE, wall).unwrap_or(wall);
    if plain && headers.contains_key(EXPIRES) {
        // Two lines or none of the three forms: already expired (§5.3).
        let once = headers.get_all(EXPIRES).iter().nth(1).is_none();
        let expires = date_value(headers, &EXPIRES, wall).filter(|_| once);
        return Some(expires.map_or(Duration::ZERO, |expires| expires.saturating_since(date)));
    }
    if !cacheable(directives, status) {
        return None;
    }
    let modified = date_value(headers, &LAST_MODIFIED, wall);
    let percent = u32::from(rules.heuristic_percent.min(100));
    if let Some(modified) = modified.filter(|_| percent > 0) {
        let guess = date.saturating_since(modified).saturating_mul(percent) / 100;
        return Some(guess.min(MAX_HEURISTIC));
    }
    (!rules.default_ttl.is_zero()).then_some(rules.default_ttl)
}

/// Whether a response may be stored that does not say how long it is fresh: by its status, if RFC 9110 §15.1 lists it, or
/// because it is `public`.
pub(crate) const fn cacheable(directives: &ResponseDirectives, status: StatusCode) -> bool {
    directives.public
        || matches!(
            status.as_u16(),
            200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
        )
}
