//! A request of the admin API, from its head to its reply.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::endpoints;
use super::guard::{Guard, Peer};
use super::problem::Problem;
use super::reply::Reply;
use super::sampler::Sampler;
use super::table::{self, ENDPOINTS, Found, Operation};
use super::{Change, ChangeKind, LogControl, Moment, Status};
use crate::admission::Admissions;
use crate::clock;
use crate::entropy::Entropy;
use crate::running::Handle;

/// The largest body of a request: a configuration.
const BODY_BYTES: usize = 4 << 20;
/// Any other body.
const SMALL_BODY_BYTES: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long anything may take to be done; what is being put in force goes on.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Clients that may listen to events at once.
const LISTENERS: usize = 32;
/// How often a status is read again because something changed meanwhile.
const READS: usize = 8;

static NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
static FETCH_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What the admin API knows of its server.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) handle: Handle,
    pub(crate) guard: Guard,
    pub(crate) about: About,
    pub(crate) sampler: Mutex<Sampler>,
    /// Whether all that is probed has been probed once: from then on it is ready until it ends.
    pub(crate) was_ready: AtomicBool,
    pub(crate) listeners: Arc<Semaphore>,
}

/// What is settled with the start.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) started: Instant,
    pub(crate) admissions: Arc<Admissions>,
    pub(crate) log: Option<Arc<dyn LogControl>>,
    pub(crate) has_dashboard: bool,
    /// The file that the configuration came from.
    pub(crate) config_path: Option<String>,
    pub(crate) entropy: Arc<Entropy>,
}

/// A request that may be answered.
#[derive(Debug)]
pub(crate) struct Call {
    /// What stands for the names in the path.
    pub(crate) parameters: Vec<String>,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The peer, and by what right it asks.
    pub(crate) caller: String,
}

impl Call {
    pub(crate) fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).map_or("", String::as_str)
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        table::query_value(self.query.as_deref(), name)
    }

    /// Whether a parameter of the query says yes.
    ///
    /// # Errors
    /// What is to be said where it says neither yes nor no.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.query(name).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(Problem::bad_request(
                format!(
                    "`{name}` is neither true nor false: `{}`",
                    other.escape_debug()
                ),
                format!("write `?{name}=true`, or leave it out"),
            )),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// What is to be said of one that is none, or of another shape.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        let text: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        serde_json::from_slice(text).map_err(|error| {
            Problem::bad_request(
                format!("the body cannot be understood: {error}"),
                "send JSON as /api/v1/openapi.json describes it",
            )
        })
    }
}

impl Service {
    pub(crate) fn new(handle: Handle, guard: Guard, about: About) -> Self {
        Self {
            handle,
            guard,
            about,
            sampler: Mutex::default(),
            was_ready: AtomicBool::new(false),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
        }
    }

    pub(crate) fn forced(&self) -> WaitForCancellationFutureOwned {
        self.handle.drain().forced()
    }

    /// Samples, and tells those who listen.
    pub(crate) fn tick(&self) {
        let news = self.handle.news();
        let told = self.read_between(Self::sample, |moment, status| {
            (!news.has_listeners() || news.tell_status(moment, status)).then_some(())
        });
        if told.is_none() {
            tracing::debug!("more changes than a status could be read between");
        }
        self.is_ready();
    }

    /// Reads how things are until `take` finds that nothing was told meanwhile; nothing where that is never so.
    pub(crate) fn read_between<T>(
        &self,
        read: impl Fn(&Self) -> Status,
        take: impl Fn(Moment, &Status) -> Option<T>,
    ) -> Option<T> {
        (0..READS).find_map(|_read| {
            let moment = self.handle.news().moment();
            take(moment, &read(self))
        })
    }

    /// Tells those who listen what somebody did.
    pub(crate) fn tell(
        &self,
        call: &Call,
        about: (Option<&str>, Option<&str>),
        event: &str,
        details: String,
    ) {
        let (pool, backend) = about;
        self.handle.news().tell(|| Change {
            at: clock::unix_seconds(clock::now()),
            kind: ChangeKind::Operation,
            pool: pool.map(str::to_owned),
            backend: backend.map(str::to_owned),
            event: event.to_owned(),
            details,
            caller: Some(call.caller.clone()),
        });
    }

