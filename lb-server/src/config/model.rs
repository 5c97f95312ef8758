//! The configuration as meant: every value present, checked for itself, with its default.
//!
//! These structs are what a library user builds and what a configuration file becomes. What one
//! value says about another (a route naming a pool that does not exist) is checked once, when a
//! `Server` is made of them.

mod access_log;
mod admin;
mod cache;
mod discovery;
mod limits;
mod metrics;
mod redis;
mod resilience;
mod sessions;
mod tracing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use lb_core::Algorithm;

pub use access_log::*;
pub use admin::*;
pub use cache::*;
pub use discovery::*;
pub use limits::*;
pub use metrics::*;
pub use redis::*;
pub use resilience::*;
pub use sessions::*;
pub use tracing::*;

/// Everything a server is made of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// `[server]`: what holds for the whole process.
    pub server: ProcessConfig,
    /// `[listeners.*]` by name; at least one.
    pub listeners: BTreeMap<String, ListenerConfig>,
    /// `[pools.*]` by name.
    pub pools: BTreeMap<String, LoadBalancerConfig>,
    /// `[caches.*]` by name.
    pub caches: BTreeMap<String, CacheConfig>,
    /// `[[routes]]`, the first match wins.
    pub routes: Vec<RouteConfig>,
    /// `[rate_limits.*]` by name.
    pub rate_limits: BTreeMap<String, RateLimitConfig>,
    /// `[redis]`; `None` keeps all state in this process.
    pub redis: Option<RedisConfig>,
    /// `[dns]`: who is asked for the addresses of backends that are discovered.
    pub dns: DnsConfig,
    /// `[sessions]`; `None` is off.
    pub sessions: Option<SessionConfig>,
    /// `[access_log]`: a line for each exchange.
    pub access_log: AccessLogConfig,
    /// `[metrics]`.
    pub metrics: MetricsConfig,
    /// `[admin]`; `None` (`"off"`) is no admin API.
    pub admin: Option<AdminConfig>,
    /// `[tracing]`; `None` sends no spans.
    pub tracing: Option<TracingConfig>,
}

/// `[server]`: what holds for the whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessConfig {
    /// Number of worker threads; `None` (`"auto"`) is one for each core.
    pub threads: Option<NonZeroUsize>,
    /// Client connections in all; `None` is 90 % of the process's descriptor limit.
    pub max_connections: Option<NonZeroU32>,
    /// Connections of one client address (1,024); loopback and trusted peers are exempt.
    pub max_connections_per_client: NonZeroU32,
    /// TLS handshakes under way at once (256).
    pub max_handshakes: NonZeroU32,
    /// Peers whose forwarding fields and request ids are believed; none by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Which fields tell the backend who the client is.
    pub forwarded: ForwardedFields,
    /// Our name in `Via`, `Proxy-Status` and the like (`lb`); a token.
    pub pseudonym: String,
    /// Whether `Proxy-Status` also carries `details`: what went wrong behind us.
    pub expose_details: bool,
    /// What happens to request fields with an underscore in their name.
    pub underscore_headers: UnderscoreHeaders,
    /// Bytes that bodies, their buffers and what retries keep may hold (1 GiB); beyond it new
    /// requests get 503.
    pub memory_limit: u64,
    /// How long to go on serving after the first signal before draining (0 s).
    pub shutdown_delay: Duration,
    /// How long running exchanges may take to finish while draining (30 s).
    pub shutdown_timeout: Duration,
}

/// Which fields tell the backend who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ForwardedFields {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` (`"x"`).
    #[default]
    X,
    /// `Forwarded`, RFC 7239 (`"rfc7239"`).
    Rfc7239,
    /// Both families (`"both"`).
    Both,
}

/// What happens to request fields with an underscore in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnderscoreHeaders {
    /// The request is refused with 400 (`"reject"`).
    #[default]
    Reject,
    /// The field is deleted (`"drop"`).
    Drop,
    /// The field is passed on (`"allow"`).
    Allow,
}

/// `[listeners.x]`: where clients connect and how they are spoken to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// Addresses to listen on; at least one.
    pub address: Vec<ListenAddress>,
    /// Protocols offered, at least one (`["h2", "http/1.1"]`).
    pub protocols: Vec<Protocol>,
    /// TLS, or `Off` for cleartext.
    pub tls: ListenerTls,
    /// HTTP/2 limits and windows.
    pub http2: Http2Config,
    /// Timeouts towards clients.
    pub timeouts: ListenerTimeouts,
    /// Requests after which a connection is closed, gracefully; `None` is no limit.
    pub max_requests_per_connection: Option<NonZeroU32>,
    /// Age at which a connection is closed, gracefully; up to a tenth earlier, so that many that
    /// were opened together do not end together. `None` is no limit.
    pub max_connection_age: Option<Duration>,
    /// Answers every request with a redirect to the same URL on this scheme.
    pub redirect_to: Option<RedirectScheme>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ListenAddress {
    /// TCP (`"127.0.0.1:8443"`, `"[::]:8443"`); port 0 takes a free one.
    Tcp(SocketAddr),
    /// A unix socket (`"unix:/run/lb.sock"`).
    Unix(PathBuf),
}

