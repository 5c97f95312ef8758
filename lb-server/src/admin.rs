//! The admin API: what it answers, as types that programs can read it with.
//!
//! Everything is JSON under `/api/v1`. Times are seconds since 1970, with fractions; names with `_ms` or
//! `_seconds` are durations in these units.

mod model;

pub use model::*;
