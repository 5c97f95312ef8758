//! `[caches.x]`.

use super::redis::store;
use super::{Cursor, route::header_name, server::count};
use crate::config::model::{CacheConfig, CachePolicy, CacheQuery};
use crate::config::tree::Value;

pub(super) fn cache(cursor: &Cursor<'_>) -> Option<CacheConfig> {
    let mut config = CacheConfig::default();
    cursor.table(|fields| {
        fields.read("max_size", &mut config.max_size, Cursor::large_size);
        fields.read("max_object", &mut config.max_object, Cursor::large_size);
        fields.read("max_variants", &mut config.max_variants, count);
        fields.read("policy", &mut config.policy, |cursor| {
            cursor.choice(&[("s3-fifo", CachePolicy::S3Fifo), ("lru", CachePolicy::Lru)])
        });
        for (key, place) in [
            ("default_ttl", &mut config.default_ttl),
            ("stale_while_revalidate", &mut config.stale_while_revalidate),
            ("stale_if_error", &mut config.stale_if_error),
            ("stale_if_unreachable", &mut config.stale_if_unreachable),
            ("collapse_timeout", &mut config.collapse_timeout),
        ] {
            fields.read(key, place, Cursor::duration);
        }
        fields.read(
            "store_set_cookie",
            &mut config.store_set_cookie,
            Cursor::boolean,
        );
        fields.read("obey_requests", &mut config.obey_requests, Cursor::boolean);
        fields.read("query", &mut config.query, query);
        fields.read("vary", &mut config.vary, |cursor| {
            cursor.each(|cursor| header_name(cursor, cursor.text()?))
        });
        fields.read("store", &mut config.store, store);
    })?;
    Some(config)
}

fn query(cursor: &Cursor<'_>) -> Option<CacheQuery> {
    match &cursor.node.value {
        Value::List(_) => cursor.each(Cursor::filled_text).map(CacheQuery::Only),
        Value::Text(text) if text == "all" => Some(CacheQuery::All),
        Value::Text(text) if text == "none" => Some(CacheQuery::None),
        _ => {
            cursor.expected(
                "\"all\", \"none\" or a list of parameters",
                "write `query = [\"id\", \"page\"]`",
            );
            None
        }
    }
}
