//! The path of a request, read downwards.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::body::Body;
use crate::cache;
use crate::clock;
use crate::cookies;
use crate::dispatch::{Dispatch, Message};
use crate::entropy::Entropy;
use crate::error::ErrorKind;
use crate::handler::{ErasedHandler, Exchange, Origin, Request, Response};
use crate::headers::{self, Survey, TRACEPARENT, X_REQUEST_ID};
use crate::incoming::{Incoming, Terms};
use crate::limits::{Subject, Told};
use crate::memory::{self, Memory};
use crate::metrics::{MethodLabel, ServerCounters, Worker};
use crate::otel::Trace;
use crate::record::{Head, Notes};
use crate::redis::Store;
use crate::reject::{Reject, RejectAbout, wants_html};
use crate::routes::{self, Target};
use crate::running::Handle;

/// What all connections of a worker share.
pub(crate) struct Pipeline {
    handle: Handle,
    worker: Worker,
    dispatch: Dispatch,
    handler: Option<Arc<dyn ErasedHandler>>,
    entropy: Arc<Entropy>,
    store: Option<Arc<dyn Store>>,
    cache_store: Option<Arc<dyn Store>>,
    /// For requests that came by HTTP/2, and by HTTP/1.1.
    via: [HeaderValue; 2],
    via_mark: Box<str>,
}

/// The parts a pipeline is made of.
pub(crate) struct PipelineParts {
    pub(crate) handle: Handle,
    pub(crate) worker: Worker,
    pub(crate) handler: Option<Arc<dyn ErasedHandler>>,
    pub(crate) entropy: Arc<Entropy>,
    /// Tells this instance from others of the same name, so that a loop is seen.
    pub(crate) instance: u64,
    /// The worker's way to the store that instances share.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// The same for what caches share: large values would stand in the way of small ones.
    pub(crate) cache_store: Option<Arc<dyn Store>>,
}

/// What the connection knows of a request's way to us.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The listener's name.
    pub(crate) listener: Arc<str>,
    pub(crate) peer: std::net::IpAddr,
    /// Unknown on a unix socket.
    pub(crate) peer_port: Option<u16>,
    /// The peer as `X-Forwarded-For` names it.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) is_tls: bool,
    /// As OpenSSL writes it (`TLSv1.3`).
    pub(crate) tls_version: Option<&'static str>,
    pub(crate) handshake: Handshake,
    pub(crate) max_fields: usize,
    pub(crate) redirect_to_https: bool,
}

/// How long a connection's TLS handshake took, told to its first exchange.
#[derive(Debug)]
pub(crate) struct Handshake(AtomicU64);

impl Handshake {
    pub(crate) fn took(duration: Duration) -> Self {
        Self(AtomicU64::new(
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        ))
    }

    fn tell(&self) -> Duration {
        // Requests after the first one only read.
        match self.0.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            _ => Duration::from_nanos(self.0.swap(0, Ordering::Relaxed)),
        }
    }
}

