//! The cache as request handlers use it: values under keys of their own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, Method};
use lb_cache::{
    CacheRequest, CacheStatus, FillOutcome, Forwarded, Joined, Looked, RequestHead, ResponsePolicy,
    Served, StoredBody, StoredResponse, TAG_FIELDS, tags,
};

use super::fill::Told;
use super::pump::Filling;
use super::{HttpCache, fetch, key, stored};
use crate::body::Body;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::handler::{Exchange, Response};
use crate::record::CacheResult;

/// A cache as a request handler uses it: the one of its route, else the one named `default`.
///
/// Its keys are apart from those of URLs, and share their space. Where no cache is configured it keeps nothing.
#[derive(Debug, Clone)]
pub struct Cache {
    exchange: Exchange,
    cache: Option<Arc<HttpCache>>,
}

impl Cache {
    pub(crate) fn new(exchange: Exchange, cache: Option<Arc<HttpCache>>) -> Self {
        Self { exchange, cache }
    }

    /// Answers with what is kept under a key, or makes it and keeps it for `lifetime`.
    ///
    /// Of requests that come together one makes it; the others wait, for as long as `collapse_timeout` says, and make
    /// it themselves after that or where it failed. Kept are responses whose length is known and at most `max_object`,
    /// with a status below 500 and without `Set-Cookie`. [`Purge::Key`](crate::Purge::Key) removes it, and so do the
    /// tags in its `Cache-Tag`.
    ///
    /// # Errors
    /// What `make` failed with.
    ///
    /// # Examples
    /// ```
    /// # use lb_server::{Error, Exchange, Request, Response, reply};
    /// # use std::time::Duration;
    /// async fn users(_request: Request, exchange: Exchange) -> Result<Response, Error> {
    ///     let minute = Duration::from_secs(60);
    ///     let made = || async { Ok(reply::json(200, &["Ada", "Linus"])) };
    ///     exchange.cache().get_or_insert_with("users", minute, made).await
    /// }
    /// ```
    pub async fn get_or_insert_with<F, Fut>(
        &self,
        key: &str,
        lifetime: Duration,
        make: F,
    ) -> Result<Response, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Response, Error>>,
    {
        let Some(cache) = &self.cache else {
            return make().await;
        };
        let key = key::of_handler(key);
        let filling = match self.join(cache, &key).await {
            Found::Kept(response) => return Ok(*response),
            Found::Nothing(filling) => filling,
        };
        cache.answered(&self.exchange, CacheResult::Miss);
        let requested = clock::now();
        let response = make().await?;
        let mut status = CacheStatus::forwarded(self.exchange.pseudonym(), Forwarded::UriMiss);
        let length = http_body::Body::size_hint(response.body()).exact();
        let is_kept = length.is_some_and(|length| length <= cache.rules.max_object_bytes)
            && !response.status().is_server_error()
            && !lifetime.is_zero()
            && (cache.rules.store_set_cookie || !response.headers().contains_key(SET_COOKIE));
        let Some(filling) = filling else {
            return Ok(said(response, &status));
        };
        if !is_kept {
            filling.finish(FillOutcome::Uncacheable);
            return Ok(said(response, &status));
        }
        let (mut parts, body) = response.into_parts();
        let most = usize::try_from(cache.rules.max_object_bytes).unwrap_or(usize::MAX);
        let body = body.bytes(most).await.map_err(|error| {
            Error::new(
                ErrorKind::Handler,
                "a response could not be read to keep it",
            )
            .with_source(error)
        })?;
        let times = fetch::received(requested);
        let tagged: Vec<Box<str>> = tags(&parts.headers).map(Box::from).collect();
        for name in &TAG_FIELDS {
            parts.headers.remove(name);
        }
        let policy = ResponsePolicy::lasting(parts.status, lifetime, &times);
        let kept = StoredBody::new(if body.is_empty() {
            Vec::new()
        } else {
            vec![body.clone()]
        });
        let tagged = tagged.iter().map(|tag| &**tag);
        filling.keep(StoredResponse::new(policy, parts.headers.clone(), kept, tagged).into());
        status.stored = true;
        status.ttl_seconds = i64::try_from(lifetime.as_secs()).ok();
        let response = http::Response::from_parts(parts, Body::from(body));
        Ok(said(response, &status))
    }

    /// Looks a key up, and waits while another makes its value.
    async fn join(&self, cache: &Arc<HttpCache>, key: &lb_cache::CacheKey) -> Found {
        let fields = HeaderMap::new();
        let head = RequestHead {
            method: &Method::GET,
            headers: &fields,
            has_body: false,
        };
        let Ok(request) = CacheRequest::of(&head, &cache.rules) else {
            return Found::Nothing(None);
        };
        let responses = cache.responses();
        let mut patience = None;
        loop {
            let now = clock::now();
            let make = |_: &lb_cache::FillTicket| Arc::default();
            match responses.join(key, &request, &cache.rules, None, make, now) {
                Joined::Hit(served) => {
                    cache.answered(&self.exchange, CacheResult::Hit);
                    return Found::Kept(Box::new(self.kept(&head, &served, None)));
                }
                Joined::Lead(ticket, fill) => {
                    fill.want();
                    let store = self.exchange.cache_store();
                    let mut filling = Filling::new(Arc::clone(cache), ticket, fill);
                    let (Some(second), Some(store)) = (cache.second(), store) else {
                        return Found::Nothing(Some(filling));
                    };
                    let looked = second.lookup(cache, key, &request, store).await;
                    let Looked::Hit(served) = looked else {
                        filling.share(Some(store));
                        return Found::Nothing(Some(filling));
                    };
                    cache.answered(&self.exchange, CacheResult::Hit);
                    filling.keep_found(Arc::clone(&served.entry));
                    return Found::Kept(Box::new(self.kept(&head, &served, Some("store"))));
                }
                Joined::Follow {
                    fill,
                    ticket,
                    deadline,
                } => {
                    let until = *patience.get_or_insert(deadline);
                    let reader = fill.reader();
                    let told = tokio::time::timeout_at(until.into(), reader.told()).await;
                    responses.leave(&ticket);
                    if !matches!(
                        told,
                        Ok(Told::Over(FillOutcome::Stored | FillOutcome::Failed))
                    ) {
                        return Found::Nothing(None);
                    }
                }
                Joined::Pass(_) => return Found::Nothing(None),
            }
        }
    }

    fn kept(
        &self,
        head: &RequestHead<'_>,
        served: &Served,
        detail: Option<&'static str>,
    ) -> Response {
        let mut response = stored::reply(head, served, || self.exchange.random());
        let mut status = CacheStatus::hit(self.exchange.pseudonym(), served.ttl_seconds);
        status.detail = detail;
        status.append_to(response.headers_mut());
        response
    }
}

enum Found {
    Kept(Box<Response>),
    /// It has to be made, and kept by whoever leads.
    Nothing(Option<Filling>),
}

fn said(mut response: Response, status: &CacheStatus<'_>) -> Response {
    status.append_to(response.headers_mut());
    response
}
