//! The admin API: what it answers, as types that programs can read it with.
//!
//! Everything is JSON under `/api/v1`. Times are seconds since 1970, with fractions; names with `_ms` or
//! `_seconds` are durations in these units.
//!
//! ```text
//! server.rs    a thread of its own: connections with bounds on all a client can hold
//! service.rs   guard.rs: host, origin, token ─ table.rs: which endpoint ─ body ─ endpoints/ ─ log
//! news.rs      what happens, to all who listen; sampler.rs: rates from counters that only grow
//! openapi.rs   the description, of the same table and types
//! ```

mod dashboard;
mod endpoints;
mod guard;
mod log;
mod model;
mod news;
mod openapi;
mod page;
mod problem;
mod reply;
mod sampler;
mod server;
mod service;
mod table;

pub use endpoints::explain_offline;
pub use log::{LogControl, LogLevel};
pub use model::*;
pub use problem::Problem;

pub(crate) use guard::Guard;
pub(crate) use news::{Moment, News};
pub(crate) use server::AdminListener;
pub(crate) use service::{About, Service};
