//! The step of the pipeline: what is stored, what is being fetched, or the target.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Method};
use lb_cache::{
    Bypass, CacheKey, CacheRequest, CacheStatus, FillTicket, Forwarded, Joined, Looked,
    RequestHead, ResponseHead, Served, TAG_FIELDS, Validation, invalidates,
};

use super::asking::Asking;
use super::fetch::Errand;
use super::pump::Filling;
use super::{HttpCache, key, stored};
use crate::body::Body;
use crate::clock;
use crate::handler::{Exchange, Response};
use crate::incoming::Incoming;
use crate::record::CacheResult;
use crate::reject::Reject;

/// What is still to be done.
pub(crate) struct Plan {
    why: Why,
}

enum Why {
    /// It passes by the cache.
    Bypass(Bypass),
    /// It has no key.
    Unkeyed,
    /// Nothing stored answers it.
    Miss(CacheKey, Forwarded),
    /// Nothing stored here answers it, and it is not to be forwarded.
    OnlyStored(CacheKey),
    /// What is stored has to be validated first.
    Validate(CacheKey, Box<Served>, Forwarded),
}

/// Looks a request up: breaks with the reply, or continues with what [`go`] has to do. Nothing is waited for, and a hit
/// allocates no body.
pub(crate) fn look(
    exchange: &Exchange,
    cache: &Arc<HttpCache>,
    incoming: &Incoming,
    body: &Body,
) -> Result<ControlFlow<Response, Plan>, Reject> {
    let head = head_of(incoming, !body.is_end_stream());
    let request = match CacheRequest::of(&head, &cache.rules) {
        Ok(request) => request,
        Err(bypass) => return Ok(ControlFlow::Continue(Plan::new(Why::Bypass(bypass)))),
    };
    let mut text = String::new();
    if !key::write(&mut text, incoming, cache) {
        return Ok(ControlFlow::Continue(Plan::new(Why::Unkeyed)));
    }
    let now = clock::now();
    let looked = cache.responses().lookup(&text, &request, &cache.rules, now);
    let key = || CacheKey::from(text.as_str());
    Ok(match looked {
        Looked::Hit(served) => {
            cache.answered(exchange, CacheResult::Hit);
            let status = CacheStatus::hit(exchange.pseudonym(), served.ttl_seconds);
            ControlFlow::Break(send(exchange, &head, &served, &status))
        }
        Looked::Stale(served) => {
            cache.answered(exchange, CacheResult::Stale);
            let mut status = CacheStatus::hit(exchange.pseudonym(), served.ttl_seconds);
            status.detail = Some("stale-while-revalidate");
            let response = send(exchange, &head, &served, &status);
            validate_behind(exchange, cache, incoming, &request, key(), served, now);
            ControlFlow::Break(response)
        }
        Looked::Unsatisfiable if cache.second().is_some() => {
            ControlFlow::Continue(Plan::new(Why::OnlyStored(key())))
        }
        Looked::Unsatisfiable => return Err(Reject::NotCached),
        Looked::Miss(_) => {
            let why = looked_forwarded(&looked);
            ControlFlow::Continue(Plan::new(Why::Miss(key(), why)))
        }
        Looked::Revalidate(served, why) => {
            let forwarded = match why {
                Validation::Request => Forwarded::Request,
                Validation::Stale | Validation::NoCache => Forwarded::Stale,
            };
            ControlFlow::Continue(Plan::new(Why::Validate(key(), Box::new(served), forwarded)))
        }
    })
}

impl Plan {
    fn new(why: Why) -> Self {
        Self { why }
    }
}

const fn looked_forwarded(looked: &Looked) -> Forwarded {
    match looked {
        Looked::Miss(lb_cache::Miss::Vary) => Forwarded::VaryMiss,
        _ => Forwarded::UriMiss,
    }
}

