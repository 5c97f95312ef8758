//! Asking the target on behalf of all who wait: for a new response, or whether the stored one is still right.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use lb_cache::{
    CacheKey, CacheRequest, Entry as _, FillOutcome, HeadUpdate, Looked, Received, Refusal,
    RequestDirectives, ResponseHead, ResponsePolicy, Served, Storability, StoredResponse,
    TAG_FIELDS, Validated, ask_for_fill, ask_to_validate, stands_in, stored_fields, tags,
};

use super::HttpCache;
use super::answer::head_of;
use super::fill::{Fill, FillHead, Reader};
use super::pump::{Filling, pump};
use crate::body::Body;
use crate::clock;
use crate::handler::{Exchange, Response};
use crate::incoming::Incoming;
use crate::reject::Reject;

/// A backend's body may be silent for so long, if its route says nothing else.
const IDLE: Duration = Duration::from_secs(300);

/// Everything that fetching needs, so that it can go on without the exchange it began in.
pub(super) struct Errand {
    pub(super) exchange: Exchange,
    pub(super) cache: Arc<HttpCache>,
    pub(super) incoming: Arc<Incoming>,
    pub(super) key: CacheKey,
    /// What is validated.
    pub(super) stale: Option<Served>,
    /// Whether what other instances have stored is asked for first.
    pub(super) is_shared: bool,
}

/// What the leader answers with.
pub(super) enum Fetched {
    /// The response is being stored, and read like anybody else's; these are the fields as they came.
    Filling {
        headers: HeaderMap,
        head: Arc<FillHead>,
    },
    /// Another instance has stored it.
    Found(Served),
    /// Another instance has stored it, and it may be sent while it is validated.
    FoundStale(Served),
    /// A response for the leader alone.
    Own(Box<Response>, Option<Refusal>),
    /// What was stored is right, and stored anew.
    Validated(Served),
    /// What was stored is right, for this once.
    Once(Served, HeaderMap, Refusal),
    /// What was stored stands in for a failure: why, and what was received in its place.
    Stale(Served, &'static str, Option<StatusCode>),
}

/// A fetch as its leader waits for it. If the leader leaves and others wait, it goes on as a task.
pub(super) struct Led {
    fetching: Option<BoxFuture<'static, Result<Fetched, Reject>>>,
    fill: Arc<Fill>,
    reader: Option<Reader>,
}

impl Led {
    pub(super) fn new(errand: Errand, filling: Filling, fill: Arc<Fill>, reader: Reader) -> Self {
        Self {
            fetching: Some(Box::pin(errand.run(filling))),
            fill,
            reader: Some(reader),
        }
    }
}

impl Future for Led {
    type Output = Result<(Fetched, Reader), Reject>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(fetching) = &mut self.fetching else {
            return Poll::Pending;
        };
        let fetched = std::task::ready!(fetching.as_mut().poll(cx));
        self.fetching = None;
        let reader = self.reader.take();
        let reader = reader.ok_or(Reject::Internal("a fetch ended twice"))?;
        Poll::Ready(fetched.map(|fetched| (fetched, reader)))
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        self.reader = None;
        if let Some(fetching) = self.fetching.take()
            && self.fill.has_readers()
            // What panicked cannot be polled again.
            && !std::thread::panicking()
            && let Ok(worker) = tokio::runtime::Handle::try_current()
        {
            worker.spawn(fetching);
        }
    }
}

/// When a request was sent and its response head came, which is now.
pub(super) fn received(requested: Instant) -> Received {
    Received {
        requested,
        received: clock::now(),
        wall: clock::wall(),
    }
}

