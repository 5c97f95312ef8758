//! A request that found nothing to be sent: it leads a fill, follows one, or passes for itself.

use std::sync::Arc;
use std::time::Instant;

use http::header::{IF_MATCH, IF_UNMODIFIED_SINCE, RANGE};
use lb_cache::{
    Answer, CacheKey, CacheRequest, CacheStatus, Entry as _, FillOutcome, FillTicket, Forwarded,
    Joined, Looked, RequestHead, ResponseHead, ResponsePolicy, Served, Validation, stands_in,
};

use super::answer::{head_of, passed_on, response, send, strip_tags, validate_behind};
use super::fetch::{self, Errand, Fetched};
use super::fill::{Fill, Reader, Told};
use super::pump::Filling;
use super::{HttpCache, stored};
use crate::body::Body;
use crate::clock;
use crate::handler::{Exchange, Response};
use crate::incoming::Incoming;
use crate::record::CacheResult;
use crate::reject::Reject;

/// A request on its way to a response that can be shared.
pub(super) struct Asking {
    pub(super) exchange: Exchange,
    pub(super) cache: Arc<HttpCache>,
    pub(super) incoming: Arc<Incoming>,
    pub(super) key: CacheKey,
    pub(super) forwarded: Forwarded,
}

/// What is said of a hit that another instance has stored.
const FOUND_ELSEWHERE: &str = "store";

/// A follower that is counted until it is told, or leaves.
struct Following<'a> {
    cache: &'a HttpCache,
    ticket: FillTicket,
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.cache.responses().leave(&self.ticket);
    }
}

