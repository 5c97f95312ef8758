//! By-value setters, for programs; each field's own documentation says what it means.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use lb_core::Algorithm;
use lb_session::AffinityMode;
use lb_session::cookie::SameSite;

use super::model::{
    AccessLogConfig, AccessLogFormat, AccessLogOutput, AdminConfig, AdminToken, AffinityConfig,
    BackendConfig, BackendTlsConfig, BackoffConfig, CacheConfig, CachePolicy, CacheQuery,
    CircuitBreakerConfig, Config, DiscoverConfig, DnsConfig, ForwardedFields, HashConfig, HashKey,
    HeaderChanges, HealthCheckConfig, Http2Config, HttpProbeConfig, ListenAddress, ListenerConfig,
    ListenerTimeouts, ListenerTls, LoadBalancerConfig, MetricsConfig, OnStoreError,
    OutlierDetectionConfig, PoolTimeouts, ProbeConfig, ProcessConfig, Protocol, RateLimitAlgorithm,
    RateLimitConfig, RateLimitKey, RateLimitMode, RedirectScheme, RedisConfig, RetryConfig,
    RetryOn, RouteConfig, RouteMatch, SampleConfig, SecretsConfig, SessionConfig, SlowStartConfig,
    StatusRange, StoreKind, SuccessRateConfig, TargetConfig, TracingConfig, UnderscoreHeaders,
};

/// One setter for each field: `name(value)` for a plain one, `name => Some` for an optional one.
macro_rules! setters {
    ($type:ty { $($field:ident: $value:ty $(=> $wrap:expr)?),* $(,)? }) => {
        impl $type {
            $(
                #[doc = concat!("Sets [`", stringify!($type), "::", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $value) -> Self {
                    self.$field = setters!(@value $field $(, $wrap)?);
                    self
                }
            )*
        }
    };
    (@value $field:ident) => { $field };
    (@value $field:ident, $wrap:expr) => { $wrap($field) };
}

setters!(Config {
    server: ProcessConfig,
    redis: RedisConfig => Some,
    dns: DnsConfig,
    sessions: SessionConfig => Some,
    admin: AdminConfig => Some,
    access_log: AccessLogConfig,
    tracing: TracingConfig => Some,
    metrics: MetricsConfig,
});

setters!(MetricsConfig {
    path: String,
    duration_buckets: Vec<f64>,
    report: Duration => Some,
});

impl Config {
    /// Adds a listener, or replaces the one of that name.
    #[must_use]
    pub fn listener(mut self, name: impl Into<String>, listener: ListenerConfig) -> Self {
        self.listeners.insert(name.into(), listener);
        self
    }

    /// Adds a pool, or replaces the one of that name.
    #[must_use]
    pub fn pool(mut self, name: impl Into<String>, pool: LoadBalancerConfig) -> Self {
        self.pools.insert(name.into(), pool);
        self
    }

    /// Adds a rate limit, or replaces the one of that name.
    #[must_use]
    pub fn rate_limit(mut self, name: impl Into<String>, limit: RateLimitConfig) -> Self {
        self.rate_limits.insert(name.into(), limit);
        self
    }

    /// Adds a cache, or replaces the one of that name.
    #[must_use]
    pub fn cache(mut self, name: impl Into<String>, cache: CacheConfig) -> Self {
        self.caches.insert(name.into(), cache);
        self
    }

    /// Adds a route after those that are there.
    #[must_use]
    pub fn route(mut self, route: RouteConfig) -> Self {
        self.routes.push(route);
        self
    }
}

setters!(ProcessConfig {
    threads: NonZeroUsize => Some,
    max_connections: NonZeroU32 => Some,
    max_connections_per_client: NonZeroU32,
    max_handshakes: NonZeroU32,
    trusted_proxies: Vec<ipnet::IpNet>,
    forwarded: ForwardedFields,
    pseudonym: impl Into<String> => Into::into,
    expose_details: bool,
    underscore_headers: UnderscoreHeaders,
    memory_limit: u64,
    shutdown_delay: Duration,
    shutdown_timeout: Duration,
});

