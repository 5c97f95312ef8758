use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use super::*;
use crate::rules::{Received, RequestHead, ResponseHead, ResponsePolicy};
use crate::testing::now;

type Cache = ResponseCache<u32>;

fn cache(capacity: u64) -> Cache {
    let mut parameters = ResponseCacheParameters::new(capacity);
    parameters.max_object_bytes = capacity;
    ResponseCache::new(&parameters)
}

fn times(now: Instant) -> Received {
    Received {
        requested: now,
        received: now,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    }
}

/// A request with these fields.
fn asking<R>(fields: &HeaderMap, then: impl FnOnce(&CacheRequest<'_>, &CacheRules) -> R) -> R {
    let rules = CacheRules::default();
    let head = RequestHead {
        method: &Method::GET,
        headers: fields,
        has_body: false,
    };
    then(&CacheRequest::of(&head, &rules).unwrap(), &rules)
}

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        })
        .collect()
}

fn response(request: &HeaderMap, said: &HeaderMap, bytes: usize, now: Instant) -> StoredResponse {
    let head = RequestHead {
        method: &Method::GET,
        headers: request,
        has_body: false,
    };
    let whole = ResponseHead {
        status: StatusCode::OK,
        headers: said,
    };
    let rules = CacheRules::default();
    let policy = ResponsePolicy::of(&head, &whole, &times(now), &rules);
    let body = StoredBody::new(vec![Bytes::from(vec![7; bytes])]);
    let policy = policy.policy().unwrap();
    StoredResponse::new(policy, said.clone(), body, crate::rules::tags(said))
}

fn lead(cache: &Cache, key: &str, request: &HeaderMap, now: Instant) -> FillTicket {
    let key = CacheKey::from(key);
    let joined = asking(request, |request, rules| {
        cache.join(&key, request, rules, None, |_| 1, now)
    });
    let Joined::Lead(fill, _) = joined else {
        panic!("{joined:?}")
    };
    fill
}

fn put(cache: &Cache, key: &str, said: &HeaderMap, bytes: usize, now: Instant) -> bool {
    put_for(cache, key, &HeaderMap::new(), said, bytes, now)
}

fn put_for(
    cache: &Cache,
    key: &str,
    request: &HeaderMap,
    said: &HeaderMap,
    bytes: usize,
    now: Instant,
) -> bool {
    let fill = lead(cache, key, request, now);
    let stored = response(request, said, bytes, now);
    let most = CacheRules::default().max_variants;
    cache.store(fill, stored.into(), 0, most, now).is_some()
}

fn finds(cache: &Cache, key: &str, now: Instant) -> bool {
    asking(&HeaderMap::new(), |request, rules| {
        matches!(cache.lookup(key, request, rules, now), Looked::Hit(_))
    })
}

#[test]
fn one_leads_and_others_follow_until_it_is_stored() {
    let (cache, now, none) = (cache(1 << 20), now(), HeaderMap::new());
    let fill = lead(&cache, "k", &none, now);
    let key = CacheKey::from("k");
    for _follower in 0..3 {
        let joined = asking(&none, |request, rules| {
            cache.join(&key, request, rules, None, |_| 2, now)
        });
        assert!(
            matches!(joined, Joined::Follow { fill: 1, .. }),
            "{joined:?}"
        );
    }
    let stored = response(&none, &fields(&[("cache-control", "max-age=9")]), 10, now);
    let most = CacheRules::default().max_variants;
    assert_eq!(cache.store(fill, stored.into(), 0, most, now), Some(3));
    let joined = asking(&none, |request, rules| {
        cache.join(&key, request, rules, None, |_| 2, now)
    });
    assert!(matches!(joined, Joined::Hit(_)));
    assert!(finds(&cache, "k", now));
    assert!(!finds(&cache, "k", now + Duration::from_secs(9)));
}

#[test]
fn entries_and_fills_never_exceed_the_capacity() {
    let capacity = 100_000;
    let (cache, now, none) = (cache(capacity), now(), HeaderMap::new());
    let said = fields(&[("cache-control", "max-age=9")]);
    for entry in 0..100 {
        assert!(put(&cache, &entry.to_string(), &said, 3_000, now));
        assert!(cache.weight() <= capacity);
    }
    let before = cache.len();
    let fill = lead(&cache, "big", &none, now);
    assert!(cache.reserve(&fill, 60_000));
    assert!(cache.weight() <= capacity && cache.len() < before);
    assert!(!cache.reserve(&fill, 40_001), "fills alone would exceed it");
    let stored = response(&none, &said, 60_000, now);
    let most = CacheRules::default().max_variants;
    assert!(
        cache
            .store(fill, stored.into(), 60_000, most, now)
            .is_some()
    );
    assert!(cache.weight() <= capacity && finds(&cache, "big", now));
    assert!(
        !put(&cache, "huge", &said, 100_000, now),
        "the head makes it too heavy"
    );
}

#[test]
fn variants_of_one_key_give_way_to_the_newest() {
    let (cache, now) = (cache(10_000), now());
    let said = fields(&[("cache-control", "max-age=9"), ("vary", "accept")]);
    for value in ["a", "b", "c"] {
        let request = fields(&[("accept", value)]);
        assert!(put_for(&cache, "k", &request, &said, 4_000, now));
        assert!(cache.weight() <= 10_000);
    }
    let kept = ["a", "b", "c"].map(|value| {
        asking(&fields(&[("accept", value)]), |request, rules| {
            matches!(cache.lookup("k", request, rules, now), Looked::Hit(_))
        })
    });
    assert_eq!(kept, [false, true, true]);
}

