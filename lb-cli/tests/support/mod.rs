//! What the end-to-end tests are made of: the proxy, backends and clients as processes, each ended
//! when its guard is dropped, each wait with a deadline.

pub(crate) mod backends;
pub(crate) mod clients;
pub(crate) mod files;
pub(crate) mod names;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod scripted;