/// A protocol spoken with clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2: ALPN `h2`, or prior knowledge on a cleartext listener.
    H2,
    /// HTTP/1.1 (and 1.0).
    Http11,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenerTls {
    /// Cleartext (`tls = "off"`).
    Off,
    /// A certificate made at start, in memory, for these names (`tls = "self-signed"`: `localhost`).
    SelfSigned {
        /// DNS names and IP addresses of the certificate.
        names: Vec<String>,
    },
    /// Certificates from files.
    Files {
        /// At least one; chosen by SNI, exact names before wildcards, the first where none matches.
        certificates: Vec<CertificateConfig>,
        /// The oldest TLS version accepted (1.2).
        min_version: TlsVersion,
    },
}

/// A certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateConfig {
    /// PEM file with the chain, the server's own certificate first.
    pub cert: PathBuf,
    /// PEM file with the private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// A TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (`"1.2"`).
    Tls12,
    /// TLS 1.3 (`"1.3"`).
    Tls13,
}

/// Where a listener with `redirect_to` sends its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectScheme {
    /// `https://` on the same host, default port.
    Https,
}

/// HTTP/2 limits and windows towards clients; sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Config {
    /// Concurrent streams of one connection (100).
    pub max_concurrent_streams: u32,
    /// Initial window of a stream (64 KiB); what a stalled upload can make us hold.
    pub stream_window: u32,
    /// Window of a connection (8 MiB); at least `max_concurrent_streams` × `stream_window` keeps a
    /// stalled stream from freezing its siblings.
    pub connection_window: u32,
    /// Decoded size of a header list, RFC 9113 §6.5.2 (16 KiB); holds for HTTP/1.1 too.
    pub max_header_list: u32,
    /// Number of header fields, cookie crumbs and trailers included (100); holds for HTTP/1.1 too.
    pub max_header_fields: u32,
    /// Bytes buffered for a stream whose client does not read (32 KiB).
    pub send_buffer: u32,
    /// Stream resets a client may send in a second (100).
    pub max_resets_per_second: u32,
}

/// Timeouts towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerTimeouts {
    /// TLS handshake (5 s), and after it the preface and first SETTINGS (5 s).
    pub handshake: Duration,
    /// From the first byte of a header block to its end (10 s).
    pub request_headers: Duration,
    /// A connection without a stream; PING does not count (60 s).
    pub idle: Duration,
    /// A stream on which neither side moves (5 min).
    pub stream_idle: Duration,
}

/// `[pools.x]`: a named set of backends with an algorithm.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoadBalancerConfig {
    /// How a backend is picked.
    pub algorithm: Algorithm,
    /// The backends; may be empty while a program adds them.
    pub backends: Vec<BackendConfig>,
    /// What `ip-hash` and `consistent-hashing` hash.
    pub hash: HashConfig,
    /// TLS towards `https://` backends.
    pub tls: BackendTlsConfig,
    /// Timeouts towards backends.
    pub timeouts: PoolTimeouts,
    /// In-flight requests of all backends together; `None` is no limit.
    pub max_connections: Option<NonZeroU32>,
    /// Requests that may wait while all backends are at their `max_connections` (1,024); 0 (`"off"`)
    /// refuses them at once.
    pub queue: u32,
    /// Probes (a TCP connection every 10 s); `None` (`"off"`) probes nothing.
    pub health_check: Option<HealthCheckConfig>,
    /// Ejection of backends by what they answer; `None` is `"off"`.
    pub outlier_detection: Option<OutlierDetectionConfig>,
    /// A pause for backends that fail; `None` (`"off"`) is the default.
    pub circuit_breaker: Option<CircuitBreakerConfig>,
    /// Retries; [`RetryConfig::off`] is `"off"`.
    pub retry: RetryConfig,
    /// A ramp for new and recovered backends; `None` (`"off"`) is the default.
    pub slow_start: Option<SlowStartConfig>,
    /// Keeps each client with its backend; `None` is off.
    pub affinity: Option<AffinityConfig>,
}

/// `[pools.x] hash`: what is hashed and how far a backend may be overloaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HashConfig {
    /// The key of `consistent-hashing` (path).
    pub key: HashKey,
    /// No backend gets more than this × its fair share of in-flight requests; off by default.
    pub balance_factor: Option<f64>,
    /// Leading bits of an IPv4 client address that count (32).
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 client address that count (64).
    pub ipv6_prefix: u8,
}

