//! What the admin API says and takes, each type with its schema.

mod event;
mod features;
mod pools;
mod status;

pub use event::*;
pub use features::*;
pub use pools::*;
pub use status::*;
