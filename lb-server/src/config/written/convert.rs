//! From the configuration as meant to the long form.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Backend, BackendEntry, BackendTls, Certificate, Changes, Count, Duration, File, Hash, Http2,
    Listener, ListenerTimeouts, Match, OneOrMore, OrOff, Pool, PoolTimeouts, Redirect, Respond,
    Route, Server, Size, Threads, Tls, TlsListed, TlsSelfSigned, discovery,
};
use crate::config::model::{
    BackendConfig, Config, ForwardedFields, HeaderChanges, ListenerConfig, ListenerTls,
    LoadBalancerConfig, ProcessConfig, Protocol, RedirectScheme, RouteConfig, RouteMatch,
    TargetConfig, TlsVersion, UnderscoreHeaders,
};
use crate::config::substitute::escape;
use crate::config::units::{print_duration, print_size};

impl From<&Config> for File {
    fn from(config: &Config) -> Self {
        Self {
            version: 1,
            server: server(&config.server),
            listeners: config
                .listeners
                .iter()
                .map(|(name, value)| (name.clone(), listener(value)))
                .collect(),
            pools: config
                .pools
                .iter()
                .map(|(name, value)| (name.clone(), pool(value)))
                .collect(),
            caches: config
                .caches
                .iter()
                .map(|(name, value)| (name.clone(), value.into()))
                .collect(),
            routes: config.routes.iter().map(route).collect(),
            rate_limits: config
                .rate_limits
                .iter()
                .map(|(name, value)| (name.clone(), value.into()))
                .collect(),
            redis: config.redis.as_ref().map(Into::into),
            dns: discovery::dns(&config.dns),
            sessions: config.active_sessions().map(Into::into),
            access_log: (&config.access_log).into(),
            metrics: (&config.metrics).into(),
            admin: config.admin.as_ref().map(|admin| OrOff::On(admin.into())),
            tracing: config.tracing.as_ref().map(Into::into),
        }
    }
}

pub(super) fn duration(value: std::time::Duration) -> Duration {
    Duration(print_duration(value))
}

pub(super) fn size(value: impl Into<u64>) -> Size {
    Size(print_size(value.into()))
}

