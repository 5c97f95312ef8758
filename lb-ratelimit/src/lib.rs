#![doc = include_str!("../README.md")]

mod bucket;
mod decision;
pub mod fields;
mod key;
mod keyed;
mod memo;
mod policy;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod time;
mod window;

pub use bucket::TokenBucket;
pub use decision::{Decision, Outcome};
pub use key::{Key, KeyHasher, Keyer, Prefixes, SharedKeyHasher};
pub use keyed::{Check, Enforcement, KeyedLimiter, LimiterStats, check_all};
pub use memo::RefusalMemo;
pub use policy::{Policy, Quota, QuotaError, Window};
pub use store::{StoreQuota, StoreWindow};
pub use window::SlidingWindow;
