//! By-value setters, for programs; each field's own documentation says what it means.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use lb_core::Algorithm;

use super::model::{
    BackendConfig, BackendTlsConfig, Config, ForwardedFields, HashConfig, HashKey, HeaderChanges,
    Http2Config, ListenAddress, ListenerConfig, ListenerTimeouts, ListenerTls, LoadBalancerConfig,
    PoolTimeouts, ProcessConfig, Protocol, RedirectScheme, RouteConfig, RouteMatch, TargetConfig,
    UnderscoreHeaders,
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
    server: ProcessConfig
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
    shutdown_delay: Duration,
    shutdown_timeout: Duration,
});

setters!(ListenerConfig {
    address: Vec<ListenAddress>,
    protocols: Vec<Protocol>,
    tls: ListenerTls,
    http2: Http2Config,
    timeouts: ListenerTimeouts,
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
    idle: Duration,
});

setters!(BackendConfig {
    name: impl Into<String> => |name: _| Some(Into::into(name)),
    weight: u32,
    backup: bool,
    server_name: impl Into<String> => |name: _| Some(Into::into(name)),
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
    stream_idle: Duration => Some,
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
