//! `cargo bench -p lb-cache --bench rules`: nanoseconds per decision, beside `http-cache-semantics` in the same run.
//!
//! Both are measured in turn, round after round, and each figure is the median over the rounds, so that what else the
//! machine does falls on both alike. One thread.

#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "the benchmark reads the clock for the library"
)]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method, Request, Response};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use lb_cache::{
    CacheRequest, CacheRules, Lookup, Received, RequestHead, ResponseHead, ResponsePolicy, Variants,
};

const ROUNDS: usize = 101;
const COUNT: u32 = 10_000;

/// What a browser sends.
const REQUEST: [(&str, &str); 6] = [
    ("host", "example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.5"),
    ("cookie", "session=0123456789abcdef"),
];
const RESPONSE: [(&str, &str); 6] = [
    ("content-type", "text/html; charset=utf-8"),
    ("content-length", "1024"),
    (
        "cache-control",
        "public, max-age=3600, stale-while-revalidate=60",
    ),
    ("etag", "\"0123456789abcdef\""),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("server", "example"),
];

/// One request and one response, as both sides take them.
struct Scene {
    request: Request<()>,
    response: Response<()>,
}

impl Scene {
    fn new(request: &[(&str, &str)], response: &[(&str, &str)]) -> Self {
        let mut asked = Request::builder().uri("https://example.com/index.html?a=b");
        for &(name, value) in REQUEST.iter().chain(request) {
            asked = asked.header(name, value);
        }
        let mut answered = Response::builder();
        for &(name, value) in RESPONSE.iter().chain(response) {
            answered = answered.header(name, value);
        }
        Self {
            request: asked.body(()).expect("a request"),
            response: answered.body(()).expect("a response"),
        }
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &Method::GET,
            headers: self.request.headers(),
            has_body: false,
        }
    }

    fn policy(&self, times: &Received, rules: &CacheRules) -> Option<ResponsePolicy> {
        let response = ResponseHead {
            status: self.response.status(),
            headers: self.response.headers(),
        };
        ResponsePolicy::of(&self.head(), &response, times, rules).policy()
    }

    fn anchor(&self, wall: SystemTime) -> CachePolicy {
        CachePolicy::new_options(&self.request, &self.response, wall, CacheOptions::default())
    }
}

fn hit(
    headers: &HeaderMap,
    variants: &Variants<ResponsePolicy>,
    rules: &CacheRules,
    now: Instant,
) -> bool {
    let head = RequestHead {
        method: &Method::GET,
        headers,
        has_body: false,
    };
    let request = CacheRequest::of(&head, rules);
    request
        .is_ok_and(|request| matches!(request.lookup(Some(variants), rules, now), Lookup::Hit(_)))
}

/// Medians of nanoseconds per call of each operation, in turn.
fn measure<const N: usize>(mut operations: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut samples = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (operation, samples) in operations.iter_mut().zip(&mut samples) {
            (0..COUNT / 8).for_each(|_| operation());
            let start = Instant::now();
            (0..COUNT).for_each(|_| operation());
            samples.push(start.elapsed().as_nanos() as f64 / f64::from(COUNT));
        }
    }
    samples.map(|mut samples| {
        samples.sort_by(f64::total_cmp);
        samples[ROUNDS / 2]
    })
}

fn main() {
    let rules = CacheRules::default();
    let (now, wall) = (Instant::now(), SystemTime::now());
    let times = Received {
        requested: now,
        received: now,
        wall,
    };
    let (later, later_wall) = (now + Duration::from_secs(9), wall + Duration::from_secs(9));
    println!("nanoseconds per operation, median of {ROUNDS} rounds, one thread\n");
    println!(
        "{:<44} {:>9} {:>21} {:>7}",
        "", "lb-cache", "http-cache-semantics", "ratio"
    );
    let scenes = [
        ("fresh", Scene::new(&[], &[])),
        (
            "fresh, Vary: accept-encoding",
            Scene::new(&[], &[("vary", "accept-encoding")]),
        ),
        (
            "fresh, request with max-age",
            Scene::new(&[("cache-control", "max-age=600")], &[]),
        ),
    ];
    for (name, scene) in &scenes {
        let Some(policy) = scene.policy(&times, &rules) else {
            println!("{name}: not stored");
            continue;
        };
        let mut variants = Variants::default();
        let _ = variants.insert(policy, NonZeroUsize::MIN);
        let anchor = scene.anchor(wall);
        let mut fresh = 0_u64;
        let [ours, theirs, made, theirs_made] = measure([
            &mut || {
                fresh += u64::from(hit(
                    black_box(scene.request.headers()),
                    black_box(&variants),
                    &rules,
                    black_box(later),
                ));
            },
            &mut || {
                let decision = black_box(&anchor)
                    .before_request(black_box(&scene.request), black_box(later_wall));
                assert!(matches!(decision, BeforeRequest::Fresh(_)));
            },
            &mut || {
                black_box(black_box(scene).policy(&times, &rules));
            },
            &mut || {
                black_box(black_box(scene).anchor(wall));
            },
        ]);
        assert!(fresh > 0, "every lookup is a hit");
        println!(
            "{:<44} {ours:>9.1} {theirs:>21.1} {:>7.3}",
            format!("hit decided: {name}"),
            ours / theirs
        );
        println!(
            "{:<44} {made:>9.1} {theirs_made:>21.1} {:>7.3}",
            format!("policy made: {name}"),
            made / theirs_made
        );
    }
    println!(
        "\n{:<44} {:>9}",
        "bytes of a policy, without Vary",
        size_of::<ResponsePolicy>()
    );
    println!(
        "goals: a hit decided in at most 123 ns and 0.1 × the anchor; a policy of at most 256 bytes"
    );
}
