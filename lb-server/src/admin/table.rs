//! The endpoints: which method and path asks for what.

use http::Method;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Page,
    Live,
    Ready,
    Metrics,
    OpenApi,
    Status,
    Pools,
    Pool,
    Backends,
    AddBackend,
    Backend,
    ChangeBackend,
    RemoveBackend,
    Routes,
    Explain,
    Config,
    PutConfig,
    PatchConfig,
    Drift,
    Reload,
    Certificates,
    SessionStats,
    Sessions,
    EndSession,
    PurgeCache,
    RateLimit,
    ResetRateLimit,
    LogLevel,
    SetLogLevel,
    Drain,
    Events,
    SupportBundle,
}

/// A method and a path; `{name}` in the path stands for one segment.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
    /// Whether it is for everybody who can connect: it tells nothing that has to be kept, and whoever asks, an
    /// orchestrator or a browser that has no token yet, cannot show one.
    pub(crate) is_open: bool,
}

const fn open(path: &'static str, operation: Operation) -> Endpoint {
    Endpoint {
        method: Method::GET,
        path,
        operation,
        is_open: true,
    }
}

const fn endpoint(method: Method, path: &'static str, operation: Operation) -> Endpoint {
    Endpoint {
        method,
        path,
        operation,
        is_open: false,
    }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Where the metrics are in this table, wherever the configuration has them.
pub(crate) const METRICS: &str = "/metrics";

/// All of them; the description of the API is made of the same table.
pub(crate) static ENDPOINTS: [Endpoint; 33] = [
    open("/", Operation::Page),
    open("/livez", Operation::Live),
    open("/readyz", Operation::Ready),
    open("/healthz", Operation::Ready),
    endpoint(GET, METRICS, Operation::Metrics),
    endpoint(GET, "/api/v1/openapi.json", Operation::OpenApi),
    endpoint(GET, "/api/v1/status", Operation::Status),
    endpoint(GET, "/api/v1/pools", Operation::Pools),
    endpoint(GET, "/api/v1/pools/{pool}", Operation::Pool),
    endpoint(GET, "/api/v1/pools/{pool}/backends", Operation::Backends),
    endpoint(POST, "/api/v1/pools/{pool}/backends", Operation::AddBackend),
    endpoint(
        GET,
        "/api/v1/pools/{pool}/backends/{backend}",
        Operation::Backend,
    ),
    endpoint(
        PATCH,
        "/api/v1/pools/{pool}/backends/{backend}",
        Operation::ChangeBackend,
    ),
    endpoint(
        DELETE,
        "/api/v1/pools/{pool}/backends/{backend}",
        Operation::RemoveBackend,
    ),
    endpoint(GET, "/api/v1/routes", Operation::Routes),
    endpoint(POST, "/api/v1/routes/explain", Operation::Explain),
    endpoint(GET, "/api/v1/config", Operation::Config),
    endpoint(PUT, "/api/v1/config", Operation::PutConfig),
    endpoint(PATCH, "/api/v1/config", Operation::PatchConfig),
    endpoint(GET, "/api/v1/config/drift", Operation::Drift),
    endpoint(POST, "/api/v1/reload", Operation::Reload),
    endpoint(GET, "/api/v1/certificates", Operation::Certificates),
    endpoint(GET, "/api/v1/sessions", Operation::Sessions),
    endpoint(GET, "/api/v1/sessions/stats", Operation::SessionStats),
    endpoint(DELETE, "/api/v1/sessions/{handle}", Operation::EndSession),
    endpoint(POST, "/api/v1/cache/purge", Operation::PurgeCache),
    endpoint(
        GET,
        "/api/v1/rate-limits/{policy}/{key}",
        Operation::RateLimit,
    ),
    endpoint(
        DELETE,
        "/api/v1/rate-limits/{policy}/{key}",
        Operation::ResetRateLimit,
    ),
    endpoint(GET, "/api/v1/log-level", Operation::LogLevel),
    endpoint(PUT, "/api/v1/log-level", Operation::SetLogLevel),
    endpoint(POST, "/api/v1/drain", Operation::Drain),
    endpoint(GET, "/api/v1/events", Operation::Events),
    endpoint(GET, "/api/v1/support-bundle", Operation::SupportBundle),
];

/// What a method and a path ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The endpoint and what stands for the names in its path, in their order.
    Endpoint(usize, Vec<String>),
    /// The path is there for these methods only.
    Methods(String),
    Nothing,
}