impl Errand {
    /// Asks the target, stores what may be stored, and tells all who wait.
    pub(super) async fn run(mut self, mut filling: Filling) -> Result<Fetched, Reject> {
        if self.is_shared {
            match self.look_elsewhere().await {
                Some(Looked::Hit(found)) => {
                    filling.keep_found(Arc::clone(&found.entry));
                    return Ok(Fetched::Found(found));
                }
                Some(Looked::Stale(found)) if self.stale.is_none() => {
                    filling.keep_found(Arc::clone(&found.entry));
                    return Ok(Fetched::FoundStale(found));
                }
                Some(Looked::Revalidate(found, _)) if self.stale.is_none() => {
                    self.stale = Some(found);
                }
                _ => {}
            }
        }
        filling.share(self.exchange.cache_store());
        loop {
            let mut asked = Box::new((*self.incoming).clone());
            match &self.stale {
                Some(stale) => {
                    ask_to_validate(&mut asked.headers, stale.entry.headers());
                }
                None => {
                    ask_for_fill(&asked.method, &mut asked.headers);
                }
            }
            let requested = clock::now();
            let answered = self.exchange.answer_by_target(asked, Body::empty()).await;
            let response = match answered {
                Ok(response) => response,
                Err(reject) => return self.unreachable(reject, filling),
            };
            let times = received(requested);
            let Some(stale) = self.stale.take() else {
                return Ok(self.fresh(response, &times, filling, None));
            };
            let validated = {
                let received = ResponseHead {
                    status: response.status(),
                    headers: response.headers(),
                };
                let entry = &stale.entry;
                let head = head_of(&self.incoming, false);
                let rules = &self.cache.rules;
                Validated::of(
                    entry.policy(),
                    entry.headers(),
                    &head,
                    &received,
                    &times,
                    rules,
                )
            };
            match validated {
                Validated::Refreshed(refreshed) => {
                    let refreshed = *refreshed;
                    return Ok(match refreshed.storability {
                        Storability::Store(policy) => {
                            let entry = refresh(&stale, policy, refreshed.headers, &response);
                            filling.keep(Arc::clone(&entry));
                            Fetched::Validated(served(entry, times.received))
                        }
                        Storability::Refuse(why) => {
                            self.forget(&stale, why);
                            filling.finish(FillOutcome::Failed);
                            Fetched::Once(
                                served(stale.entry, times.received),
                                refreshed.headers,
                                why,
                            )
                        }
                    });
                }
                Validated::Replaced => {
                    return Ok(self.fresh(response, &times, filling, Some(&stale)));
                }
                Validated::ServeStale => {
                    filling.finish(FillOutcome::Failed);
                    return Ok(Fetched::Stale(
                        stale,
                        "stale-if-error",
                        Some(response.status()),
                    ));
                }
                // It is about something else: once more, without conditions.
                Validated::Unusable => {
                    let most = self.cache.rules.max_variants;
                    self.cache
                        .responses()
                        .replace(&self.key, &stale.entry, None, most);
                }
            }
        }
    }

    /// Looks for what other instances have stored.
    async fn look_elsewhere(&self) -> Option<Looked> {
        let second = self.cache.second()?;
        let store = self.exchange.cache_store()?;
        if self.exchange.is_memory_tight() {
            return None;
        }
        let head = head_of(&self.incoming, false);
        let request = CacheRequest::of(&head, &self.cache.rules).ok()?;
        Some(second.lookup(&self.cache, &self.key, &request, store).await)
    }

    /// Stores a new response while it comes, or passes it to the leader.
    fn fresh(
        &self,
        response: Response,
        times: &Received,
        filling: Filling,
        stale: Option<&Served>,
    ) -> Fetched {
        let rules = &self.cache.rules;
        let judged = {
            let received = ResponseHead {
                status: response.status(),
                headers: response.headers(),
            };
            ResponsePolicy::of(&head_of(&self.incoming, false), &received, times, rules)
        };
        let policy = match judged {
            Storability::Store(policy) => policy,
            Storability::Refuse(why) => {
                if let Some(stale) = stale.filter(|_| !response.status().is_server_error()) {
                    self.forget(stale, why);
                }
                filling.finish(if why.is_about_request() {
                    FillOutcome::Failed
                } else {
                    FillOutcome::Uncacheable
                });
                return Fetched::Own(Box::new(response), Some(why));
            }
        };
        if self.exchange.is_memory_tight() {
            filling.finish(FillOutcome::Uncacheable);
            return Fetched::Own(Box::new(response), None);
        }
        let (parts, body) = response.into_parts();
        let mut headers = stored_fields(&parts.headers, times, rules);
        let tags: Vec<Box<str>> = tags(&parts.headers).map(Box::from).collect();
        for name in &TAG_FIELDS {
            headers.remove(name);
        }
        let head = Arc::new(FillHead {
            status: parts.status,
            headers,
            policy,
            length: http_body::Body::size_hint(&body).exact().or_else(|| {
                let length = parts.headers.get(http::header::CONTENT_LENGTH)?;
                length.to_str().ok()?.parse().ok()
            }),
        });
        let idle = self.exchange.stream_idle(IDLE);
        start(pump(filling, Arc::clone(&head), tags, body, idle));
        Fetched::Filling {
            headers: parts.headers,
            head,
        }
    }

