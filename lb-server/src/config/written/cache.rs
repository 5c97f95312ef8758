//! `[caches.x]`, as it is written.

use schemars::JsonSchema;
use serde::Serialize;

use super::convert::{duration, size};
use super::redis::store;
use super::{Duration, Size, cache_policy, cache_query};
use crate::config::model::{CacheConfig, CachePolicy, CacheQuery};
use crate::config::substitute::escape;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Cache {
    /// Bytes of all entries and of what is being stored.
    max_size: Size,
    /// The largest body stored.
    max_object: Size,
    /// Responses kept of one URL that differ by Vary.
    #[schemars(range(min = 1))]
    max_variants: u32,
    /// Which entries leave for others.
    #[schemars(schema_with = "cache_policy")]
    policy: &'static str,
    /// Lifetime of responses that say nothing of their freshness.
    default_ttl: Duration,
    /// How long a stale response is sent while it is validated.
    stale_while_revalidate: Duration,
    /// How long a stale response is sent in place of a backend's error.
    stale_if_error: Duration,
    /// How long a stale response is sent while no backend can be reached.
    stale_if_unreachable: Duration,
    /// How long a request waits for another's response to the same.
    collapse_timeout: Duration,
    /// Whether responses with Set-Cookie are stored.
    store_set_cookie: bool,
    /// Whether Cache-Control of requests counts.
    obey_requests: bool,
    /// Which parameters of the query tell responses apart: "all", "none", or a list.
    query: Query,
    /// Request fields by which responses are kept apart.
    #[schemars(length(max = 8))]
    vary: Vec<String>,
    /// Whether the instances share what they keep.
    #[schemars(schema_with = "stores")]
    store: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Query {
    #[schemars(schema_with = "cache_query")]
    Word(&'static str),
    Only(Vec<String>),
}

impl From<&CacheConfig> for Cache {
    fn from(config: &CacheConfig) -> Self {
        Self {
            max_size: size(config.max_size),
            max_object: size(config.max_object),
            max_variants: config.max_variants.into(),
            policy: match config.policy {
                CachePolicy::S3Fifo => "s3-fifo",
                CachePolicy::Lru => "lru",
            },
            default_ttl: duration(config.default_ttl),
            stale_while_revalidate: duration(config.stale_while_revalidate),
            stale_if_error: duration(config.stale_if_error),
            stale_if_unreachable: duration(config.stale_if_unreachable),
            collapse_timeout: duration(config.collapse_timeout),
            store_set_cookie: config.store_set_cookie,
            obey_requests: config.obey_requests,
            query: match &config.query {
                CacheQuery::All => Query::Word("all"),
                CacheQuery::None => Query::Word("none"),
                CacheQuery::Only(names) => {
                    Query::Only(names.iter().map(|name| escape(name)).collect())
                }
            },
            vary: config.vary.iter().map(ToString::to_string).collect(),
            store: store(config.store),
        }
    }
}

schemas! {
    stores => { "enum": ["memory", "redis"] },
}