impl Pipeline {
    pub(crate) fn new(parts: PipelineParts, dispatch: Dispatch) -> Self {
        let PipelineParts {
            handle,
            worker,
            handler,
            entropy,
            instance,
            store,
            cache_store,
        } = parts;
        let via_mark = format!("({instance:016x})");
        let pseudonym = handle.snapshot().process.pseudonym.clone();
        let via = ["2", "1.1"].map(|version| {
            HeaderValue::try_from(format!("{version} {pseudonym} {via_mark}"))
                .unwrap_or_else(|_not_a_value| HeaderValue::from_static("2 lb"))
        });
        Self {
            handle,
            worker,
            dispatch,
            handler,
            entropy,
            store,
            cache_store,
            via,
            via_mark: via_mark.into(),
        }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(crate) fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    pub(crate) fn memory(&self) -> &Memory {
        self.handle.memory()
    }

    /// Random bits that need not be secret.
    pub(crate) fn draw(&self) -> u64 {
        self.entropy.draw()
    }

    pub(crate) fn store(&self) -> Option<&dyn Store> {
        self.store.as_deref()
    }

    /// The worker's way to what caches share.
    pub(crate) fn cache_store(&self) -> Option<&Arc<dyn Store>> {
        self.cache_store.as_ref()
    }

    pub(crate) fn via(&self, received: Version) -> &HeaderValue {
        &self.via[usize::from(received != Version::HTTP_2)]
    }

    pub(crate) fn via_mark(&self) -> &str {
        &self.via_mark
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker
    }

    pub(crate) fn counters(&self) -> &ServerCounters {
        self.handle.counters()
    }

    /// Takes a head as it came: checks it, finds its route and makes the exchange of it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        parts: http::request::Parts,
        arrival: Arc<Arrival>,
    ) -> (Exchange, Result<Box<Incoming>, Reject>, bool) {
        let snapshot = self.handle.snapshot();
        let found = Survey::of(&parts.headers);
        let is_html = found.accept && wants_html(&parts.headers);
        let mut origin = Origin {
            client: arrival.peer,
            is_trusted: false,
            received: parts.version,
            request_id: HeaderValue::from_static(""),
            method: MethodLabel::of(&parts.method),
            trace: None,
            handshake: arrival.handshake.tell(),
            arrival: Arc::clone(&arrival),
        };
        let tracer = snapshot.tracer.as_deref();
        let is_drawn = tracer.is_some_and(|tracer| tracer.draws(|| self.entropy.draw()));
        // Who may have it kept is not known before the head is checked.
        let is_wished = || {
            tracer.is_some()
                && !snapshot.process.trusted_proxies.is_empty()
                && parts.headers.contains_key(TRACEPARENT)
        };
        let mut notes = Notes::about(
            (!snapshot.sinks.is_empty() || is_drawn || is_wished())
                .then(|| Box::new(Head::of(&parts, &snapshot.logged_fields))),
        );
        let checked = Incoming::try_from(
            parts,
            found,
            &Terms {
                peer: arrival.peer,
                is_tls: arrival.is_tls,
                trusted: &snapshot.process.trusted_proxies,
                forwarded: snapshot.process.forwarded,
                underscores: snapshot.process.underscore_headers,
                max_fields: arrival.max_fields,
            },
        );
        let mut route = None;
        let checked = checked.map(|mut incoming| {
            let parent = (tracer.is_some() && incoming.has_trace)
                .then(|| headers::trace_parent(&incoming.headers))
                .flatten();
            if incoming.has_trace {
                headers::mend_trace(&mut incoming.headers, || self.entropy.draw());
            }
            if tracer.is_some() {
                let draw = || self.entropy.draw();
                let trace = Trace::begin(parent, incoming.is_trusted, is_drawn, draw);
                incoming.headers.insert(TRACEPARENT, trace.header());
                if snapshot.sinks.is_empty() && !trace.is_sampled {
                    notes.forget_head();
                }
                origin.trace = Some(trace);
            }
            let path = routes::matching_path(incoming.uri.path());
            route = routes::position(
                &snapshot.routes,
                &incoming.host,
                &path,
                &incoming.method,
                &incoming.headers,
            );
            notes.checked(&incoming.host, &incoming.headers);
            origin.client = incoming.client;
            origin.is_trusted = incoming.is_trusted;
            if let Some(id) = incoming.request_id.take() {
                origin.request_id = id;
            }
            Box::new(incoming)
        });
        if origin.request_id.is_empty() {
            origin.request_id = self.new_request_id();
        }
        headers::never_index(&mut origin.request_id);
        (
            Exchange::new(Arc::clone(self), snapshot, route, origin, notes),
            checked,
            is_html,
        )
    }

