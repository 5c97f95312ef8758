//! What holds of the rules of HTTP for any fields, times and orders of events.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, IF_NONE_MATCH, RANGE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lb_cache::{
    Answer, CacheRequest, CacheRules, Failure, FillId, FillOutcome, FillParameters, Fills,
    HttpDate, Join, Lookup, Pass, Received, RequestDirectives, RequestHead, ResponseDirectives,
    ResponseHead, ResponsePolicy, TargetUri, Validated, Variants, invalidates, stored_fields, tags,
};
use proptest::prelude::*;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
fn start() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Room for a clock that steps back.
    *START + Duration::from_secs(1 << 20)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn received() -> Received {
    Received {
        requested: start(),
        received: start(),
        wall: UNIX_EPOCH + seconds(1_767_268_800),
    }
}

/// Any bytes that a field value may have.
fn any_value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![
        8 => prop::sample::select(b"abmx-=,;\"\\ 0123456789*WGT:/()?@.".to_vec()),
        1 => 0x20_u8..=0x7e,
        1 => 0x80_u8..=0xff,
    ];
    prop::collection::vec(byte, 0..60)
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("no control characters"))
}

/// What looks like a directive, some of them absurd.
fn directive() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "max-age",
        "s-maxage",
        "no-cache",
        "no-store",
        "private",
        "public",
        "must-revalidate",
        "proxy-revalidate",
        "must-understand",
        "stale-while-revalidate",
        "stale-if-error",
        "max-stale",
        "min-fresh",
        "only-if-cached",
        "x",
    ]);
    let value = prop_oneof![
        4 => (0_u64..200).prop_map(|number| format!("={number}")),
        1 => Just(String::new()),
        1 => Just("=99999999999999999999999".to_owned()),
        1 => Just("=\"a, b\"".to_owned()),
        1 => Just("=\"".to_owned()),
    ];
    (name, value).prop_map(|(name, value)| format!("{name}{value}"))
}

fn directives(most: usize) -> impl Strategy<Value = HeaderValue> {
    prop::collection::vec(directive(), 0..most)
        .prop_map(|all| HeaderValue::try_from(all.join(", ")).expect("visible"))
}

fn any_fields() -> impl Strategy<Value = HeaderMap> {
    let name = prop::sample::select(vec![
        "cache-control",
        "cdn-cache-control",
        "expires",
        "date",
        "age",
        "vary",
        "etag",
        "last-modified",
        "connection",
        "set-cookie",
        "if-none-match",
        "if-modified-since",
        "if-range",
        "range",
        "location",
        "content-location",
        "content-length",
        "cache-tag",
        "surrogate-key",
        "accept-language",
        "authorization",
    ]);
    let value = prop_oneof![any_value(), directives(4)];
    prop::collection::vec((name, value), 0..12).prop_map(|fields| {
        let fields = fields.into_iter();
        fields
            .map(|(name, value)| (HeaderName::from_static(name), value))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    })
}

fn get(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: &Method::GET,
        headers,
        has_body: false,
    }
}

fn ok(headers: &HeaderMap) -> ResponseHead<'_> {
    ResponseHead {
        status: StatusCode::OK,
        headers,
    }
}

fn fields(fields: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    fields.iter().cloned().collect()
}

