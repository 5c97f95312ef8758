#![doc = include_str!("../README.md")]

mod displaced;
mod ghosts;
mod links;
mod lru;
mod policy;
mod s3fifo;
mod sharded;
mod slab;
mod stats;
mod store;

pub use displaced::{Cause, Displaced, Removed};
pub use lru::Lru;
pub use policy::{Entries, Policy};
pub use s3fifo::S3Fifo;
pub use sharded::ShardedStore;
pub use stats::StoreStats;
pub use store::Store;