    /// What is said where the target could not be asked.
    fn unreachable(mut self, reject: Reject, filling: Filling) -> Result<Fetched, Reject> {
        filling.finish(FillOutcome::Failed);
        let Some(stale) = self.stale.take() else {
            return Err(reject);
        };
        let rules = &self.cache.rules;
        let directives = if rules.obey_requests {
            RequestDirectives::parse(&self.incoming.headers)
        } else {
            RequestDirectives::default()
        };
        if stands_in(stale.entry.policy(), &directives, rules, clock::now()) {
            Ok(Fetched::Stale(stale, reject.reason(), None))
        } else {
            Err(Reject::NotValidated(Box::new(reject)))
        }
    }

    /// Removes what a newer response says is outdated.
    fn forget(&self, stale: &Served, why: Refusal) {
        if !why.is_about_request() {
            let most = self.cache.rules.max_variants;
            self.cache
                .responses()
                .replace(&self.key, &stale.entry, None, most);
            forget_elsewhere(&self.exchange, &self.cache, &self.key, stale);
        }
    }
}

/// Removes what other instances could find of it.
fn forget_elsewhere(exchange: &Exchange, cache: &HttpCache, key: &CacheKey, stale: &Served) {
    if let (Some(second), Some(store)) = (cache.second(), exchange.cache_store()) {
        second.remove(key, &stale.entry, store);
    }
}

/// Writes into the cache: at once as far as that goes, and beside the exchange from there on, so that neither a slow
/// reader nor one that leaves stops it for others.
fn start(pump: impl Future<Output = ()> + Send + 'static) {
    let mut pump = Box::pin(pump);
    let waker = std::task::Waker::noop();
    if pump
        .as_mut()
        .poll(&mut Context::from_waker(waker))
        .is_pending()
    {
        tokio::spawn(pump);
    }
}

fn refresh(
    stale: &Served,
    policy: ResponsePolicy,
    mut headers: HeaderMap,
    response: &Response,
) -> Arc<StoredResponse> {
    for name in &TAG_FIELDS {
        headers.remove(name);
    }
    Arc::new(
        stale
            .entry
            .refreshed(policy, headers, tags(response.headers())),
    )
}

fn served(entry: Arc<StoredResponse>, now: Instant) -> Served {
    let freshness = *entry.policy().freshness();
    Served {
        entry,
        age: freshness.age(now),
        ttl_seconds: freshness.ttl_seconds(now),
    }
}

/// What a validation that nobody shares brought.
pub(super) enum Alone {
    Validated(Served),
    Own(Box<Response>),
}

/// Asks for one request alone whether a stored response is right: by HEAD, or where nothing may be shared.
pub(super) async fn alone(
    exchange: &Exchange,
    cache: &HttpCache,
    incoming: &Incoming,
    key: &CacheKey,
    stale: &Served,
) -> Result<Alone, Reject> {
    let mut asked = Box::new(incoming.clone());
    ask_to_validate(&mut asked.headers, stale.entry.headers());
    let second = cache.second();
    let outgoing = second.and_then(|second| second.outgoing(exchange.cache_store().cloned()));
    let requested = clock::now();
    let response = exchange.answer_by_target(asked, Body::empty()).await?;
    let times = received(requested);
    let (entry, rules, head) = (&stale.entry, &cache.rules, head_of(incoming, false));
    let said = ResponseHead {
        status: response.status(),
        headers: response.headers(),
    };
    let replace = |new: Option<Arc<StoredResponse>>| {
        let most = rules.max_variants;
        let was_stored = cache.responses().replace(key, entry, new.clone(), most);
        match (second, outgoing, new) {
            (Some(second), Some(outgoing), Some(new)) if was_stored => {
                second.write(cache, key, &new, outgoing);
            }
            (_, _, None) => forget_elsewhere(exchange, cache, key, stale),
            _ => {}
        }
    };
    let (policy, fields) = (entry.policy(), entry.headers());
    if response.status() == StatusCode::NOT_MODIFIED {
        if let Validated::Refreshed(refreshed) =
            Validated::of(policy, fields, &head, &said, &times, rules)
            && let Storability::Store(policy) = refreshed.storability
        {
            let new = refresh(stale, policy, refreshed.headers, &response);
            replace(Some(Arc::clone(&new)));
            return Ok(Alone::Validated(served(new, times.received)));
        }
        replace(None);
        return Ok(Alone::Own(Box::new(response)));
    }
    match HeadUpdate::of(policy, fields, &head, &said, &times, rules) {
        HeadUpdate::Refreshed(refreshed) => {
            let refreshed = *refreshed;
            let new = refreshed.storability.policy();
            let new = new.map(|policy| refresh(stale, policy, refreshed.headers, &response));
            replace(new);
        }
        HeadUpdate::Outdated => {
            replace(None);
        }
        HeadUpdate::Unrelated => {}
    }
    Ok(Alone::Own(Box::new(response)))
}
