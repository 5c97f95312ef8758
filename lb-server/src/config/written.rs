//! The long form as it is written: what is printed, and what the schema describes.
//!
//! Reading does not go through these structs, because a reader has to know where each value stands.
//! Tests hold the two together: what is printed reads back as the same configuration.

macro_rules! schemas {
    ($($name:ident => $json:tt),* $(,)?) => {
        $(fn $name(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
            schemars::json_schema!($json)
        })*
    };
}

use schemas;

mod access_log;
mod admin;
mod cache;
mod convert;
mod discovery;
mod limits;
mod metrics;
mod redis;
mod resilience;
mod sessions;
mod tracing;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use discovery::Dns;
use limits::RateLimit;
use metrics::Metrics;
use redis::Redis;
use resilience::{CircuitBreaker, HealthCheck, OrOff, OutlierDetection, Retry, SlowStart};
pub(super) use sessions::HIDDEN;
use sessions::{Affinity, Sessions};

/// The configuration of a load balancer, in the long form.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "lb configuration")]
pub(super) struct File {
    /// Version of the format.
    #[schemars(range(min = 1, max = 1))]
    version: u8,
    /// What holds for the whole process.
    server: Server,
    /// Where clients connect, by name.
    listeners: BTreeMap<String, Listener>,
    /// Named sets of backends with an algorithm.
    pools: BTreeMap<String, Pool>,
    /// Responses kept in memory, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    caches: BTreeMap<String, cache::Cache>,
    /// Routes; the first match wins.
    routes: Vec<Route>,
    /// How many requests are let pass, by name.
    rate_limits: BTreeMap<String, RateLimit>,
    /// The store that several instances share.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<Redis>,
    /// Who is asked for the addresses of backends that are discovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<Dns>,
    /// Sessions for a program's request handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Sessions>,
    /// A line for each exchange.
    access_log: access_log::AccessLog,
    /// How what is counted is told.
    metrics: Metrics,
    /// The admin API.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<OrOff<admin::Admin>>,
    /// Spans of exchanges for a collector.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracing: Option<tracing::Tracing>,
}

