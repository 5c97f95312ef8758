//! What is fuzzed, with samples and the promise that has to hold.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lb_cache::{
    Answer, CacheKey, CacheRequest, CacheRules, HttpDate, Received, RequestDirectives, RequestHead,
    ResponseCache, ResponseCacheParameters, ResponseDirectives, ResponseHead, ResponsePolicy,
    StoredBody, StoredResponse,
};
use lb_ratelimit::{Keyer, Prefixes};
use lb_server::Config;
use lb_session::cookie::{self, SetCookie};
use lb_session::{
    AffinityTable, Record, Secrets, Session, SessionCookie, SessionId, SessionParameters,
};

/// Something that reads what strangers write.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Vec<u8>>,
    /// Panics where a promise does not hold.
    #[expect(clippy::type_complexity, reason = "one closure in a box, said once")]
    pub(crate) check: Box<dyn FnMut(&[u8])>,
}

impl Target {
    fn new(name: &'static str, samples: &[&str], check: impl FnMut(&[u8]) + 'static) -> Self {
        Self {
            name,
            samples: samples
                .iter()
                .map(|sample| sample.as_bytes().to_vec())
                .collect(),
            check: Box::new(check),
        }
    }
}

/// Every target.
pub(crate) fn all() -> Vec<Target> {
    vec![
        affinity_cookie(),
        session_cookie(),
        cookie_field(),
        session_record(),
        response_record(),
        cache_fields(),
        http_date(),
        limit_key(),
        config_toml(),
        config_json(),
    ]
}

const SECRET: &str = "32 random bytes of this December";

fn secrets() -> Secrets {
    Secrets::try_new([SECRET]).expect("it is long enough")
}

/// Whatever is not letter for letter what was given out is refused.
fn affinity_cookie() -> Target {
    let backends = ["http://10.0.0.1:80", "http://10.0.0.2:80"];
    let table = AffinityTable::seal(&secrets(), "web", backends);
    let values: Vec<String> = backends
        .iter()
        .filter_map(|backend| table.value(backend))
        .map(str::to_owned)
        .collect();
    let given_out = values.clone();
    let samples: Vec<&str> = given_out.iter().map(String::as_str).collect();
    Target::new("affinity-cookie", &samples, move |input| {
        let given = values.iter().any(|value| value.as_bytes() == input);
        assert_eq!(
            table.verify(input).is_some(),
            given,
            "a value that was not given out"
        );
    })
}

fn session_cookie() -> Target {
    let cookie = SetCookie::try_new("__Host-lb_session").expect("it is a name");
    let cookie = SessionCookie::new(cookie, &secrets());
    let ids = [
        SessionId::from_random([7; 16]),
        SessionId::from_random([8; 16]),
    ];
    let pairs = ids.map(|id| {
        let field = cookie.issue(&id, None);
        let pair = field.split(';').next().unwrap_or_default();
        pair.rsplit('=').next().unwrap_or_default().to_owned()
    });
    let samples = [pairs[0].as_str(), pairs[1].as_str()];
    let given = pairs.clone();
    Target::new("session-cookie", &samples, move |input| {
        // A value ends where a cookie ends; what is around it is the subject of another target.
        if input.iter().any(|byte| b"; \t\"=,".contains(byte)) {
            return;
        }
        let field = [b"__Host-lb_session=", input].concat();
        let is_given = given.iter().any(|value| value.as_bytes() == input);
        let read = cookie.read([field.as_slice()]);
        assert_eq!(read.is_some(), is_given, "a value that was not given out");
    })
}

fn cookie_field() -> Target {
    let samples = ["a=1; b=2; c=\"3\"", "a=;=b;;; a", "lb=x; lb=y; other=z"];
    Target::new("cookie-field", &samples, |input| {
        for name in ["a", "lb"] {
            let first = cookie::find(input, name);
            assert_eq!(first, cookie::values(input, name).next());
            assert!(cookie::values(input, name).all(|value| value.len() <= input.len()));
        }
        let _left = cookie::without(input, &["a", "lb"]);
    })
}

fn session_record() -> Target {
    let (parameters, now) = (SessionParameters::default(), SystemTime::UNIX_EPOCH);
    let mut session = Session::new(&parameters);
    session.set("visits", 1).expect("it fits");
    session.set("user", "ada").expect("it fits");
    let record = Record::create(&session.changes(), &parameters, now).expect("it fits");
    let mut target = Target::new("session-record", &[""], |input| {
        if let Ok(record) = Record::decode(input) {
            assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(&record));
        }
    });
    target.samples = vec![record.encode()];
    target
}

fn response_record() -> Target {
    let now = Instant::now();
    let times = received(now);
    let policy = ResponsePolicy::lasting(StatusCode::OK, Duration::from_secs(60), &times);
    let headers = fields(b"content-type: text/plain\nvary: accept\netag: \"1\"");
    let stored = StoredResponse::new(policy, headers, StoredBody::new(vec!["body".into()]), ["t"]);
    let mut record = Vec::new();
    assert!(stored.encode(&mut record, now), "a small response");
    let mut target = Target::new("response-record", &[""], move |input| {
        if let Some(read) = StoredResponse::decode(input, Duration::from_secs(1), now) {
            assert!(
                read.encode(&mut Vec::new(), now),
                "what was read can be written"
            );
        }
    });
    target.samples = vec![record];
    target
}

