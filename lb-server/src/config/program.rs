//! The five structs of `Server::new`: one listener, one pool, everything named `default`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{ConfigError, Finding};
use super::model::{
    AccessLogConfig, CacheConfig, Config, Http2Config, ListenAddress, ListenerConfig,
    ListenerTimeouts, ListenerTls, LoadBalancerConfig, ProcessConfig, Protocol, RedisConfig,
    RouteConfig, SessionConfig, TargetConfig,
};
use super::read::{DEFAULT_NAME, parse_network};

/// The process and its one listener.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What holds for the whole process.
    pub process: ProcessConfig,
    /// The listener.
    pub listener: ListenerConfig,
    /// A line for each exchange (off: standard output is the program's).
    pub access_log: AccessLogConfig,
    /// The store that instances share; `None` keeps everything in this process.
    pub redis: Option<RedisConfig>,
    /// Texts that could not be read; [`Config::single`] reports them.
    wrong: Vec<Finding>,
}

impl ServerConfig {
    /// A listener at this address (`"127.0.0.1:8443"`, `"unix:/run/lb.sock"`): cleartext on loopback,
    /// anywhere else an error until TLS is given or switched off.
    ///
    /// A text that is no address is reported when the server is made.
    #[must_use]
    pub fn new(address: impl AsRef<str>) -> Self {
        let mut wrong = Vec::new();
        let address = read_address(address.as_ref(), &mut wrong);
        Self {
            process: ProcessConfig::default(),
            listener: ListenerConfig::at(address.into_iter().collect()),
            access_log: AccessLogConfig::off(),
            redis: None,
            wrong,
        }
    }

    /// Shares through this store what is to be kept with [`StoreKind::Redis`](crate::StoreKind::Redis).
    #[must_use]
    pub fn redis(mut self, redis: RedisConfig) -> Self {
        self.redis = Some(redis);
        self
    }

    /// Listens on another address too; the choice of TLS stays as it is.
    #[must_use]
    pub fn listen(mut self, address: impl AsRef<str>) -> Self {
        let address = read_address(address.as_ref(), &mut self.wrong);
        let was_unwritten = self.listener.tls == ListenerTls::unwritten(&self.listener.address);
        self.listener.address.extend(address);
        if was_unwritten {
            self.listener.tls = ListenerTls::unwritten(&self.listener.address);
        }
        self
    }

    /// Serves TLS with a certificate made at start for these names.
    #[must_use]
    pub fn tls_self_signed(mut self, names: &[&str]) -> Self {
        self.listener.tls = ListenerTls::self_signed(names);
        self
    }

    /// Serves TLS with a chain and a key from PEM files.
    #[must_use]
    pub fn tls_files(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.listener.tls = ListenerTls::files(cert, key);
        self
    }

    /// Serves cleartext.
    #[must_use]
    pub fn tls_off(mut self) -> Self {
        self.listener.tls = ListenerTls::Off;
        self
    }

    /// Sets the protocols offered.
    #[must_use]
    pub fn protocols(mut self, protocols: &[Protocol]) -> Self {
        self.listener.protocols = protocols.to_vec();
        self
    }

    /// Sets the limits and windows of HTTP/2.
    #[must_use]
    pub fn http2(mut self, http2: Http2Config) -> Self {
        self.listener.http2 = http2;
        self
    }

    /// Sets the timeouts towards clients.
    #[must_use]
    pub fn timeouts(mut self, timeouts: ListenerTimeouts) -> Self {
        self.listener.timeouts = timeouts;
        self
    }

    /// Writes a line for each exchange.
    #[must_use]
    pub fn access_log(mut self, access_log: AccessLogConfig) -> Self {
        self.access_log = access_log;
        self
    }

    /// Sets the number of worker threads; 0 is one for each core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.process.threads = NonZeroUsize::new(threads);
        self
    }

    /// Believes the forwarding fields of these peers (`"10.0.0.0/8"`); a text that is no network is
    /// reported when the server is made.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: &[&str]) -> Self {
        self.process.trusted_proxies.clear();
        for text in networks {
            match parse_network(text) {
                Ok(network) => self.process.trusted_proxies.push(network),
                Err(error) => self
                    .wrong
                    .push(Finding::value("server.trusted_proxies", error)),
            }
        }
        self
    }

    /// Sets how long running exchanges may take to finish while draining.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.process.shutdown_timeout = timeout;
        self
    }
}

fn read_address(text: &str, wrong: &mut Vec<Finding>) -> Option<ListenAddress> {
    text.parse()
        .map_err(|error| wrong.push(Finding::value("listeners.default.address", error)))
        .ok()
}

impl ProcessConfig {
    /// How many worker threads there are.
    pub(crate) fn workers(&self) -> usize {
        self.threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }
}

impl Config {
    /// The sessions, where they are on.
    pub(crate) fn active_sessions(&self) -> Option<&SessionConfig> {
        self.sessions.as_ref().filter(|sessions| sessions.is_on)
    }

    /// One listener and one pool named `default`, with the program's request handler as the target of
    /// the only route; without a handler that is the pool.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn single(server: ServerConfig, pool: LoadBalancerConfig) -> Result<Self, ConfigError> {
        if !server.wrong.is_empty() {
            let problems = server.wrong.into_iter().map(Finding::unplaced);
            return Err(ConfigError::new(problems.collect()));
        }
        let mut config = Self::default()
            .server(server.process)
            .access_log(server.access_log)
            .listener(DEFAULT_NAME, server.listener)
            .pool(DEFAULT_NAME, pool)
            .route(RouteConfig::new(DEFAULT_NAME, TargetConfig::Handler));
        config.redis = server.redis;
        config.check()?;
        Ok(config)
    }
}

impl Config {
    /// Puts a cache named `default` before every route, unless it is [`CacheConfig::off`].
    pub(crate) fn cache_everything(&mut self, cache: CacheConfig) {
        if cache.is_off() {
            return;
        }
        self.caches.insert(DEFAULT_NAME.to_owned(), cache);
        for route in &mut self.routes {
            route.cache = Some(DEFAULT_NAME.to_owned());
        }
    }
}
