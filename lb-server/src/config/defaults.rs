//! The defaults: the only place that holds them.

mod access_log;
mod admin;
mod cache;
mod metrics;
mod resilience;
mod sessions;
mod tracing;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lb_core::Algorithm;

use super::error::ValueError;
use super::model::{
    AccessLogConfig, BackendConfig, BackendTlsConfig, BackendUrl, CertificateConfig, Config,
    DnsConfig, ForwardedFields, HashConfig, HashKey, HeaderChanges, HealthCheckConfig, Http2Config,
    ListenAddress, ListenerConfig, ListenerTimeouts, ListenerTls, LoadBalancerConfig,
    MetricsConfig, OnStoreError, OutlierDetectionConfig, PoolTimeouts, ProcessConfig, Protocol,
    RateLimitAlgorithm, RateLimitConfig, RateLimitKey, RateLimitMode, RedisConfig, RedisUrl,
    RetryConfig, RouteConfig, RouteMatch, StoreKind, TargetConfig, TlsVersion, UnderscoreHeaders,
};

impl Default for Config {
    /// No listener, no pool, no route: something to add to.
    fn default() -> Self {
        Self {
            server: ProcessConfig::default(),
            listeners: BTreeMap::new(),
            pools: BTreeMap::new(),
            caches: BTreeMap::new(),
            routes: Vec::new(),
            rate_limits: BTreeMap::new(),
            redis: None,
            dns: DnsConfig::default(),
            sessions: None,
            access_log: AccessLogConfig::default(),
            metrics: MetricsConfig::default(),
            admin: None,
            tracing: None,
        }
    }
}

const MAX_CONNECTIONS_PER_CLIENT: NonZeroU32 = NonZeroU32::new(1024).expect("not zero");
const MAX_HANDSHAKES: NonZeroU32 = NonZeroU32::new(256).expect("not zero");

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: None,
            max_connections_per_client: MAX_CONNECTIONS_PER_CLIENT,
            max_handshakes: MAX_HANDSHAKES,
            trusted_proxies: Vec::new(),
            forwarded: ForwardedFields::X,
            pseudonym: "lb".to_owned(),
            expose_details: false,
            underscore_headers: UnderscoreHeaders::Reject,
            memory_limit: 1 << 30,
            shutdown_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl ListenerConfig {
    /// A listener at these addresses: cleartext where all of them are on this machine, else without
    /// a certificate, which is an error until one is given or [`ListenerTls::Off`] is chosen.
    #[must_use]
    pub fn at(address: Vec<ListenAddress>) -> Self {
        Self {
            tls: ListenerTls::unwritten(&address),
            address,
            protocols: vec![Protocol::H2, Protocol::Http11],
            http2: Http2Config::default(),
            timeouts: ListenerTimeouts::default(),
            max_requests_per_connection: None,
            max_connection_age: None,
            redirect_to: None,
        }
    }
}

impl ListenerTls {
    /// What holds where nothing was chosen: nobody serves cleartext to a network by omission.
    pub(super) fn unwritten(address: &[ListenAddress]) -> Self {
        if address.iter().all(ListenAddress::is_local) {
            return Self::Off;
        }
        Self::Files {
            certificates: Vec::new(),
            min_version: TlsVersion::Tls12,
        }
    }

    /// A certificate made at start for these names.
    #[must_use]
    pub fn self_signed(names: &[&str]) -> Self {
        Self::SelfSigned {
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    /// One certificate from files, TLS 1.2 and later.
    #[must_use]
    pub fn files(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::Files {
            certificates: vec![CertificateConfig::new(cert, key)],
            min_version: TlsVersion::Tls12,
        }
    }
}

impl CertificateConfig {
    /// A chain and its key, both PEM files.
    #[must_use]
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            cert: cert.into(),
            key: key.into(),
        }
    }
}

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 100,
            stream_window: 64 << 10,
            connection_window: 8 << 20,
            max_header_list: 16 << 10,
            max_header_fields: 100,
            send_buffer: 32 << 10,
            max_resets_per_second: 100,
        }
    }
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            request_headers: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            stream_idle: Duration::from_secs(300),
        }
    }
}

impl LoadBalancerConfig {
    /// A pool without backends.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            backends: Vec::new(),
            hash: HashConfig::default(),
            tls: BackendTlsConfig::default(),
            timeouts: PoolTimeouts::default(),
            max_connections: None,
            queue: 1024,
            health_check: Some(HealthCheckConfig::default()),
            outlier_detection: Some(OutlierDetectionConfig::default()),
            circuit_breaker: None,
            retry: RetryConfig::default(),
            slow_start: None,
            affinity: None,
        }
    }
}

impl Default for HashConfig {
    fn default() -> Self {
        Self {
            key: HashKey::Path,
            balance_factor: None,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
        }
    }
}

impl Default for PoolTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response_headers: Duration::from_secs(15),
            queue: Duration::from_secs(1),
            request: None,
            idle: Duration::from_secs(90),
        }
    }
}

impl BackendConfig {
    /// A backend of weight 1 without limits.
    ///
    /// # Errors
    /// When the text is no URL of the forms that [`BackendUrl`] names.
    pub fn new(url: impl AsRef<str>) -> Result<Self, ValueError> {
        Ok(Self::at(url.as_ref().parse()?))
    }

    /// As [`BackendConfig::new`], of a URL that is parsed already.
    #[must_use]
    pub fn at(url: BackendUrl) -> Self {
        Self {
            url,
            name: None,
            weight: 1,
            max_connections: None,
            backup: false,
            server_name: None,
            discover: None,
        }
    }
}

impl TargetConfig {
    /// `Content-Type` of a fixed reply where none is written.
    pub(super) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
}

impl RouteConfig {
    /// A route that takes every request.
    #[must_use]
    pub fn new(name: impl Into<String>, target: TargetConfig) -> Self {
        Self {
            name: name.into(),
            matches: RouteMatch::default(),
            target,
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
            cache: None,
            stream_idle: None,
            rate_limits: Vec::new(),
            access_log: true,
        }
    }
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            limit: 0,
            window: Duration::from_secs(60),
            algorithm: RateLimitAlgorithm::TokenBucket,
            burst: None,
            key: vec![RateLimitKey::ClientIp],
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            cost: NonZeroU32::MIN,
            mode: RateLimitMode::Enforce,
            max_keys: 100_000,
            headers: true,
            store: StoreKind::Memory,
            on_store_error: None,
        }
    }
}

impl RateLimitConfig {
    /// Lets pass `limit` requests per `window` of each client address.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit,
            window,
            ..Self::default()
        }
    }

    /// No rate limit.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }
}

impl RedisConfig {
    /// A Redis at this URL (`"redis://127.0.0.1:6379"`).
    ///
    /// # Errors
    /// When the text is no URL of the forms that [`RedisUrl`] names.
    pub fn new(url: impl AsRef<str>) -> Result<Self, ValueError> {
        Ok(Self::at(vec![url.as_ref().parse()?]))
    }

    /// As [`RedisConfig::new`], of URLs that are parsed already.
    #[must_use]
    pub fn at(url: Vec<RedisUrl>) -> Self {
        Self {
            url,
            sentinel: None,
            cluster: false,
            username: None,
            password_file: None,
            ca: None,
            prefix: "lb:".to_owned(),
            timeout: Duration::from_millis(50),
            on_store_error: OnStoreError::Local,
        }
    }
}