/// A string such as "30s", "250ms", "1h30m".
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transparent)]
struct Duration(#[schemars(regex(pattern = r"^([0-9]+(h|m|s|ms|us|ns))+$"))] String);

/// A string such as "64KiB", "8MiB", "1MB".
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transparent)]
struct Size(#[schemars(regex(pattern = r"^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$"))] String);

/// A number of at least 1.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transparent)]
struct Count(#[schemars(range(min = 1))] u32);

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Server {
    /// Worker threads, or "auto" for one for each core.
    threads: Threads,
    /// Client connections in all; by default 90 % of the descriptor limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    max_connections: Option<u32>,
    /// Connections of one client address.
    #[schemars(range(min = 1))]
    max_connections_per_client: u32,
    /// TLS handshakes under way at once.
    #[schemars(range(min = 1))]
    max_handshakes: u32,
    /// Networks whose forwarding fields are believed.
    trusted_proxies: Vec<String>,
    /// Which fields tell the backend who the client is.
    #[schemars(schema_with = "forwarded")]
    forwarded: &'static str,
    /// Our name in Via and Proxy-Status.
    pseudonym: String,
    /// Whether Proxy-Status carries details: what went wrong behind us.
    expose_details: bool,
    /// What happens to request fields with an underscore in their name.
    #[schemars(schema_with = "underscores")]
    underscore_headers: &'static str,
    /// Bytes that bodies and their buffers may hold.
    memory_limit: Size,
    /// How long to serve after the signal before draining.
    shutdown_delay: Duration,
    /// How long exchanges may take to finish while draining.
    shutdown_timeout: Duration,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Threads {
    #[schemars(schema_with = "auto")]
    Auto(&'static str),
    Count(usize),
}

/// One value or a list of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the printer writes lists; the schema allows both")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Listener {
    /// Addresses: "127.0.0.1:8443", "[::]:8443", "unix:/run/lb.sock".
    address: OneOrMore,
    /// Protocols offered: "h2", "http/1.1".
    #[schemars(schema_with = "protocols")]
    protocols: Vec<&'static str>,
    /// Requests after which a connection is closed.
    max_requests_per_connection: OrOff<Count>,
    /// Age at which a connection is closed.
    max_connection_age: OrOff<Duration>,
    /// Send every request to the same URL on https.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "redirect_scheme")]
    redirect_to: Option<&'static str>,
    /// "off", "self-signed", or certificates.
    tls: Tls,
    /// HTTP/2 limits and windows.
    http2: Http2,
    /// Timeouts towards clients.
    timeouts: ListenerTimeouts,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "the printer needs one way to write a pair; the schema allows all"
)]
enum Tls {
    #[schemars(schema_with = "tls_word")]
    Word(&'static str),
    Pair(TlsPair),
    Listed(TlsListed),
    SelfSigned(TlsSelfSigned),
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TlsPair {
    /// PEM file with the chain.
    cert: String,
    /// PEM file with the private key.
    key: String,
    /// The oldest TLS version accepted.
    #[schemars(schema_with = "tls_version")]
    min_version: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TlsListed {
    /// Certificates, chosen by the name that the client asks for.
    certificates: Vec<Certificate>,
    /// The oldest TLS version accepted.
    #[schemars(schema_with = "tls_version")]
    min_version: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TlsSelfSigned {
    /// Names of a certificate made at start.
    self_signed: OneOrMore,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Certificate {
    /// PEM file with the chain.
    cert: String,
    /// PEM file with the private key.
    key: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Http2 {
    /// Concurrent streams of one connection.
    #[schemars(range(min = 1))]
    max_concurrent_streams: u32,
    /// Initial window of a stream.
    stream_window: Size,
    /// Window of a connection.
    connection_window: Size,
    /// Decoded size of a header list.
    max_header_list: Size,
    /// Number of header fields.
    #[schemars(range(min = 1))]
    max_header_fields: u32,
    /// Bytes buffered for a stream whose client does not read.
    send_buffer: Size,
    /// Stream resets a client may send in a second.
    #[schemars(range(min = 1))]
    max_resets_per_second: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ListenerTimeouts {
    /// TLS handshake, and after it the preface and first SETTINGS.
    handshake: Duration,
    /// From the first byte of a header block to its end.
    request_headers: Duration,
    /// A connection without a stream.
    idle: Duration,
    /// A stream on which neither side moves.
    stream_idle: Duration,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Pool {
    /// How a backend is picked.
    #[schemars(schema_with = "algorithms")]
    algorithm: &'static str,
    /// In-flight requests of all backends together.
    max_connections: OrOff<Count>,
    /// Requests that may wait while all backends are full.
    queue: OrOff<Count>,
    /// The backends: URLs, or tables.
    backends: Vec<BackendEntry>,
    /// What is hashed, for ip-hash and consistent-hashing.
    hash: Hash,
    /// TLS towards https:// backends.
    tls: BackendTls,
    /// Timeouts towards backends.
    timeouts: PoolTimeouts,
    /// Probes: a table, "off", "tcp", "http", "grpc", or a path.
    health_check: OrOff<HealthCheck>,
    /// Ejection of backends by what they answer.
    outlier_detection: OrOff<OutlierDetection>,
    /// A pause for backends that fail.
    circuit_breaker: OrOff<CircuitBreaker>,
    /// Retries.
    retry: OrOff<Retry>,
    /// A ramp for new and recovered backends.
    slow_start: OrOff<SlowStart>,
    /// Keeps each client with its backend, by a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    affinity: Option<Affinity>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum BackendEntry {
    /// "http://10.0.0.1:3000", "h2c://…", "https://…", "unix:/run/app.sock".
    Url(String),
    Table(Backend),
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Backend {
    /// "http://10.0.0.1:3000", "h2c://…", "https://…", "unix:/run/app.sock".
    url: String,
    /// Its identity where the URL is not to be it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Share of the requests relative to the others.
    #[schemars(range(min = 1, max = 65535))]
    weight: u32,
    /// In-flight requests it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    max_connections: Option<u32>,
    /// Used only while no other backend is eligible.
    backup: bool,
    /// Name to verify and send as SNI.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    /// Each address that the name has is a backend: "dns" by A and AAAA records, "srv" by SRV records.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "records_word")]
    discover: Option<&'static str>,
    /// How long an answer holds at most; a shorter time to live counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<Duration>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Hash {
    /// "path", "path-and-query", "client-ip", "query:NAME", "header:NAME" or "cookie:NAME".
    key: String,
    /// No backend gets more than this × its fair share of in-flight requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    balance_factor: Option<f64>,
    /// Leading bits of an IPv4 client address that count.
    #[schemars(range(min = 1, max = 32))]
    ipv4_prefix: u8,
    /// Leading bits of an IPv6 client address that count.
    #[schemars(range(min = 1, max = 128))]
    ipv6_prefix: u8,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct BackendTls {
    /// PEM file with the only authorities believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    /// Name to verify and to send as SNI.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PoolTimeouts {
    /// Name resolution, TCP and TLS together.
    connect: Duration,
    /// From the request sent to the response head.
    response_headers: Duration,
    /// A place in the queue while all backends are full.
    queue: Duration,
    /// From the request's arrival to the response head, all attempts together.
    request: OrOff<Duration>,
    /// An unused connection is kept this long.
    idle: Duration,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Route {
    /// Its name in logs and metrics.
    name: String,
    /// A pool by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    /// The cache before the target, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<String>,
    /// A stream on which neither side moves; by default the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_idle: Option<Duration>,
    /// Names of the rate limits that a request has to pass.
    rate_limits: OneOrMore,
    /// Whether its exchanges are in the access log.
    access_log: bool,
    /// Which requests it takes.
    #[serde(rename = "match")]
    matches: Match,
    /// A redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<Redirect>,
    /// A fixed reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    respond: Option<Respond>,
    /// Changes to the request's fields.
    request_headers: Changes,
    /// Changes to the response's fields.
    response_headers: Changes,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Match {
    /// "app.example.com" or "*.example.com".
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<OneOrMore>,
    /// "/exact" or "/prefix/*".
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// "GET" takes HEAD too.
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<OneOrMore>,
    /// Fields that must be there: with this value, or with any for `true`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "header_matches")]
    headers: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Redirect {
    /// Location; {host}, {path}, {query} and {path_and_query} are filled in.
    to: String,
    /// 301, 302, 303, 307 or 308.
    #[schemars(range(min = 301, max = 308))]
    status: u16,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Respond {
    /// Status of the reply.
    #[schemars(range(min = 200, max = 599))]
    status: u16,
    /// Its body.
    body: String,
    /// Its Content-Type.
    content_type: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Changes {
    /// Fields that get this value, and no other.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "header_values")]
    set: Map<String, Value>,
    /// Fields that are deleted.
    remove: Vec<String>,
}

schemas! {
    records_word => { "enum": ["dns", "srv"] },
    cache_policy => { "enum": ["s3-fifo", "lru"] },
    cache_query => { "enum": ["all", "none"] },
    auto => { "const": "auto" },
    forwarded => { "enum": ["x", "rfc7239", "both"] },
    underscores => { "enum": ["reject", "drop", "allow"] },
    protocols => { "oneOf": [
        { "enum": ["h2", "http/1.1"] },
        { "type": "array", "minItems": 1, "uniqueItems": true, "items": { "enum": ["h2", "http/1.1"] } },
    ] },
    redirect_scheme => { "const": "https" },
    tls_word => { "enum": ["off", "self-signed"] },
    tls_version => { "enum": ["1.2", "1.3"] },
    algorithms => { "enum": (lb_core::Algorithm::ALL.map(lb_core::Algorithm::as_str)) },
    header_matches => { "type": "object", "additionalProperties": { "oneOf": [{ "type": "string" }, { "const": true }] } },
    header_values => { "type": "object", "additionalProperties": { "type": "string" } },
}