setters!(ListenerConfig {
    address: Vec<ListenAddress>,
    protocols: Vec<Protocol>,
    tls: ListenerTls,
    http2: Http2Config,
    timeouts: ListenerTimeouts,
    max_requests_per_connection: NonZeroU32 => Some,
    max_connection_age: Duration => Some,
    redirect_to: RedirectScheme => Some,
});

setters!(Http2Config {
    max_concurrent_streams: u32,
    stream_window: u32,
    connection_window: u32,
    max_header_list: u32,
    max_header_fields: u32,
    send_buffer: u32,
    max_resets_per_second: u32,
});

setters!(ListenerTimeouts {
    handshake: Duration,
    request_headers: Duration,
    idle: Duration,
    stream_idle: Duration,
});

setters!(LoadBalancerConfig {
    algorithm: Algorithm,
    backends: Vec<BackendConfig>,
    hash: HashConfig,
    tls: BackendTlsConfig,
    timeouts: PoolTimeouts,
    max_connections: NonZeroU32 => Some,
    queue: u32,
    health_check: impl Into<Option<HealthCheckConfig>> => Into::into,
    outlier_detection: impl Into<Option<OutlierDetectionConfig>> => Into::into,
    circuit_breaker: impl Into<Option<CircuitBreakerConfig>> => Into::into,
    retry: RetryConfig,
    slow_start: impl Into<Option<SlowStartConfig>> => Into::into,
    affinity: AffinityConfig => Some,
});

impl LoadBalancerConfig {
    /// Adds a backend.
    #[must_use]
    pub fn backend(mut self, backend: BackendConfig) -> Self {
        self.backends.push(backend);
        self
    }

    /// Sets what `consistent-hashing` hashes.
    #[must_use]
    pub fn hash_key(mut self, key: HashKey) -> Self {
        self.hash.key = key;
        self
    }

    /// Sets how many times its fair share of in-flight requests a backend may get; at least 1.
    #[must_use]
    pub fn balance_factor(mut self, factor: f64) -> Self {
        self.hash.balance_factor = Some(factor);
        self
    }
}

setters!(SessionConfig {
    cookie: impl Into<String> => Into::into,
    secrets: SecretsConfig,
    same_site: SameSite,
    secure: bool,
    max_age: Duration,
    idle_timeout: Duration,
    max_bytes: u32,
    max_sessions: NonZeroU32,
    store: StoreKind,
    on_store_error: OnStoreError => Some,
});

setters!(AffinityConfig {
    ttl: Duration => Some,
    mode: AffinityMode,
    same_site: SameSite,
    secrets: SecretsConfig,
});

setters!(HashConfig {
    key: HashKey,
    balance_factor: f64 => Some,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
});

setters!(BackendTlsConfig {
    ca: impl Into<PathBuf> => |path: _| Some(Into::into(path)),
    server_name: impl Into<String> => |name: _| Some(Into::into(name)),
});

setters!(PoolTimeouts {
    connect: Duration,
    response_headers: Duration,
    queue: Duration,
    request: Duration => Some,
    idle: Duration,
});

setters!(HealthCheckConfig {
    probe: ProbeConfig,
    interval: Duration,
    unhealthy_interval: Duration => Some,
    timeout: Duration,
    unhealthy_after: NonZeroU32,
    healthy_after: NonZeroU32,
    jitter: u8,
});

setters!(HttpProbeConfig {
    path: impl Into<String> => Into::into,
    method: Method,
    host: impl Into<String> => |host: _| Some(Into::into(host)),
    headers: Vec<(HeaderName, HeaderValue)>,
    expect_status: Vec<StatusRange>,
    expect_body: impl Into<String> => |text: _| Some(Into::into(text)),
});

setters!(OutlierDetectionConfig {
    consecutive_errors: NonZeroU32,
    consecutive_gateway_errors: NonZeroU32 => Some,
    success_rate: SuccessRateConfig => Some,
    interval: Duration,
    eject_for: Duration,
    max_eject_for: Duration,
    max_ejected_percent: u8,
    panic_below_percent: u8,
});