fn received(now: Instant) -> Received {
    Received {
        requested: now,
        received: now,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    }
}

/// Lines `name: value`, those that are none left out.
fn fields(text: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let value = line[at + 1..].trim_ascii();
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&line[..at]),
            HeaderValue::from_bytes(value),
        ) {
            fields.append(name, value);
        }
    }
    fields
}

/// A request, an empty line, a response: what of it is stored, and what a client then gets.
fn cache_fields() -> Target {
    let samples = [
        "accept: a\nrange: bytes=0-1,3-\n\ncache-control: max-age=60, stale-while-revalidate=\"5\"\nvary: accept",
        "cache-control: max-stale=5, no-cache\n\ncdn-cache-control: max-age=1;x, private\nage: 7\ncache-tag: a, b",
        "if-none-match: W/\"1\", *\nif-range: \"1\"\n\nexpires: Sun, 06 Nov 1994 08:49:37 GMT\netag: \"1\"\nvary: *",
    ];
    let rules = CacheRules::default();
    let now = Instant::now();
    let cache: ResponseCache<()> = ResponseCache::new(&ResponseCacheParameters::new(1 << 16));
    let key = CacheKey::from("http://a/");
    Target::new("cache-fields", &samples, move |input| {
        let split = input.windows(2).position(|end| end == b"\n\n");
        let (asked, said) = input.split_at(split.unwrap_or(input.len()));
        let (asked, said) = (fields(asked), fields(said));
        let _directives = (
            RequestDirectives::parse(&asked),
            ResponseDirectives::parse(&said),
        );
        let head = RequestHead {
            method: &Method::GET,
            headers: &asked,
            has_body: false,
        };
        let response = ResponseHead {
            status: StatusCode::OK,
            headers: &said,
        };
        let policy = ResponsePolicy::of(&head, &response, &received(now), &rules);
        if let Some(policy) = policy.policy() {
            let length = 100;
            let mut reply = said.clone();
            let answer = Answer::of(&head, &policy, &reply, Some(length));
            if let Answer::Partial(parts) = &answer {
                assert!(
                    parts
                        .iter()
                        .all(|part| part.start < part.end && part.end <= length)
                );
            }
            let _framing = answer.apply(&mut reply, Duration::ZERO, 1);
            assert!(
                policy.vary().matches(&asked),
                "a response answers its own request"
            );
        }
        if let Ok(request) = CacheRequest::of(&head, &rules) {
            let _looked = cache.lookup(key.as_str(), &request, &rules, now);
        }
        assert!(lb_cache::tags(&said).count() <= 128);
    })
}

fn http_date() -> Target {
    let samples = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ];
    Target::new("http-date", &samples, |input| {
        if let Some(date) = HttpDate::parse(input, HttpDate::EPOCH)
            && date >= HttpDate::EPOCH
        {
            let written = date.to_string();
            assert_eq!(
                HttpDate::parse(written.as_bytes(), HttpDate::EPOCH),
                Some(date)
            );
        }
    })
}

/// No two lists of parts are one key.
fn limit_key() -> Target {
    let keyer = Keyer::new(42);
    Target::new(
        "limit-key",
        &["abcdefghijklmnop", "aa", "2001:db8::1"],
        move |input| {
            let (one, other) = input.split_at(input.len() / 2);
            let parts = keyer.start_shared().bytes(one).bytes(other).finish();
            assert_ne!(parts, keyer.start_shared().bytes(input).finish());
            if !other.is_empty() {
                let moved = keyer.start_shared().bytes(input).bytes(b"").finish();
                assert_ne!(parts, moved);
            }
            let _local = keyer
                .start()
                .bytes(input)
                .number(input.len() as u64)
                .finish();
            if let Some(address) = str::from_utf8(input)
                .ok()
                .and_then(|text| text.parse().ok())
            {
                let _key = keyer.start().address(address, Prefixes::default()).finish();
            }
        },
    )
}

fn config_toml() -> Target {
    let samples = [
        "listen = \"127.0.0.1:8080\"\nbackends = [\"http://127.0.0.1:3000\"]\n",
        "[pools.a]\nbackends = [{ url = \"http://a:1\", weight = 3 }]\n[caches.main]\nmax_size = \"1MiB\"\n\
         [redis]\nurl = \"redis://a:1/2\"\n[[routes]]\npool = \"a\"\ncache = \"main\"\n",
        "[rate_limits.x]\nlimit = 5\nwindow = \"1m\"\nkey = [\"client-ip\", \"cookie:a\"]\n",
    ];
    Target::new("config-toml", &samples, |input| {
        if let Ok(text) = str::from_utf8(input)
            && let Err(error) = Config::from_toml(text, "fuzz.toml")
        {
            let _message = error.to_string();
        }
    })
}

fn config_json() -> Target {
    let samples = [
        "{\"listen\": \"127.0.0.1:8080\", \"backends\": [\"http://127.0.0.1:3000\"]}",
        "{\"pools\": {\"a\": {\"backends\": []}}, \"routes\": [{\"pool\": \"a\"}], \"version\": 1}",
    ];
    Target::new("config-json", &samples, |input| {
        if let Ok(text) = str::from_utf8(input)
            && let Err(error) = Config::from_json(text, "fuzz.json")
        {
            let _message = error.to_string();
        }
    })
}
