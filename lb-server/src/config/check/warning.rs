//! What is not wrong but probably not meant.

use lb_core::Algorithm;

use super::Findings;
use crate::config::error::Finding;
use crate::config::model::{
    BackendScheme, Config, ListenerTls, LoadBalancerConfig, RouteConfig, TargetConfig,
};
use crate::config::units::print_size;

/// Everything worth a warning.
pub(in crate::config) fn warnings(config: &Config) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    if let Some(admin) = &config.admin {
        super::admin::warnings(admin, &mut findings);
    }
    for (name, listener) in &config.listeners {
        let http2 = &listener.http2;
        let needed = u64::from(http2.max_concurrent_streams) * u64::from(http2.stream_window);
        // The default's 8 MiB for 100 × 64 KiB is the yardstick: it holds all streams.
        if u64::from(http2.connection_window) < needed {
            findings.add(
                format!("listeners.{name}.http2.connection_window"),
                format!(
                    "`connection_window` of {} is less than {} streams × {}: stalled uploads freeze their siblings",
                    print_size(http2.connection_window.into()),
                    http2.max_concurrent_streams,
                    print_size(http2.stream_window.into())
                ),
                format!("write `connection_window = \"{}\"`", print_size(needed)),
            );
        }
        if listener.tls == ListenerTls::Off
            && listener.redirect_to.is_none()
            && listener.address.iter().any(|address| !address.is_local())
        {
            findings.add(
                format!("listeners.{name}.tls"),
                format!("listener `{name}` serves cleartext to the network"),
                "fine behind something that ends TLS; else give it a certificate",
            );
        }
        if matches!(listener.tls, ListenerTls::SelfSigned { .. })
            && listener.address.iter().any(|address| !address.is_local())
        {
            findings.add(
                format!("listeners.{name}.tls"),
                format!("listener `{name}` shows the network a self-signed certificate, a new one at each start"),
                "no client can verify it; use `tls = { cert = …, key = … }`",
            );
        }
    }
    for (name, pool) in &config.pools {
        pool_warnings(name, pool, config, &mut findings);
    }
    for name in config.rate_limits.keys() {
        let names = |route: &RouteConfig| route.rate_limits.contains(name);
        if !config.routes.iter().any(names) {
            findings.add(
                format!("rate_limits.{name}"),
                format!("rate limit `{name}` limits nothing: no route names it"),
                format!("write `rate_limits = [\"{name}\"]` in a route, or remove it"),
            );
        }
    }
    super::sessions::warnings(config, &mut findings);
    findings.0
}

fn pool_warnings(name: &str, pool: &LoadBalancerConfig, config: &Config, findings: &mut Findings) {
    let path = format!("pools.{name}");
    let used = config.routes.iter().any(|route| match &route.target {
        TargetConfig::Pool(pool) => pool == name,
        // A handler may forward to any pool.
        TargetConfig::Handler => true,
        TargetConfig::Redirect { .. } | TargetConfig::Respond { .. } => false,
    });
    if !used {
        findings.add(
            path.clone(),
            format!("pool `{name}` is used by no route"),
            format!("add a route with `pool = \"{name}\"`, or remove the pool"),
        );
    }
    match pool.backends.as_slice() {
        [] => findings.add(
            format!("{path}.backends"),
            format!("pool `{name}` has no backends: every request is answered with 503"),
            "add `backends = [\"http://127.0.0.1:3000\"]`",
        ),
        [_] => findings.add(
            format!("{path}.backends"),
            format!("pool `{name}` has a single backend: nothing to balance"),
            "add a second one",
        ),
        _ => {}
    }
    if pool.algorithm == Algorithm::RoundRobin
        && let Some(index) = pool.backends.iter().position(|backend| backend.weight != 1)
    {
        findings.add(
            format!("{path}.backends[{index}].weight"),
            format!(
                "algorithm `{}` ignores the weight of {}",
                pool.algorithm, pool.backends[index].weight
            ),
            "write `algorithm = \"weighted-round-robin\"`",
        );
    }
    let speaks_tls = pool
        .backends
        .iter()
        .any(|backend| backend.url.scheme == BackendScheme::Https);
    if !speaks_tls
        && !pool.backends.is_empty()
        && (pool.tls.ca.is_some() || pool.tls.server_name.is_some())
    {
        findings.add(
            format!("{path}.tls"),
            format!("pool `{name}` has TLS settings and no https:// backend"),
            "write `https://` where TLS is meant",
        );
    }
}
