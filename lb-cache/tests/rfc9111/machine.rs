//! Plays the rows: a cache of one key.

use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lb_cache::{
    CacheRequest, CacheRules, HttpDate, Lookup, Miss, Received, RequestHead, ResponseHead,
    ResponsePolicy, Storability, Validation, Variants,
};

/// Section and what it says, request, response, seconds, second request, what becomes of it.
pub(crate) struct Case(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) u64,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// 1 January 2026, 12:00:00.
const WALL_SECONDS: u64 = 1_767_268_800;

/// A head as a row writes it. `:status`, `:method`, `:body` and `:delay` are not fields.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) delay: Duration,
    has_body: bool,
}

impl Head {
    pub(crate) fn of(text: &str) -> Self {
        let mut head = Self {
            method: Method::GET,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            delay: Duration::ZERO,
            has_body: false,
        };
        for line in text.split(" | ").filter(|line| !line.is_empty()) {
            let colon = line[1..].find(':').unwrap() + 1;
            let (name, value) = (&line[..colon], dated(line[colon + 1..].trim()));
            match name {
                ":status" => head.status = value.parse().unwrap(),
                ":method" => head.method = value.parse().unwrap(),
                ":delay" => head.delay = Duration::from_secs(value.parse().unwrap()),
                ":body" => head.has_body = true,
                _ => {
                    let name: HeaderName = name.parse().unwrap();
                    let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                    head.headers.append(name, value);
                }
            }
        }
        head
    }

    pub(crate) fn request(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            headers: &self.headers,
            has_body: self.has_body,
        }
    }

    pub(crate) fn response(&self) -> ResponseHead<'_> {
        ResponseHead {
            status: self.status,
            headers: &self.headers,
        }
    }
}

/// Replaces `{-60}` by the date it means.
fn dated(value: &str) -> String {
    let Some((before, rest)) = value.split_once('{') else {
        return value.to_owned();
    };
    let (offset, after) = rest.split_once('}').unwrap();
    let seconds = i64::try_from(WALL_SECONDS).unwrap() + offset.parse::<i64>().unwrap();
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap());
    format!("{before}{}{after}", HttpDate::from(date))
}

pub(crate) fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(WALL_SECONDS)
}

/// The first instant, the same for all.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise; tests only add to it"
)]
pub(crate) fn start() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

/// A response that took `delay` and arrived at noon.
pub(crate) fn arrived(start: Instant, delay: Duration) -> Received {
    Received {
        requested: start,
        received: start + delay,
        wall: wall(),
    }
}

pub(crate) fn store(
    request: &Head,
    response: &Head,
    rules: &CacheRules,
) -> Result<(ResponsePolicy, Instant), String> {
    let times = arrived(start(), response.delay);
    match ResponsePolicy::of(&request.request(), &response.response(), &times, rules) {
        Storability::Store(policy) => Ok((policy, times.received)),
        Storability::Refuse(why) => Err(format!("refused {why}")),
    }
}

/// What becomes of the second request, in words.
fn outcome(case: &Case, rules: &CacheRules) -> String {
    let (first, second) = (Head::of(case.1), Head::of(case.4));
    let (policy, received) = match store(&first, &Head::of(case.2), rules) {
        Ok(stored) => stored,
        Err(refusal) => return refusal,
    };
    let mut variants = Variants::default();
    assert!(variants.insert(policy, NonZeroUsize::MIN).is_empty());
    let head = second.request();
    let request = match CacheRequest::of(&head, rules) {
        Ok(request) => request,
        Err(bypass) => return format!("bypass {bypass}"),
    };
    let now = received + Duration::from_secs(case.3);
    match request.lookup(Some(&variants), rules, now) {
        Lookup::Hit(found) => format!("hit {}", found.age.as_secs()),
        Lookup::Stale(found) => format!("stale {}", found.ttl_seconds),
        Lookup::Revalidate(_, Validation::Stale) => "validate: stale".into(),
        Lookup::Revalidate(_, Validation::NoCache) => "validate: no-cache".into(),
        Lookup::Revalidate(_, Validation::Request) => "validate: request".into(),
        Lookup::Miss(Miss::Vary) => "miss: vary".into(),
        Lookup::Miss(Miss::Uri) => "miss: uri".into(),
        Lookup::Unsatisfiable => "504".into(),
    }
}

pub(crate) fn play(cases: &[Case], rules: &CacheRules) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let here = outcome(case, rules);
            (here != case.5).then(|| {
                format!(
                    "{}\n  request {:?}\n  response {:?}\n  after {} s, request {:?}\n  expected {:?}, got {here:?}",
                    case.0, case.1, case.2, case.3, case.4, case.5
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