/// Goes on with what could not be answered at once.
pub(crate) async fn go(
    exchange: &Exchange,
    cache: &Arc<HttpCache>,
    plan: Plan,
    incoming: Box<Incoming>,
    body: Body,
) -> Result<Response, Reject> {
    let is_only_stored = matches!(plan.why, Why::OnlyStored(_));
    let (key, forwarded, stale) = match plan.why {
        Why::Bypass(bypass) => {
            cache.answered(exchange, CacheResult::Bypass);
            let mut status = CacheStatus::forwarded(exchange.pseudonym(), bypass.into());
            status.detail = (bypass != Bypass::Method).then_some(bypass.as_str());
            return bypassed(exchange, &status, incoming, body).await;
        }
        Why::Unkeyed => {
            cache.answered(exchange, CacheResult::Bypass);
            let mut status = CacheStatus::forwarded(exchange.pseudonym(), Forwarded::Bypass);
            status.detail = Some("key");
            return bypassed(exchange, &status, incoming, body).await;
        }
        Why::Miss(key, forwarded) => (key, forwarded, None),
        Why::OnlyStored(key) => (key, Forwarded::Miss, None),
        Why::Validate(key, served, forwarded) => (key, forwarded, Some(*served)),
    };
    let asking = Asking {
        exchange: exchange.clone(),
        cache: Arc::clone(cache),
        incoming: incoming.into(),
        key,
        forwarded,
    };
    let is_alone = asking.incoming.method == Method::HEAD || asking.is_guarded_or_part();
    if is_only_stored || stale.is_none() && is_alone {
        // It fills nothing itself, but what others have stored is as good as what is stored here.
        if let Some(found) = asking.found_elsewhere().await {
            return Ok(found);
        }
    }
    if is_only_stored {
        return Err(Reject::NotCached);
    }
    if asking.incoming.method == Method::HEAD {
        return match stale {
            Some(stale) => asking.validate_alone(&stale).await,
            None => asking.pass(None).await,
        };
    }
    if stale.is_none() && is_alone {
        // For this client alone: a part fills nothing.
        return asking.pass(Some("range")).await;
    }
    asking.collapsed(stale).await
}

/// Validates in the background what was sent stale; only one does.
pub(super) fn validate_behind(
    exchange: &Exchange,
    cache: &Arc<HttpCache>,
    incoming: &Incoming,
    request: &CacheRequest<'_>,
    key: CacheKey,
    stale: Served,
    now: Instant,
) {
    let make = |_: &FillTicket| Arc::default();
    let joined = cache
        .responses()
        .join(&key, request, &cache.rules, None, make, now);
    if let Joined::Lead(ticket, fill) = joined {
        let mut incoming = incoming.clone();
        incoming.method = Method::GET;
        let errand = Errand {
            exchange: exchange.clone(),
            cache: Arc::clone(cache),
            incoming: Arc::new(incoming),
            key,
            stale: Some(stale),
            is_shared: true,
        };
        fill.want();
        let filling = Filling::new(Arc::clone(cache), ticket, fill);
        tokio::spawn(errand.run(filling));
    }
}

/// Forwards what the cache has no part in, but that an unsafe method makes what is stored invalid.
async fn bypassed(
    exchange: &Exchange,
    status: &CacheStatus<'_>,
    incoming: Box<Incoming>,
    body: Body,
) -> Result<Response, Reject> {
    let response = invalidating(exchange, incoming, body).await?;
    Ok(passed_on(response, status))
}

/// Forwards a request whose success makes stored responses invalid, in whichever cache they are.
pub(crate) async fn invalidating(
    exchange: &Exchange,
    incoming: Box<Incoming>,
    body: Body,
) -> Result<Response, Reject> {
    if incoming.method.is_safe() {
        return exchange.answer_by_target(incoming, body).await;
    }
    let asked = incoming.clone();
    let response = exchange.answer_by_target(incoming, body).await?;
    let received = ResponseHead {
        status: response.status(),
        headers: response.headers(),
    };
    for cache in exchange.snapshot().caches.values() {
        let keys = key::with_target(&asked, cache, |uri| {
            invalidates(&asked.method, uri, &received, &cache.rules)
        });
        for key in keys {
            cache.invalidate(&key);
        }
    }
    Ok(response)
}

/// The head of a request as the rules see it.
pub(super) fn head_of(incoming: &Incoming, has_body: bool) -> RequestHead<'_> {
    RequestHead {
        method: &incoming.method,
        headers: &incoming.headers,
        has_body,
    }
}

pub(super) fn send(
    exchange: &Exchange,
    head: &RequestHead<'_>,
    served: &Served,
    status: &CacheStatus<'_>,
) -> Response {
    let mut response = stored::reply(head, served, || exchange.random());
    status.append_to(response.headers_mut());
    response
}

pub(super) fn response(
    code: http::StatusCode,
    headers: HeaderMap,
    body: Body,
    status: &CacheStatus<'_>,
) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = code;
    *response.headers_mut() = headers;
    status.append_to(response.headers_mut());
    response
}

/// A response that was not stored; what a handler said of its own cache stands.
pub(super) fn passed_on(mut response: Response, status: &CacheStatus<'_>) -> Response {
    strip_tags(response.headers_mut());
    let said = response
        .headers()
        .get_all("cache-status")
        .iter()
        .next_back();
    let is_ours = said.is_some_and(|said| {
        said.as_bytes()
            .strip_prefix(status.cache.as_bytes())
            .is_some_and(|rest| rest.starts_with(b";"))
    });
    if !is_ours {
        status.append_to(response.headers_mut());
    }
    response
}

/// Tags are for this cache.
pub(super) fn strip_tags(headers: &mut HeaderMap) {
    for name in &TAG_FIELDS {
        headers.remove(name);
    }
}
