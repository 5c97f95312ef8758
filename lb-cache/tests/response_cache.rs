//! Whatever happens to a response cache, it stays within its capacity and gives everything back.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lb_cache::{
    CacheKey, CacheRequest, CacheRules, Eviction, FillOutcome, FillTicket, Joined, Received,
    RequestHead, ResponseCache, ResponseCacheParameters, ResponseHead, ResponsePolicy, StoredBody,
    StoredResponse,
};
use proptest::prelude::*;

const CAPACITY: u64 = 20_000;

#[derive(Debug, Clone)]
enum Step {
    /// Begins a fill of this key by a request with this value of the field that responses vary by.
    Lead(u8, u8),
    /// Takes bytes for one of the fills.
    Reserve(prop::sample::Index, u16),
    /// Stores what one of the fills brought.
    Store(prop::sample::Index, u16),
    Fail(prop::sample::Index),
    Purge(u8),
    PurgePrefix,
    PurgeTag,
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        4 => (0..6u8, 0..3u8).prop_map(|(key, value)| Step::Lead(key, value)),
        3 => (index(), 0..9_000u16).prop_map(|(fill, bytes)| Step::Reserve(fill, bytes)),
        4 => (index(), 0..9_000u16).prop_map(|(fill, bytes)| Step::Store(fill, bytes)),
        1 => index().prop_map(Step::Fail),
        1 => (0..6u8).prop_map(Step::Purge),
        1 => Just(Step::PurgePrefix),
        1 => Just(Step::PurgeTag),
        1 => (0..20u8).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

struct Fill {
    ticket: FillTicket,
    value: u8,
    reserved: u64,
}

fn fields(value: u8) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("accept", HeaderValue::from(u64::from(value)));
    fields
}

fn head(fields: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: &Method::GET,
        headers: fields,
        has_body: false,
    }
}

fn response(value: u8, bytes: u16, now: Instant) -> Arc<StoredResponse> {
    let mut said = HeaderMap::new();
    said.insert("cache-control", HeaderValue::from_static("max-age=9"));
    said.insert("vary", HeaderValue::from_static("accept"));
    let times = Received {
        requested: now,
        received: now,
        wall: UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    };
    let whole = ResponseHead {
        status: StatusCode::OK,
        headers: &said,
    };
    let policy = ResponsePolicy::of(
        &head(&fields(value)),
        &whole,
        &times,
        &CacheRules::default(),
    );
    let body = StoredBody::new(vec![Bytes::from(vec![0; bytes.into()])]);
    let tags = value.is_multiple_of(2).then_some("even");
    StoredResponse::new(policy.policy().expect("it is fresh"), said, body, tags).into()
}

fn play(eviction: Eviction, steps: Vec<Step>, start: Instant) -> Result<(), TestCaseError> {
    let rules = CacheRules::default();
    let mut parameters = ResponseCacheParameters::new(CAPACITY);
    parameters.eviction = eviction;
    parameters.max_object_bytes = CAPACITY;
    let cache: ResponseCache<()> = ResponseCache::new(&parameters);
    let mut fills: Vec<Fill> = Vec::new();
    let mut now = start;
    let key = |number: u8| CacheKey::from(format!("/{number}").as_str());
    for step in steps {
        match step {
            Step::Lead(number, value) => {
                let fields = fields(value);
                let head = head(&fields);
                let request = CacheRequest::of(&head, &rules).expect("a GET");
                let joined = cache.join(&key(number), &request, &rules, None, |_| (), now);
                if let Joined::Lead(ticket, ()) = joined {
                    let reserved = 0;
                    fills.push(Fill {
                        ticket,
                        value,
                        reserved,
                    });
                }
            }
            Step::Reserve(which, bytes) if !fills.is_empty() => {
                let fill = which.index(fills.len());
                let bytes = u64::from(bytes);
                if cache.reserve(&fills[fill].ticket, bytes) {
                    fills[fill].reserved += bytes;
                }
            }
            Step::Store(which, bytes) if !fills.is_empty() => {
                let fill = fills.swap_remove(which.index(fills.len()));
                let response = response(fill.value, bytes, now);
                cache.store(
                    fill.ticket,
                    response,
                    fill.reserved,
                    rules.max_variants,
                    now,
                );
            }
            Step::Fail(which) if !fills.is_empty() => {
                let fill = fills.swap_remove(which.index(fills.len()));
                cache.finish(&fill.ticket, fill.reserved, FillOutcome::Failed, now);
            }
            Step::Purge(number) => {
                cache.purge(&key(number), now);
                let nothing = HeaderMap::new();
                prop_assert!(cache.select(key(number).as_str(), &nothing, now).is_none());
            }
            Step::PurgePrefix => {
                cache.purge_prefix("/1", now);
            }
            Step::PurgeTag => {
                cache.purge_tag("even", now);
                prop_assert_eq!(cache.purge_tag("even", now), 0);
            }
            Step::Wait(seconds) => now += Duration::from_secs(seconds.into()),
            Step::Reserve(..) | Step::Store(..) | Step::Fail(_) => {}
        }
        prop_assert!(cache.weight() <= CAPACITY, "{cache:?}");
    }
    for fill in fills {
        cache.finish(&fill.ticket, fill.reserved, FillOutcome::Failed, now);
    }
    cache.purge_prefix("", now);
    prop_assert_eq!((cache.len(), cache.weight()), (0, 0));
    Ok(())
}

proptest! {
    #[test]
    fn stays_within_its_capacity_and_gives_everything_back(steps in steps(), lru in any::<bool>()) {
        #[expect(clippy::disallowed_methods, reason = "tests need a first instant")]
        let start = Instant::now();
        let eviction = if lru { Eviction::Lru } else { Eviction::S3Fifo };
        play(eviction, steps, start)?;
    }
}
