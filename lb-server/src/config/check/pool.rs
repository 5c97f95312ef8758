//! `[pools.x]`.

use std::collections::BTreeMap;

use lb_core::Algorithm;

use super::{Findings, resilience};
use crate::config::model::{BackendConfig, HashConfig, HashKey, LoadBalancerConfig};
use crate::config::url::is_host;

pub(super) fn check(name: &str, pool: &LoadBalancerConfig, findings: &mut Findings) {
    let path = format!("pools.{name}");
    findings.name(path.clone(), name);
    hash(&path, pool.algorithm, &pool.hash, findings);
    let mut seen = BTreeMap::new();
    for (index, config) in pool.backends.iter().enumerate() {
        let path = format!("{path}.backends[{index}]");
        backend(&path, config, findings);
        let identity = identity(config);
        if let Some(first) = seen.insert(identity.clone(), index) {
            findings.add(
                path,
                format!(
                    "backend `{identity}` stands in pool `{name}` twice, first as backends[{first}]"
                ),
                "remove one and raise the other's `weight`, or give them different `name`s",
            );
        }
    }
    if !pool.backends.is_empty() && pool.backends.iter().all(|backend| backend.backup) {
        findings.add(
            format!("{path}.backends"),
            format!("every backend of pool `{name}` is a backup"),
            "remove `backup = true` from at least one",
        );
    }
    if let Some(server) = &pool.tls.server_name {
        server_name(format!("{path}.tls.server_name"), server, findings);
    }
    for (key, value) in [
        ("connect", pool.timeouts.connect),
        ("response_headers", pool.timeouts.response_headers),
        ("queue", pool.timeouts.queue),
        ("idle", pool.timeouts.idle),
    ] {
        findings.timeout(format!("{path}.timeouts.{key}"), value);
        findings.not_forever(format!("{path}.timeouts.{key}"), value);
    }
    if let Some(value) = pool.timeouts.request {
        findings.timeout(format!("{path}.timeouts.request"), value);
        findings.not_forever(format!("{path}.timeouts.request"), value);
    }
    resilience::check(&path, pool, findings);
}

fn identity(config: &BackendConfig) -> String {
    config
        .name
        .clone()
        .unwrap_or_else(|| config.url.to_string())
}

fn backend(path: &str, config: &BackendConfig, findings: &mut Findings) {
    if !(1..=65_535).contains(&config.weight) {
        let help = if config.weight == 0 {
            "remove the backend, or write `backup = true` to use it last"
        } else {
            "weights are relative: divide all of them"
        };
        findings.add(
            format!("{path}.weight"),
            format!(
                "weight of backend `{}` must be from 1 to 65535, got {}",
                identity(config),
                config.weight
            ),
            help,
        );
    }
    if let Some(name) = &config.name {
        findings.name(format!("{path}.name"), name);
    }
    if let Some(discover) = &config.discover {
        let host = config.url.host();
        if host.is_none_or(|host| host.parse::<std::net::IpAddr>().is_ok()) {
            findings.add(
                format!("{path}.discover"),
                format!("`{}` has no name to look up", config.url),
                "write the URL with a host name, or remove `discover`",
            );
        }
        findings.timeout(format!("{path}.refresh"), discover.refresh);
        findings.not_forever(format!("{path}.refresh"), discover.refresh);
    }
    if let Some(name) = &config.server_name {
        server_name(format!("{path}.server_name"), name, findings);
    }
}

fn server_name(path: String, name: &str, findings: &mut Findings) {
    if !is_host(name) && name.parse::<std::net::IpAddr>().is_err() {
        findings.add(
            path,
            format!("`{name}` is no server name"),
            "write the DNS name of the backend's certificate, without scheme and port",
        );
    }
}

fn hash(path: &str, algorithm: Algorithm, hash: &HashConfig, findings: &mut Findings) {
    let path = format!("{path}.hash");
    if hash.key != HashKey::Path && algorithm != Algorithm::ConsistentHashing {
        findings.add(
            format!("{path}.key"),
            format!(
                "hash key `{}` has no effect: algorithm `{algorithm}` does not read it",
                hash.key
            ),
            "write `algorithm = \"consistent-hashing\"`, or remove `key`",
        );
    }
    if let Some(factor) = hash.balance_factor {
        if !algorithm.uses_key() {
            findings.add(
                format!("{path}.balance_factor"),
                format!(
                    "balance_factor {factor} has no effect: algorithm `{algorithm}` hashes nothing"
                ),
                "write `algorithm = \"consistent-hashing\"`, or remove `balance_factor`",
            );
        } else if !(factor.is_finite() && factor >= 1.0) {
            findings.add(
                format!("{path}.balance_factor"),
                format!("balance_factor must be at least 1, got {factor}"),
                "write `1.25` for a quarter more than the fair share",
            );
        }
    }
    for (key, most, value) in [
        ("ipv4_prefix", 32, hash.ipv4_prefix),
        ("ipv6_prefix", 128, hash.ipv6_prefix),
    ] {
        if value == 0 || value > most {
            findings.add(
                format!("{path}.{key}"),
                format!("`{key}` must be from 1 to {most} bits, got {value}"),
                format!("write `{most}` for the whole address"),
            );
        }
    }
}