pub(super) fn file(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

pub(super) fn texts(values: impl IntoIterator<Item = impl ToString>) -> OneOrMore {
    OneOrMore::More(
        values
            .into_iter()
            .map(|value| escape(&value.to_string()))
            .collect(),
    )
}

fn server(config: &ProcessConfig) -> Server {
    Server {
        threads: config.threads.map_or(Threads::Auto("auto"), |threads| {
            Threads::Count(threads.get())
        }),
        max_connections: config.max_connections.map(Into::into),
        max_connections_per_client: config.max_connections_per_client.into(),
        max_handshakes: config.max_handshakes.into(),
        trusted_proxies: config
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect(),
        forwarded: match config.forwarded {
            ForwardedFields::X => "x",
            ForwardedFields::Rfc7239 => "rfc7239",
            ForwardedFields::Both => "both",
        },
        pseudonym: escape(&config.pseudonym),
        expose_details: config.expose_details,
        underscore_headers: match config.underscore_headers {
            UnderscoreHeaders::Reject => "reject",
            UnderscoreHeaders::Drop => "drop",
            UnderscoreHeaders::Allow => "allow",
        },
        memory_limit: size(config.memory_limit),
        shutdown_delay: duration(config.shutdown_delay),
        shutdown_timeout: duration(config.shutdown_timeout),
    }
}

fn listener(config: &ListenerConfig) -> Listener {
    let (http2, timeouts) = (&config.http2, &config.timeouts);
    Listener {
        address: texts(&config.address),
        protocols: config
            .protocols
            .iter()
            .map(|protocol| match protocol {
                Protocol::H2 => "h2",
                Protocol::Http11 => "http/1.1",
            })
            .collect(),
        max_requests_per_connection: OrOff::of(
            config
                .max_requests_per_connection
                .map(|count| Count(count.into())),
        ),
        max_connection_age: OrOff::of(config.max_connection_age.map(duration)),
        redirect_to: config.redirect_to.map(|RedirectScheme::Https| "https"),
        tls: tls(&config.tls),
        http2: Http2 {
            max_concurrent_streams: http2.max_concurrent_streams,
            stream_window: size(http2.stream_window),
            connection_window: size(http2.connection_window),
            max_header_list: size(http2.max_header_list),
            max_header_fields: http2.max_header_fields,
            send_buffer: size(http2.send_buffer),
            max_resets_per_second: http2.max_resets_per_second,
        },
        timeouts: ListenerTimeouts {
            handshake: duration(timeouts.handshake),
            request_headers: duration(timeouts.request_headers),
            idle: duration(timeouts.idle),
            stream_idle: duration(timeouts.stream_idle),
        },
    }
}

pub(super) fn tls(config: &ListenerTls) -> Tls {
    match config {
        ListenerTls::Off => Tls::Word("off"),
        ListenerTls::SelfSigned { names } if names.as_slice() == ["localhost"] => {
            Tls::Word("self-signed")
        }
        ListenerTls::SelfSigned { names } => Tls::SelfSigned(TlsSelfSigned {
            self_signed: texts(names),
        }),
        ListenerTls::Files {
            certificates,
            min_version,
        } => Tls::Listed(TlsListed {
            certificates: certificates
                .iter()
                .map(|certificate| Certificate {
                    cert: file(&certificate.cert),
                    key: file(&certificate.key),
                })
                .collect(),
            min_version: match min_version {
                TlsVersion::Tls12 => "1.2",
                TlsVersion::Tls13 => "1.3",
            },
        }),
    }
}

fn pool(config: &LoadBalancerConfig) -> Pool {
    Pool {
        algorithm: config.algorithm.as_str(),
        max_connections: OrOff::of(config.max_connections.map(|count| Count(count.into()))),
        queue: OrOff::of((config.queue > 0).then_some(Count(config.queue))),
        backends: config.backends.iter().map(backend).collect(),
        hash: Hash {
            key: escape(&config.hash.key.to_string()),
            balance_factor: config.hash.balance_factor,
            ipv4_prefix: config.hash.ipv4_prefix,
            ipv6_prefix: config.hash.ipv6_prefix,
        },
        tls: BackendTls {
            ca: config.tls.ca.as_deref().map(file),
            server_name: config.tls.server_name.as_deref().map(escape),
        },
        timeouts: PoolTimeouts {
            connect: duration(config.timeouts.connect),
            response_headers: duration(config.timeouts.response_headers),
            queue: duration(config.timeouts.queue),
            request: OrOff::of(config.timeouts.request.map(duration)),
            idle: duration(config.timeouts.idle),
        },
        health_check: OrOff::of(config.health_check.as_ref().map(Into::into)),
        outlier_detection: OrOff::of(config.outlier_detection.as_ref().map(Into::into)),
        circuit_breaker: OrOff::of(config.circuit_breaker.as_ref().map(Into::into)),
        retry: OrOff::On((&config.retry).into()),
        slow_start: OrOff::of(config.slow_start.as_ref().map(Into::into)),
        affinity: config.affinity.as_ref().map(Into::into),
    }
}

fn backend(config: &BackendConfig) -> BackendEntry {
    let url = escape(&config.url.to_string());
    if *config == BackendConfig::at(config.url.clone()) {
        return BackendEntry::Url(url);
    }
    BackendEntry::Table(Backend {
        url,
        name: config.name.as_deref().map(escape),
        weight: config.weight,
        max_connections: config.max_connections.map(Into::into),
        backup: config.backup,
        server_name: config.server_name.as_deref().map(escape),
        discover: config.discover.map(|it| discovery::records(it.records)),
        refresh: config.discover.map(|it| duration(it.refresh)),
    })
}

fn route(config: &RouteConfig) -> Route {
    let (mut pool, mut redirect, mut respond) = (None, None, None);
    match &config.target {
        TargetConfig::Pool(name) => pool = Some(escape(name)),
        TargetConfig::Redirect { to, status } => {
            redirect = Some(Redirect {
                to: escape(to),
                status: status.as_u16(),
            });
        }
        TargetConfig::Respond {
            status,
            body,
            content_type,
        } => {
            respond = Some(Respond {
                status: status.as_u16(),
                body: escape(body),
                content_type: escape(content_type),
            });
        }
        TargetConfig::Handler => {}
    }
    Route {
        name: escape(&config.name),
        pool,
        cache: config.cache.as_deref().map(escape),
        stream_idle: config.stream_idle.map(duration),
        rate_limits: texts(&config.rate_limits),
        access_log: config.access_log,
        matches: route_match(&config.matches),
        redirect,
        respond,
        request_headers: changes(&config.request_headers),
        response_headers: changes(&config.response_headers),
    }
}

fn route_match(config: &RouteMatch) -> Match {
    let header = |(name, value): &(http::HeaderName, Option<String>)| {
        let value = value
            .as_ref()
            .map_or(Value::Bool(true), |value| Value::String(escape(value)));
        (name.to_string(), value)
    };
    Match {
        host: (!config.host.is_empty()).then(|| texts(&config.host)),
        path: config.path.as_deref().map(escape),
        methods: (!config.methods.is_empty()).then(|| texts(&config.methods)),
        headers: config.headers.iter().map(header).collect(),
    }
}

fn changes(config: &HeaderChanges) -> Changes {
    let set = |(name, value): &(http::HeaderName, http::HeaderValue)| {
        // Values are checked to be text, so nothing is lost here.
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), Value::String(escape(&value)))
    };
    Changes {
        set: config.set.iter().map(set).collect::<Map<_, _>>(),
        remove: config.remove.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_without_settings_is_its_url() {
        let plain = BackendConfig::new("http://a:1").unwrap();
        assert!(matches!(backend(&plain), BackendEntry::Url(_)));
        assert!(matches!(backend(&plain.weight(2)), BackendEntry::Table(_)));
    }
}
