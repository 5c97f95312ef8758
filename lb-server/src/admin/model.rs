//! What the admin API says and takes, each type with its schema.

mod change;
mod event;
mod explain;
mod features;
mod pools;
mod request;
mod status;

pub use change::*;
pub use event::*;
pub use explain::*;
pub use features::*;
pub use pools::*;
pub use request::*;
pub use status::*;