setters!(SuccessRateConfig {
    min_requests: NonZeroU32,
    min_backends: NonZeroU32,
    deviations: f64,
});

setters!(CircuitBreakerConfig {
    failure_ratio: f64,
    min_requests: NonZeroU32,
    window: Duration,
    open_for: Duration,
    max_open_for: Duration,
    half_open_requests: NonZeroU32,
});

setters!(RetryConfig {
    attempts: NonZeroU32,
    on: RetryOn,
    per_try_timeout: Duration => Some,
    budget_percent: u32,
    budget_min_per_second: u32,
    backoff: BackoffConfig,
    hedge: Duration => Some,
});

setters!(RetryOn {
    connect_error: bool,
    refused_stream: bool,
    reset_before_headers: bool,
    timeout: bool,
    statuses: Vec<u16>,
});

setters!(BackoffConfig {
    base: Duration,
    max: Duration,
});

setters!(SlowStartConfig {
    window: Duration,
    min_percent: u8,
    aggression: f64,
});

setters!(BackendConfig {
    name: impl Into<String> => |name: _| Some(Into::into(name)),
    weight: u32,
    backup: bool,
    server_name: impl Into<String> => |name: _| Some(Into::into(name)),
    discover: DiscoverConfig => Some,
});

impl BackendConfig {
    /// Sets how many in-flight requests it may have; 0 is no limit.
    #[must_use]
    pub fn max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = NonZeroU32::new(max_connections);
        self
    }
}

setters!(RouteConfig {
    matches: RouteMatch,
    target: TargetConfig,
    request_headers: HeaderChanges,
    response_headers: HeaderChanges,
    cache: impl Into<String> => |cache: _| Some(Into::into(cache)),
    stream_idle: Duration => Some,
    rate_limits: Vec<String>,
    access_log: bool,
});

setters!(RateLimitConfig {
    limit: u32,
    window: Duration,
    algorithm: RateLimitAlgorithm,
    burst: NonZeroU32 => Some,
    key: Vec<RateLimitKey>,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
    cost: NonZeroU32,
    mode: RateLimitMode,
    max_keys: u32,
    headers: bool,
    store: StoreKind,
    on_store_error: OnStoreError => Some,
});

setters!(RedisConfig {
    sentinel: impl Into<String> => |name: _| Some(Into::into(name)),
    cluster: bool,
    username: impl Into<String> => |name: _| Some(Into::into(name)),
    password_file: impl Into<PathBuf> => |path: _| Some(Into::into(path)),
    ca: impl Into<PathBuf> => |path: _| Some(Into::into(path)),
    prefix: impl Into<String> => Into::into,
    timeout: Duration,
    on_store_error: OnStoreError,
});

setters!(AdminConfig {
    names: Vec<String>,
    token: AdminToken => Some,
    dashboard: bool,
    tls: ListenerTls,
});

setters!(CacheConfig {
    max_size: u64,
    max_object: u64,
    max_variants: NonZeroU32,
    policy: CachePolicy,
    default_ttl: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    stale_if_unreachable: Duration,
    collapse_timeout: Duration,
    store_set_cookie: bool,
    obey_requests: bool,
    query: CacheQuery,
    vary: Vec<HeaderName>,
    store: StoreKind,
});

setters!(RouteMatch {
    host: Vec<String>,
    path: impl Into<String> => |path: _| Some(Into::into(path)),
    methods: Vec<Method>,
    headers: Vec<(HeaderName, Option<String>)>,
});

setters!(HeaderChanges {
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
});

setters!(AccessLogConfig {
    output: AccessLogOutput,
    format: AccessLogFormat,
    redact_query: Vec<String>,
    headers: Vec<HeaderName>,
    sample: SampleConfig,
    buffer: u32,
});

setters!(SampleConfig {
    success: f64,
    errors: f64,
    slower_than: Duration => Some,
});

setters!(TracingConfig {
    sample_ratio: f64,
    service_name: impl Into<String> => Into::into,
    attributes: Vec<(String, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    ca: impl Into<PathBuf> => |path: _| Some(Into::into(path)),
    buffer: u32,
});