    /// Answers a request, whatever it is.
    pub(crate) async fn answer<B>(
        self: &Arc<Self>,
        peer: &Peer,
        request: Request<B>,
    ) -> Response<Reply>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::error::Error,
    {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut caller = format!("{peer} refused");
        let result = self.admit_and_run(peer, request, &mut caller).await;
        let mut response = result.unwrap_or_else(|problem| {
            if problem.status >= 500 {
                tracing::warn!(%method, path, status = problem.status, detail = problem.detail, "the admin API failed");
            }
            problem.response()
        });
        if !method.is_safe() {
            let status = response.status();
            if status.is_success() {
                tracing::info!(caller, %method, path, status = status.as_u16(), "admin request");
            } else {
                tracing::warn!(caller, %method, path, status = status.as_u16(), "admin request refused");
            }
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(NOSNIFF.clone(), HeaderValue::from_static("nosniff"));
        headers.insert(
            FETCH_POLICY.clone(),
            HeaderValue::from_static("same-origin"),
        );
        response
    }

    /// The path as the table has it: that of the metrics is configured.
    fn path_in_table<'a>(&self, path: &'a str) -> &'a str {
        let configured = self.handle.config().metrics.path.as_str() == path;
        match path {
            _ if configured => table::METRICS,
            table::METRICS => "",
            other => other,
        }
    }

    async fn admit_and_run<B>(
        self: &Arc<Self>,
        peer: &Peer,
        request: Request<B>,
        caller: &mut String,
    ) -> Result<Response<Reply>, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::error::Error,
    {
        let (parts, body) = request.into_parts();
        let found = table::find(&parts.method, self.path_in_table(parts.uri.path()));
        let endpoint = match &found {
            Found::Endpoint(index, _) => Some(&ENDPOINTS[*index]),
            _ => None,
        };
        // An orchestrator names us by whatever address it knows, and learns one word.
        let is_health =
            endpoint.is_some_and(|it| matches!(it.operation, Operation::Live | Operation::Ready));
        if !is_health {
            self.guard.check_site(&parts.method, &parts.headers)?;
        }
        if endpoint.is_none_or(|it| !it.is_open) {
            *caller = self.guard.check_token(peer, &parts.headers)?;
        }
        let (index, parameters) = match found {
            Found::Endpoint(index, parameters) => (index, parameters),
            Found::Methods(allowed) => return Err(Problem::method(&allowed)),
            Found::Nothing => {
                return Err(Problem::not_found(
                    format!("there is nothing at `{}`", parts.uri.path().escape_debug()),
                    "/api/v1/openapi.json lists what there is",
                ));
            }
        };
        let operation = ENDPOINTS[index].operation;
        let body = if parts.method.is_safe() {
            Bytes::new()
        } else {
            read(operation, &parts.headers, body).await?
        };
        let call = Call {
            parameters,
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            caller: caller.clone(),
        };
        let done = tokio::time::timeout(TIMEOUT, endpoints::run(self, operation, call)).await;
        done.unwrap_or_else(|_elapsed| {
            Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "this took longer than 30 s",
                "look at /api/v1/status for what came of it",
            ))
        })
    }
}

/// Reads a body that is JSON, or for configurations TOML.
async fn read<B>(operation: Operation, headers: &HeaderMap, mut body: B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error,
{
    let is_config = matches!(operation, Operation::PutConfig | Operation::PatchConfig);
    let most = if is_config {
        BODY_BYTES
    } else {
        SMALL_BODY_BYTES
    };
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {most} bytes"),
            "send less",
        )
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(frame) =
            std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await
        {
            let frame = frame.map_err(|error| {
                Problem::bad_request(format!("the body broke off: {error}"), "send it again")
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > most {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Bytes::from(bytes))
    };
    let bytes = tokio::time::timeout(BODY_TIMEOUT, reading)
        .await
        .map_err(|_elapsed| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body took longer than 10 s",
                "send it at once",
            )
        })??;
    let content_type = media_type(headers);
    // A page of another site can send forms and texts without asking, but no JSON.
    let is_expected = match content_type.as_deref() {
        None => bytes.is_empty(),
        Some("application/json") => true,
        Some("application/merge-patch+json") => operation == Operation::PatchConfig,
        Some("application/toml") => operation == Operation::PutConfig,
        Some(_) => false,
    };
    if is_expected {
        return Ok(bytes);
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!(
            "the body is said to be `{}`",
            content_type.as_deref().unwrap_or("nothing").escape_debug()
        ),
        "send `Content-Type: application/json`",
    ))
}

/// The type of a body without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let name = text.split(';').next().unwrap_or_default();
    Some(name.trim().to_ascii_lowercase())
}