impl Asking {
    fn head(&self) -> RequestHead<'_> {
        head_of(&self.incoming, false)
    }

    fn answered(&self, result: CacheResult) {
        self.cache.answered(&self.exchange, result);
    }

    fn status(&self) -> CacheStatus<'_> {
        CacheStatus::forwarded(self.exchange.pseudonym(), self.forwarded)
    }

    /// Leads a fill, or follows that of another, until its patience ends.
    pub(super) async fn collapsed(self, stale: Option<Served>) -> Result<Response, Reject> {
        let mut patience: Option<Instant> = None;
        let mut fingerprint = None;
        loop {
            let now = clock::now();
            if patience.is_some_and(|until| now >= until) {
                return self.pass(Some("collapse-timeout")).await;
            }
            let joined = {
                let head = self.head();
                let request = CacheRequest::of(&head, &self.cache.rules)
                    .map_err(|_| Reject::Internal("a request was asked to bypass twice"))?;
                let make = |_: &FillTicket| Arc::default();
                self.cache.responses().join(
                    &self.key,
                    &request,
                    &self.cache.rules,
                    fingerprint,
                    make,
                    now,
                )
            };
            match joined {
                Joined::Hit(served) => {
                    // Another was faster by so little that this counts as sharing.
                    return Ok(self.share(&served));
                }
                Joined::Lead(ticket, fill) => {
                    return self.lead(ticket, fill, stale).await;
                }
                Joined::Pass(pass) => return self.pass(Some(pass.as_str())).await,
                Joined::Follow {
                    fill,
                    ticket,
                    deadline,
                } => {
                    let following = Following {
                        cache: &self.cache,
                        ticket,
                    };
                    if let Some(stale) = &stale
                        && stale.entry.policy().is_validated_each_time()
                    {
                        drop(following);
                        return self.validate_alone(stale).await;
                    }
                    let until = *patience.get_or_insert(deadline);
                    let reader = fill.reader();
                    let told = tokio::time::timeout_at(until.into(), reader.told()).await;
                    drop(following);
                    match told {
                        Err(_elapsed) => {
                            drop(reader);
                            return self.pass(Some("collapse-timeout")).await;
                        }
                        Ok(Told::Head(head)) if head.policy.is_validated_each_time() => {
                            drop(reader);
                            return self.pass(Some("no-cache")).await;
                        }
                        Ok(Told::Head(head)) => {
                            if head.policy.vary().matches(&self.incoming.headers) {
                                return Ok(self.follow(&head, reader));
                            }
                            fingerprint =
                                Some(head.policy.vary().fingerprint(&self.incoming.headers));
                        }
                        Ok(Told::Over(FillOutcome::Stored)) => {
                            let is_found = reader.is_found_elsewhere();
                            if let Some(served) = self.usable() {
                                if is_found {
                                    return Ok(self.found(&served));
                                }
                                return Ok(self.share(&served));
                            }
                        }
                        Ok(Told::Over(FillOutcome::Uncacheable)) => {
                            return self.pass(Some("uncacheable")).await;
                        }
                        Ok(Told::Over(FillOutcome::Failed)) => {
                            if let Some(stale) = &stale
                                && self.may_stand_in(stale)
                            {
                                return Ok(self.stale(stale, "stale-if-error"));
                            }
                        }
                    }
                }
            }
        }
    }

    /// What was just stored, unless it has to be validated for each request anew.
    fn usable(&self) -> Option<Served> {
        let (responses, now) = (self.cache.responses(), clock::now());
        let head = self.head();
        let request = CacheRequest::of(&head, &self.cache.rules).ok()?;
        match responses.lookup(self.key.as_str(), &request, &self.cache.rules, now) {
            Looked::Hit(served) | Looked::Stale(served) => Some(served),
            Looked::Revalidate(served, Validation::Request | Validation::Stale) => Some(served),
            Looked::Revalidate(_, Validation::NoCache)
            | Looked::Miss(_)
            | Looked::Unsatisfiable => None,
        }
    }

    fn may_stand_in(&self, stale: &Served) -> bool {
        let head = self.head();
        CacheRequest::of(&head, &self.cache.rules).is_ok_and(|request| {
            let policy = stale.entry.policy();
            stands_in(
                policy,
                request.directives(),
                &self.cache.rules,
                clock::now(),
            )
        })
    }

    async fn lead(
        self,
        ticket: FillTicket,
        fill: Arc<Fill>,
        stale: Option<Served>,
    ) -> Result<Response, Reject> {
        let filling = Filling::new(Arc::clone(&self.cache), ticket, Arc::clone(&fill));
        let reader = fill.reader();
        let errand = Errand {
            exchange: self.exchange.clone(),
            cache: Arc::clone(&self.cache),
            incoming: Arc::clone(&self.incoming),
            key: self.key.clone(),
            stale: stale.clone(),
            is_shared: match &stale {
                None => true,
                Some(stale) => {
                    self.forwarded == Forwarded::Stale
                        && !stale.entry.policy().is_validated_each_time()
                }
            },
        };
        let led = fetch::Led::new(errand, filling, Arc::clone(&fill), reader);
        let (fetched, reader) = led.await?;
        let mut status = self.status();
        Ok(match fetched {
            Fetched::Filling { mut headers, head } => {
                self.answered(CacheResult::Miss);
                status.stored = true;
                status.ttl_seconds = Some(head.policy.freshness().ttl_seconds(clock::now()));
                strip_tags(&mut headers);
                let asked = self.head();
                let answer = Answer::of(&asked, &head.policy, &headers, None);
                if answer == Answer::NotModified {
                    // The client needs no body; whoever comes next will.
                    fill.want();
                    let age = head.policy.freshness().age(clock::now());
                    let _no_parts = answer.apply(&mut headers, age, 0);
                    response(
                        http::StatusCode::NOT_MODIFIED,
                        headers,
                        Body::empty(),
                        &status,
                    )
                } else {
                    let body = Body::new(reader.into_body(head.length));
                    response(head.status, headers, body, &status)
                }
            }
            Fetched::Own(own, why) => {
                self.answered(CacheResult::Miss);
                status.detail = why.map(lb_cache::Refusal::as_str);
                if stale.is_some() {
                    status.fwd_status = Some(own.status());
                }
                passed_on(*own, &status)
            }
            Fetched::Validated(served) => {
                self.answered(CacheResult::Validated);
                status.fwd_status = Some(http::StatusCode::NOT_MODIFIED);
                status.stored = true;
                status.ttl_seconds = Some(served.ttl_seconds);
                send(&self.exchange, &self.head(), &served, &status)
            }
            Fetched::Once(served, mut headers, why) => {
                self.answered(CacheResult::Validated);
                status.fwd_status = Some(http::StatusCode::NOT_MODIFIED);
                status.detail = Some(why.as_str());
                strip_tags(&mut headers);
                let random = || self.exchange.random();
                let mut response = stored::with_fields(&self.head(), &served, headers, random);
                status.append_to(response.headers_mut());
                response
            }
            Fetched::Found(served) => self.found(&served),
            Fetched::FoundStale(served) => {
                self.answered(CacheResult::Stale);
                let mut status = CacheStatus::hit(self.exchange.pseudonym(), served.ttl_seconds);
                status.detail = Some("stale-while-revalidate");
                let response = send(&self.exchange, &self.head(), &served, &status);
                let head = self.head();
                if let Ok(request) = CacheRequest::of(&head, &self.cache.rules) {
                    let key = self.key.clone();
                    let (exchange, cache) = (&self.exchange, &self.cache);
                    let now = clock::now();
                    validate_behind(exchange, cache, &self.incoming, &request, key, served, now);
                }
                response
            }
            Fetched::Stale(served, detail, received) => {
                status.fwd_status = received;
                self.stale_with(&served, status, detail)
            }
        })
    }

    /// Answers from a fill that another leads.
    fn follow(&self, head: &super::fill::FillHead, reader: Reader) -> Response {
        self.answered(CacheResult::Collapsed);
        let now = clock::now();
        let mut status = self.status();
        status.collapsed = true;
        status.ttl_seconds = Some(head.policy.freshness().ttl_seconds(now));
        let mut headers = head.headers.clone();
        let answer = Answer::of(&self.head(), &head.policy, &headers, None);
        let _no_parts = answer.apply(&mut headers, head.policy.freshness().age(now), 0);
        let body = if answer == Answer::NotModified {
            drop(reader);
            Body::empty()
        } else {
            Body::new(reader.into_body(head.length))
        };
        response(answer.status(&head.policy), headers, body, &status)
    }

    /// Whether it asks for a part, or guards a state: the response would be for it alone.
    pub(super) fn is_guarded_or_part(&self) -> bool {
        [RANGE, IF_MATCH, IF_UNMODIFIED_SINCE]
            .iter()
            .any(|name| self.incoming.headers.contains_key(name))
    }

    /// Answers with what another instance has stored, if that is of use; whoever comes meanwhile waits for it.
    pub(super) async fn found_elsewhere(&self) -> Option<Response> {
        let (second, store) = (self.cache.second()?, self.exchange.cache_store()?);
        let head = self.head();
        let request = CacheRequest::of(&head, &self.cache.rules).ok()?;
        let responses = self.cache.responses();
        let make = |_: &FillTicket| Arc::<Fill>::default();
        let (key, rules) = (&self.key, &self.cache.rules);
        match responses.join(key, &request, rules, None, make, clock::now()) {
            Joined::Hit(served) => Some(self.found(&served)),
            Joined::Lead(ticket, fill) => {
                let filling = Filling::new(Arc::clone(&self.cache), ticket, fill);
                let looked = second.lookup(&self.cache, key, &request, store).await;
                let Looked::Hit(served) = looked else {
                    filling.finish(FillOutcome::Failed);
                    return None;
                };
                filling.keep_found(Arc::clone(&served.entry));
                Some(self.found(&served))
            }
            Joined::Follow { ticket, .. } => {
                responses.leave(&ticket);
                None
            }
            Joined::Pass(_) => None,
        }
    }

    /// Answers with what another instance has stored.
    fn found(&self, served: &Served) -> Response {
        self.answered(CacheResult::Hit);
        let mut status = CacheStatus::hit(self.exchange.pseudonym(), served.ttl_seconds);
        status.detail = Some(FOUND_ELSEWHERE);
        send(&self.exchange, &self.head(), served, &status)
    }

    /// Answers with what another's fill stored.
    fn share(&self, served: &Served) -> Response {
        self.answered(CacheResult::Collapsed);
        let mut status = self.status();
        status.collapsed = true;
        status.ttl_seconds = Some(served.ttl_seconds);
        send(&self.exchange, &self.head(), served, &status)
    }

    fn stale(&self, served: &Served, detail: &str) -> Response {
        self.stale_with(served, self.status(), detail)
    }

    fn stale_with<'a>(
        &'a self,
        served: &Served,
        mut status: CacheStatus<'a>,
        detail: &'a str,
    ) -> Response {
        self.answered(CacheResult::Stale);
        let freshness = served.entry.policy().freshness();
        let now = clock::now();
        let served = Served {
            entry: Arc::clone(&served.entry),
            age: freshness.age(now),
            ttl_seconds: freshness.ttl_seconds(now),
        };
        status.ttl_seconds = Some(served.ttl_seconds);
        status.detail = Some(detail);
        send(&self.exchange, &self.head(), &served, &status)
    }

    /// Forwards the request for itself, stores nothing, and says what is to be said.
    pub(super) async fn pass(&self, detail: Option<&str>) -> Result<Response, Reject> {
        self.answered(CacheResult::Miss);
        let requested = clock::now();
        let incoming = Box::new((*self.incoming).clone());
        let response = self
            .exchange
            .answer_by_target(incoming, Body::empty())
            .await?;
        let head = self.head();
        if let Ok(request) = CacheRequest::of(&head, &self.cache.rules) {
            let times = fetch::received(requested);
            let received = ResponseHead {
                status: response.status(),
                headers: response.headers(),
            };
            let policy = ResponsePolicy::of(&head, &received, &times, &self.cache.rules);
            if policy.policy().is_some() {
                self.cache.responses().unmark(&self.key, &request);
            }
        }
        let mut status = self.status();
        status.detail = detail;
        Ok(passed_on(response, &status))
    }

    /// Validates what is stored for this request alone.
    pub(super) async fn validate_alone(&self, stale: &Served) -> Result<Response, Reject> {
        match fetch::alone(
            &self.exchange,
            &self.cache,
            &self.incoming,
            &self.key,
            stale,
        )
        .await
        {
            Ok(fetch::Alone::Validated(served)) => {
                self.answered(CacheResult::Validated);
                let mut status = self.status();
                status.fwd_status = Some(http::StatusCode::NOT_MODIFIED);
                status.ttl_seconds = Some(served.ttl_seconds);
                Ok(send(&self.exchange, &self.head(), &served, &status))
            }
            Ok(fetch::Alone::Own(own)) => {
                self.answered(CacheResult::Miss);
                Ok(passed_on(*own, &self.status()))
            }
            Err(reject) if self.may_stand_in(stale) => Ok(self.stale(stale, reject.reason())),
            Err(reject) => Err(Reject::NotValidated(Box::new(reject))),
        }
    }
}
