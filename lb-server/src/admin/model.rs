//! What the admin API says and takes, each type with its schema.

mod change;
mod event;
mod features;
mod pools;
mod status;

pub use change::*;
pub use event::*;
pub use features::*;
pub use pools::*;
pub use status::*;
