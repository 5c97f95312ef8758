//! From a request to a backend's response: pick, connect, forward, and once more where it is safe.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use lb_core::{Algorithm, BackendId, Cause, Outcome, Pick, PickHint, Picked};

use crate::body::{Body, BodyError};
use crate::clock;
use crate::config::{BackendScheme, HashKey};
use crate::entropy::Entropy;
use crate::handler::Exchange;
use crate::headers::{self, Forwarding};
use crate::reject::Reject;
use crate::replay::Replay;
use crate::snapshot::{BackendTarget, PoolEntry};
use crate::upstream::connections::{Checkout, Upstreams};
use crate::upstream::response::ResponseBody;
use crate::upstream::{Attempt, ConnectError, Event, UpstreamError, http1, http2};

/// The first attempt and the retries together.
const MAX_ATTEMPTS: usize = 3;

/// Sends requests to the backends of pools, over the connections of one worker.
#[derive(Debug)]
pub(crate) struct Dispatch {
    upstreams: Arc<Upstreams>,
    entropy: Arc<Entropy>,
}

/// A request as a backend gets it, body apart.
struct Outgoing {
    method: Method,
    uri: Uri,
    host: HeaderValue,
    headers: HeaderMap,
}

/// One attempt that came to nothing, and whether another may be made.
struct Failed {
    reject: Reject,
    retry: Retry,
}

/// Whether a request may be sent once more.
enum Retry {
    No,
    /// To another backend.
    Elsewhere,
    /// To another backend, or over a new connection to the same one.
    Anywhere,
}

impl Dispatch {
    pub(crate) fn new(upstreams: Arc<Upstreams>, entropy: Arc<Entropy>) -> Self {
        Self { upstreams, entropy }
    }

    /// Forwards a request and returns once the response head is there; its body streams.
    pub(crate) async fn send(
        &self,
        exchange: &Exchange,
        pool: &PoolEntry,
        request: Request<Body>,
    ) -> Result<Response<Body>, Reject> {
        let (parts, body) = request.into_parts();
        let key = hash_key(pool, exchange, &parts.headers, &parts.uri);
        let outgoing = outgoing(exchange, parts)?;
        let replay = (!body.is_end_stream()).then(|| Replay::new(body));
        let mut tried: Vec<BackendId> = Vec::new();
        let mut failure = None;
        for _attempt in 0..MAX_ATTEMPTS {
            let hint = PickHint::new(self.entropy.draw()).key(key).tried(&tried);
            // After a failed attempt the failure says more than that nobody else is there.
            let picked = match pool.balancer.pick(&hint, clock::now()) {
                Pick::Picked(picked) => picked,
                Pick::AllFull => return Err(failure.unwrap_or(Reject::QueueFull)),
                Pick::NoneEligible => return Err(failure.unwrap_or(Reject::NoHealthyBackend)),
            };
            let Some(target) = pool.target(picked.id()) else {
                // Removed between the pick and here.
                tried.push(picked.id().clone());
                continue;
            };
            let body = match &replay {
                None => Body::empty(),
                Some(replay) => match replay.again() {
                    Some(body) => body,
                    // Too much of it was sent to be kept.
                    None => break,
                },
            };
            let failed = match self
                .attempt(exchange, &target, picked, &outgoing, body)
                .await
            {
                Ok(response) => {
                    if let Some(replay) = &replay {
                        replay.settle();
                    }
                    return Ok(response);
                }
                Err(failed) => failed,
            };
            tracing::debug!(
                backend = %target.id,
                reason = failed.reject.reason(),
                details = failed.reject.details(),
                "attempt failed"
            );
            failure = Some(failed.reject);
            tried.push(target.id.clone());
            match failed.retry {
                Retry::No => break,
                Retry::Elsewhere => {}
                // A connection that went stale says nothing about its backend.
                Retry::Anywhere if has_untried(pool, &tried) => {}
                Retry::Anywhere => tried.clear(),
            }
        }
        Err(failure.unwrap_or(Reject::NoHealthyBackend))
    }

