#![doc = include_str!("../README.md")]

mod affinity;
mod base64;
pub mod cookie;
mod error;
mod id;
mod secrets;
mod session_cookie;

pub use affinity::{AffinityMode, AffinityStatus, AffinityTable, Bound, Course, Standing};
pub use error::SessionError;
pub use id::{HandleError, SessionHandle, SessionId};
pub use secrets::Secrets;
pub use session_cookie::{Presented, SessionCookie};
