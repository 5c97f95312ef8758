#![doc = include_str!("../README.md")]

mod displaced;
mod ghosts;
mod links;
mod lru;
mod policy;
mod response_cache;
mod rules;
mod s3fifo;
mod sharded;
mod slab;
mod stats;
mod store;
#[cfg(test)]
mod testing;
mod wire;

pub use displaced::{Cause, Displaced, Removed};
pub use lru::Lru;
pub use policy::{Entries, Policy};
pub use response_cache::{
    Eviction, FillTicket, Joined, Looked, ResponseCache, ResponseCacheParameters, Served,
    StoredBody, StoredResponse,
};
pub use rules::{
    Answer, Bypass, ByteRanges, CacheKey, CacheRequest, CacheRules, CacheStatus, Entry, Failure,
    FillId, FillOutcome, FillParameters, Fills, Forwarded, Found, Freshness, HeadUpdate, HttpDate,
    Join, Lookup, Miss, Multipart, Pass, Received, Refreshed, Refusal, RequestDirectives,
    RequestHead, ResponseDirectives, ResponseHead, ResponsePolicy, Storability, TAG_FIELDS,
    TargetUri, Validated, Validation, Variants, Vary, ask_for_fill, ask_to_validate, invalidates,
    stands_in, stored_fields, tags, write_key,
};
pub use s3fifo::S3Fifo;
pub use sharded::ShardedStore;
pub use stats::StoreStats;
pub use store::Store;