    async fn attempt(
        &self,
        exchange: &Exchange,
        target: &Arc<BackendTarget>,
        mut picked: Picked,
        outgoing: &Outgoing,
        body: Body,
    ) -> Result<Response<Body>, Failed> {
        let result = match self.start(target, outgoing, body).await {
            Ok((attempt, is_reused)) => {
                head(
                    exchange,
                    attempt,
                    is_reused,
                    target.timeouts.response_headers,
                    &outgoing.method,
                )
                .await
            }
            Err(failed) => Err(failed),
        };
        let now = clock::now();
        let latency = now.saturating_duration_since(picked.started());
        match result {
            Ok((attempt, mut response)) => {
                let is_error = response.status().is_server_error();
                target.counters.answered(latency, is_error);
                picked.answered(Outcome::of_status(response.status().as_u16(), latency), now);
                headers::strip_response(response.headers_mut());
                let length = attempt.body_length(response.headers());
                let body = ResponseBody::new(
                    attempt,
                    picked,
                    Arc::clone(&self.upstreams),
                    Arc::clone(target),
                    length,
                );
                Ok(response.map(|()| Body::from_backend(body)))
            }
            Err(failed) => {
                // A client that broke off says nothing about the backend.
                if failed.reject == Reject::ClientClosed || failed.reject == Reject::RequestTimeout
                {
                    picked.finish(Outcome::Cancelled, now);
                } else {
                    target.counters.failed();
                    picked.finish(Outcome::failure(latency, cause(&failed.reject)), now);
                }
                Err(failed)
            }
        }
    }

    /// Begins an attempt; tells too whether its connection had served a request before.
    async fn start(
        &self,
        target: &Arc<BackendTarget>,
        outgoing: &Outgoing,
        body: Body,
    ) -> Result<(Attempt, bool), Failed> {
        let checkout = self
            .upstreams
            .checkout(target)
            .await
            .map_err(|error| Failed {
                reject: connect_reject(error),
                retry: Retry::Elsewhere,
            })?;
        match checkout {
            Checkout::Http1 {
                connection,
                is_reused,
            } => {
                let length = outgoing
                    .headers
                    .get(CONTENT_LENGTH)
                    .and_then(|length| length.to_str().ok()?.parse().ok());
                let length = if body.is_end_stream() {
                    length.or(Some(0))
                } else {
                    length
                };
                let head = http1::RequestHead {
                    method: &outgoing.method,
                    path_and_query: outgoing
                        .uri
                        .path_and_query()
                        .map_or("/", |path| path.as_str()),
                    host: outgoing.host.to_str().unwrap_or_default(),
                    headers: &outgoing.headers,
                    close: false,
                };
                let exchange = http1::Exchange::start(
                    connection,
                    head,
                    body,
                    length,
                    http1::ResponseLimits::default(),
                );
                Ok((Attempt::Http1(Box::new(exchange)), is_reused))
            }
            Checkout::Http2(mut sender, slot) => {
                let head = outgoing.http2(target);
                http2::Exchange::start(&mut sender, slot, head, body)
                    .map(|exchange| (Attempt::Http2(Box::new(exchange)), false))
                    // Nothing was sent: the connection ended since it was checked out.
                    .map_err(|error| Failed {
                        reject: reject(error),
                        retry: Retry::Anywhere,
                    })
            }
        }
    }
}

/// Waits for the response head, passing interim responses on; the timeout begins when the backend
/// has the whole request.
async fn head(
    exchange: &Exchange,
    mut attempt: Attempt,
    is_reused: bool,
    timeout: Duration,
    method: &Method,
) -> Result<(Attempt, Response<()>), Failed> {
    let mut timer = std::pin::pin!(tokio::time::sleep(timeout));
    let mut is_armed = false;
    let result = poll_fn(|cx| {
        loop {
            match attempt.poll_head(cx) {
                std::task::Poll::Ready(Ok(Event::Interim(interim))) => exchange.interim(interim),
                std::task::Poll::Ready(Ok(Event::Final(response))) => {
                    return std::task::Poll::Ready(Ok(response));
                }
                std::task::Poll::Ready(Err(error)) => {
                    return std::task::Poll::Ready(Err(Some(error)));
                }
                std::task::Poll::Pending => break,
            }
        }
        if !is_armed && attempt.is_upload_done() {
            is_armed = true;
            timer.as_mut().reset((clock::now() + timeout).into());
        }
        if is_armed {
            return timer.as_mut().poll(cx).map(|()| Err(None));
        }
        std::task::Poll::Pending
    })
    .await;
    match result {
        Ok(response) => Ok((attempt, response)),
        Err(None) => Err(Failed {
            reject: Reject::ResponseTimeout,
            retry: Retry::No,
        }),
        Err(Some(error)) => {
            let retry = match &error {
                UpstreamError::Unprocessed => Retry::Anywhere,
                // It may have been processed: repeating it must change nothing (RFC 9110 §9.2.2).
                UpstreamError::Reset if method.is_idempotent() && is_reused => Retry::Anywhere,
                UpstreamError::Reset if method.is_idempotent() => Retry::Elsewhere,
                _ => Retry::No,
            };
            Err(Failed {
                reject: reject(error),
                retry,
            })
        }
    }
}

