//! `[caches.x]`, and `cache` of routes.

use super::{Findings, redis};
use crate::config::model::{CacheConfig, CacheQuery, Config};
use crate::config::suggest::{enumerate, nearest};
use crate::config::units::print_size;

/// Below this not one response with its fields fits for certain.
const LEAST_BYTES: u64 = 64 << 10;
const MAX_VARY: usize = 8;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for (name, cache) in &config.caches {
        let path = format!("caches.{name}");
        findings.name(path.clone(), name);
        redis::needed(&path, cache.store, config, findings);
        one(&path, cache, findings);
    }
    for (index, route) in config.routes.iter().enumerate() {
        let Some(name) = &route.cache else { continue };
        if config.caches.contains_key(name) {
            continue;
        }
        let caches = || config.caches.keys().map(String::as_str);
        let help = if config.caches.is_empty() {
            format!("add `[caches.{name}]`")
        } else {
            nearest(name, caches()).map_or_else(
                || format!("known caches: {}", enumerate(caches())),
                |name| format!("did you mean `{name}`?"),
            )
        };
        findings.add(
            format!("routes[{index}].cache"),
            format!("route `{}` names the unknown cache `{name}`", route.name),
            help,
        );
    }
}

fn one(path: &str, cache: &CacheConfig, findings: &mut Findings) {
    if cache.max_size < LEAST_BYTES {
        findings.add(
            format!("{path}.max_size"),
            format!("`max_size` of {} holds nothing", print_size(cache.max_size)),
            "write at least \"64KiB\", or remove the cache",
        );
    } else if cache.max_object > cache.max_size / 2 {
        findings.add(
            format!("{path}.max_object"),
            format!(
                "`max_object` of {} is more than half of `max_size`, {}",
                print_size(cache.max_object),
                print_size(cache.max_size)
            ),
            format!("write at most \"{}\"", print_size(cache.max_size / 2)),
        );
    }
    for (key, value) in [
        ("default_ttl", cache.default_ttl),
        ("stale_while_revalidate", cache.stale_while_revalidate),
        ("stale_if_error", cache.stale_if_error),
        ("stale_if_unreachable", cache.stale_if_unreachable),
        ("collapse_timeout", cache.collapse_timeout),
    ] {
        findings.not_forever(format!("{path}.{key}"), value);
    }
    if cache.vary.len() > MAX_VARY {
        findings.add(
            format!("{path}.vary"),
            format!(
                "{} fields in `vary`, at most {MAX_VARY} count",
                cache.vary.len()
            ),
            "keep those that change responses",
        );
    }
    if cache.query == CacheQuery::Only(Vec::new()) {
        findings.add(
            format!("{path}.query"),
            "an empty list of parameters",
            "write `query = \"none\"`",
        );
    }
}