/// What `consistent-hashing` hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashKey {
    /// The path without the query (`"path"`).
    Path,
    /// The path with the query (`"path-and-query"`).
    PathAndQuery,
    /// One query parameter (`"query:name"`); the client address where it is absent.
    Query(String),
    /// One header field (`"header:name"`); the client address where it is absent.
    Header(http::HeaderName),
    /// One cookie (`"cookie:name"`); the client address where it is absent.
    Cookie(String),
    /// The client address under the prefixes (`"client-ip"`).
    ClientIp,
}

/// `[pools.x] tls`: TLS towards `https://` backends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BackendTlsConfig {
    /// PEM file with the only authorities believed; `None` is the system's store.
    pub ca: Option<PathBuf>,
    /// Name to verify and to send as SNI; `None` is the URL's host.
    pub server_name: Option<String>,
}

/// Timeouts towards backends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolTimeouts {
    /// Name resolution, TCP and TLS together (2 s).
    pub connect: Duration,
    /// From the request sent to the response head (15 s).
    pub response_headers: Duration,
    /// A place in the queue while all backends are full (1 s).
    pub queue: Duration,
    /// From the request's arrival to the response head, waiting and all attempts together; `None`
    /// (`"off"`) is the default. A client's `grpc-timeout` that is shorter counts instead.
    pub request: Option<Duration>,
    /// An unused connection is kept this long (90 s).
    pub idle: Duration,
}

/// One entry of `backends`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendConfig {
    /// Where it is.
    pub url: BackendUrl,
    /// Its identity where the URL is not to be it; state survives reloads under the same name.
    pub name: Option<String>,
    /// Share of the requests relative to the others (1); 1 to 65,535.
    pub weight: u32,
    /// In-flight requests it may have; `None` is no limit.
    pub max_connections: Option<NonZeroU32>,
    /// Used only while no other backend is eligible.
    pub backup: bool,
    /// Name to verify and send as SNI; before the pool's.
    pub server_name: Option<String>,
    /// Each address that its host name has is a backend of its own; `None` leaves the name to be
    /// looked up by the system with each connection.
    pub discover: Option<DiscoverConfig>,
}

/// Where a backend is and how it is spoken to.
///
/// `http://host:port` (HTTP/1.1), `h2c://host:port` (HTTP/2 with prior knowledge),
/// `https://host:port` (ALPN decides), and over a unix socket `unix:/path` (HTTP/1.1) or
/// `unix+h2c:/path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendUrl {
    pub(crate) scheme: BackendScheme,
    pub(crate) address: BackendAddress,
}

/// How a backend is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BackendScheme {
    Http,
    H2c,
    Https,
}

/// Where a backend is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BackendAddress {
    /// Name or address (an IPv6 address without its brackets), and port.
    Host {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// One entry of `[[routes]]`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RouteConfig {
    /// Its name in logs and metrics; unique.
    pub name: String,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What answers them.
    pub target: TargetConfig,
    /// Changes to the request's fields before a backend sees them.
    pub request_headers: HeaderChanges,
    /// Changes to the response's fields before the client sees them.
    pub response_headers: HeaderChanges,
    /// The cache that stands before the target, by its name.
    pub cache: Option<String>,
    /// A stream on which neither side moves; `None` is the listener's.
    pub stream_idle: Option<Duration>,
    /// Names of the rate limits that a request has to pass, all of them.
    pub rate_limits: Vec<String>,
    /// Whether its exchanges are in the access log (yes).
    pub access_log: bool,
}

/// `[[routes]] match`: an absent part matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RouteMatch {
    /// Hosts without port, lower case: `"app.example.com"`, or `"*.example.com"` for one or more labels before.
    pub host: Vec<String>,
    /// `"/exact"`, or `"/prefix/*"` which takes `/prefix`, `/prefix/` and everything below.
    pub path: Option<String>,
    /// Methods; `GET` takes `HEAD` too.
    pub methods: Vec<http::Method>,
    /// Header fields that must be there: with this value, or with any for `None`.
    pub headers: Vec<(http::HeaderName, Option<String>)>,
}

/// What answers the requests of a route.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TargetConfig {
    /// A pool by its name (`pool = "api"`).
    Pool(String),
    /// A redirect (`redirect = { to = "https://{host}{path_and_query}", status = 308 }`).
    Redirect {
        /// Location; `{host}`, `{path}`, `{query}` and `{path_and_query}` are filled in.
        to: String,
        /// 301, 302, 303, 307 or 308 (308).
        status: http::StatusCode,
    },
    /// A fixed reply (`respond = { status = 200, body = "ok", content_type = "text/plain" }`).
    Respond {
        /// Status of the reply.
        status: http::StatusCode,
        /// Its body.
        body: String,
        /// Its `Content-Type` (`text/plain; charset=utf-8`).
        content_type: String,
    },
    /// The request handler of the program; without one, the pool `default`.
    Handler,
}

/// Changes to header fields: first `remove`, then `set`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HeaderChanges {
    /// Fields that get this value, and no other.
    pub set: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Fields that are deleted.
    pub remove: Vec<http::HeaderName>,
}