fn outgoing(exchange: &Exchange, parts: http::request::Parts) -> Result<Outgoing, Reject> {
    let http::request::Parts {
        method,
        uri,
        mut headers,
        ..
    } = parts;
    let about = exchange.about();
    if headers
        .get_all(http::header::VIA)
        .iter()
        .any(|via| via.to_str().is_ok_and(|via| via.contains(about.via_mark)))
    {
        return Err(Reject::Loop);
    }
    let host = match (uri.authority(), headers.remove(HOST)) {
        (Some(authority), _) => HeaderValue::from_str(authority.as_str()).ok(),
        (None, host) => host,
    }
    .ok_or(Reject::Internal("a forwarded request has no host"))?;
    headers::apply_changes(&mut headers, about.request_headers);
    headers::write_forwarding(
        &mut headers,
        about.forwarded,
        &Forwarding {
            arrival: about.arrival,
            is_trusted: about.is_trusted,
            host: &host,
            via: about.via,
            request_id: about.request_id,
        },
    );
    Ok(Outgoing {
        method,
        uri,
        host,
        headers,
    })
}

impl Outgoing {
    fn http2(&self, target: &BackendTarget) -> Request<()> {
        let mut parts = self.uri.clone().into_parts();
        let is_tls = target.url.scheme == BackendScheme::Https;
        parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
        if parts.authority.is_none() {
            parts.authority = self.host.to_str().ok().and_then(|host| host.parse().ok());
        }
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request
    }
}

/// What the strategies that hash hash for this request.
fn hash_key(pool: &PoolEntry, exchange: &Exchange, headers: &HeaderMap, uri: &Uri) -> Option<u64> {
    let client = || {
        lb_core::hash::client_address(
            exchange.client_ip(),
            pool.hash.ipv4_prefix,
            pool.hash.ipv6_prefix,
        )
    };
    match pool.balancer.algorithm() {
        Algorithm::IpHash => Some(client()),
        Algorithm::ConsistentHashing => Some(match &pool.hash.key {
            HashKey::Path => lb_core::hash::key(uri.path().as_bytes()),
            HashKey::PathAndQuery => lb_core::hash::key(
                uri.path_and_query()
                    .map_or("/", |path| path.as_str())
                    .as_bytes(),
            ),
            HashKey::Query(name) => {
                query_value(uri, name).map_or_else(client, |v| lb_core::hash::key(v.as_bytes()))
            }
            HashKey::Header(name) => headers
                .get(name)
                .map_or_else(client, |v| lb_core::hash::key(v.as_bytes())),
            HashKey::Cookie(name) => cookie_value(headers, name)
                .map_or_else(client, |v| lb_core::hash::key(v.as_bytes())),
            HashKey::ClientIp => client(),
        }),
        _ => None,
    }
}

fn query_value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok())
        .flat_map(|cookie| cookie.split(';'))
        .find_map(|pair| pair.trim().split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn has_untried(pool: &PoolEntry, tried: &[BackendId]) -> bool {
    pool.balancer
        .backends(clock::now())
        .iter()
        .any(|status| status.is_eligible() && !tried.contains(&status.backend.id))
}

/// What a failed attempt says of its backend.
fn cause(reject: &Reject) -> Cause {
    match reject {
        Reject::ConnectRefused | Reject::ConnectTimeout | Reject::TlsFailed(_) => Cause::Connect,
        Reject::ResponseTimeout => Cause::Timeout,
        Reject::BadResponse(_) => Cause::Protocol,
        _ => Cause::Reset,
    }
}

fn connect_reject(error: ConnectError) -> Reject {
    match error {
        ConnectError::Timeout => Reject::ConnectTimeout,
        ConnectError::Io(_) => Reject::ConnectRefused,
        ConnectError::Protocol(text) => Reject::BadResponse((*text).into()),
        ConnectError::Tls(text) => Reject::TlsFailed((*text).into()),
    }
}

fn reject(error: UpstreamError) -> Reject {
    match error {
        UpstreamError::Unprocessed | UpstreamError::Reset | UpstreamError::Incomplete(_) => {
            Reject::BackendReset
        }
        UpstreamError::BadResponse(text) => Reject::BadResponse(text),
        UpstreamError::RequestBody(BodyError::Idle(_)) => Reject::RequestTimeout,
        UpstreamError::RequestBody(_) => Reject::ClientClosed,
        UpstreamError::BadRequest(_) => {
            Reject::BadRequest("the request cannot be written as HTTP/1.1")
        }
    }
}
