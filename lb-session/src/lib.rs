#![doc = include_str!("../README.md")]

mod affinity;
mod base64;
pub mod cookie;
mod error;
mod id;
mod parameters;
mod record;
mod secrets;
mod session;
mod session_cookie;
mod store;
mod value;
mod values;

pub use affinity::{AffinityMode, AffinityStatus, AffinityTable, Bound, Course, Standing};
pub use error::SessionError;
pub use id::{HandleError, SessionHandle, SessionId};
pub use parameters::SessionParameters;
pub use record::Record;
pub use secrets::Secrets;
pub use session::{Changes, Session, Write};
pub use session_cookie::{Presented, SessionCookie};
pub use store::{Committed, Cursor, CursorError, Page, SessionStore, SessionSummary, StoreStats};
pub use value::{FromValue, Value, ValueRef};
pub use values::Values;