proptest! {
    /// Whatever peers send, every decision is made, and a stored field is never one of the connection.
    #[test]
    fn no_field_does_harm(
        request in any_fields(),
        stored in any_fields(),
        answer in any_fields(),
        status in 100_u16..1000,
        after in 0_u64..1 << 34,
        length in any::<u64>(),
    ) {
        let rules = CacheRules::default();
        let times = received();
        let status = StatusCode::from_u16(status).expect("three digits");
        let _ = RequestDirectives::parse(&request);
        let _ = ResponseDirectives::parse(&stored);
        prop_assert!(tags(&stored).count() <= 128);
        let uri = TargetUri { scheme: "https", authority: "a.example", path: "/a/b?c" };
        let answered = ResponseHead { status, headers: &answer };
        for key in invalidates(&Method::POST, &uri, &answered, &rules) {
            prop_assert!(key.as_str().starts_with("https://a.example/"));
        }
        let kept = stored_fields(&stored, &times, &rules);
        prop_assert!(!kept.contains_key("connection") && !kept.contains_key(AGE));
        prop_assert!(!kept.contains_key("set-cookie"));
        let Some(policy) = ResponsePolicy::of(&get(&request), &ok(&stored), &times, &rules).policy() else {
            return Ok(());
        };
        let now = times.received.checked_add(seconds(after)).unwrap_or(times.received);
        let mut variants = Variants::default();
        let _ = variants.insert(policy.clone(), NonZeroUsize::MIN);
        if let Ok(asked) = CacheRequest::of(&get(&request), &rules) {
            // It was selected by this very request.
            prop_assert!(!matches!(asked.lookup(Some(&variants), &rules, now), Lookup::Miss(_)));
        }
        let reply = Answer::of(&get(&request), &policy, &kept, Some(length));
        if let Answer::Partial(parts) = &reply {
            let mut sum = 0_u64;
            for part in parts.iter() {
                prop_assert!(part.start < part.end && part.end <= length);
                sum += part.end - part.start;
            }
            prop_assert!(sum <= length);
        }
        let mut headers = kept.clone();
        let _ = reply.apply(&mut headers, seconds(after), 1);
        let later = Received { received: now, requested: now, ..times };
        let validated = Validated::of(&policy, &kept, &get(&request), &answered, &later, &rules);
        if let Validated::Refreshed(refreshed) = validated {
            prop_assert!(!refreshed.headers.contains_key("connection"));
        }
    }

    /// What is sent without validation is within the lifetime and the windows that somebody granted, and nothing that said
    /// `no-store`, `private` or `no-cache` is sent so at all: the rules once more, naively.
    #[test]
    fn a_hit_is_within_what_was_granted(
        response in directives(5),
        request in directives(3),
        age in 0_u64..100,
        after in 0_u64..500,
        window in 0_u64..50,
    ) {
        let mut rules = CacheRules::default();
        rules.stale_while_revalidate = seconds(window);
        let headers = fields(&[(CACHE_CONTROL, response), (AGE, age.into()), (ETAG, HeaderValue::from_static("\"a\""))]);
        let times = received();
        let empty = HeaderMap::new();
        let Some(policy) = ResponsePolicy::of(&get(&empty), &ok(&headers), &times, &rules).policy() else {
            return Ok(());
        };
        let said = ResponseDirectives::parse(&headers);
        prop_assert!(!said.private);
        prop_assert!(!said.no_store || said.must_understand);
        let lifetime = said.s_maxage.or(said.max_age).unwrap_or_default();
        let now_age = seconds(age + after);
        let stale = now_age.saturating_sub(lifetime);
        let is_stale = now_age >= lifetime;
        let forbidden = said.must_revalidate || said.proxy_revalidate || said.s_maxage.is_some();
        let asked_fields = fields(&[(CACHE_CONTROL, request)]);
        let asked = CacheRequest::of(&get(&asked_fields), &rules).expect("a plain GET");
        let wants = *asked.directives();
        let mut variants = Variants::default();
        let _ = variants.insert(policy, NonZeroUsize::MIN);
        match asked.lookup(Some(&variants), &rules, times.received + seconds(after)) {
            Lookup::Hit(found) => {
                prop_assert_eq!(found.age, now_age);
                prop_assert!(!said.no_cache && !wants.no_cache);
                prop_assert!(wants.max_age.is_none_or(|most| now_age <= most));
                prop_assert!(wants.min_fresh.is_none_or(|least| now_age + least <= lifetime));
                let accepted = !forbidden && wants.max_stale.is_some_and(|most| stale <= most);
                prop_assert!(!is_stale || accepted);
            }
            Lookup::Stale(found) => {
                prop_assert!(is_stale && found.ttl_seconds <= 0);
                prop_assert!(!said.no_cache && !wants.no_cache && !forbidden);
                let window = said.stale_while_revalidate.unwrap_or_else(|| seconds(window));
                prop_assert!(stale < window);
            }
            Lookup::Unsatisfiable => prop_assert!(wants.only_if_cached),
            Lookup::Revalidate(..) => {
                // A request without wishes is answered by what is fresh.
                let wishes = wants != RequestDirectives::default();
                prop_assert!(wishes || is_stale || said.no_cache);
            }
            Lookup::Miss(_) => prop_assert!(false, "nothing varies"),
        }
    }

    /// The more time passes the less is left; a clock that steps back makes nothing younger than it came, and a step of
    /// the wall clock makes no difference at all.
    #[test]
    fn what_is_left_never_grows(
        age in 0_u64..1 << 33,
        lifetime in 0_u64..1 << 33,
        mut times in prop::collection::vec(0_u64..1 << 33, 2..8),
        back in 1_u64..1 << 19,
        windows in 0_u64..1000,
    ) {
        let control = format!("max-age={lifetime}, stale-if-error={windows}");
        let headers = fields(&[
            (CACHE_CONTROL, HeaderValue::try_from(control).expect("visible")),
            (AGE, age.into()),
            (ETAG, HeaderValue::from_static("\"a\"")),
        ]);
        let empty = HeaderMap::new();
        let rules = CacheRules::default();
        let arrived = received();
        let policy = ResponsePolicy::of(&get(&empty), &ok(&headers), &arrived, &rules).policy();
        let policy = policy.expect("it has a validator");
        times.sort_unstable();
        let mut last = Duration::MAX;
        let mut served = true;
        for &time in &times {
            let now = arrived.received.checked_add(seconds(time)).unwrap_or(arrived.received);
            let left = policy.freshness().remaining(now);
            prop_assert!(left <= last);
            prop_assert_eq!(left.is_zero(), policy.freshness().stale_for(now).is_some());
            last = left;
            let serves = policy.serves_on(Failure::Status, &RequestDirectives::default(), &rules, now);
            prop_assert!(served || !serves);
            served = serves;
        }
        let before = arrived.received - seconds(back);
        prop_assert_eq!(policy.freshness().age(before), seconds(age.min(1 << 31)));
    }

    /// A fast or slow clock of the origin, and any wall clock of ours, never makes a response younger than its `Age`.
    #[test]
    fn clocks_only_make_older(date in 0_u64..1 << 33, wall in 0_u64..1 << 33, age in 0_u64..1000) {
        let date = HttpDate::from(UNIX_EPOCH + seconds(date)).to_string();
        let headers = fields(&[
            (CACHE_CONTROL, HeaderValue::from_static("max-age=2147483648")),
            (AGE, age.into()),
            (DATE, HeaderValue::try_from(date).expect("visible")),
            (ETAG, HeaderValue::from_static("\"a\"")),
        ]);
        let times = Received { wall: UNIX_EPOCH + seconds(wall), ..received() };
        let empty = HeaderMap::new();
        let policy = ResponsePolicy::of(&get(&empty), &ok(&headers), &times, &CacheRules::default()).policy();
        let policy = policy.expect("it has a validator");
        prop_assert!(policy.freshness().age(times.received) >= seconds(age));
    }

    /// A date is read as it was written, and any other text without harm.
    #[test]
    fn dates_survive(date in 0_u64..253_402_300_800, text in any_value()) {
        let time: SystemTime = UNIX_EPOCH + seconds(date);
        let date = HttpDate::from(time);
        prop_assert_eq!(HttpDate::parse(date.to_string().as_bytes(), HttpDate::EPOCH), Some(date));
        let _ = HttpDate::parse(text.as_bytes(), date);
        let headers = fields(&[(EXPIRES, text)]);
        let empty = HeaderMap::new();
        let policy = ResponsePolicy::of(&get(&empty), &ok(&headers), &received(), &CacheRules::default());
        prop_assert!(policy.policy().is_none(), "an `Expires` that is no date is stale");
    }

    /// Two requests match the same stored response exactly if their members are the same.
    #[test]
    fn vary_compares_members(
        one in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..4),
        other in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..4),
        lines in any::<bool>(),
    ) {
        let request = |members: &[&'static str], lines: bool| {
            let mut headers = HeaderMap::new();
            if lines {
                for &member in members {
                    headers.append("foo", HeaderValue::from_static(member));
                }
            } else if !members.is_empty() {
                headers.insert("foo", HeaderValue::try_from(members.join(" ,")).expect("visible"));
            }
            headers
        };
        let headers = fields(&[
            (CACHE_CONTROL, HeaderValue::from_static("max-age=9")),
            (VARY, HeaderValue::from_static("foo")),
        ]);
        let first = request(&one, false);
        let policy = ResponsePolicy::of(&get(&first), &ok(&headers), &received(), &CacheRules::default()).policy();
        let policy = policy.expect("it is fresh");
        prop_assert_eq!(policy.vary().matches(&request(&other, lines)), one == other);
    }

    /// `If-None-Match` and `Range` of any kind get an answer about the body there is.
    #[test]
    fn answers_fit_the_body(tag in any_value(), range in any_value(), length in 0_u64..200) {
        let headers = fields(&[(CACHE_CONTROL, HeaderValue::from_static("max-age=9"))]);
        let empty = HeaderMap::new();
        let policy = ResponsePolicy::of(&get(&empty), &ok(&headers), &received(), &CacheRules::default()).policy();
        let policy = policy.expect("it is fresh");
        let request = fields(&[(IF_NONE_MATCH, tag.clone()), (RANGE, range)]);
        match Answer::of(&get(&request), &policy, &headers, Some(length)) {
            Answer::NotModified => prop_assert_eq!(tag.as_bytes().trim_ascii(), b"*"),
            Answer::NotSatisfiable(told) => prop_assert_eq!(told, length),
            Answer::Full | Answer::Partial(_) => {}
        }
    }

    /// At any time one request fetches for a key, bounds hold, and nobody waits beyond the deadline: against a naive model.
    #[test]
    fn fills_agree_with_a_model(events in prop::collection::vec((0_u8..6, 0_u8..4, 0_u64..4), 1..200)) {
        #[derive(Clone, Copy)]
        struct Fill { id: FillId, deadline: u64, followers: usize }
        let mut parameters = FillParameters::default();
        parameters.wait = seconds(5);
        parameters.hit_for_miss = seconds(10);
        parameters.max_followers = 3;
        let mut fills = Fills::new(parameters);
        let mut filling: HashMap<u8, Fill> = HashMap::new();
        let mut marked: HashMap<u8, u64> = HashMap::new();
        let mut clock = 0;
        for (event, key, passed) in events {
            clock += passed;
            let now = start() + seconds(clock);
            if event >= 3 {
                filling.retain(|_, fill| fill.deadline > clock);
                marked.retain(|_, until| *until > clock);
                let join = fills.join(key, now);
                match (filling.get_mut(&key), marked.contains_key(&key)) {
                    (_, true) => prop_assert_eq!(join, Join::Pass(Pass::HitForMiss)),
                    (Some(fill), _) if fill.followers == 3 => {
                        prop_assert_eq!(join, Join::Pass(Pass::TooManyFollowers));
                    }
                    (Some(fill), _) => {
                        fill.followers += 1;
                        prop_assert_eq!(join, Join::Follow { fill: fill.id, deadline: now + seconds(5) });
                    }
                    (None, _) => {
                        let Join::Lead(id) = join else {
                            return Err(TestCaseError::fail(format!("{join:?} instead of lead")));
                        };
                        filling.insert(key, Fill { id, deadline: clock + 5, followers: 0 });
                    }
                }
                continue;
            }
            // Only a fill that the model still knows is ended, late or not.
            let Some(fill) = filling.remove(&key) else { continue };
            let outcome = [FillOutcome::Stored, FillOutcome::Uncacheable, FillOutcome::Failed][usize::from(event)];
            prop_assert_eq!(fills.finish(&key, fill.id, outcome, now), fill.followers);
            if outcome == FillOutcome::Uncacheable && fill.followers > 0 {
                marked.insert(key, clock + 10);
            }
        }
    }
}