    /// Answers a request, whatever it takes.
    pub(crate) async fn answer(
        &self,
        exchange: &Exchange,
        checked: Result<Box<Incoming>, Reject>,
        body: Body,
        is_html: bool,
    ) -> Response {
        let method = checked
            .as_ref()
            .map_or(Method::GET, |incoming| incoming.method.clone());
        let mut told = Told::default();
        let result = match checked {
            Ok(incoming) => {
                // One exchange's bug is not the end of its siblings on the connection.
                match self.hold_upload(exchange, &incoming, &body) {
                    Ok(()) => {
                        AssertUnwindSafe(self.handle_request(exchange, incoming, body, &mut told))
                            .catch_unwind()
                            .await
                            .unwrap_or(Err(Reject::HandlerFailed))
                            .and_then(|response| hold_download(exchange, response))
                    }
                    Err(reject) => Err(reject),
                }
            }
            Err(reject) => Err(reject),
        };
        let mut response = result.unwrap_or_else(|reject| {
            exchange.notes().reason(reject.reason());
            let process = &exchange.snapshot().process;
            reject.response(&RejectAbout {
                request_id: exchange.request_id(),
                pseudonym: &process.pseudonym,
                wants_html: is_html,
                expose_details: process.expose_details,
            })
        });
        told.write(response.headers_mut());
        if let Some(route) = exchange.route() {
            headers::apply_changes(response.headers_mut(), &route.response_headers);
        }
        cookies::finish(exchange, &mut response);
        finish_head(exchange, &method, &mut response);
        response
    }

    /// Whether there is room for what a request may hold.
    fn hold_upload(
        &self,
        exchange: &Exchange,
        incoming: &Incoming,
        body: &Body,
    ) -> Result<(), Reject> {
        if self.memory().is_full() {
            return Err(Reject::Overloaded);
        }
        if body.is_end_stream() {
            return Ok(());
        }
        let length = length_of(&incoming.headers).unwrap_or(u64::MAX);
        if exchange.hold(length.saturating_mul(2).min(memory::UPLOAD_MAX)) {
            Ok(())
        } else {
            Err(Reject::Overloaded)
        }
    }

    async fn handle_request(
        &self,
        exchange: &Exchange,
        incoming: Box<Incoming>,
        body: Body,
        told: &mut Told,
    ) -> Result<Response, Reject> {
        if exchange.redirects_to_https() {
            return Ok(redirect(
                &format!(
                    "https://{}{}",
                    bracketed(&incoming.host),
                    path_of(&incoming)
                ),
                http::StatusCode::PERMANENT_REDIRECT,
            ));
        }
        let route = exchange.route().ok_or(Reject::NoRoute)?;
        if let Some(limits) = &route.limits {
            let subject = Subject {
                client: incoming.client,
                headers: &incoming.headers,
                route: &route.name,
            };
            let store = self.store.as_deref();
            let admitted;
            let began = clock::now();
            (*told, admitted) = limits.admit(&subject, store, began).await;
            if store.is_some() && exchange.trace().is_some_and(|trace| trace.is_sampled) {
                exchange.notes().store(began, clock::now());
            }
            admitted?;
        }
        let Some(cache) = &route.cache else {
            if incoming.method.is_safe() || exchange.snapshot().caches.is_empty() {
                return self.answer_by_target(exchange, incoming, body).await;
            }
            return Box::pin(cache::invalidating(exchange, incoming, body)).await;
        };
        match cache::look(exchange, cache, &incoming, &body)? {
            ControlFlow::Break(response) => Ok(response),
            // Apart, because most exchanges need no room for it.
            ControlFlow::Continue(plan) => {
                Box::pin(cache::go(exchange, cache, plan, incoming, body)).await
            }
        }
    }