#[test]
fn purges_by_key_prefix_and_tag() {
    let (cache, now) = (cache(1 << 20), now());
    let tagged = fields(&[("cache-control", "max-age=9"), ("cache-tag", "x, y")]);
    let plain = fields(&[("cache-control", "max-age=9")]);
    for (key, said) in [
        ("/a", &tagged),
        ("/a/b", &plain),
        ("/c", &tagged),
        ("/d", &plain),
    ] {
        assert!(put(&cache, key, said, 10, now));
    }
    assert_eq!(cache.purge_tag("y", now), 2);
    assert_eq!(cache.purge_tag("y", now), 0);
    assert_eq!(cache.purge_prefix("/a", now), 1);
    assert_eq!(cache.purge(&CacheKey::from("/d"), now), 1);
    assert!(cache.is_empty());
    assert_eq!(cache.weight(), 0);
}

#[test]
fn what_began_before_a_purge_is_not_stored() {
    let (cache, now, none) = (cache(1 << 20), now(), HeaderMap::new());
    let said = fields(&[("cache-control", "max-age=9")]);
    let most = CacheRules::default().max_variants;
    let purges: [fn(&Cache, Instant) -> usize; 3] = [
        |cache, now| cache.purge(&CacheKey::from("k"), now),
        |cache, now| cache.purge_prefix("k", now),
        |cache, now| cache.purge_tag("any", now),
    ];
    for purge in purges {
        let fill = lead(&cache, "k", &none, now);
        purge(&cache, now);
        let stored = response(&none, &said, 10, now);
        assert_eq!(cache.store(fill, stored.into(), 0, most, now), None);
        assert!(put(&cache, "k", &said, 10, now), "the next one is");
        cache.purge(&CacheKey::from("k"), now);
    }
}

#[test]
fn replaces_only_what_is_still_stored() {
    let (cache, now, none) = (cache(1 << 20), now(), HeaderMap::new());
    let said = fields(&[("cache-control", "max-age=9")]);
    let (key, most) = (CacheKey::from("k"), CacheRules::default().max_variants);
    put(&cache, "k", &said, 10, now);
    let old = cache.select("k", &none, now).unwrap().entry;
    let new = Arc::new(response(&none, &said, 20, now));
    assert!(cache.replace(&key, &old, Some(Arc::clone(&new)), most));
    assert!(!cache.replace(&key, &old, None, most));
    assert_eq!(
        cache.select("k", &none, now).unwrap().entry.body().length(),
        20
    );
    assert!(cache.replace(&key, &new, None, most));
    assert!(cache.is_empty());
}

#[test]
fn extra_fields_keep_responses_apart() {
    let now = now();
    let rules = CacheRules {
        vary_by: vec![http::header::ACCEPT_LANGUAGE],
        ..CacheRules::default()
    };
    let request = fields(&[("accept-language", "de")]);
    let head = RequestHead {
        method: &Method::GET,
        headers: &request,
        has_body: false,
    };
    let said = fields(&[("cache-control", "max-age=9")]);
    let whole = ResponseHead {
        status: StatusCode::OK,
        headers: &said,
    };
    let policy = ResponsePolicy::of(&head, &whole, &times(now), &rules);
    let policy = policy.policy().unwrap();
    assert!(policy.vary().matches(&request));
    assert!(!policy.vary().matches(&HeaderMap::new()));
}

#[test]
fn a_smaller_capacity_evicts_and_a_larger_one_keeps() {
    let (cache, now, none) = (cache(100_000), now(), HeaderMap::new());
    let said = fields(&[("cache-control", "max-age=9")]);
    for entry in 0..20 {
        assert!(put(&cache, &entry.to_string(), &said, 3_000, now));
    }
    let fill = lead(&cache, "big", &none, now);
    assert!(cache.reserve(&fill, 20_000));
    cache.set_capacity(10_000);
    // The fill keeps what it has; nothing is left for entries.
    assert_eq!((cache.len(), cache.weight()), (0, 20_000));
    assert!(!put(&cache, "a", &said, 3_000, now));
    cache.release(&fill, 20_000);
    cache.set_capacity(50_000);
    assert!(put(&cache, "a", &said, 3_000, now) && put(&cache, "b", &said, 30_000, now));
    cache.set_capacity(60_000);
    assert_eq!(cache.len(), 2);
}

#[test]
fn a_cache_is_made_anew_with_what_another_stores() {
    let (small, now) = (cache(100_000), now());
    let said = fields(&[("cache-control", "max-age=9")]);
    for key in ["a", "b"] {
        assert!(put(&small, key, &said, 3_000, now));
    }
    let mut parameters = ResponseCacheParameters::new(1 << 30);
    parameters.eviction = Eviction::Lru;
    assert!(!parameters.differs_in_capacity_alone(&ResponseCacheParameters::new(1 << 30)));
    let large = small.with(&parameters);
    assert!(large.len() == 2 && finds(&large, "a", now) && finds(&large, "b", now));
    let purged = large.purge_keys(|key| key == "a", now);
    assert_eq!((purged, large.len(), small.len()), (1, 1, 2));
}
