//! The configuration: as written in a file, and as meant.

mod model;

pub use model::*;