    /// What answers where no cache does.
    pub(crate) async fn answer_by_target(
        &self,
        exchange: &Exchange,
        incoming: Box<Incoming>,
        body: Body,
    ) -> Result<Response, Reject> {
        let route = exchange.route().ok_or(Reject::NoRoute)?;
        match &route.target {
            Target::Pool(pool) => {
                self.dispatch
                    .send(exchange, pool, Message::from(*incoming), body)
                    .await
            }
            Target::Redirect { to, status } => Ok(redirect(
                &routes::location(to, &bracketed(&incoming.host), &incoming.uri),
                *status,
            )),
            Target::Respond {
                status,
                body,
                content_type,
            } => {
                let mut response = http::Response::new(Body::from(body.clone()));
                *response.status_mut() = *status;
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, content_type.clone());
                Ok(response)
            }
            Target::Handler(_) => {
                let handler = self
                    .handler
                    .as_ref()
                    .ok_or(Reject::Internal("there is no request handler"))?;
                exchange.begin_visit(&incoming.headers);
                let mut result = handler
                    .call(request(incoming, body), exchange.clone())
                    .await;
                if let Some(visit) = exchange.visit() {
                    result = visit.end(result, self.store()).await;
                }
                result.map_err(|error| {
                    // What the client's request or a backend is to blame for has its own
                    // answer; everything else is the program's to know.
                    if !matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Body) {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "the request handler failed"
                        );
                    }
                    error.into_reject()
                })
            }
        }
    }

    /// UUID version 7 (RFC 9562 §5.7): sorted by time, told apart by 74 random bits.
    fn new_request_id(&self) -> HeaderValue {
        let millis = clock::wall()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.entropy.draw().to_le_bytes());
        random[8..].copy_from_slice(&self.entropy.draw().to_le_bytes()[..2]);
        let id =
            uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &random)
                .into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        HeaderValue::from_str(id.hyphenated().encode_lower(&mut text))
            .unwrap_or(HeaderValue::from_static("-"))
    }
}

/// Whether there is room for what a response may hold.
fn hold_download(exchange: &Exchange, response: Response) -> Result<Response, Reject> {
    if response.body().is_end_stream() {
        return Ok(response);
    }
    let exact = http_body::Body::size_hint(response.body()).exact();
    let length = exact
        .or_else(|| length_of(response.headers()))
        .unwrap_or(u64::MAX);
    if exchange.hold(length.min(memory::DOWNLOAD_MAX)) {
        Ok(response)
    } else {
        Err(Reject::Overloaded)
    }
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn request(incoming: Box<Incoming>, body: Body) -> Request {
    let incoming = *incoming;
    let mut request = http::Request::new(body);
    *request.method_mut() = incoming.method;
    *request.uri_mut() = incoming.uri;
    *request.headers_mut() = incoming.headers;
    request
}

fn redirect(location: &str, status: http::StatusCode) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = status;
    match HeaderValue::try_from(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
        }
        Err(_not_a_value) => *response.status_mut() = http::StatusCode::BAD_REQUEST,
    }
    response
}

/// A host as it stands in a URI; an IPv6 address keeps its brackets from the authority.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn path_of(incoming: &Incoming) -> &str {
    incoming
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
}

/// What every reply has, and no reply may have.
fn finish_head(exchange: &Exchange, method: &Method, response: &mut Response) {
    let status = response.status();
    let bodiless =
        status == http::StatusCode::NO_CONTENT || status == http::StatusCode::NOT_MODIFIED;
    let mut found = Survey::of_response(response.headers());
    headers::strip_hop_by_hop(response.headers_mut(), found);
    if found.connection {
        // It may have named any field.
        found = Survey::of_response(response.headers());
    }
    let length = http_body::Body::size_hint(response.body())
        .exact()
        .filter(|_| !found.content_length);
    if bodiless || *method == Method::HEAD {
        if let Some(length) = length.filter(|length| *length > 0 && !bodiless) {
            let length = HeaderValue::from(length);
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        if status == http::StatusCode::NO_CONTENT && found.content_length {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        *response.body_mut() = Body::empty();
    } else if let Some(length) = length
        && !response.body().is_from_backend()
    {
        let length = HeaderValue::from(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    if !found.date
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(clock::wall()))
    {
        response.headers_mut().insert(DATE, date);
    }
    response
        .headers_mut()
        .insert(X_REQUEST_ID, exchange.request_id_value().clone());
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pipeline")
            .field("has_handler", &self.handler.is_some())
            .finish_non_exhaustive()
    }
}