/// Finds an endpoint; `HEAD` is `GET` without a body.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let wanted = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut allowed: Vec<&str> = Vec::new();
    for (index, endpoint) in ENDPOINTS.iter().enumerate() {
        let Some(parameters) = parameters(endpoint.path, path) else {
            continue;
        };
        if endpoint.method == *wanted {
            return Found::Endpoint(index, parameters);
        }
        allowed.push(endpoint.method.as_str());
        if endpoint.method == Method::GET {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        Found::Nothing
    } else {
        Found::Methods(allowed.join(", "))
    }
}

/// What stands in a path for the names of a template; `None` where they do not match.
fn parameters(template: &str, path: &str) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for wanted in template.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            let decoded = decode(segment)?;
            if decoded.is_empty() {
                return None;
            }
            parameters.push(decoded);
        } else if segment != wanted {
            return None;
        }
    }
    segments.next().is_none().then_some(parameters)
}

/// A segment without its percent-encoding (RFC 3986 §2.1); `None` where that is broken or no text.
pub(crate) fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The value of a parameter of a query, decoded.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&');
    let mut values = pairs.filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    decode(&values.next()?.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: Method, path: &str) -> Option<(Operation, Vec<String>)> {
        match find(&method, path) {
            Found::Endpoint(index, parameters) => Some((ENDPOINTS[index].operation, parameters)),
            _ => None,
        }
    }

    #[test]
    fn a_segment_may_be_a_url() {
        let path = "/api/v1/pools/api/backends/http%3A%2F%2F10.0.0.1%3A3000";
        let parameters = vec!["api".to_owned(), "http://10.0.0.1:3000".to_owned()];
        assert_eq!(
            operation(PATCH, path),
            Some((Operation::ChangeBackend, parameters))
        );
    }

    #[test]
    fn words_come_before_names() {
        let found = operation(GET, "/api/v1/sessions/stats");
        assert_eq!(found, Some((Operation::SessionStats, vec![])));
        assert_eq!(
            find(&GET, "/api/v1/sessions/abc"),
            Found::Methods("DELETE".to_owned())
        );
    }

    #[test]
    fn what_is_not_there_is_told_from_what_cannot_be_done_there() {
        for path in [
            "/api/v1",
            "/api/v1/",
            "/api/v1/status/",
            "//api/v1/status",
            "/api/v1/pools//backends",
            "/api/v1/pools/%zz",
            "/api/v1/pools/%ff",
            "/api/v2/status",
            "/API/V1/STATUS",
        ] {
            assert_eq!(find(&GET, path), Found::Nothing, "{path}");
        }
        assert_eq!(
            find(&DELETE, "/api/v1/config"),
            Found::Methods("GET, HEAD, PUT, PATCH".to_owned())
        );
        assert_eq!(
            find(&GET, "/api/v1/drain"),
            Found::Methods("POST".to_owned())
        );
        assert!(operation(Method::HEAD, "/api/v1/status").is_some());
    }

    #[test]
    fn nothing_is_changed_by_asking() {
        use Operation::{
            AddBackend, ChangeBackend, Drain, EndSession, PatchConfig, PurgeCache, PutConfig,
            Reload, RemoveBackend, ResetRateLimit, SetLogLevel,
        };
        let changes = [
            AddBackend,
            ChangeBackend,
            RemoveBackend,
            PutConfig,
            PatchConfig,
            Reload,
            EndSession,
            PurgeCache,
            ResetRateLimit,
            SetLogLevel,
            Drain,
        ];
        for endpoint in &ENDPOINTS {
            let is_change = changes.contains(&endpoint.operation);
            assert!(!is_change || !endpoint.method.is_safe(), "{endpoint:?}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Some("a=1&dry_run=true&b=x%20y+z&c");
        assert_eq!(query_value(query, "dry_run").as_deref(), Some("true"));
        assert_eq!(query_value(query, "b").as_deref(), Some("x y z"));
        assert_eq!(query_value(query, "c").as_deref(), Some(""));
        assert_eq!(query_value(query, "d"), None);
    }
}
