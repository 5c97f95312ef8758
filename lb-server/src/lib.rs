//! An HTTP/2 load balancer as a library.

mod body;
mod clock;
mod config;
mod tls;
mod transport;
mod upstream;

pub use body::{Body, BodyError};
pub use config::{
    BackendConfig, BackendTlsConfig, BackendUrl, CacheConfig, CertificateConfig, Config,
    ConfigError, ConfigFormat, ConfigProblem, ForwardedFields, HashConfig, HashKey, HeaderChanges,
    Http2Config, ListenAddress, ListenerConfig, ListenerTimeouts, ListenerTls, LoadBalancerConfig,
    PoolTimeouts, ProcessConfig, Protocol, RateLimitConfig, RedirectScheme, RouteConfig,
    RouteMatch, ServerConfig, SessionConfig, TargetConfig, TlsVersion, UnderscoreHeaders,
    ValueError,
};
pub use lb_core::Algorithm;
